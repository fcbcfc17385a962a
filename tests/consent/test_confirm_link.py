"""The link that confirms: looking changes nothing, pressing does, and once."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client

from audit.models import Entry
from consent import ledger, links
from consent.models import Consent, Purpose, Suppression
from tests.conftest import AT, Clock, Enrol
from tests.consent.conftest import ADA, Withdraw

LATER = AT + timedelta(hours=1)
pytestmark = pytest.mark.usefixtures("clock", "notice")


def dump() -> dict[str, list[Any]]:
    """Every row of every table."""
    with connection.cursor() as cursor:
        found = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(map(str, cursor.fetchall()))
    return found


def words(page: Any) -> str:
    return " ".join(page.content.decode().split())


@pytest.fixture
def consent(person: Enrol) -> Consent:
    """An opt-in that waits to be confirmed."""
    someone = person(ADA, confirmed=False, given_at=AT, confirmation_due_at=AT)
    return someone.consents.get()


@pytest.fixture
def link(consent: Consent) -> str:
    """The path of the link that confirms it."""
    return links.address(links.CONFIRM, consent.pk).removeprefix("https://volens.example")


@pytest.mark.parametrize("method", ["get", "head"])
def test_who_or_what_only_opens_the_link_changes_nothing(
    client: Client, link: str, method: str
) -> None:
    before = dump()
    assert getattr(client, method)(link).status_code == 200
    assert dump() == before


def test_the_page_says_what_is_confirmed(client: Client, link: str, consent: Consent) -> None:
    page = words(client.get(link))
    assert "Do you want Offers?" in page
    assert "Consent is not a condition of purchase." in page
    assert ADA[2:] not in page
    assert "<script" not in page


def test_the_press_confirms(client: Client, link: str, consent: Consent, clock: Clock) -> None:
    clock.at = LATER
    page = client.post(link, REMOTE_ADDR="192.0.2.9", headers={"User-Agent": "Firefox"})
    assert "You are signed up" in words(page)
    consent.refresh_from_db()
    assert consent.confirmed_at == LATER
    told = json.loads(consent.confirmed_with)
    assert (told["ip_address"], told["user_agent"]) == ("192.0.2.9", "Firefox")
    assert Consent.objects.permitting(LATER).filter(pk=consent.pk).exists()


def test_it_is_confirmed_once(client: Client, link: str, consent: Consent, clock: Clock) -> None:
    client.post(link)
    clock.at = LATER
    assert "You are signed up" in words(client.post(link))
    assert "You are signed up" in words(client.get(link))
    consent.refresh_from_db()
    assert consent.confirmed_at == AT
    assert Entry.objects.filter(verb="consent.confirmed").count() == 1


def test_a_press_on_another_site_confirms_nothing(link: str, consent: Consent) -> None:
    assert Client(enforce_csrf_checks=True).post(link).status_code == 403
    consent.refresh_from_db()
    assert consent.confirmed_at is None


# --- nothing left to confirm -------------------------------------------------------------------


def lapsed(consent: Consent, withdraw: Withdraw) -> None:
    Consent.objects.update(lapsed_at=AT)


def withdrawn(consent: Consent, withdraw: Withdraw) -> None:
    withdraw(ADA)


def suppressed(consent: Consent, withdraw: Withdraw) -> None:
    Suppression.objects.create(
        number_index=consent.subscriber.number_index, channel="provider", reason="test", at=AT
    )


@pytest.mark.parametrize("lost", [lapsed, withdrawn, suppressed])
def test_what_is_over_is_not_confirmed(
    client: Client, link: str, consent: Consent, withdraw: Withdraw, lost: Callable[..., None]
) -> None:
    lost(consent, withdraw)
    assert "There is nothing to confirm" in words(client.get(link))
    assert "There is nothing to confirm" in words(client.post(link))
    consent.refresh_from_db()
    assert consent.confirmed_at is None


@pytest.mark.parametrize("lost", [lapsed, withdrawn, suppressed])
@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_who_confirmed_and_stopped_is_told_that_messages_come(
    client: Client,
    link: str,
    consent: Consent,
    withdraw: Withdraw,
    lost: Callable[..., None],
    method: str,
) -> None:
    client.post(link)
    lost(consent, withdraw)
    page = words(getattr(client, method)(link))
    assert "You are signed up" not in page
    assert "There is nothing to confirm" in page


def test_a_press_after_the_time_to_confirm_confirms_nothing(
    client: Client, link: str, consent: Consent, clock: Clock
) -> None:
    clock.at = AT + timedelta(days=consent.purpose.confirm_within)
    assert "There is nothing to confirm" in words(client.post(link))
    assert not Consent.objects.permitting(clock.at).exists()


def test_a_press_lifts_no_refusal(client: Client, link: str, withdraw: Withdraw) -> None:
    withdraw(ADA)
    client.post(link)
    assert Suppression.objects.standing().exists()


def test_a_press_confirms_no_other_purpose(
    client: Client, link: str, consent: Consent, news_notice: Any
) -> None:
    Purpose.objects.update(double_opt_in=True)
    other = Consent.objects.create(
        subscriber=consent.subscriber,
        purpose=news_notice.purpose,
        notice=news_notice,
        method="web_form",
        source="test",
        given_at=AT,
        recorded_at=AT,
        confirmation_due_at=AT,
    )
    client.post(link)
    other.refresh_from_db()
    assert other.confirmed_at is None


# --- links that open nothing -------------------------------------------------------------------


def signed(kind: str, key: uuid.UUID) -> str:
    return links.address(kind, key).rstrip("/").rpartition("/")[2]


@pytest.mark.parametrize("method", ["get", "post", "head"])
@pytest.mark.parametrize("path", ["/yes/", "/my/"])
@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "%00", "x" * 10_000, "%F0%9F%98%80", "..", "a:b:c", "%FF"]
)
def test_a_forged_link_opens_nothing(client: Client, path: str, token: str, method: str) -> None:
    page = getattr(client, method)(f"{path}{token}/")
    assert page.status_code == 404
    if method != "head":
        assert "There is no such page" in words(page)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_of_another_kind_opens_nothing(
    client: Client, consent: Consent, method: str
) -> None:
    for path, token in [
        ("/yes/", signed(links.PREFERENCES, consent.pk)),
        ("/yes/", signed(links.PREFERENCES, consent.subscriber_id)),
        ("/my/", signed(links.CONFIRM, consent.pk)),
        ("/yes/", signed(links.CONFIRM, consent.subscriber_id)),
        ("/yes/", signed(links.CONFIRM, uuid.uuid4())),
    ]:
        assert getattr(client, method)(f"{path}{token}/").status_code == 404
    consent.refresh_from_db()
    assert consent.confirmed_at is None


@pytest.mark.parametrize("at", [0, 10, -1])
def test_a_link_with_a_sign_changed_opens_nothing(client: Client, link: str, at: int) -> None:
    token = link.split("/")[2]
    changed = token[:at] + ("A" if token[at] != "A" else "B") + (token[at + 1 :] if at + 1 else "")
    assert client.get(f"/yes/{changed}/").status_code == 404


def test_a_link_opens_for_thirty_days(client: Client, consent: Consent) -> None:
    with time_machine.travel(AT, tick=False):
        link = f"/yes/{signed(links.CONFIRM, consent.pk)}/"
    with time_machine.travel(AT + timedelta(days=30), tick=False):
        assert client.get(link).status_code == 200
    with time_machine.travel(AT + timedelta(days=30, seconds=2), tick=False):
        assert client.get(link).status_code == 404
        assert client.post(link).status_code == 404


# --- headers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_link_leaks_to_nobody(client: Client, link: str, method: str) -> None:
    page = getattr(client, method)(link)
    assert page["Referrer-Policy"] in ("same-origin", "no-referrer")
    assert "no-store" in page["Cache-Control"]
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert 'name="robots" content="noindex"' in words(page)


def test_the_page_links_to_terms_without_telling_them_the_link(client: Client, link: str) -> None:
    """Elsewhere a browser tells nothing; our own pages hold no link of their own with the token."""
    page = words(client.get(link))
    assert link not in page


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(client: Client, link: str, method: str) -> None:
    assert getattr(client, method)(link).status_code == 405


@pytest.mark.parametrize("fields", [{"x": "\x00"}, {"x": "y" * 10_000}, {"consent": ["1", "2"]}])
def test_odd_fields_are_passed_over(client: Client, link: str, fields: Any) -> None:
    assert client.post(link, fields).status_code == 200


def test_lapsing_leaves_nothing_that_a_link_revives(
    client: Client, link: str, consent: Consent
) -> None:
    ledger.lapse(purpose=consent.purpose, by="worker", at=AT + timedelta(days=30))
    client.post(link)
    assert not Consent.objects.open().exists()

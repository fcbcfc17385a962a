"""The page of one person: what they agreed to, to which words, and how to stop it."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client

from audit.models import Entry
from config.encryption import blind_index
from consent import links
from consent.models import Notice, Purpose, Subscriber, Suppression
from tests.conftest import AT, Clock, Enrol
from tests.consent.conftest import ADA, BOB, Permitted, Withdraw

pytestmark = pytest.mark.usefixtures("clock", "notice")
MASKED = "+1 ••• ••• ••23"
STOPPED = "That is stopped, from this moment on."


def words(page: Any) -> str:
    return " ".join(page.content.decode().split())


def link_of(person: Subscriber) -> str:
    return links.address(links.PREFERENCES, person.pk).removeprefix("https://volens.example")


@pytest.fixture
def ada(person: Enrol, news_notice: Notice) -> Subscriber:
    """Someone who wants both Offers and News."""
    person(ADA)
    return person(ADA, notice=news_notice)


@pytest.fixture
def link(ada: Subscriber) -> str:
    return link_of(ada)


def refusals(number: str = ADA) -> set[tuple[str | None, str]]:
    standing = Suppression.objects.standing().filter(number_index=blind_index.of(number))
    return set(standing.values_list("purpose__code", "channel"))


def dump() -> dict[str, list[str]]:
    """Every row of every table."""
    with connection.cursor() as cursor:
        found = {}
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(map(str, cursor.fetchall()))
    return found


# --- what is shown -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "head"])
def test_who_or_what_only_opens_it_changes_nothing(client: Client, link: str, method: str) -> None:
    before = dump()
    assert getattr(client, method)(link, {"stop": "everything"}).status_code == 200
    assert dump() == before


def test_it_shows_each_agreement_with_its_words_when_and_how(
    client: Client, link: str, notice: Notice
) -> None:
    page = words(client.get(link))
    assert "<h2>Offers</h2>" in page
    assert "<h2>News</h2>" in page
    assert "You agreed on 25 October 2026, 18:00 UTC (web form) to this:" in page
    assert page.count("Consent is not a condition of purchase.") == 2


def test_it_shows_the_number_masked_and_no_name(client: Client, person: Enrol) -> None:
    page = words(client.get(link_of(person(ADA, first_name="Quillfeather"))))
    assert MASKED in page
    assert ADA[2:] not in page
    assert "Quillfeather" not in page


def test_it_shows_nothing_of_anybody_else(client: Client, link: str, person: Enrol) -> None:
    person(BOB)
    page = words(client.get(link))
    assert page.count("<h2>Offers</h2>") == 1


def test_it_says_what_was_not_confirmed(client: Client, person: Enrol) -> None:
    page = words(client.get(link_of(person(ADA, confirmed=False))))
    assert "You have not confirmed it; nothing is sent before you do." in page


def test_it_shows_what_has_ended_and_when(
    client: Client, link: str, withdraw: Withdraw, purpose: Purpose
) -> None:
    withdraw(ADA, purpose=purpose)
    page = words(client.get(link))
    assert "<li>Offers: 25 October 2026 – 24 November 2026</li>" in page
    assert "<h2>Offers</h2>" not in page
    assert "<h2>News</h2>" in page


def test_an_end_by_another_way_is_no_agreement_that_stands(
    client: Client, link: str, ada: Subscriber
) -> None:
    """A refusal beside an open consent, which a restored backup may leave."""
    Suppression.objects.create(
        number_index=ada.number_index, channel="provider", reason="test", at=AT
    )
    page = words(client.get(link))
    assert "You get no messages from us." in page
    assert "We keep a mark that you want nothing more from us." in page


def test_it_needs_no_script(client: Client, link: str) -> None:
    assert "<script" not in words(client.get(link))


# --- stopping ----------------------------------------------------------------------------------


def test_one_purpose_is_stopped(
    client: Client, link: str, permitted: Permitted, news: Purpose
) -> None:
    page = client.post(link, {"stop": "offers"})
    assert STOPPED in words(page)
    assert not permitted(ADA)
    assert permitted(ADA, about=news)
    assert refusals() == {("offers", "page")}


def test_all_of_these_are_stopped(
    client: Client, link: str, permitted: Permitted, news: Purpose
) -> None:
    assert STOPPED in words(client.post(link, {"stop": "all"}))
    assert not permitted(ADA)
    assert not permitted(ADA, about=news)
    assert refusals() == {("offers", "page"), ("news", "page")}


def test_everything_is_stopped_for_ever(
    client: Client, link: str, permitted: Permitted, news: Purpose
) -> None:
    page = words(client.post(link, {"stop": "everything"}))
    assert STOPPED in page
    assert "We keep a mark that you want nothing more from us." in page
    assert 'value="everything"' not in page
    assert not permitted(ADA, about=news)
    assert refusals() == {(None, "page")}


def test_a_stop_is_of_this_person_only(
    client: Client, link: str, person: Enrol, permitted: Permitted
) -> None:
    person(BOB)
    client.post(link, {"stop": "everything"})
    assert permitted(BOB)
    assert refusals(BOB) == set()


def test_a_stop_holds_from_the_moment_it_was_pressed(
    client: Client, link: str, clock: Clock, ada: Subscriber
) -> None:
    clock.at = AT + timedelta(minutes=7)
    client.post(link, {"stop": "all"})
    assert {c.withdrawn_at for c in ada.consents.all()} == {clock.at}


def test_a_stop_leaves_its_entry(client: Client, link: str, ada: Subscriber) -> None:
    client.post(link, {"stop": "offers"})
    told = Entry.objects.get(verb="consent.withdrawn")
    assert (told.actor, told.subject) == ("person", f"subscriber:{ada.pk}")
    assert (told.facts["channel"], told.facts["closed"]) == ("page", 1)


def test_who_comes_back_finds_it_stopped(client: Client, link: str) -> None:
    client.post(link, {"stop": "all"})
    page = words(client.get(link))
    assert STOPPED not in page
    assert "You get no messages from us." in page
    assert page.count("– 24 November 2026</li>") == 2


def test_a_stop_pressed_twice_is_one(client: Client, link: str) -> None:
    for _press in range(2):
        assert client.post(link, {"stop": "everything"}).status_code == 200
    assert refusals() == {(None, "page")}


def test_a_press_on_another_site_stops_nothing(link: str, permitted: Permitted) -> None:
    stranger = Client(enforce_csrf_checks=True)
    assert stranger.post(link, {"stop": "everything"}).status_code == 403
    assert permitted(ADA)


def test_an_unconfirmed_agreement_can_be_stopped_too(client: Client, person: Enrol) -> None:
    someone = person(ADA, confirmed=False)
    client.post(link_of(someone), {"stop": "offers"})
    assert not someone.consents.open().exists()


ODD = ["", "x" * 10_000, "\x00", "offers\x00", "😀", "OFFERS ", "None", "<script>", "nothing"]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_choice_stops_nothing_and_says_nothing_else(
    client: Client, link: str, odd: str, permitted: Permitted
) -> None:
    page = client.post(link, {"stop": odd})
    assert page.status_code < 500
    assert STOPPED not in words(page)
    assert permitted(ADA)
    assert refusals() == set()


def test_a_press_without_a_choice_stops_nothing(client: Client, link: str) -> None:
    assert STOPPED not in words(client.post(link))
    assert refusals() == set()


def test_several_choices_are_the_last(client: Client, link: str) -> None:
    client.post(link, {"stop": ["news", "offers"]})
    assert refusals() == {("offers", "page")}


# --- the link ----------------------------------------------------------------------------------


def test_the_link_opens_for_ninety_days(client: Client, ada: Subscriber) -> None:
    with time_machine.travel(AT, tick=False):
        link = link_of(ada)
    with time_machine.travel(AT + timedelta(days=90), tick=False):
        assert client.get(link).status_code == 200
    with time_machine.travel(AT + timedelta(days=90, seconds=2), tick=False):
        assert client.get(link).status_code == 404
        assert client.post(link, {"stop": "all"}).status_code == 404
    assert refusals() == set()


def test_the_link_of_one_person_opens_no_other(client: Client, link: str, person: Enrol) -> None:
    other = link_of(person(BOB))
    swapped = f"{link.rsplit('.', 1)[0]}.{other.rsplit('.', 1)[1]}"
    assert client.get(swapped).status_code == 404


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_link_leaks_to_nobody(client: Client, link: str, method: str) -> None:
    page = getattr(client, method)(link)
    assert page["Referrer-Policy"] in ("same-origin", "no-referrer")
    assert "no-store" in page["Cache-Control"]
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"
    assert link not in words(page)


def test_a_language_that_we_do_not_know_is_no_fault(client: Client, person: Enrol) -> None:
    for language in ("xx", "zh-hant", ""):
        someone = person(BOB, language=language)
        Subscriber.objects.filter(pk=someone.pk).update(language=language)
        assert client.get(link_of(someone)).status_code == 200

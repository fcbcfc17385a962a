"""The page that fixes a wording: whole if it is shown from now on, as it was if it is past."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client

from audit import roles
from audit.models import Entry, Operator
from consent import purposes
from consent.models import Notice, Purpose
from consent.wording import fingerprint
from tests.conftest import AT, WORDINGS

LIST = "/admin/consent/notice/"
ADD = f"{LIST}add/"
CURRENT, OLD = WORDINGS["current"], WORDINGS["before_2025"]
LACKING = [
    "the business's name",
    "what will be sent",
    "that it is not a condition of purchase",
    "how often messages come",
    "a link to the terms",
    "a link to the privacy policy",
]
FROM_NOW_ON = {"shown_from_0": "2026-11-24", "shown_from_1": "18:00:00"}
LONG_AGO = {"shown_from_0": "2024-02-01", "shown_from_1": "00:00"}
DAY = timedelta(days=1)
Browser = Callable[..., Client]
Publish = Callable[..., Notice]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def officer(signed_in: Browser) -> Client:
    return signed_in(roles.PRIVACY_OFFICER)


@pytest.fixture
def typed(purpose: Purpose) -> dict[str, Any]:
    usual = {"purpose": purpose.pk, "channel": "web", "language": "en", "wording": CURRENT}
    return {**usual, **FROM_NOW_ON}


@pytest.fixture
def publish(purpose: Purpose) -> Publish:
    def published(wording: str = CURRENT, **more: Any) -> Notice:
        usual = {"purpose": purpose, "language": "en", "shown_from": AT, "by": "command", "at": AT}
        return purposes.publish(wording=wording, **{**usual, **more})

    return published


def errors(answer: Any) -> dict[str, str]:
    """What stands beside each field."""
    assert answer.status_code == 200
    said = answer.context["adminform"].errors
    return {name: " ".join(lines) for name, lines in said.items()}


# --- from now on -------------------------------------------------------------------------------


def test_a_whole_wording_is_fixed_as_it_was_typed_in(
    officer: Client, typed: dict[str, Any], operators: Callable[..., Operator]
) -> None:
    answer = officer.post(ADD, typed)
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    notice = Notice.objects.get()
    assert (notice.wording, notice.fingerprint) == (CURRENT, fingerprint(CURRENT))
    assert (notice.channel, notice.language, notice.number) == ("web", "en", 1)
    assert (notice.shown_from, notice.published_at) == (AT, AT)
    entry = Entry.objects.get(verb="notice.published")
    assert entry.actor == f"operator:{operators(roles.PRIVACY_OFFICER).pk}"
    assert entry.facts["fingerprint"] == notice.fingerprint


def test_an_incomplete_wording_is_refused_with_all_that_it_lacks(
    officer: Client, typed: dict[str, Any]
) -> None:
    told = errors(officer.post(ADD, {**typed, "wording": "Text me! Reply HELP or STOP."}))
    assert set(told) == {"wording"}
    assert told["wording"].startswith("This wording does not state: ")
    for element in (*LACKING, "that message and data rates may apply"):
        assert element in told["wording"], element
    assert not Notice.objects.exists()


def test_a_wording_typed_in_for_now_a_minute_ago_must_be_whole_too(
    officer: Client, typed: dict[str, Any]
) -> None:
    """Who presses "Now" and takes a minute to read the page again means from now on."""
    just_now = {"shown_from_0": "2026-11-24", "shown_from_1": "17:59:00"}
    assert set(errors(officer.post(ADD, {**typed, **just_now, "wording": OLD}))) == {"wording"}


def test_an_age_gate_must_be_said(officer: Client, typed: dict[str, Any], purpose: Purpose) -> None:
    Purpose.objects.filter(pk=purpose.pk).update(least_age=21)
    told = errors(officer.post(ADD, typed))
    assert told == {"wording": "This wording does not state: how old one must be (21)."}
    assert officer.post(ADD, {**typed, "wording": f"{CURRENT} I am 21."}).status_code == 302


def test_the_verb_itself_refuses_an_incomplete_wording_from_now_on(publish: Publish) -> None:
    with pytest.raises(ValidationError, match="does not state"):
        publish(OLD, shown_from=AT)
    assert not Notice.objects.exists()


# --- past ones ---------------------------------------------------------------------------------


def test_a_past_wording_is_kept_as_it_was_with_a_warning(
    officer: Client, typed: dict[str, Any]
) -> None:
    answer = officer.post(ADD, {**typed, **LONG_AGO, "wording": OLD}, follow=True)
    warnings = [str(m) for m in answer.context["messages"] if m.level_tag == "warning"]
    [warning] = warnings
    for element in LACKING:
        assert element in warning
    assert Notice.objects.get().wording == OLD


def test_a_past_wording_that_is_whole_gives_no_warning(
    officer: Client, typed: dict[str, Any]
) -> None:
    answer = officer.post(ADD, {**typed, **LONG_AGO}, follow=True)
    assert [m.level_tag for m in answer.context["messages"]] == ["success"]


def test_a_past_wording_does_not_become_the_one_that_is_shown(
    publish: Publish, purpose: Purpose
) -> None:
    current = publish()
    publish(OLD, shown_from=datetime(2024, 2, 1, tzinfo=UTC))
    shown = purpose.notices.shown(channel=Notice.Channel.WEB, language="en", at=AT + DAY)
    assert shown == current


# --- numbers -----------------------------------------------------------------------------------


def test_wordings_are_numbered_by_purpose_channel_and_language(
    publish: Publish, news: Purpose
) -> None:
    paper, spanish = {"channel": Notice.Channel.PAPER}, {"language": "es"}
    past = {"shown_from": AT - DAY}
    made = [
        publish(f"{CURRENT} {turn}", **about)
        for turn, about in enumerate(
            [{}, {}, paper, spanish, {"purpose": news, **past}, {}, paper, {**paper, **spanish}]
        )
    ]
    assert [notice.number for notice in made] == [1, 2, 1, 1, 1, 3, 2, 1]
    assert str(made[5]) == "offers web en 3"


def test_one_wording_is_one_notice(officer: Client, typed: dict[str, Any]) -> None:
    officer.post(ADD, typed)
    again = {**typed, "wording": f"  {CURRENT}\n", "language": "es"}
    told = errors(officer.post(ADD, again))
    assert told == {"wording": "This wording is on record already for this purpose."}
    assert Notice.objects.count() == 1


def test_one_wording_may_stand_on_paper_and_on_a_page(
    officer: Client, typed: dict[str, Any]
) -> None:
    for channel in Notice.Channel.values:
        assert officer.post(ADD, {**typed, "channel": channel}).status_code == 302
    assert Notice.objects.count() == 3


# --- what may be wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("purpose", {"purpose": ""}),
        ("purpose", {"purpose": "999"}),
        ("channel", {"channel": ""}),
        ("channel", {"channel": "radio"}),
        ("language", {"language": ""}),
        ("language", {"language": "EN"}),
        ("language", {"language": "e1"}),
        ("language", {"language": "english"}),
        ("wording", {"wording": ""}),
        ("wording", {"wording": "  "}),
        ("shown_from", {"shown_from_0": ""}),
        ("shown_from", {"shown_from_1": ""}),
        ("shown_from", {"shown_from_0": "1.2.2024"}),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    officer: Client, typed: dict[str, Any], field: str, changes: dict[str, str]
) -> None:
    assert set(errors(officer.post(ADD, {**typed, **changes}))) == {field}
    assert not Notice.objects.exists()


@pytest.mark.parametrize("value", ["", "\x00", "é"])
def test_a_form_with_everything_wrong_says_so(
    officer: Client, typed: dict[str, Any], value: str
) -> None:
    told = errors(officer.post(ADD, dict.fromkeys(typed, value)))
    assert {"purpose", "channel", "language", "shown_from"} <= set(told)
    assert errors(officer.post(ADD, {}))


def test_a_refused_wording_is_not_lost(officer: Client, typed: dict[str, Any]) -> None:
    shown = officer.post(ADD, {**typed, "wording": OLD}).content.decode()
    assert "Text me coffee deals!" in shown


# --- for good ----------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["change/", "delete/"])
def test_no_page_changes_or_deletes_one(
    officer: Client, publish: Publish, typed: dict[str, Any], act: str
) -> None:
    notice = publish()
    changed = {**typed, "wording": f"{CURRENT} Changed.", "post": "yes"}
    assert officer.post(f"{LIST}{notice.pk}/{act}", changed).status_code == 403
    assert Notice.objects.get().wording == CURRENT


@pytest.mark.parametrize("column", ["wording", "fingerprint", "language", "channel", "number"])
def test_the_database_changes_none(publish: Publish, column: str) -> None:
    publish()
    value = 9 if column == "number" else "x"
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        Notice.objects.update(**{column: value})


def test_the_database_deletes_none(publish: Publish) -> None:
    publish()
    with (
        pytest.raises(IntegrityError, match="never changes"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM consent_notice")
    assert Notice.objects.get().wording == CURRENT


def test_its_page_shows_it_word_for_word_with_what_it_lacks(
    officer: Client, publish: Publish
) -> None:
    notice = publish(OLD, shown_from=AT - DAY)
    shown = officer.get(f"{LIST}{notice.pk}/change/").content.decode()
    assert "Text me coffee deals!" in shown
    assert notice.fingerprint in shown
    assert "how often messages come" in shown
    assert "how often messages come" in officer.get(LIST).content.decode()


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_the_privacy_officer_adds_a_wording(
    signed_in: Browser, typed: dict[str, Any], role: str
) -> None:
    client, may = signed_in(role), role == roles.PRIVACY_OFFICER
    assert client.get(LIST).status_code == 200
    assert client.get(ADD).status_code == (200 if may else 403)
    assert client.post(ADD, typed).status_code == (302 if may else 403)
    assert Notice.objects.exists() == may

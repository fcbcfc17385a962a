"""`explain` says one thing in one object a line, of whatever it is given, and no number in it."""

import io
import json
import os
import re
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.management.commands.explain import SUBJECTS
from consent.models import Suppression
from tests.campaigns.conftest import AUSTRALIA, FLORIDA, GUAM, LONDON, NEW_YORK, withdraw
from tests.services import ROOT

AT = "2026-11-24T18:00:00Z"


def explain(subject, value, **options):
    """The objects printed, one of each line."""
    printed = io.StringIO()
    call_command("explain", subject, value, stdout=printed, **{"at": AT, **options})
    return [json.loads(line) for line in printed.getvalue().splitlines()]


def explain_one(subject, value, **options):
    [told] = explain(subject, value, **options)
    return told


@pytest.fixture
def stdin(monkeypatch):
    def write(text):
        given = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", given)

    return write


# --- number ------------------------------------------------------------------------------------


def test_a_number_is_placed_and_its_permissions_named(person):
    person(FLORIDA)
    assert explain_one("number", FLORIDA) == {
        "valid": True,
        "type": "fixed_line_or_mobile",
        "country": "US",
        "states": ["FL"],
        "zones": ["America/Chicago", "America/New_York"],
        "suppressed": False,
        "open_consents": ["offers"],
        "may_be_messaged_for": ["offers"],
    }


def test_a_number_that_refused_is_said_to_be_suppressed(person):
    withdraw(person())
    told = explain_one("number", NEW_YORK)
    assert (told["suppressed"], told["may_be_messaged_for"]) == (True, [])
    Suppression.objects.update(lifted_at=AT)
    assert explain_one("number", NEW_YORK)["suppressed"] is False


def test_a_number_that_nobody_knows_may_be_messaged_for_nothing(db):
    told = explain_one("number", NEW_YORK)
    assert (told["valid"], told["suppressed"], told["may_be_messaged_for"]) == (True, False, [])


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (NEW_YORK, "fixed_line_or_mobile"),  # as everywhere in North America
        (LONDON, "unknown"),  # of a range that is given to nobody
        (AUSTRALIA, "mobile"),
        ("+442079460123", "fixed_line"),
    ],
)
def test_a_number_is_of_a_type(db, value, kind):
    assert explain_one("number", value)["type"] == kind


def test_a_consent_that_waits_is_open_and_allows_nothing(person):
    person(confirmed=False)
    told = explain_one("number", NEW_YORK)
    assert (told["open_consents"], told["may_be_messaged_for"]) == (["offers"], [])


def test_a_consent_that_a_stop_closed_is_not_open(person):
    withdraw(person())
    assert explain_one("number", NEW_YORK)["open_consents"] == []


@pytest.mark.parametrize("at", ["2026-10-01T00:00:00Z", AT])
def test_permission_is_that_of_the_moment_asked_for(person, at):
    person()
    told = explain_one("number", NEW_YORK, at=at)
    assert told["may_be_messaged_for"] == (["offers"] if at == AT else [])


def test_a_number_without_a_country_code_is_read_as_of_the_country_given(db):
    assert explain_one("number", "07700 900123", country="gb")["country"] == "GB"
    assert explain_one("number", "212 555 0123")["country"] == "US"


@pytest.mark.parametrize("value", ["", "x", "911", "2.12556E+11", "+1 212 555", "1" * 500])
def test_what_is_no_number_is_said_to_be_none_with_the_reason(db, value):
    told = explain_one("number", value)
    assert told["valid"] is False
    assert told["reason"].endswith(".")


@pytest.mark.parametrize("country", ["", "XX", "usa", "12"])
def test_a_country_that_does_not_exist_makes_no_number_and_no_crash(db, country):
    assert explain_one("number", "212 555 0123", country=country)["valid"] is False


# --- reply, window, text -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "intent"),
    [("STOP", "stop"), ("Arrêt!", "stop"), ("start", "start"), ("help", "help"), ("hi", "none")],
)
def test_a_reply_is_read(text, intent):
    told = explain_one("reply", text)
    assert told["intent"] == intent
    assert told["reason"]
    assert told.keys() == {"intent", "reason", "language", "confirms"}


@pytest.mark.parametrize(
    ("text", "language"), [("Arrêt!", "fr"), ("abmelden", "de"), ("alto", "es"), ("STOP", "")]
)
def test_a_reply_is_of_a_language(text, language):
    assert explain_one("reply", text)["language"] == language


@pytest.mark.parametrize(
    ("text", "confirms"), [("YES", True), ("sí", True), ("STOP", False), ("yes sir, where?", False)]
)
def test_a_reply_that_confirms_says_so(text, confirms):
    assert explain_one("reply", text)["confirms"] is confirms


def test_a_window_that_is_open_says_by_which_rules(db):
    assert explain_one("window", FLORIDA) == {
        "open": True,
        "next_opening": "2026-11-24T18:00:00+00:00",
        "rules": ["US", "US-FL"],
        "zones": ["America/Chicago", "America/New_York"],
        "reasons": [],
        "daily_cap": 3,
    }


@pytest.mark.parametrize(
    ("number", "opens"),
    [(GUAM, "2026-11-24T22:00:00+00:00"), (AUSTRALIA, "2026-11-25T02:30:00+00:00")],
)
def test_a_window_that_is_closed_says_why_and_until_when(db, number, opens):
    told = explain_one("window", number)
    assert (told["open"], told["next_opening"]) == (False, opens)
    assert told["reasons"]


def test_a_window_is_that_of_the_time_asked_for_with_or_without_a_zone(db):
    assert explain_one("window", LONDON, at="2026-11-24T19:44")["open"] is True
    assert explain_one("window", LONDON, at="2026-11-24T19:45:00+00:00")["open"] is False
    assert explain_one("window", LONDON, at="2026-11-24T14:45:00-05:00")["open"] is False


def test_a_window_of_no_number_is_closed_with_the_reason():
    told = explain_one("window", "x")
    assert (told["open"], told["next_opening"]) == (False, None)
    assert told["reasons"] == ["This is not a telephone number."]


def test_every_window_has_the_same_keys(db):
    assert explain_one("window", "x").keys() == explain_one("window", LONDON).keys()


@pytest.mark.parametrize("at", ["soon", "2026-13-01", "25:00"])
def test_a_time_that_is_none_is_refused_in_words(at):
    with pytest.raises(CommandError, match="ISO 8601"):
        call_command("explain", "window", LONDON, f"--at={at}", stdout=io.StringIO())


def test_a_text_is_measured():
    assert explain_one("text", "Naïve ☕") == {
        "encoding": "UCS-2",
        "units": 7,
        "segments": 1,
        "forcing": ["ï", "☕"],
    }


# --- from standard input -----------------------------------------------------------------------


@pytest.mark.parametrize("subject", SUBJECTS)
def test_standard_input_gives_one_object_for_each_line(db, stdin, subject):
    lines = ["STOP", "", NEW_YORK, "x" * 9000, "\x00", "é☕", "   ", '{"a": 1}', "-"]
    stdin("\n".join(lines) + "\n")
    assert len(explain(subject, "-")) == len(lines)


def test_the_last_line_needs_no_end(stdin):
    stdin("STOP\nhi")
    assert [told["intent"] for told in explain("reply", "-")] == ["stop", "none"]


def test_nothing_gives_nothing(stdin):
    stdin("")
    assert explain("reply", "-") == []


@pytest.mark.parametrize("subject", SUBJECTS)
def test_lines_that_are_no_text_give_an_object_each_and_no_crash(subject):
    ran = subprocess.run(
        [sys.executable, "manage.py", "explain", subject, "-"],
        cwd=ROOT,
        input=b"STOP\n\xff\xfe\n\xed\xa0\x80\nhi\n",
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict", "DATABASE_URL": "sqlite://:memory:"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in ran.stderr, ran.stderr[-900:]
    assert len([json.loads(line) for line in ran.stdout.splitlines()]) == 4


@pytest.mark.parametrize(
    ("subject", "value"), [("reply", "STOP"), ("text", "Hello"), ("window", NEW_YORK)]
)
def test_what_is_no_question_of_record_needs_no_tables(subject, value):
    ran = subprocess.run(
        [sys.executable, "manage.py", "explain", subject, value],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "sqlite://:memory:"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-900:]
    assert isinstance(json.loads(ran.stdout), dict)


# --- for anything at all -----------------------------------------------------------------------

LINES = st.one_of(
    st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=300),
    st.sampled_from([NEW_YORK, FLORIDA, GUAM, AUSTRALIA, LONDON]),
    st.from_regex(r"\A[+0-9() .-]{0,20}\Z"),
)


@pytest.mark.django_db
@pytest.mark.parametrize("subject", SUBJECTS)
@given(line=LINES)
@settings(max_examples=40, deadline=None)
def test_any_line_gives_one_object(subject, line):
    assert isinstance(explain_one(subject, f" {line}"), dict)


@pytest.mark.parametrize("subject", ["number", "window"])
@pytest.mark.parametrize(
    "value", [NEW_YORK, FLORIDA, GUAM, LONDON, AUSTRALIA, "212-555-0123", "+1 212 555 0123 x5"]
)
def test_no_number_stands_in_what_is_printed(db, subject, value):
    printed = re.sub(r"\D", "", json.dumps(explain_one(subject, value)))
    assert re.sub(r"\D", "", value)[-6:] not in printed


def test_a_reply_that_quotes_a_number_is_not_repeated():
    assert "0123" not in json.dumps(explain_one("reply", f"call me at {NEW_YORK}"))

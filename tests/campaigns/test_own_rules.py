"""Stricter hours of the business's own are added and ended, on record, and hold everywhere."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from audit import roles
from audit.models import Detail, Entry
from campaigns import conversation, dispatch, hours, quiet_hours
from campaigns.models import Message, OwnRule
from campaigns.quiet_hours import WHOLE_DAY, Hours
from consent import numbers, signup
from consent.models import Method
from tests.campaigns.conftest import (
    FLORIDA,
    NEW_YORK,
    at_once,
    fenced,
    message_to,
    queries,
    verbs,
)
from tests.campaigns.test_explain import explain_one
from tests.conftest import AT

HOUR = timedelta(hours=1)
MORNINGS = [Hours(timedelta(), timedelta(hours=12))] * 3  # AT is one in the afternoon in New York
NEXT_MORNING = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)  # eight in all of Florida
Status = Message.Status


@pytest.fixture
def officer(operators):
    return operators(roles.ADMINISTRATOR)


@pytest.fixture
def add(officer):
    """A rule for mornings only, in Florida, from now on; `changes` replace the usual."""

    def added(**changes):
        usual = {
            "jurisdiction": "US-FL",
            "hours": MORNINGS,
            "reason": "Complaints about afternoons.",
            "by": officer,
            "at": AT,
        }
        return hours.add(**{**usual, **changes})

    return added


# --- adding ------------------------------------------------------------------------------------


def test_a_rule_is_kept_and_the_trail_tells_of_it(add, officer):
    rule = add(closed_on_holidays=True, daily_cap=2)
    rule.refresh_from_db()
    assert (rule.number, str(rule)) == (1, "US-FL own rule 1")
    assert (rule.by, rule.at, rule.in_force_from, rule.ended_at) == (officer, AT, AT, None)
    entry = Entry.objects.get(subject="own_rule:1")
    assert (entry.verb, entry.actor, entry.at) == ("own_rule.added", f"operator:{officer.pk}", AT)
    assert entry.facts == {
        "jurisdiction": "US-FL",
        "weekday": [0, 720],
        "saturday": [0, 720],
        "sunday": [0, 720],
        "closed_on_holidays": True,
        "daily_cap": 2,
        "in_force_from": "2026-11-24T18:00:00.000000Z",
    }


def test_the_reason_is_shown_but_nowhere_in_clear(add):
    rule = add()
    assert OwnRule.objects.get().reason == "Complaints about afternoons."
    with connection.cursor() as cursor:
        cursor.execute("SELECT reason FROM campaigns_ownrule")
        assert "Complaints" not in cursor.fetchone()[0]
    assert Detail.objects.get(entry__subject=f"own_rule:{rule.number}").text == rule.reason
    assert "Complaints" not in str(Entry.objects.filter(verb="own_rule.added").values())


def test_rules_are_numbered_and_an_ended_one_keeps_its_number(add, officer):
    first = add()
    hours.end(rule=first, by=officer, at=AT)
    assert add().number == 2


@pytest.mark.django_db(transaction=True)
def test_rules_added_at_the_same_moment_get_numbers_of_their_own(add, officer):
    added = at_once(*[add] * 4)
    assert sorted(rule.number for rule in added) == [1, 2, 3, 4]
    assert Entry.objects.filter(verb="own_rule.added").count() == 4


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"jurisdiction": "US-ZZ"}, "jurisdiction", "no such place"),
        ({"jurisdiction": "US-STRICTEST"}, "jurisdiction", "no such place"),
        ({"jurisdiction": "GU"}, "jurisdiction", "no such place"),
        ({"jurisdiction": ""}, "jurisdiction", "no such place"),
        ({"hours": [WHOLE_DAY] * 3}, "jurisdiction", "change nothing"),
        (
            {"jurisdiction": "US-AL", "hours": [WHOLE_DAY, WHOLE_DAY, None]},
            "jurisdiction",
            "change",
        ),
        ({"reason": "ask ada@example.org"}, "reason", "Leave out"),
        ({"reason": ""}, "reason", "blank"),
        ({"in_force_from": AT - timedelta(seconds=1)}, "in_force_from", "over"),
        ({"daily_cap": 0}, "daily_cap", "greater"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_in_words(add, changes, field, words):
    with pytest.raises(ValidationError) as refusal:
        add(**changes)
    assert words in " ".join(refusal.value.message_dict[field])
    assert not OwnRule.objects.exists()
    assert not Entry.objects.filter(verb="own_rule.added").exists()


def test_any_place_can_be_named_also_one_without_a_row(add):
    for place in ("*", "US", "US-GU", "FR", "PL"):
        assert add(jurisdiction=place).jurisdiction == place


def test_every_shipped_row_can_be_named_but_the_derived_one():
    assert set(hours.shipped().rules) - set(hours.jurisdictions()) == {"US-STRICTEST"}
    assert len(set(hours.jurisdictions())) == len(hours.jurisdictions()) > 250


# --- ending, and what the database refuses -----------------------------------------------------


def test_a_rule_is_ended_once_and_the_trail_tells_of_it(add, officer):
    rule = add()
    assert hours.end(rule=rule, by=officer, at=AT + HOUR) is True
    assert hours.end(rule=rule, by=officer, at=AT + 2 * HOUR) is False
    rule.refresh_from_db()
    assert (rule.ended_at, rule.ended_by) == (AT + HOUR, officer)
    assert verbs("own_rule:1") == ["own_rule.added", "own_rule.ended"]


@pytest.mark.parametrize(
    "change",
    [
        {"jurisdiction": "US-GA"},
        {"weekday_end": 1300},
        {"sunday_start": None, "sunday_end": None},
        {"closed_on_holidays": True},
        {"daily_cap": 9},
        {"in_force_from": AT + HOUR},
        {"number": 5},
        {"at": AT + HOUR},
    ],
)
def test_no_rule_is_edited_whoever_asks(add, change):
    rule = add()
    with pytest.raises(IntegrityError, match="never edited"), transaction.atomic():
        OwnRule.objects.filter(pk=rule.pk).update(**change)


def test_no_ended_rule_begins_again_and_none_is_deleted(add, officer):
    rule = add()
    hours.end(rule=rule, by=officer, at=AT)
    ours = OwnRule.objects.filter(pk=rule.pk)
    for change in ({"ended_at": None, "ended_by": None}, {"ended_at": AT + HOUR}):
        with pytest.raises(IntegrityError, match="never edited"), transaction.atomic():
            ours.update(**change)
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        ours.delete()


@pytest.mark.parametrize(
    "hours_of_a_day",
    [(600, 600), (700, 600), (600, None), (None, 600), (0, 1441)],
)
def test_the_database_refuses_hours_that_are_none(officer, hours_of_a_day):
    start, end = hours_of_a_day
    with pytest.raises(IntegrityError), transaction.atomic():
        OwnRule.objects.create(
            number=1, jurisdiction="FR", weekday_start=start, weekday_end=end,
            in_force_from=AT, reason="x", by=officer, at=AT,
        )  # fmt: skip


def test_an_end_says_who_and_when(add, officer):
    add()
    for half in ({"ended_at": AT}, {"ended_by": officer}):
        with pytest.raises(IntegrityError), transaction.atomic():
            OwnRule.objects.update(**half)


# --- when it holds -----------------------------------------------------------------------------


def test_a_rule_is_in_force_from_its_beginning_until_it_is_ended(add, officer):
    rule = add(in_force_from=AT + HOUR)
    hours.end(rule=rule, by=officer, at=AT + 3 * HOUR)
    held = [bool(hours.in_force(AT + n * HOUR).own) for n in range(5)]
    assert held == [False, True, True, False, False]


def test_a_rule_that_is_ended_before_it_begins_never_holds(add, officer):
    hours.end(rule=add(in_force_from=AT + 2 * HOUR), by=officer, at=AT + HOUR)
    assert [hours.in_force(AT + n * HOUR).own for n in range(4)] == [()] * 4


def test_the_rules_in_force_cost_one_query_and_the_file_is_read_once(add, monkeypatch):
    for _each in range(3):
        add()
    hours.in_force(AT)
    monkeypatch.setattr(quiet_hours, "RULES_FILE", None)
    monkeypatch.setattr(quiet_hours, "load", None)
    assert queries(lambda: hours.in_force(AT)) == 1
    assert [str(rule) for rule in hours.in_force(AT).own] == [
        f"US-FL own rule {number}" for number in (1, 2, 3)
    ]


def test_without_own_rules_the_shipped_ones_hold_as_they_are(db):
    assert hours.in_force(AT) == quiet_hours.load()


# --- where it holds ----------------------------------------------------------------------------


def test_an_own_rule_puts_a_message_off_at_the_launch(add, person, launched):
    add()
    someone, other = person(FLORIDA), person(NEW_YORK)
    launched(deadline=AT + timedelta(days=1))
    message = message_to(someone)
    assert message.due_at == NEXT_MORNING
    assert message.opening.decision["rules"] == ["US", "US-FL", "US-FL own rule 1"]
    assert message.opening.decision["rulebook"] == hours.in_force(AT).version
    assert message_to(other).due_at == AT


def test_an_own_rule_holds_at_the_fence_for_a_campaign_under_way(add, person, launched):
    someone = person(FLORIDA)
    launched(deadline=AT + timedelta(days=1))
    add()
    assert fenced() == []
    message = message_to(someone)
    assert (message.status, message.due_at) == (Status.WAITING, NEXT_MORNING)
    assert message.stopped["rules"] == ["US", "US-FL", "US-FL own rule 1"]
    assert message.stopped["rulebook"] == hours.in_force(AT).version
    assert "US-FL own rule 1 allows 00:00 to 12:00" in message.stopped["reasons"][0]


def test_an_own_rule_that_was_ended_lets_messages_go(add, person, launched, officer):
    person(FLORIDA)
    launched()
    hours.end(rule=add(), by=officer, at=AT)
    assert len(fenced()) == 1


def test_an_own_cap_holds_at_the_fence(add, person, launched):
    add(hours=[WHOLE_DAY] * 3, daily_cap=1)
    someone = person(FLORIDA)
    launched()
    launched(name="Second")
    fenced()
    fates = Message.objects.filter(subscriber=someone).order_by("pk")
    assert list(fates.values_list("status", flat=True)) == [Status.CALLING, Status.BLOCKED]


def test_an_own_rule_holds_for_the_confirmation_of_an_opt_in(add, notice, sender):
    add()
    sender.purposes.set([notice.purpose])
    signup.sign_up(
        number=numbers.parse(FLORIDA), notice=notice, method=Method.WEB_FORM, source="/join/",
        facts={"ip_address": "192.0.2.7", "user_agent": "Firefox"}, given_at=AT, by="web", at=AT,
    )  # fmt: skip
    later = AT + timedelta(minutes=5)
    assert conversation.confirm_opt_ins(at=later) == 1
    assert Message.objects.get().due_at == NEXT_MORNING


def test_a_dry_run_foresees_what_an_own_rule_does(add, person, compose):
    person(FLORIDA)
    campaign = compose(deadline=AT + HOUR)
    assert dispatch.dry_run(campaign=campaign, at=AT).messaged == 1
    add()
    assert dispatch.dry_run(campaign=campaign, at=AT).messaged == 0


def test_explain_tells_of_own_rules_of_the_time_asked_for(add):
    add(in_force_from=AT + HOUR)
    assert explain_one("window", FLORIDA)["rules"] == ["US", "US-FL"]
    told = explain_one("window", FLORIDA, at="2026-11-24T19:00:00Z")
    assert told["rules"] == ["US", "US-FL", "US-FL own rule 1"]
    assert (told["open"], told["next_opening"]) == (False, "2026-11-25T14:00:00+00:00")

"""Whom we may message: one rule, asked of the database in one statement."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from config.encryption import blind_index
from consent.models import Area, Consent, Method, Notice, Purpose, Subscriber, Suppression
from tests.conftest import Enrol
from tests.consent.conftest import ADA, BOB, Permitted, Withdraw

DAY, SECOND, NO_TIME = timedelta(days=1), timedelta(seconds=1), timedelta()
LATER, NOW, BEFORE = DAY, NO_TIME, -DAY

CASES = [
    ("open and confirmed", {}, True),
    ("not confirmed", {"confirmed_at": None}, False),
    ("given this instant", {"given_at": NOW}, True),
    ("given a second from now", {"given_at": SECOND}, False),
    ("ends later", {"expires_at": SECOND}, True),
    ("ends this instant", {"expires_at": NOW}, False),
    ("ended before", {"expires_at": BEFORE}, False),
    ("withdrawn", {"withdrawn_at": BEFORE}, False),
    ("withdrawn a second from now", {"withdrawn_at": SECOND}, False),
]
Draw = Callable[..., Consent]


def number_of(count: int) -> str:
    return f"+1{212 + count // 100}55501{count % 100:02}"


@pytest.fixture
def draw(notice: Notice, at: datetime) -> Draw:
    """A consent in any state; each gives its number, and times count from now."""
    area = Area.objects.create(country="US", zones="America/New_York")

    def drawn(number: str = ADA, *, about: Notice = notice, **times: timedelta | None) -> Consent:
        usual = {"given_at": -30 * DAY, "confirmed_at": -29 * DAY}
        fields = {name: at + t if t is not None else None for name, t in {**usual, **times}.items()}
        person, _new = Subscriber.objects.get_or_create(
            number_index=blind_index.of(number),
            defaults={"number": number, "area": area, "language": "en"},
        )
        return Consent.objects.create(
            subscriber=person,
            purpose=about.purpose,
            notice=about,
            method=Method.WEB_FORM,
            recorded_at=at + DAY,
            **fields,
        )

    return drawn


@pytest.mark.parametrize(
    ("times", "allowed"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_the_state_of_a_consent_decides(
    draw: Draw, permitted: Permitted, at: datetime, times: dict[str, Any], allowed: bool
) -> None:
    consent = draw(**times)
    assert Consent.objects.permitting(at).contains(consent) == allowed
    assert permitted() == allowed


def test_a_purpose_may_ask_for_no_confirmation(
    draw: Draw, permitted: Permitted, news: Purpose, news_notice: Notice
) -> None:
    draw(about=news_notice, confirmed_at=None)
    assert permitted(about=news)


def test_nobody_without_a_consent_is_reachable(permitted: Permitted, draw: Draw) -> None:
    draw(BOB)
    assert not permitted(ADA)


def test_a_consent_to_one_purpose_is_none_to_another(
    draw: Draw, permitted: Permitted, news: Purpose
) -> None:
    draw()
    assert not permitted(about=news)


@pytest.fixture
def refuse(purpose: Purpose, at: datetime) -> Callable[..., Suppression]:
    """A refusal alone, which closes no consent."""

    def refused(number: str = ADA, **more: Any) -> Suppression:
        usual = {"channel": Suppression.Channel.SMS, "reason": "test", "at": at - DAY}
        fields = {**usual, **more}
        return Suppression.objects.create(number_index=blind_index.of(number), **fields)

    return refused


Refuse = Callable[..., Suppression]


@pytest.mark.parametrize("channel", Suppression.Channel)
def test_a_refusal_of_everything_forbids_every_purpose(
    draw: Draw,
    refuse: Refuse,
    permitted: Permitted,
    news: Purpose,
    news_notice: Notice,
    channel: Suppression.Channel,
) -> None:
    draw()
    draw(about=news_notice)
    refuse(channel=channel)
    assert not permitted()
    assert not permitted(about=news)


def test_a_refusal_of_a_purpose_forbids_that_purpose_only(
    draw: Draw, refuse: Refuse, permitted: Permitted, news: Purpose, news_notice: Notice
) -> None:
    draw()
    draw(about=news_notice)
    refuse(purpose=news)
    assert permitted()
    assert not permitted(about=news)


def test_a_refusal_forbids_even_what_was_agreed_to_after_it(
    draw: Draw, refuse: Refuse, permitted: Permitted, at: datetime
) -> None:
    refuse(at=at - 365 * DAY)
    draw()
    assert not permitted()


def test_a_lifted_refusal_forbids_nothing(
    draw: Draw, refuse: Refuse, permitted: Permitted, at: datetime
) -> None:
    draw()
    refuse(lifted_at=at)
    assert permitted()


def test_one_standing_refusal_among_lifted_ones_is_enough(
    draw: Draw, refuse: Refuse, permitted: Permitted, at: datetime
) -> None:
    draw()
    refuse(lifted_at=at)
    refuse(channel=Suppression.Channel.STAFF)
    assert not permitted()


def test_a_refusal_is_one_persons(draw: Draw, refuse: Refuse, permitted: Permitted) -> None:
    draw(ADA)
    draw(BOB)
    refuse(BOB)
    assert permitted(ADA)


def test_a_person_with_closed_and_open_periods_is_listed_once(
    draw: Draw, purpose: Purpose, at: datetime
) -> None:
    for _time in range(3):
        draw(withdrawn_at=BEFORE)
    draw()
    assert Subscriber.objects.reachable(purpose, at=at).count() == 1


def test_every_mix_of_states_is_decided_as_the_rule_says(
    draw: Draw, refuse: Refuse, purpose: Purpose, news: Purpose, at: datetime
) -> None:
    scopes: dict[str, dict[str, Any]] = {
        "all": {},
        "this": {"purpose": purpose},
        "other": {"purpose": news},
        "lifted": {"lifted_at": at},
        "none": {},
    }
    states = product(
        (BEFORE, SECOND), (BEFORE, None), (None, LATER, BEFORE), (None, BEFORE), scopes
    )
    allowed = set()
    for count, (given, confirmed, ends, withdrawn, refused) in enumerate(states):
        number = number_of(count)
        times = {"given_at": given, "confirmed_at": confirmed, "expires_at": ends}
        draw(number, withdrawn_at=withdrawn, **times)
        if refused != "none":
            refuse(number, **scopes[refused])
        running = given == BEFORE and confirmed and ends in (None, LATER) and not withdrawn
        if running and refused not in ("all", "this"):
            allowed.add(number)
    reachable = Subscriber.objects.reachable(purpose, at=at)
    assert {person.number for person in reachable} == allowed
    assert len(allowed) == 6


def test_permission_of_many_is_one_statement(
    draw: Draw,
    refuse: Refuse,
    purpose: Purpose,
    at: datetime,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for count in range(10):
        draw(number_of(count))
    refuse(number_of(3))
    with django_assert_num_queries(1):
        assert len(Consent.objects.permitting(at)) == 9
    with django_assert_num_queries(1):
        assert len(Subscriber.objects.reachable(purpose, at=at)) == 9


def test_permission_is_asked_for_a_time(person: Enrol, purpose: Purpose, at: datetime) -> None:
    person(given_at=at - DAY)
    assert not Subscriber.objects.reachable(purpose, at=at - 2 * DAY).exists()
    assert Subscriber.objects.reachable(purpose, at=at + 999 * DAY).exists()


def test_a_permission_given_up_by_the_ledger_is_gone(
    person: Enrol, withdraw: Withdraw, permitted: Permitted
) -> None:
    person()
    assert permitted()
    withdraw()
    assert not permitted()

"""A sender hands over no more segments than it may, and its campaigns share them fairly."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import delivery, pacing
from campaigns.models import Sender
from tests.campaigns.conftest import LONDON, fenced, new_york, queries, write
from tests.conftest import AT

SECOND = timedelta(seconds=1)


# --- the bucket --------------------------------------------------------------------------------


@pytest.mark.parametrize(("owed", "room"), [(0, 20), (1, 10), (1.95, 0), (2, 0), (99, 0), (-5, 20)])
def test_a_bucket_holds_two_seconds_and_fills_by_its_rate(owed, room):
    assert pacing.room(1, rate=10, full_at=AT + owed * SECOND, at=AT) == room


@pytest.mark.parametrize(("owed", "messages"), [(0, 6), (1, 3), (1.5, 1), (1.9, 0)])
def test_a_message_of_three_segments_takes_the_room_of_three(owed, messages):
    assert pacing.room(3, rate=10, full_at=AT + owed * SECOND, at=AT) == messages


@pytest.mark.parametrize(("owed", "messages"), [(0, 1), (0.1, 0), (2, 0)])
def test_a_message_longer_than_a_bucket_leaves_when_that_is_full(owed, messages):
    assert pacing.room(5, rate=1, full_at=AT + owed * SECOND, at=AT) == messages


@given(
    rate=st.integers(1, 5_000),
    waits=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=40),
    wanted=st.integers(1, 500),
)
def test_over_any_time_no_more_leaves_than_the_rate_and_one_bucket(rate, waits, wanted):
    at, full_at, left = AT, None, 0
    for wait in waits:
        at += wait * SECOND
        taken = min(wanted, pacing.room(1, rate=rate, full_at=full_at, at=at))
        full_at = pacing.spent(taken, rate=rate, full_at=full_at, at=at)
        left += taken
    assert left <= rate * (sum(waits) + pacing.BURST.total_seconds()) + 1


@given(rate=st.integers(1, 5_000), segments=st.integers(1, 9_999))
def test_what_was_spent_is_back_when_the_bucket_is_full(rate, segments):
    full_at = pacing.spent(segments, rate=rate, full_at=None, at=AT)
    assert pacing.room(1, rate=rate, full_at=full_at, at=full_at) == 2 * rate


# --- a claim -----------------------------------------------------------------------------------


def paced(rate):
    Sender.objects.update(segments_per_second=rate, bucket_full_at=None)


def taken(at=AT):
    """How many messages a claim takes of each campaign."""
    _taken, attempts = delivery.claim(at=at)
    return Counter(one.message.campaign and one.message.campaign.pk for one in attempts)


def test_a_claim_takes_no_more_than_its_sender_may_hand_over(people, launched):
    people(new_york(20))
    campaign = launched()
    paced(3)
    counts = [taken(AT + n * SECOND / 2)[campaign.pk] for n in range(5)]
    assert counts == [6, 1, 2, 1, 2]


def test_a_text_of_two_segments_costs_two(people, launched):
    people(new_york(20))
    campaign = launched(text="Harbor Coffee: new beans. Reply STOP to cancel." + "." * 200)
    assert campaign.most_segments == 2
    paced(5)
    assert taken() == {campaign.pk: 5}


def test_a_sender_without_a_pace_of_its_own_takes_a_whole_claim(people, launched, settings):
    settings.CLAIM_SIZE = 15
    people(new_york(20))
    campaign = launched()
    paced(None)
    assert taken() == {campaign.pk: 15}


def test_campaigns_share_a_claim_and_what_one_leaves_goes_to_the_next(people, launched, settings):
    settings.CLAIM_SIZE = 12
    people(new_york(2))
    small = launched()
    people(new_york(20)[2:])
    first, second = launched(), launched()
    assert taken() == {small.pk: 2, first.pk: 5, second.pk: 5}


def test_campaigns_of_one_sender_share_its_pace(people, launched):
    people(new_york(20))
    first, second = launched(), launched()
    paced(4)
    assert sum(taken().values()) == 8
    assert taken() == {}
    assert first != second


def test_answers_wait_for_no_pace_and_count_for_it(people, launched):
    people(new_york(20))
    campaign = launched()
    paced(2)
    write("HELP")
    assert taken() == {None: 1}
    assert taken() == {campaign.pk: 3}
    write("HELP", number=LONDON)
    assert taken() == {None: 1}


def test_a_claim_costs_as_many_queries_for_many_due_as_for_few(people, launched):
    people(new_york(2))
    launched()
    few = queries(fenced)
    people(new_york(40))
    launched()
    assert queries(fenced) == few

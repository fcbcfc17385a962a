"""What a later list knows of a person may tighten when they are texted, and undoes no refusal."""

from datetime import timedelta

import pytest

from consent import ledger, numbers, rows
from consent.admission import WITHDRAWN
from consent.intake import OptIn
from consent.models import Method, Notice, Subscriber, Suppression
from tests.conftest import AT

NUMBER = "+12125550123"


def _row(notice, *, days_ago=1, **more):
    return OptIn.of(
        numbers.parse(NUMBER),
        notice_id=notice.pk,
        method=Method.WEB_FORM,
        source="test",
        given_at=AT - timedelta(days=days_ago),
        **more,
    )


def _enrol(opt_in):
    purpose = Notice.objects.get(pk=opt_in.notice_id).purpose
    return ledger.enrol(opt_ins=[opt_in], purpose=purpose, by="command", at=AT)[0]


def test_an_address_in_another_state_adds_its_hours(person, notice):
    before = person(NUMBER).area
    assert before.candidate_states == ("NY",)
    _enrol(_row(notice, region="FL"))
    after = Subscriber.objects.get().area
    assert after.candidate_states == ("FL", "NY")
    assert set(before.candidate_zones) < set(after.candidate_zones)


def test_a_row_that_knows_less_takes_no_place_away(person, notice):
    person(NUMBER, region="FL")
    _enrol(_row(notice))
    assert Subscriber.objects.get().area.candidate_states == ("FL", "NY")


def test_an_opt_in_from_before_a_stop_is_worth_nothing_after_a_start(person, notice):
    index = person(NUMBER).number_index
    stop = {"channel": Suppression.Channel.SMS, "reason": "replied", "by": "person"}
    ledger.withdraw(number_index=index, at=AT - timedelta(days=2), **stop)
    ledger.restore(number_index=index, evidence="", by="person", at=AT - timedelta(days=1))
    outcome = _enrol(_row(notice, days_ago=9))
    assert outcome == WITHDRAWN


@pytest.mark.parametrize("written", ["0001-01-01", "1989-12-31", "2200-01-01"])
def test_a_date_outside_the_years_of_text_messages_is_none(written):
    assert rows.instant(written) is None

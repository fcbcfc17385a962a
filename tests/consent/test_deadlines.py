"""Ten business days: from receipt, in the business's zone, past weekends and federal holidays."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import deadlines

NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"
ZONES = ["UTC", NEW_YORK, TOKYO, "Pacific/Honolulu", "Pacific/Kiritimati", "Europe/London"]
DAY = timedelta(days=1)

# Received, in the zone of the business, and the last day on which it is not late.
CASES = [
    ("a week without a holiday", "2026-06-01", "2026-06-15"),
    ("received on a Friday", "2026-06-05", "2026-06-22"),  # past Juneteenth, a Friday
    ("received on a Saturday", "2026-05-30", "2026-06-12"),
    ("received on a Sunday", "2026-05-31", "2026-06-12"),
    ("past Thanksgiving", "2026-11-24", "2026-12-09"),
    ("received on Thanksgiving", "2026-11-26", "2026-12-10"),
    ("past Christmas and New Year", "2026-12-21", "2027-01-06"),
    ("received on Christmas Eve", "2026-12-24", "2027-01-11"),
    ("past a Fourth of July on a Saturday", "2026-06-29", "2026-07-14"),  # kept on the third
    ("past Columbus Day", "2026-10-09", "2026-10-26"),
    ("past Veterans Day", "2026-11-04", "2026-11-19"),
    ("past Martin Luther King's day", "2027-01-11", "2027-01-26"),
    ("past a New Year kept in the old one", "2027-12-27", "2028-01-11"),  # 31 December, a Friday
]


def noon(day: str, zone: str = NEW_YORK) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(zone))


def last_day(due_by: datetime, zone: str = NEW_YORK) -> date:
    """The day at whose end something is due."""
    here = due_by.astimezone(ZoneInfo(zone))
    assert (here.hour, here.minute, here.second, here.microsecond) == (0, 0, 0, 0)
    return here.date() - DAY


@pytest.mark.parametrize(("received", "last"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_last_day_is_the_tenth_business_day(received: str, last: str) -> None:
    assert last_day(deadlines.due_by(noon(received), zone=NEW_YORK)) == date.fromisoformat(last)


@pytest.mark.parametrize("hour", ["00:00:00", "09:00:00", "23:59:59"])
def test_the_hour_of_receipt_does_not_count(hour: str) -> None:
    received = datetime.fromisoformat(f"2026-06-01T{hour}").replace(tzinfo=ZoneInfo(NEW_YORK))
    assert last_day(deadlines.due_by(received, zone=NEW_YORK)) == date(2026, 6, 15)


@pytest.mark.parametrize(
    ("zone", "last"), [("UTC", "2026-06-16"), (NEW_YORK, "2026-06-15"), (TOKYO, "2026-06-16")]
)
def test_the_day_of_receipt_is_that_of_the_business(zone: str, last: str) -> None:
    received = datetime(2026, 6, 2, 2, 0, tzinfo=UTC)  # late on the first in New York
    due = deadlines.due_by(received, zone=zone)
    assert last_day(due, zone) == date.fromisoformat(last)


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-03-02", "2026-03-17T04:00:00+00:00"),  # the clock goes forward on 8 March
        ("2026-10-26", "2026-11-10T05:00:00+00:00"),  # and back on 1 November
    ],
)
def test_a_day_ends_at_midnight_on_either_side_of_a_change_of_clocks(
    received: str, due: str
) -> None:
    told = deadlines.due_by(noon(received), zone=NEW_YORK)
    assert told.astimezone(UTC) == datetime.fromisoformat(due)


@pytest.mark.parametrize(
    ("day", "is_one"),
    [
        ("2026-11-25", True),
        ("2026-11-26", False),
        ("2026-11-27", True),  # shops close early; the government does not
        ("2026-11-28", False),
        ("2026-12-25", False),
        ("2027-01-01", False),
        ("2026-07-03", False),  # for the fourth, a Saturday
        ("2026-06-19", False),
        ("2026-04-03", True),  # Good Friday is no federal holiday
    ],
)
def test_a_business_day_is_no_weekend_and_no_federal_holiday(day: str, is_one: bool) -> None:
    assert deadlines.is_business_day(date.fromisoformat(day)) is is_one


@given(
    received=st.datetimes(datetime(2025, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from(ZONES),
)
def test_ten_business_days_lie_between_and_the_last_of_them_is_the_end(
    received: datetime, zone: str
) -> None:
    end = last_day(deadlines.due_by(received, zone=zone), zone)
    day, passed = received.astimezone(ZoneInfo(zone)).date(), 0
    while day < end:
        day += DAY
        passed += deadlines.is_business_day(day)
    assert passed == deadlines.BUSINESS_DAYS == 10
    assert deadlines.is_business_day(end)
    assert end.weekday() < 5


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(days=30)),
)
def test_what_came_later_is_never_due_before(received: datetime, later: timedelta) -> None:
    first = deadlines.due_by(received, zone=NEW_YORK)
    assert first <= deadlines.due_by(received + later, zone=NEW_YORK)
    assert timedelta(days=12) < first - received < timedelta(days=19)

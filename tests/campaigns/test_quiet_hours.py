"""When a text may leave: the rules that apply, the hours they leave and the files they are in."""

import csv
import hashlib
import io
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from campaigns.quiet_hours import (
    HORIZON,
    MARGIN,
    OVERLAY_FILE,
    RULES_FILE,
    WHOLE_DAY,
    Hours,
    Rule,
    Rulebook,
    RulebookError,
    load,
    may_be_in,
    overlay,
    rules_for,
    tightens,
    window,
    with_own,
)

BOOK = load()
MINUTE = timedelta(minutes=1)
CLOSED = None
STATES = sorted(name[3:] for name in BOOK.rules if name.startswith("US-") and len(name) == 5)
US_ZONES = [
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/Adak",
    "Pacific/Honolulu",
    "America/Puerto_Rico",
    "Pacific/Guam",
    "Pacific/Pago_Pago",
]
# Half hours, quarter hours, the date line, changes at midnight and of half an hour or two hours.
ODD_ZONES = [
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Europe/Dublin",
    "Antarctica/Troll",
]


def utc(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


def local(written: str, zone: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone))


def judge(at, states="", zones="America/New_York", country="US", book=BOOK):
    return window(book, at=at, country=country, states=states.split(), zones=zones.split())


def rule(jurisdiction, *hours, cap=None, on_holidays="none"):
    return Rule(jurisdiction, hours, on_holidays, cap, "", "test", "high")


def between(start: str, end: str) -> Hours:
    edges = (timedelta(hours=int(edge[:2]), minutes=int(edge[3:])) for edge in (start, end))
    return Hours(*edges)


def abroad(weekday, saturday, sunday, on_holidays="none"):
    return Rulebook({"*": rule("*", weekday, saturday, sunday, on_holidays=on_holidays)}, "test")


# Cases from the sources

CENTRAL, EASTERN = "America/Chicago", "America/New_York"
CASES = [
    # at (UTC), states, zones, open, why
    ("2026-12-01T12:30", "FL", f"{CENTRAL} {EASTERN}", False, "689 in Orlando, 06:30 and 07:30"),
    ("2026-12-01T13:30", "FL", f"{CENTRAL} {EASTERN}", False, "07:30 in Chicago, 08:30 in Orlando"),
    ("2026-12-01T14:05", "FL", f"{CENTRAL} {EASTERN}", True, "08:05 and 09:05"),
    ("2026-12-02T00:44", "FL", EASTERN, True, "19:44"),
    ("2026-12-02T00:45", "FL", EASTERN, False, "19:45, the margin before 20:00"),
    ("2026-12-06T17:59", "TX", CENTRAL, False, "Sunday 11:59"),
    ("2026-12-06T18:00", "TX", CENTRAL, True, "Sunday noon"),
    ("2026-12-06T18:00", "AL", CENTRAL, False, "Sunday"),
    ("2026-12-06T18:00", "LA", CENTRAL, False, "Sunday"),
    ("2026-12-06T18:00", "MS", CENTRAL, False, "Sunday"),
    ("2026-12-06T18:00", "RI", EASTERN, False, "Sunday"),
    ("2026-12-06T18:00", "UT", "America/Denver", False, "Sunday; consent is no exception"),
    ("2026-12-07T18:00", "AL", CENTRAL, True, "Monday"),
    ("2026-12-05T14:59", "RI", EASTERN, False, "Saturday 09:59"),
    ("2026-12-05T15:00", "RI", EASTERN, True, "Saturday 10:00"),
    ("2026-12-05T21:44", "RI", EASTERN, True, "Saturday 16:44"),
    ("2026-12-05T21:45", "RI", EASTERN, False, "Saturday 16:45"),
    ("2026-12-01T14:00", "KY", EASTERN, False, "09:00; Kentucky begins at ten"),
    ("2026-12-02T01:44", "NJ", EASTERN, True, "20:44; vendors wrongly print 20:00"),
    ("2026-11-26T18:00", "LA", CENTRAL, False, "Thanksgiving Day"),
    ("2026-11-26T18:00", "MS", CENTRAL, True, "no ban on holidays since 2023"),
    ("2027-01-08T18:00", "LA", CENTRAL, False, "Battle of New Orleans"),
    ("2026-10-12T18:00", "LA", CENTRAL, False, "a federal holiday the state does not keep"),
    ("2027-05-04T16:00", "RI", EASTERN, False, "Rhode Island Independence Day"),
    ("2031-05-05T16:00", "RI", EASTERN, False, "the same, observed on Monday"),
    ("2027-05-04T16:00", "CT", EASTERN, True, "the same day in Connecticut"),
    ("2027-02-09T18:00", "AL", CENTRAL, False, "Mardi Gras in two counties"),
    ("2027-07-23T18:00", "UT", "America/Denver", False, "Pioneer Day, observed on Friday"),
    ("2026-12-01T16:00", "", EASTERN, True, "state unknown, 11:00"),
    ("2026-12-01T14:59", "", EASTERN, False, "state unknown, 09:59"),
    ("2026-12-01T22:45", "", EASTERN, False, "state unknown, 17:45"),
    ("2027-05-04T16:00", "", EASTERN, False, "state unknown, so it may be Rhode Island"),
    ("2026-12-01T14:59", "FL ZZ", EASTERN, False, "a state without a row is unknown"),
    ("2026-12-06T18:00", "FL", EASTERN, True, "Sunday in Florida"),
    (
        "2026-12-06T18:00",
        "FL LA",
        EASTERN,
        False,
        "the area code says Florida, the address Louisiana",
    ),
]


@pytest.mark.parametrize(("at", "states", "zones", "is_open", "why"), CASES)
def test_a_recipient_in_the_united_states_is_written_to_only_in_open_hours(
    at, states, zones, is_open, why
):
    assert judge(utc(at), states, zones).open is is_open, why


@pytest.mark.parametrize(
    ("country", "zone", "at", "is_open"),
    [
        ("ZA", "Africa/Johannesburg", "2026-12-15T12:00", True),
        ("ZA", "Africa/Johannesburg", "2026-12-16T12:00", False),
        ("ZA", "Africa/Johannesburg", "2026-08-10T12:00", False),
        ("ZA", "Africa/Johannesburg", "2026-12-12T12:44", True),
        ("ZA", "Africa/Johannesburg", "2026-12-12T12:45", False),
        ("FR", "Europe/Paris", "2026-07-14T12:00", False),
        ("FR", "Europe/Paris", "2026-07-13T12:00", True),
        ("GB", "Europe/London", "2026-12-28T12:00", False),
        ("CA", "America/Toronto", "2026-12-25T12:00", True),
        ("CA", "America/Toronto", "2026-12-24T21:14", True),
        ("CA", "America/Toronto", "2026-12-24T21:15", False),
        ("NP", "Asia/Kathmandu", "2026-12-01T08:59", False),
        ("NP", "Asia/Kathmandu", "2026-12-01T09:00", True),
        ("AU", "Australia/Lord_Howe", "2026-12-02T09:00", True),
        ("AU", "Australia/Lord_Howe", "2026-12-02T08:59", False),
        ("AU", "Australia/Lord_Howe", "2026-07-01T09:00", True),
        ("AU", "Australia/Lord_Howe", "2026-07-01T08:59", False),
        ("PL", "Europe/Warsaw", "2026-11-11T12:00", False),
        ("PL", "Europe/Warsaw", "2026-11-12T12:00", True),
    ],
)
def test_a_recipient_abroad_is_written_to_by_the_row_and_calendar_of_the_country(
    country, zone, at, is_open
):
    assert judge(local(at, zone), zones=zone, country=country).open is is_open


def test_saturday_in_hawaii_is_closed_when_it_is_sunday_in_guam():
    at = local("2026-12-05T12:00", "Pacific/Honolulu")
    book = abroad(between("08:00", "21:00"), between("08:00", "21:00"), CLOSED)
    here = judge(at, zones="Pacific/Honolulu", country="XX", book=book)
    both = judge(at, zones="Pacific/Honolulu Pacific/Guam", country="XX", book=book)
    assert (here.open, both.open) == (True, False)
    assert both.reasons == ("Sunday in Pacific/Guam; * is closed on Sundays.",)


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2027-03-13", "2027-03-13T13:00", "2027-03-14T00:45"),
        ("2027-03-14", "2027-03-14T12:00", "2027-03-14T23:45"),
        ("2026-10-31", "2026-10-31T12:00", "2026-10-31T23:45"),
        ("2026-11-01", "2026-11-01T13:00", "2026-11-02T00:45"),
    ],
)
def test_florida_opens_at_eight_by_the_wall_clock_when_the_clocks_change(day, opens, closes):
    morning = judge(local(f"{day}T00:30", EASTERN), "FL")
    assert morning.next_opening == utc(opens)
    assert judge(morning.next_opening, "FL").closes_at == utc(closes)


def test_an_hour_skipped_in_spring_is_no_opening():
    book = abroad(CLOSED, CLOSED, between("02:00", "03:00"))
    before = judge(local("2027-03-13T12:00", EASTERN), country="XX", book=book)
    assert before.next_opening == local("2027-03-21T02:00", EASTERN)


def test_an_opening_inside_the_skipped_hour_begins_when_the_clocks_have_moved():
    book = abroad(CLOSED, CLOSED, between("02:30", "05:00"))
    night = judge(local("2027-03-14T00:00", EASTERN), country="XX", book=book)
    assert night.next_opening == utc("2027-03-14T07:00")


def test_an_hour_repeated_in_autumn_opens_twice():
    book = abroad(CLOSED, CLOSED, between("01:00", "02:00"))
    first = judge(utc("2026-11-01T05:00"), country="XX", book=book)
    second = judge(first.closes_at, country="XX", book=book)
    assert (first.open, first.closes_at) == (True, utc("2026-11-01T05:45"))
    assert (second.open, second.next_opening) == (False, utc("2026-11-01T06:00"))


def test_open_hours_run_on_over_a_change_of_the_clocks():
    book = abroad(CLOSED, CLOSED, between("00:00", "24:00"))
    night = judge(utc("2026-11-01T04:00"), country="XX", book=book)
    assert night.closes_at == utc("2026-11-02T04:45")


def test_a_day_skipped_at_the_date_line_has_no_hours():
    every_day = between("09:00", "20:00")
    book = abroad(every_day, every_day, every_day)
    evening = judge(local("2011-12-29T21:00", "Pacific/Apia"), zones="Pacific/Apia",
                    country="XX", book=book)  # fmt: skip
    assert evening.next_opening == local("2011-12-31T09:00", "Pacific/Apia")


def test_zones_that_never_agree_have_no_opening():
    both = judge(utc("2026-12-01T12:00"), "", "Pacific/Guam America/New_York")
    assert (both.open, both.closes_at, both.next_opening) == (False, None, None)


@pytest.mark.parametrize(
    ("at", "opening"),
    [("2022-12-25T00:00", utc("2023-01-08T00:00")), ("2022-12-24T23:59", None)],
)
def test_an_opening_is_looked_for_during_fourteen_days(at, opening):
    sundays = abroad(CLOSED, CLOSED, between("00:00", "24:00"), on_holidays="closed")
    # Christmas Day and New Year's Day both fell on a Sunday.
    assert judge(utc(at), zones="UTC", country="PL", book=sundays).next_opening == opening


def test_rules_that_do_not_overlap_never_open():
    morning, evening = between("08:00", "10:00"), between("18:00", "20:00")
    rules = (rule("US", *[morning] * 3), rule("US-FL", *[evening] * 3))
    book = Rulebook({each.jurisdiction: each for each in rules}, "test")
    assert judge(utc("2026-12-01T12:00"), "FL", book=book).next_opening is None


# What a window tells


def test_an_open_window_tells_until_when_and_by_which_rules():
    told = judge(utc("2026-12-01T15:00"), "FL TX FL", f"{EASTERN} {CENTRAL} {EASTERN}")
    assert told.next_opening == utc("2026-12-01T15:00")
    assert told.closes_at == utc("2026-12-02T00:45")
    assert told.rules == ("US", "US-FL", "US-TX")
    assert told.zones == (EASTERN, CENTRAL)
    assert told.reasons == ()


def test_a_closed_window_tells_when_it_opens_but_not_when_it_closes():
    told = judge(utc("2026-12-01T12:00"), "FL")
    assert (told.open, told.next_opening) == (False, utc("2026-12-01T13:00"))
    assert told.closes_at is None


def test_both_instants_are_told_in_utc():
    told = judge(local("2026-12-01T10:00", EASTERN), "FL")
    assert (told.next_opening.tzinfo, told.closes_at.tzinfo) == (UTC, UTC)


@pytest.mark.parametrize(
    ("states", "cap"), [("FL", 3), ("TX", None), ("TX FL", 3), ("", 3), ("XX CT", 3)]
)
def test_the_smallest_daily_cap_counts(states, cap):
    assert judge(utc("2026-12-01T15:00"), states).daily_cap == cap


def test_of_two_caps_the_smaller_counts():
    day = [between("08:00", "20:00")] * 3
    rules = (rule("US", *day, cap=5), rule("US-FL", *day, cap=3), rule("US-OK", *day, cap=4))
    book = Rulebook({each.jurisdiction: each for each in rules}, "test")
    assert judge(utc("2026-12-01T15:00"), "FL OK", book=book).daily_cap == 3


@pytest.mark.parametrize(
    ("at", "states", "zones", "reasons"),
    [
        (
            "2026-12-01T12:40", "FL", EASTERN,
            ("It is 07:40 on Tuesday in America/New_York; US allows 08:00 to 21:00.",
             "It is 07:40 on Tuesday in America/New_York; US-FL allows 08:00 to 20:00."),
        ),
        (
            "2026-12-02T00:50", "FL", EASTERN,
            ("It is 19:50 on Tuesday in America/New_York; US-FL allows 08:00 to 20:00 and its "
             "last 15 minutes are kept free.",),
        ),
        (
            "2026-12-06T18:00", "LA", CENTRAL,
            ("Sunday in America/Chicago; US-LA is closed on Sundays.",),
        ),
        (
            "2026-11-26T18:00", "LA", CENTRAL,
            ("Thanksgiving Day in America/Chicago; US-LA is closed on holidays.",),
        ),
        (
            "2026-07-03T18:00", "AL LA", f"{CENTRAL} {EASTERN}",
            ("Independence Day (observed) in America/Chicago; US-AL is closed on holidays.",
             "Independence Day (observed) in America/Chicago; US-LA is closed on holidays.",
             "Independence Day (observed) in America/New_York; US-AL is closed on holidays.",
             "Independence Day (observed) in America/New_York; US-LA is closed on holidays."),
        ),
    ],
)  # fmt: skip
def test_a_closed_window_says_why_for_every_zone_and_rule(at, states, zones, reasons):
    assert judge(utc(at), states, zones).reasons == reasons


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="aware"):
        judge(datetime(2026, 12, 1, 12), "FL")


def test_a_recipient_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="No time zone"):
        judge(utc("2026-12-01T15:00"), "FL", zones="")


def test_a_zone_that_does_not_exist_is_refused():
    with pytest.raises(KeyError):
        judge(utc("2026-12-01T15:00"), "FL", zones="Etc/Unknown")


def test_a_country_without_a_known_calendar_is_judged_by_hours_and_weekdays():
    noon = utc("2026-12-25T12:00")
    assert judge(noon, zones="UTC", country="ZZ").open
    assert not judge(noon, zones="UTC", country="PT").open


# Which rules apply


@pytest.mark.parametrize(
    ("country", "states", "jurisdictions"),
    [
        ("US", ["FL"], ["US", "US-FL"]),
        ("US", ["FL", "AL", "FL"], ["US", "US-FL", "US-AL"]),
        ("US", [], ["US", "US-STRICTEST"]),
        ("US", ["ZZ"], ["US", "US-STRICTEST"]),
        ("US", ["US-FL"], ["US", "US-STRICTEST"]),
        ("US", ["FL", "ZZ"], ["US", "US-FL", "US-STRICTEST"]),
        ("CA", ["QC"], ["CA"]),
        ("ZA", [], ["ZA"]),
        ("PL", [], ["*"]),
        ("BR", [], ["BR", "*"]),
        ("IT", [], ["IT", "*"]),
        ("AU", [], ["AU", "*"]),
        ("CA", ["FL"], ["CA", "US", "US-FL"]),
        ("", [], ["*"]),
    ],
)
def test_a_recipient_is_owed_the_rules_of_every_place_it_may_be_in(country, states, jurisdictions):
    applied = rules_for(BOOK, country=country, states=states)
    assert [each.jurisdiction for each in applied] == jurisdictions


DOUBTED = {"low", "unverified"}


def test_where_the_row_of_a_country_is_doubted_the_row_for_the_rest_holds_beside_it():
    """A row that nobody vouches for may tighten, never loosen: tried on the table itself."""
    abroad = {name: each for name, each in BOOK.rules.items() if not name.startswith(("US", "*"))}
    doubted = {name for name, each in abroad.items() if each.confidence in DOUBTED}
    assert doubted == {"AU", "BR", "IT"}
    for name in abroad:
        applied = [str(each) for each in rules_for(BOOK, country=name, states=[])]
        assert applied == ([name, "*"] if name in doubted else [name])


@pytest.mark.parametrize("confidence", ["low", "unverified", "", "hihg", "High?", "own", "lowhigh"])
def test_a_word_of_confidence_that_is_not_known_is_doubt(confidence):
    row = Rule("FR", (WHOLE_DAY,) * 3, "none", None, "", "hearsay", confidence)
    book = Rulebook({"*": BOOK.rules["*"], "FR": row}, "test")
    night = local("2026-12-01T23:00", "Europe/Paris")
    assert not judge(night, zones="Europe/Paris", country="FR", book=book).open


# Rules of the business's own


def own(jurisdiction, *hours, number=7, cap=None, on_holidays="none"):
    hours = hours or (WHOLE_DAY,) * 3
    return Rule(jurisdiction, hours, on_holidays, cap, "", "own", "own", own=number)


@pytest.mark.parametrize(
    ("jurisdiction", "country", "states", "concerned"),
    [
        ("*", "US", "FL", True),
        ("*", "PL", "", True),
        ("*", "", "", True),
        ("US", "US", "FL", True),
        ("US", "US", "", True),
        ("US", "CA", "FL", True),
        ("US", "CA", "QC", False),
        ("US", "CA", "", False),
        ("US", "FR", "", False),
        ("US-FL", "US", "FL", True),
        ("US-FL", "US", "FL GA", True),
        ("US-FL", "US", "", True),
        ("US-FL", "US", "ZZ", True),
        ("US-FL", "US", "GA ZZ", True),
        ("US-FL", "US", "ON", True),
        ("US-FL", "US", "GA", False),
        ("US-FL", "CA", "FL", True),
        ("US-FL", "CA", "", False),
        ("US-FL", "CA", "GA", False),
        ("CA", "US", "ON", True),
        ("CA", "US", "FL", False),
        ("CA", "CA", "", True),
        ("FR", "FR", "", True),
        ("FR", "GB", "", False),
        ("FR", "", "", True),
        ("US-FL", "", "", True),
    ],
)
def test_an_own_rule_is_owed_to_whoever_may_be_in_its_place(
    jurisdiction, country, states, concerned
):
    assert may_be_in(jurisdiction, country=country, states=states.split()) is concerned
    book = with_own(BOOK, [own(jurisdiction)])
    rules = rules_for(book, country=country, states=states.split())
    assert (own(jurisdiction) in rules) is concerned


def test_an_own_rule_is_named_by_its_number_where_it_closes():
    book = with_own(BOOK, [own("US-FL", between("09:00", "18:00"), None, WHOLE_DAY)])
    evening = judge(utc("2026-12-01T23:30"), "FL", book=book)
    assert evening.rules == ("US", "US-FL", "US-FL own rule 7")
    assert evening.reasons == (
        "It is 18:30 on Tuesday in America/New_York; US-FL own rule 7 allows 09:00 to 18:00.",
    )
    saturday = judge(utc("2026-12-05T18:00"), "FL", book=book)
    assert saturday.reasons == (
        "Saturday in America/New_York; US-FL own rule 7 is closed on Saturdays.",
    )
    assert judge(utc("2026-12-06T18:00"), "FL", book=book).open


def test_an_own_rule_that_says_nothing_of_a_day_is_no_reason_on_it():
    book = with_own(BOOK, [own("US-FL", between("09:00", "18:00"), WHOLE_DAY, WHOLE_DAY)])
    midnight = judge(local("2026-12-05T23:50", EASTERN), "FL", book=book)
    assert [reason for reason in midnight.reasons if "own rule" in reason] == []


@pytest.mark.parametrize(
    ("jurisdiction", "country", "at", "is_open"),
    [
        ("*", "US", "2026-11-26T18:00", False),
        ("*", "US", "2026-11-27T18:00", True),
        ("US", "US", "2026-11-26T18:00", False),
        ("US-FL", "US", "2026-11-26T18:00", False),
        ("US-GA", "US", "2026-11-26T18:00", True),
    ],
)
def test_an_own_rule_may_close_on_holidays(jurisdiction, country, at, is_open):
    book = with_own(BOOK, [own(jurisdiction, on_holidays="closed")])
    assert judge(utc(at), "FL", country=country, book=book).open is is_open


def test_the_smallest_cap_counts_also_among_own_rules():
    book = with_own(BOOK, [own("US", cap=2), own("*", cap=5)])
    assert judge(utc("2026-12-01T15:00"), "FL", book=book).daily_cap == 2
    assert judge(utc("2026-12-01T15:00"), "GA", book=book).daily_cap == 2
    assert judge(utc("2026-12-01T15:00"), country="CA", book=book).daily_cap == 5


def test_the_version_tells_the_own_rules_apart():
    first, second = own("US-FL", cap=2), own("US-FL", cap=1)
    versions = [with_own(BOOK, rules).version for rules in ([first], [second], [first, second])]
    assert len({BOOK.version, *versions}) == 4
    assert all(version.startswith(f"{BOOK.version}+") for version in versions)
    assert with_own(BOOK, [first]).version == versions[0]
    assert with_own(BOOK, []) == BOOK


@pytest.mark.parametrize(
    ("rule", "does"),
    [
        (own("US-FL"), False),
        (own("US-FL", between("08:00", "20:00"), WHOLE_DAY, WHOLE_DAY), False),
        (own("US-FL", between("07:00", "20:30"), WHOLE_DAY, WHOLE_DAY), False),
        (own("US-FL", between("08:00", "19:59"), WHOLE_DAY, WHOLE_DAY), True),
        (own("US-FL", between("08:01", "20:00"), WHOLE_DAY, WHOLE_DAY), True),
        (own("US-FL", WHOLE_DAY, None, WHOLE_DAY), True),
        (own("US-FL", WHOLE_DAY, WHOLE_DAY, None), True),
        (own("US-AL", WHOLE_DAY, WHOLE_DAY, None), False),
        (own("US-VA", between("08:00", "21:00"), WHOLE_DAY, WHOLE_DAY), False),
        (own("US-FL", cap=3), False),
        (own("US-FL", cap=2), True),
        (own("US-GA", cap=9), True),
        (own("US-FL", on_holidays="closed"), True),
        (own("US-AL", on_holidays="closed"), False),
        (own("US", between("08:00", "20:00"), WHOLE_DAY, WHOLE_DAY), True),
        (own("US", between("08:00", "21:00"), WHOLE_DAY, WHOLE_DAY), False),
        (own("US", on_holidays="closed"), True),
        (own("BR", between("09:00", "20:00"), WHOLE_DAY, WHOLE_DAY), False),
        (own("BR", between("09:00", "19:00"), WHOLE_DAY, WHOLE_DAY), True),
        (own("PL", WHOLE_DAY, WHOLE_DAY, None), False),
        (own("PL", WHOLE_DAY, None, WHOLE_DAY), True),
        (own("*", WHOLE_DAY, WHOLE_DAY, None), True),
        (own("*", between("08:00", "21:30"), WHOLE_DAY, WHOLE_DAY), False),
        (own("*", between("08:00", "21:00"), WHOLE_DAY, WHOLE_DAY), True),
        (own("*", cap=3), True),
    ],
)
def test_an_own_rule_must_close_something_that_the_shipped_rules_leave_open(rule, does):
    assert tightens(BOOK, rule) is does


# Properties

instants = st.datetimes(datetime(2024, 1, 1), datetime(2031, 12, 31), timezones=st.just(UTC))
clock_changes = st.builds(
    lambda day, minutes: utc(day) + timedelta(minutes=minutes),
    st.sampled_from(["2027-03-14", "2026-11-01", "2026-10-04", "2027-04-04", "2026-03-29"]),
    st.integers(-2 * 24 * 60, 2 * 24 * 60),
)
moments = instants | clock_changes
zone_lists = st.lists(st.sampled_from(US_ZONES + ODD_ZONES), min_size=1, max_size=4)
states_known = st.lists(st.sampled_from(STATES), min_size=1, max_size=3)
places = st.one_of(
    st.tuples(st.just("US"), states_known | st.just([])),
    st.tuples(st.sampled_from(["CA", "FR", "ZA", "GB", "IN", "EG", "ZZ"]), st.just([])),
)
quarters = st.integers(0, 96)
any_hours = st.none() | st.builds(
    lambda edges: Hours(*(timedelta(minutes=15 * edge) for edge in sorted(edges))),
    st.lists(quarters, min_size=2, max_size=2, unique=True),
)
made_up_books = st.builds(abroad, any_hours, any_hours, any_hours, st.sampled_from(["none", "yes"]))


def is_open(book, at, country, states, zones):
    """The rule in the plainest words, by the wall clock of every zone."""
    return all(
        allows(book, each, at.astimezone(ZoneInfo(zone)).replace(tzinfo=None), country)
        for each in rules_for(book, country=country, states=states)
        for zone in zones
    )


def allows(book, each, wall, country):
    kind = {5: 1, 6: 2}.get(wall.weekday(), 0)
    if each.hours[kind] is None or kept_as_holiday(book, each, wall.date(), country):
        return False
    midnight = datetime.combine(wall.date(), time())
    return midnight + each.hours[kind].start <= wall < midnight + each.hours[kind].end - MARGIN


def kept_as_holiday(book, each, day, country):
    if each.holidays.startswith("none"):
        return False
    names = [country] if each.jurisdiction == "*" else [each.jurisdiction]
    if each.jurisdiction == "US-STRICTEST":
        names = ["US-AL", "US-LA", "US-PA", "US-RI", "US-UT"]
    return any(public_holiday(name, day) for name in names)


def public_holiday(name, day):
    country, _, state = name.partition("-")
    if country == "ZZ":
        return False
    calendars = [holidays.country_holidays(country), holidays.country_holidays(country, state)]
    listed = [when for when, _ in overlay().get(name, ())]
    return any(day in each for each in calendars) or {str(day), f"{day:%m-%d}"} & {*listed}


@settings(deadline=None)
@given(moments, places, zone_lists)
@example(utc("2026-12-06T18:00"), ("US", ["UT"]), ["America/Denver"])
def test_a_window_is_open_when_every_rule_allows_the_wall_clock_of_every_zone(at, place, zones):
    country, states = place
    told = window(BOOK, at=at, country=country, states=states, zones=zones)
    assert told.open == is_open(BOOK, at, country, states, zones)
    assert told.open == (not told.reasons)


@settings(deadline=None)
@given(moments, made_up_books, zone_lists)
def test_a_window_is_open_by_any_hours_when_the_wall_clocks_allow_it(at, book, zones):
    told = window(book, at=at, country="EG", states=[], zones=zones)
    assert told.open == is_open(book, at, "EG", [], zones)


@settings(deadline=None)
@given(moments, st.just(BOOK) | made_up_books, zone_lists, st.data())
def test_the_next_opening_is_open_and_nothing_opens_before_it(at, book, zones, data):
    told = window(book, at=at, country="EG", states=[], zones=zones)
    opening = told.next_opening or at + HORIZON
    assert told.next_opening is None or is_open(book, opening, "EG", [], zones)
    earlier = data.draw(st.lists(st.integers(0, (opening - at) // MINUTE), max_size=20))
    instants_before = {at + minutes * MINUTE for minutes in earlier} | {opening - MINUTE}
    for instant in (each for each in instants_before if at <= each < opening):
        assert not is_open(book, instant, "EG", [], zones)


@settings(deadline=None)
@given(moments, places, zone_lists)
def test_the_next_opening_of_the_shipped_rules_is_open_and_the_minute_before_is_not(
    at, place, zones
):
    country, states = place
    told = window(BOOK, at=at, country=country, states=states, zones=zones)
    if opening := told.next_opening:
        assert is_open(BOOK, opening, country, states, zones)
        assert opening == at or not is_open(BOOK, opening - MINUTE, country, states, zones)


@settings(deadline=None)
@given(moments, st.just(BOOK) | made_up_books, zone_lists, st.data())
def test_a_window_is_open_until_it_closes_and_not_at_that_instant(at, book, zones, data):
    opening = window(book, at=at, country="EG", states=[], zones=zones).next_opening
    assume(opening is not None)
    closing = window(book, at=opening, country="EG", states=[], zones=zones).closes_at
    assert not is_open(book, closing, "EG", [], zones)
    last = closing - timedelta.resolution
    inside = data.draw(st.lists(st.integers(0, (last - opening) // MINUTE), max_size=20))
    for instant in {opening + minutes * MINUTE for minutes in inside} | {last}:
        assert is_open(book, instant, "EG", [], zones)


@settings(deadline=None)
@given(moments, places, zone_lists, st.sampled_from(US_ZONES + ODD_ZONES))
def test_one_more_zone_never_opens_what_was_closed(at, place, zones, another):
    country, states = place
    before = window(BOOK, at=at, country=country, states=states, zones=zones)
    after = window(BOOK, at=at, country=country, states=states, zones=[*zones, another])
    assert before.open or not after.open


@settings(deadline=None)
@given(moments, states_known, zone_lists, st.sampled_from([*STATES, "ZZ"]))
def test_one_more_state_never_opens_what_was_closed(at, states, zones, another):
    before = window(BOOK, at=at, country="US", states=states, zones=zones)
    after = window(BOOK, at=at, country="US", states=[*states, another], zones=zones)
    assert before.open or not after.open


@settings(deadline=None)
@given(moments, st.sampled_from(STATES), zone_lists, st.tuples(any_hours, any_hours, any_hours))
def test_a_row_of_low_confidence_only_ever_tightens_the_federal_hours(at, state, zones, hours):
    doubtful = Rule(f"US-{state}", hours, "none", None, "", "hearsay", "unverified")
    book = Rulebook({"US": BOOK.rules["US"], doubtful.jurisdiction: doubtful}, "test")
    federal = all(allows(BOOK, BOOK.rules["US"], at.astimezone(ZoneInfo(zone)).replace(tzinfo=None),
                         "US") for zone in zones)  # fmt: skip
    assert federal or not window(book, at=at, country="US", states=[state], zones=zones).open


@settings(deadline=None)
@given(moments, st.sampled_from(STATES), st.sampled_from(US_ZONES))
def test_where_the_state_is_unknown_whatever_is_open_is_open_in_every_state(at, state, zone):
    unknown = window(BOOK, at=at, country="US", states=[], zones=[zone])
    known = window(BOOK, at=at, country="US", states=[state], zones=[zone])
    assert known.open or not unknown.open


own_rules = st.lists(
    st.builds(
        lambda name, hours, on_holidays, cap: own(name, *hours, on_holidays=on_holidays, cap=cap),
        st.sampled_from(["*", "US", "FR", "CA", "ZZ", *(f"US-{state}" for state in STATES)]),
        st.tuples(*[st.just(WHOLE_DAY) | any_hours] * 3),
        st.sampled_from(["none", "closed"]),
        st.none() | st.integers(1, 9),
    ),
    max_size=4,
)


@settings(deadline=None)
@given(moments, places, zone_lists, own_rules)
def test_with_any_own_rules_whatever_is_open_was_open_before(at, place, zones, added):
    country, states = place
    asked = {"at": at, "country": country, "states": states, "zones": zones}
    before, after = window(BOOK, **asked), window(with_own(BOOK, added), **asked)
    assert before.open or not after.open
    assert after.open == (not after.reasons)
    if after.open:
        assert after.closes_at <= before.closes_at
    assert before.daily_cap is None or after.daily_cap <= before.daily_cap
    assert after.next_opening is None or before.next_opening <= after.next_opening


# The files


def test_the_shipped_rules_cover_every_state_and_the_district():
    assert len(STATES) == 50 + 1 + 5
    assert BOOK.rules["US-TX"].hours == (
        between("09:00", "21:00"),
        between("09:00", "21:00"),
        between("12:00", "21:00"),
    )


def test_the_version_is_the_start_of_the_digest_of_the_file():
    assert BOOK.version == hashlib.sha256(RULES_FILE.read_bytes()).hexdigest()[:12]


def test_the_rules_cannot_be_changed_in_memory():
    with pytest.raises(TypeError):
        BOOK.rules["US-FL"] = BOOK.rules["US"]


def shipped_rows(path):
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))


def write(path, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("column", "cell", "remedy"),
    [
        ("jurisdiction", "Florida", "such as FR"),
        ("jurisdiction", "CA-QC", "a state of the US"),
        ("jurisdiction", "US-CT", "It has a row already"),
        ("weekday_start", "8:00", "Write HH:MM"),
        ("weekday_end", "24:01", "Write HH:MM"),
        ("saturday_end", "", "Write HH:MM"),
        ("sunday_start", "12:60", "Write HH:MM"),
        ("weekday_end", "08:00", "later than weekday_start"),
        ("saturday_end", "07:00", "later than saturday_start"),
        ("sunday_end", "closed", "closed in sunday_start and sunday_end"),
        ("holidays", " ", "must not be empty"),
        ("daily_cap", "0", "from 1 to 999"),
        ("daily_cap", "three", "from 1 to 999"),
        ("lifted_by_written_consent", "maybe", "yes or no"),
        ("source", "", "must not be empty"),
        ("confidence", "", "must not be empty"),
    ],
)
def test_a_bad_cell_is_refused_with_its_line_its_column_and_a_remedy(
    tmp_path, column, cell, remedy
):
    rows = shipped_rows(RULES_FILE)
    line = next(number for number, row in enumerate(rows) if row[0] == "US-FL")
    rows[line][rows[0].index(column)] = cell
    with pytest.raises(RulebookError, match=remedy) as refused:
        load(write(tmp_path / "rules.csv", rows))
    assert f"rules.csv, line {line + 1}, column {column}: {cell!r}" in str(refused.value)


@pytest.mark.parametrize("name", ["US", "US-STRICTEST", "*"])
def test_a_row_that_others_lean_on_must_be_there(tmp_path, name):
    rows = [row for row in shipped_rows(RULES_FILE) if row[0] != name]
    with pytest.raises(RulebookError) as refused:
        load(write(tmp_path / "rules.csv", rows))
    assert f"no row for {name}." in str(refused.value)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "line 1: the columns must be jurisdiction"),
        (b"jurisdiction,hours\n", "line 1: the columns must be jurisdiction"),
        (b"\xff\xfe", "not a CSV file in UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, fault):
    path = tmp_path / "rules.csv"
    path.write_bytes(content)
    with pytest.raises(RulebookError, match=fault):
        load(path)


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ("US-ZZ,08:00\n", "line {line}: 2 columns instead of 13"),
        ("\n", "line {line}: 0 columns instead of 13"),
        ('US-ZZ,"08:00\n', "not a CSV file in UTF-8: unexpected end of data"),
    ],
)
def test_a_row_of_the_wrong_shape_is_refused(tmp_path, extra, fault):
    path = tmp_path / "rules.csv"
    path.write_bytes(RULES_FILE.read_bytes() + extra.encode())
    line = len(RULES_FILE.read_bytes().splitlines()) + 1
    with pytest.raises(RulebookError, match=fault.format(line=line)):
        load(path)


def test_a_file_saved_by_a_spreadsheet_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "rules.csv"
    path.write_bytes(b"\xef\xbb\xbf" + RULES_FILE.read_bytes().replace(b"\n", b"\r\n"))
    assert load(path).rules == BOOK.rules


def test_the_whole_day_may_be_open(tmp_path):
    rows = shipped_rows(RULES_FILE)
    rows.append(["XX", *["00:00", "24:00"] * 3, "none", "", "no", "", "test", "high"])
    assert load(write(tmp_path / "rules.csv", rows)).rules["XX"].hours[0] == between(
        "00:00", "24:00"
    )


@pytest.mark.parametrize(
    ("column", "cell", "remedy"),
    [
        ("jurisdiction", "Louisiana", "such as FR"),
        ("date", "13-01", "MM-DD for every year"),
        ("date", "02-29", "YYYY-MM-DD for one"),
        ("date", "2027-02-29", "YYYY-MM-DD for one"),
        ("date", "8 January", "MM-DD for every year"),
        ("date", "1-08", "MM-DD for every year"),
        ("date", "W05", "MM-DD for every year"),
        ("name", "", "must not be empty"),
        ("source", "", "must not be empty"),
    ],
)
def test_a_bad_holiday_is_refused_with_its_line_its_column_and_a_remedy(
    tmp_path, column, cell, remedy
):
    rows = shipped_rows(OVERLAY_FILE)
    rows[2][rows[0].index(column)] = cell
    with pytest.raises(RulebookError, match=remedy) as refused:
        overlay(write(tmp_path / "overlay.csv", rows))
    assert f"overlay.csv, line 3, column {column}" in str(refused.value)


def test_every_day_of_the_overlay_closes_the_state_it_is_listed_for():
    for name, days in overlay().items():
        for when, _ in days:
            day = date.fromisoformat(when if len(when) == 10 else f"2027-{when}")
            noon = datetime.combine(day, time(12), ZoneInfo(CENTRAL))
            assert not judge(noon, name.removeprefix("US-"), CENTRAL).open, (name, when)


def test_a_whole_country_may_have_days_in_the_overlay(monkeypatch):
    days = {"QQ": (("07-01", "Founding Day"),)}
    monkeypatch.setattr("campaigns.quiet_hours.overlay", lambda: days)
    told = judge(utc("1999-07-01T12:00"), zones="UTC", country="QQ")
    assert told.reasons == ("Founding Day in UTC; * is closed on holidays.",)


def test_rules_are_not_loaded_beside_a_bad_overlay(monkeypatch):
    def refuse():
        raise RulebookError("bad overlay")

    monkeypatch.setattr("campaigns.quiet_hours.overlay", refuse)
    with pytest.raises(RulebookError, match="bad overlay"):
        load()


def test_mississippi_has_no_holidays_of_its_own():
    assert "US-MS" not in overlay()

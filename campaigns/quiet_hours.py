"""When a text may be sent: the hours every law and policy leaves open wherever a number may be."""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import holidays

from consent import places

MARGIN = timedelta(minutes=15)  # what a queue and a carrier may take before the phone rings
HORIZON = timedelta(days=14)
DAY = timedelta(days=1)
RULES_FILE = Path(__file__).parent / "data" / "quiet_hours.csv"
OVERLAY_FILE = Path(__file__).parent / "data" / "holiday_overlay.csv"

FEDERAL = "US"
STRICTEST = "US-STRICTEST"
ANY_COUNTRY = "*"
TRUSTED = (["high"], ["medium"], ["policy"])  # any other word of confidence is doubt
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
RULE_COLUMNS = (
    "jurisdiction",
    *(f"{day}_{edge}" for day in ("weekday", "saturday", "sunday") for edge in ("start", "end")),
    "holidays",
    "daily_cap",
    "lifted_by_written_consent",
    "note",
    "source",
    "confidence",
)
OVERLAY_COLUMNS = ("jurisdiction", "date", "name", "source")
JURISDICTION = re.compile(r"\*|[A-Z]{2}|US-[A-Z]{2}|US-STRICTEST")
DATE = re.compile(r"(?:\d{4}-)?\d\d-\d\d", re.ASCII)
TIME_OF_DAY = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)

Span = tuple[datetime, datetime]


class RulebookError(ValueError):
    """A file of rules cannot be relied on; the text says where, why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Hours:
    """The part of a local day in which texts are allowed, as time since local midnight."""

    start: timedelta
    end: timedelta

    def __str__(self) -> str:
        return f"{_clock(self.start)} to {_clock(self.end)}"

    def covers(self, other: "Hours") -> bool:
        """Whether all of `other` is in here."""
        return self.start <= other.start and other.end <= self.end


WHOLE_DAY = Hours(timedelta(), DAY)


@dataclass(frozen=True, slots=True)
class Rule:
    """One jurisdiction's hours: (weekday, Saturday, Sunday), None where the day is closed."""

    jurisdiction: str
    hours: tuple[Hours | None, Hours | None, Hours | None]
    holidays: str
    daily_cap: int | None
    note: str
    source: str
    confidence: str
    own: int | None = None  # the number of a rule of the business's own

    def __str__(self) -> str:
        """The name by which decisions and reasons call it, such as "US-FL own rule 7"."""
        return self.jurisdiction if self.own is None else f"{self.jurisdiction} own rule {self.own}"

    @property
    def closed_on_holidays(self) -> bool:
        return not self.holidays.startswith("none")

    @property
    def doubtful(self) -> bool:
        """Whether nobody vouches for it: it may tighten what holds without it, never loosen.

        Its first word tells: "high (numbers) / low (SMS scope)" doubts only that a law asks for it.
        """
        return self.confidence.split()[:1] not in TRUSTED


@dataclass(frozen=True)
class Rulebook:
    """Every rule by jurisdiction, and the business's own rules beside them.

    The version is the start of the SHA-256 of the file; after a plus, that of the own rules.
    """

    rules: Mapping[str, Rule]
    version: str
    own: tuple[Rule, ...] = ()

    @cached_property
    def strictest_calendars(self) -> tuple[str, ...]:
        """A recipient of unknown state may live in any state that closes on its holidays."""
        states = (name for name, rule in self.rules.items() if rule.closed_on_holidays)
        return (FEDERAL, *(name for name in states if name.startswith("US-") and name != STRICTEST))


@dataclass(frozen=True, slots=True)
class Window:
    """Whether a text may be sent at an instant, until when or from when, and by which rules."""

    open: bool
    closes_at: datetime | None
    next_opening: datetime | None
    rules: tuple[str, ...]
    zones: tuple[str, ...]
    daily_cap: int | None
    reasons: tuple[str, ...]


# Reading the files


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, remedy: str) -> RulebookError:
        cell = self.cells[column]
        return RulebookError(
            f"{self.file}, line {self.line}, column {column}: {cell!r} cannot be used. {remedy}"
        )


def load(path: Path = RULES_FILE) -> Rulebook:
    """Read and check a file of rules, and with it the shipped overlay of holidays.

    Every row needs its source; `lifted_by_written_consent` is checked but never used, since
    whether consent lifts the federal hours is unsettled (47 CFR 64.1200(c)(1) and (f)(15)).
    Raises RulebookError naming line, column and remedy; OSError when the file cannot be read.
    """
    content = path.read_bytes()
    rules: dict[str, Rule] = {}
    for row in _rows(path.name, content, RULE_COLUMNS):
        rule = _rule(row)
        if rule.jurisdiction in rules:
            raise row.error("jurisdiction", "It has a row already; merge the two.")
        rules[rule.jurisdiction] = rule
    for name in (FEDERAL, STRICTEST, ANY_COUNTRY):
        if name not in rules:
            raise RulebookError(f"{path.name} has no row for {name}. Add it: others lean on it.")
    overlay()
    return Rulebook(MappingProxyType(rules), hashlib.sha256(content).hexdigest()[:12])


@lru_cache(maxsize=4)
def overlay(path: Path = OVERLAY_FILE) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Holidays the `holidays` package lacks, by jurisdiction: (MM-DD or YYYY-MM-DD, name).

    Raises RulebookError naming line, column and remedy; OSError when the file cannot be read.
    """
    days: dict[str, tuple[tuple[str, str], ...]] = {}
    for row in _rows(path.name, path.read_bytes(), OVERLAY_COLUMNS):
        name = _jurisdiction(row)
        days[name] = (*days.get(name, ()), (_overlay_date(row), _filled(row, "name")))
        _filled(row, "source")
    return MappingProxyType(days)


def _rows(file: str, content: bytes, columns: tuple[str, ...]) -> Iterator[_Row]:
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        reader = csv.reader(text, strict=True)
        if tuple(next(reader, ())) != columns:
            raise RulebookError(f"{file}, line 1: the columns must be {','.join(columns)}.")
        for cells in reader:
            yield _row(file, reader.line_num, columns, cells)
    except (UnicodeDecodeError, csv.Error) as error:
        raise RulebookError(f"{file} is not a CSV file in UTF-8: {error}. Save it anew.") from error


def _row(file: str, line: int, columns: tuple[str, ...], cells: list[str]) -> _Row:
    if len(cells) != len(columns):
        raise RulebookError(
            f"{file}, line {line}: {len(cells)} columns instead of {len(columns)}. "
            "Put quotation marks around a text with a comma, and leave no line empty."
        )
    return _Row(file, line, dict(zip(columns, cells, strict=True)))


def _rule(row: _Row) -> Rule:
    if row.cells["lifted_by_written_consent"] not in ("yes", "no"):
        raise row.error("lifted_by_written_consent", "Write yes or no.")
    return Rule(
        jurisdiction=_jurisdiction(row),
        hours=(_hours(row, "weekday"), _hours(row, "saturday"), _hours(row, "sunday")),
        holidays=_filled(row, "holidays"),
        daily_cap=_daily_cap(row),
        note=row.cells["note"],
        source=_filled(row, "source"),
        confidence=_filled(row, "confidence"),
    )


def _jurisdiction(row: _Row) -> str:
    if not JURISDICTION.fullmatch(row.cells["jurisdiction"]):
        remedy = "Write a country such as FR, a state of the US such as US-FL, or * for the rest."
        raise row.error("jurisdiction", remedy)
    return row.cells["jurisdiction"]


def _hours(row: _Row, day: str) -> Hours | None:
    start, end = _time_of_day(row, f"{day}_start"), _time_of_day(row, f"{day}_end")
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise row.error(f"{day}_end", f"A closed day says closed in {day}_start and {day}_end.")
    if start >= end:
        raise row.error(f"{day}_end", f"It must be later than {day}_start.")
    return Hours(start, end)


def _time_of_day(row: _Row, column: str) -> timedelta | None:
    cell = row.cells[column]
    if cell == "closed":
        return None
    if not TIME_OF_DAY.fullmatch(cell):
        raise row.error(column, "Write HH:MM between 00:00 and 24:00, or closed.")
    return timedelta(hours=int(cell[:2]), minutes=int(cell[3:]))


def _daily_cap(row: _Row) -> int | None:
    cell = row.cells["daily_cap"]
    if not cell:
        return None
    if not re.fullmatch(r"[1-9]\d{0,2}", cell, re.ASCII):
        raise row.error("daily_cap", "Write a whole number from 1 to 999, or nothing for no cap.")
    return int(cell)


def _filled(row: _Row, column: str) -> str:
    cell = row.cells[column].strip()
    if not cell:
        raise row.error(column, "It must not be empty.")
    return cell


def _overlay_date(row: _Row) -> str:
    cell = row.cells["date"]
    # 2001 is no leap year: a yearly 29 February would be missing in most years.
    if not DATE.fullmatch(cell) or not _exists(cell if len(cell) == 10 else f"2001-{cell}"):
        raise row.error("date", "Write MM-DD for every year or YYYY-MM-DD for one.")
    return cell


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


# Which rules apply


def with_own(book: Rulebook, own: Iterable[Rule]) -> Rulebook:
    """The same rules with those of the business beside them, which can only tighten them."""
    added = tuple(own)
    if not added:
        return book
    digest = hashlib.sha256(repr(added).encode()).hexdigest()[:12]
    return replace(book, own=added, version=f"{book.version}+{digest}")


def tightens(book: Rulebook, rule: Rule) -> bool:
    """Whether a rule closes or caps anything that the shipped rules of its place leave open."""
    names = [rule.jurisdiction]
    if rule.jurisdiction == ANY_COUNTRY:
        names = [name for name in book.rules if name != STRICTEST]
    return any(_adds_to(rule, _shipped_in(book, name)) for name in names)


def _shipped_in(book: Rulebook, jurisdiction: str) -> tuple[Rule, ...]:
    if jurisdiction == FEDERAL:
        return (book.rules[FEDERAL],)  # in some states nothing else holds
    country, _, state = jurisdiction.partition("-")
    return _shipped_for(book, country, [state] if state else [])


def _adds_to(rule: Rule, shipped: Sequence[Rule]) -> bool:
    days = zip(rule.hours, *(each.hours for each in shipped), strict=True)
    caps = [each.daily_cap for each in shipped if each.daily_cap is not None]
    return (
        any(_closes(own, _overlap(left)) for own, *left in days)
        or (rule.closed_on_holidays and not any(each.closed_on_holidays for each in shipped))
        or (rule.daily_cap is not None and all(rule.daily_cap < cap for cap in caps))
    )


def _closes(own: Hours | None, left: Hours | None) -> bool:
    if left is None or left.start >= left.end:
        return False
    return own is None or not own.covers(left)


def may_be_in(jurisdiction: str, *, country: str, states: Sequence[str]) -> bool:
    """Whether a recipient, as `rules_for` knows one, may be in a place: "*", "FR", "US", "US-FL".

    Too many rather than too few: an American of unknown state may be in every state, and somebody
    of unknown country ("") in every place.
    """
    if jurisdiction == ANY_COUNTRY or not country:
        return True
    known = {state: places.STATES[state].country for state in states if state in places.STATES}
    nation, _, state = jurisdiction.partition("-")
    if not state:
        return nation in {country, *known.values()}
    american = {name for name, home in known.items() if home == FEDERAL}
    unknown = country == FEDERAL and not (states and american == set(states))
    return unknown or state in american


def rules_for(book: Rulebook, *, country: str, states: Sequence[str]) -> tuple[Rule, ...]:
    """The rules a recipient is owed, all of which must agree before a text is sent.

    `country` is an ISO 3166 code. `states` are the candidate states of the US without prefix
    ("FL"); the federal row always applies, and the strictest row joins when no state is known
    or a state has no row. Provinces of other countries are ignored; a state beside a number of
    another country (a Canadian who lives in Florida) adds its rules. The row of a country takes
    the place of the row for the rest, unless it is doubtful: then both apply. The business's own
    rules of every place where the recipient may be come on top.
    """
    own = (
        rule for rule in book.own if may_be_in(rule.jurisdiction, country=country, states=states)
    )
    return (*_shipped_for(book, country, states), *own)


def _shipped_for(book: Rulebook, country: str, states: Sequence[str]) -> tuple[Rule, ...]:
    if country != FEDERAL:
        american = [state for state in states if f"US-{state}" in book.rules]
        at_home = _shipped_for(book, FEDERAL, american) if american else ()
        return (*_abroad(book, country), *at_home)
    names = [f"US-{state}" for state in dict.fromkeys(states)]
    known = [name for name in names if name in book.rules]
    strictest = [] if names and len(known) == len(names) else [STRICTEST]
    return tuple(book.rules[name] for name in dict.fromkeys([FEDERAL, *known, *strictest]))


def _abroad(book: Rulebook, country: str) -> tuple[Rule, ...]:
    """The row of a country; beside a doubtful one that for the rest, which it may not loosen."""
    rest = book.rules[ANY_COUNTRY]
    row = book.rules.get(country, rest)
    return (row, rest) if row.doubtful and row is not rest else (row,)


@dataclass(frozen=True, slots=True)
class _Week:
    """What several rules leave of a week together."""

    hours: tuple[Hours | None, ...]
    calendars: tuple[str, ...]

    def on(self, day: date) -> Hours | None:
        hours = self.hours[_day_kind(day)]
        if hours is None or _holiday(self.calendars, day):
            return None
        return hours


def _week(book: Rulebook, rules: Sequence[Rule], country: str) -> _Week:
    hours = tuple(_overlap(kind) for kind in zip(*(rule.hours for rule in rules), strict=True))
    calendars = (name for rule in rules for name in _calendars(book, rule, country))
    return _Week(hours, tuple(dict.fromkeys(calendars)))


def _overlap(several: Sequence[Hours | None]) -> Hours | None:
    hours = [each for each in several if each is not None]
    if len(hours) < len(several):
        return None
    return Hours(max(each.start for each in hours), min(each.end for each in hours))


def _day_kind(day: date) -> int:
    """0 from Monday to Friday, 1 on Saturday, 2 on Sunday."""
    return max(0, day.weekday() - 4)


# Holidays


def _calendars(book: Rulebook, rule: Rule, country: str) -> tuple[str, ...]:
    if not rule.closed_on_holidays:
        return ()
    if rule.jurisdiction == STRICTEST:
        return book.strictest_calendars
    return (country,) if rule.jurisdiction == ANY_COUNTRY else (rule.jurisdiction,)


def _holiday(calendars: Sequence[str], day: date) -> str | None:
    for name in calendars:
        if found := _calendar(name, day.year).get(day):
            return found
    return None


@lru_cache(maxsize=4096)
def _calendar(jurisdiction: str, year: int) -> Mapping[date, str]:
    """The public holidays of one year; a state keeps those of its country as well."""
    country, _, state = jurisdiction.partition("-")
    days = _public_holidays(country, None, year) | _overlaid(country, year)
    if state:
        days |= _public_holidays(country, state, year) | _overlaid(jurisdiction, year)
    return MappingProxyType(days)


def _public_holidays(country: str, state: str | None, year: int) -> dict[date, str]:
    """Days of the `holidays` package, observed days included; none where it knows no calendar."""
    try:
        return dict(holidays.country_holidays(country, subdiv=state, years=year, language="en_US"))
    except NotImplementedError:
        return {}


def _overlaid(jurisdiction: str, year: int) -> dict[date, str]:
    dates = (
        (when if len(when) == 10 else f"{year:04}-{when}", name)
        for when, name in overlay().get(jurisdiction, ())
    )
    return {date.fromisoformat(when): name for when, name in dates}


# The window


def window(
    book: Rulebook, *, at: datetime, country: str, states: Sequence[str], zones: Sequence[str]
) -> Window:
    """Whether a text may leave at `at`, judged in every zone the recipient may be in.

    Open means: in each zone, on its own local weekday and holiday calendar, every applicable
    rule's hours hold and do not end within MARGIN. `closes_at` is the first closed instant after
    `at`, so with the margin deducted; `next_opening` is `at` itself when open and None when
    nothing opens within HORIZON; both are in UTC. Hours follow the wall clock, so an hour
    skipped or repeated by daylight saving is skipped or repeated here (47 CFR 64.1200(c)(1):
    local time at the called party's location).

    A rule that closes on holidays cannot do so in a country the `holidays` package does not
    know: such a country is judged by hours and weekdays alone.

    Raises ValueError when `at` has no zone or `zones` is empty, and ZoneInfoNotFoundError for a
    zone that does not exist.
    """
    if at.utcoffset() is None:
        raise ValueError("The instant has no time zone; pass an aware datetime.")
    if not zones:
        raise ValueError("No time zone given; without one no hour is known to be allowed.")
    now, places = at.astimezone(UTC), [ZoneInfo(zone) for zone in dict.fromkeys(zones)]
    rules = rules_for(book, country=country, states=states)
    opens, closes = _first_opening(_week(book, rules, country), places, now) or (None, None)
    is_open = opens == now
    return Window(
        open=is_open,
        closes_at=closes if is_open else None,
        next_opening=opens,
        rules=tuple(str(rule) for rule in rules),
        zones=tuple(place.key for place in places),
        daily_cap=min((rule.daily_cap for rule in rules if rule.daily_cap), default=None),
        reasons=() if is_open else tuple(_reasons(book, rules, country, places, now)),
    )


def _first_opening(week: _Week, places: Sequence[ZoneInfo], now: datetime) -> Span | None:
    """The first stretch of time from `now` on that is open in every place at once."""
    walks = [_merged(_openings(week, place, now)) for place in places]
    spans = [next(walk, None) for walk in walks]
    while found := [span for span in spans if span]:
        opens, closes = max(span[0] for span in found), min(span[1] for span in found)
        if len(found) < len(spans) or opens > now + HORIZON:
            return None
        if opens < closes:
            return opens, closes
        spans = [
            span if span[1] > opens else next(walk, None)
            for span, walk in zip(found, walks, strict=True)
        ]
    return None


def _openings(week: _Week, place: ZoneInfo, start: datetime) -> Iterator[Span]:
    """The open spans of one place, in order; one span may end where the next begins."""
    for begin, end, offset in _stretches(place, start, start + HORIZON + DAY):
        day = (begin + offset).date()
        while (midnight := datetime.combine(day, time(), UTC) - offset) < end:
            if hours := week.on(day):
                opens = max(begin, midnight + hours.start)
                closes = min(end, midnight + hours.end - MARGIN)
                if opens < closes:
                    yield opens, closes
            day += DAY


def _stretches(
    place: ZoneInfo, start: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Cut a span into pieces of at most a day in each of which the UTC offset is constant."""
    while start < until:
        end, offset = start + DAY, _offset(place, start)
        if _offset(place, end) != offset:
            end = _offset_change(place, start, end)
        yield start, end, offset
        start = end


def _offset(place: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(place).utcoffset() or timedelta()


def _offset_change(place: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The instant, found by bisection, at which the offset of `before` gives way."""
    old = _offset(place, before)
    while after - before > timedelta.resolution:
        middle = before + (after - before) / 2
        if _offset(place, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _merged(spans: Iterator[Span]) -> Iterator[Span]:
    """Join spans that touch, as they do where daylight saving begins inside open hours."""
    current = next(spans, None)
    while current:
        following = next(spans, None)
        if following and following[0] == current[1]:
            current = current[0], following[1]
        else:
            yield current
            current = following


# Why it is closed


def _reasons(
    book: Rulebook, rules: Sequence[Rule], country: str, places: Sequence[ZoneInfo], now: datetime
) -> Iterator[str]:
    for place in places:
        local = now.astimezone(place)
        for rule in rules:
            holiday = _holiday(_calendars(book, rule, country), local.date())
            if reason := _reason(rule, place.key, local, holiday):
                yield reason


def _reason(rule: Rule, zone: str, local: datetime, holiday: str | None) -> str | None:
    weekday, hours = WEEKDAYS[local.weekday()], rule.hours[_day_kind(local)]
    if holiday:
        return f"{holiday} in {zone}; {rule} is closed on holidays."
    if hours is None:
        return f"{weekday} in {zone}; {rule} is closed on {weekday}s."
    if rule.own is not None and hours == WHOLE_DAY:
        return None
    since_midnight = local.replace(tzinfo=None) - datetime.combine(local, time())
    if hours.start <= since_midnight < hours.end - MARGIN:
        return None
    sentence = f"It is {local:%H:%M} on {weekday} in {zone}; {rule} allows {hours}"
    if hours.end - MARGIN <= since_midnight < hours.end:
        sentence += f" and its last {MARGIN // timedelta(minutes=1)} minutes are kept free"
    return f"{sentence}."


def _clock(since_midnight: timedelta) -> str:
    minutes = since_midnight // timedelta(minutes=1)
    return f"{minutes // 60:02}:{minutes % 60:02}"

"""Where a telephone number may be: every state and time zone that quiet hours must respect."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneNumber,
    national_significant_number,
    parse,
    region_code_for_number,
)
from phonenumbers.timezone import time_zones_for_geographical_number, time_zones_for_number

DATA = Path(__file__).parent / "data"
NANP = 1  # the country code that twenty-odd countries share
NOWHERE = "001"  # the library's region for satellite phones and international freephone
UNKNOWN_ZONE = "Etc/Unknown"
NO_TAB_ENTRY = {"AC": "SH", "TA": "SH", "XK": "RS"}  # whose clocks these regions share


class Area(NamedTuple):
    """What an area code says: a country and, in the United States and Canada, its states."""

    country: str
    states: tuple[str, ...]


class State(NamedTuple):
    """A state, province or territory with every time zone observed in it."""

    country: str
    name: str
    zones: frozenset[str]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """All the places a number may be; each one's quiet hours apply.

    `country` is the number's own (US territories count as US); `region` is the postal state
    if it was known; `states` is empty outside the US and Canada and where nothing is known.
    """

    country: str
    region: str
    states: tuple[str, ...]
    zones: tuple[str, ...]

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """The states with their countries, such as "US-FL"; a Canadian may live in Florida."""
        return tuple(f"{STATES[state].country}-{state}" for state in self.states)


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="ascii", newline="") as lines:
        return list(csv.DictReader(lines))


def _country_names() -> dict[str, str]:
    tab = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in tab.splitlines() if not line.startswith("#"))
    return {line[0]: line[1] for line in lines}


def _country_zones() -> dict[str, frozenset[str]]:
    tab = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    zones = defaultdict(set)
    for line in tab.splitlines():
        if not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            zones[country].add(zone)
    for region, neighbour in NO_TAB_ENTRY.items():
        zones[region] = zones[neighbour]
    for state in STATES.values():  # the tab lists Guam or Puerto Rico as countries of their own
        zones[state.country] |= state.zones
    return {country: frozenset(names) for country, names in zones.items()}


AREAS = {
    row["area_code"]: Area(row["country"], tuple(row["states"].split()))
    for row in _rows("area_codes.csv")
}
STATES = {
    row["state"]: State(row["country"], row["name"], frozenset(row["zones"].split()))
    for row in _rows("state_zones.csv")
}
COUNTRY_ZONES = _country_zones()
COUNTRY_NAMES = _country_names()
EVERY_ZONE = frozenset().union(*COUNTRY_ZONES.values())
UNKNOWN_AREA = Area("US", ())
NANP_ZONES = frozenset(time_zones_for_geographical_number(PhoneNumber(NANP, 0)))


def of(e164: str, *, region: str = "") -> Place:
    """Every place the number `e164` may be, too many rather than too few.

    `region` is the two-letter state or province of the postal address; it adds to what a +1
    number of the United States or Canada says, never replaces it, and is ignored elsewhere or
    if it is no such state. The zones are the union of all zones of the area code's state, of
    the address's state and of libphonenumber's own answer, which alone is often one wrong zone
    (47 CFR 64.1200(c)(1) counts the called party's local time). Raises nothing: a number
    without a country gets every zone on earth.
    """
    if not e164.startswith("+1"):
        return _abroad(e164)
    state = region.strip().upper()
    # Country code, area code, exchange and one digit: libphonenumber's zones go no deeper.
    return _in_nanp(e164[1:9], state if state in STATES else "")


def called(jurisdiction: str) -> str:
    """What people call a place by its code, such as "US-FL": Florida; the code if it has no name.

    Raises nothing.
    """
    country, _, state = jurisdiction.partition("-")
    if state in STATES and STATES[state].country == country:
        return STATES[state].name
    return COUNTRY_NAMES.get(jurisdiction, jurisdiction)


def country_of(number: PhoneNumber) -> str:
    """The ISO country of a parsed number, "" if it belongs to none.

    The library knows no region for fiction ranges and new area codes: then it is the area
    code's country, or the country that leads the country code. US territories count as US.
    """
    if number.country_code == NANP:
        return AREAS.get(national_significant_number(number)[:3], UNKNOWN_AREA).country
    leading = COUNTRY_CODE_TO_REGION_CODE.get(number.country_code or 0, (NOWHERE,))[0]
    region = region_code_for_number(number) or leading
    return "" if region == NOWHERE else region


@lru_cache(maxsize=65536)
def _in_nanp(prefix: str, address: str) -> Place:
    area = AREAS.get(prefix[1:4], UNKNOWN_AREA)
    if area.country not in ("US", "CA"):
        return _place(area.country, COUNTRY_ZONES[area.country])
    states = {*area.states, address} - {""}
    of_states = [STATES[state].zones for state in states] or [COUNTRY_ZONES[area.country]]
    zones = _exchange_zones(prefix).union(*of_states)
    return _place(area.country, zones, states=states, region=address)


def _exchange_zones(prefix: str) -> frozenset[str]:
    """The library's zones for a +1 prefix; its answer for the whole of +1 says nothing."""
    if not prefix.isdecimal():
        return frozenset()
    number = PhoneNumber(NANP, int(prefix[1:].ljust(10, "0")))
    zones = frozenset(time_zones_for_geographical_number(number))
    return frozenset() if zones == NANP_ZONES else zones - {UNKNOWN_ZONE}


def _abroad(e164: str) -> Place:
    try:
        number = parse(e164)
    except NumberParseException:
        return _place("", EVERY_ZONE)
    country = country_of(number)
    zones = frozenset(time_zones_for_number(number)) - {UNKNOWN_ZONE}
    return _place(country, zones or COUNTRY_ZONES.get(country, EVERY_ZONE))


def _place(
    country: str, zones: Iterable[str], *, states: Iterable[str] = (), region: str = ""
) -> Place:
    return Place(country, region, tuple(sorted(states)), tuple(sorted(zones)))

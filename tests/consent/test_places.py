"""Where a number may be: every state and zone whose quiet hours it must be given."""

import csv
import re
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, geocoder
from phonenumbers.timezone import time_zones_for_number

from consent import numbers, places

QUIET_HOURS = Path(__file__).parents[2] / "campaigns" / "data" / "quiet_hours.csv"
AMERICAN = sorted(code for code, area in places.AREAS.items() if area.country == "US")
NORTH_AMERICAN = sorted(code for code, area in places.AREAS.items() if area.states)
EASTERN, CENTRAL = "America/New_York", "America/Chicago"
MOUNTAIN, PACIFIC = "America/Denver", "America/Los_Angeles"

CODES = st.sampled_from(NORTH_AMERICAN)
STATES = st.sampled_from(sorted(places.STATES))
PLUS_ONE = st.builds("+1{}55501{:02}".format, st.integers(200, 999), st.integers(0, 99))
ABROAD = st.builds(
    "+{}{}".format,
    st.sampled_from(sorted(set(phonenumbers.COUNTRY_CODE_TO_REGION_CODE) - {places.NANP})),
    st.integers(0, 10**12),
)


def number_in(code: str) -> str:
    return f"+1{code}5550100"


def tab_zones(*countries: str) -> set[str]:
    tab = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in tab.splitlines()]
    return {row[2] for row in rows if row[0] in countries}


def state_spoken_of(code: str) -> str:
    """The state libphonenumber's geocoder names for the whole area code, "" if it names none."""
    spoken = geocoder.description_for_number(PhoneNumber(1, int(f"{code}5550100")), "en")
    after_town = spoken.rpartition(", ")[2]
    by_name = {state.name: short for short, state in places.STATES.items()}
    by_name |= {"Washington State": "WA", "Washington D.C.": "DC", "D.C.": "DC"}
    return after_town if after_town in places.STATES else by_name.get(after_town, "")


@pytest.mark.parametrize(
    ("code", "states", "zones"),
    [
        ("212", ("NY",), {EASTERN}),
        ("689", ("FL",), {EASTERN, CENTRAL}),  # the library says Chicago only
        ("448", ("FL",), {EASTERN, CENTRAL}),  # New York only
        ("423", ("TN",), {EASTERN, CENTRAL}),
        ("915", ("TX",), {CENTRAL, MOUNTAIN}),
        ("541", ("OR",), {PACIFIC, "America/Boise"}),
        ("775", ("NV",), {PACIFIC, MOUNTAIN}),  # West Wendover keeps Mountain time
        ("928", ("AZ",), {"America/Phoenix", MOUNTAIN}),  # the Navajo Nation keeps summer time
        ("906", ("MI",), {"America/Detroit", "America/Menominee", CENTRAL}),
        ("808", ("HI",), {"Pacific/Honolulu"}),
        ("202", ("DC",), {EASTERN}),
        ("787", ("PR",), {"America/Puerto_Rico"}),
        ("671", ("GU",), {"Pacific/Guam"}),
        ("340", ("VI",), {"America/St_Thomas"}),
        ("684", ("AS",), {"Pacific/Pago_Pago"}),
        ("670", ("MP",), {"Pacific/Saipan"}),
        ("416", ("ON",), {"America/Toronto", "America/Winnipeg", "America/Atikokan"}),
        ("902", ("NS", "PE"), {"America/Halifax", "America/Glace_Bay"}),
    ],
)
def test_an_area_code_stands_for_its_whole_state(
    code: str, states: tuple[str, ...], zones: set[str]
) -> None:
    place = places.of(number_in(code))
    assert place.states == states
    assert zones <= set(place.zones)


@pytest.mark.parametrize("code", ["219", "812", "930"])
def test_indiana_has_both_halves_and_its_own_histories(code: str) -> None:
    zones = set(places.of(number_in(code)).zones)
    indiana = {zone for zone in tab_zones("US") if zone.startswith("America/Indiana/")}
    assert len(indiana) == 8
    assert zones == indiana | {EASTERN, CENTRAL}


@pytest.mark.parametrize("code", ["270", "364", "502", "606"])
def test_kentucky_has_both_halves(code: str) -> None:
    zones = set(places.of(number_in(code)).zones)
    assert zones == {
        EASTERN,
        CENTRAL,
        "America/Kentucky/Louisville",
        "America/Kentucky/Monticello",
    }


def test_the_postal_state_is_added_never_put_in_place_of_the_area_code() -> None:
    place = places.of(number_in("212"), region="hi")
    assert (place.country, place.region, place.states) == ("US", "HI", ("HI", "NY"))
    assert place.zones == (EASTERN, "Pacific/Honolulu")


def test_a_canadian_number_at_a_florida_address_keeps_both_laws() -> None:
    place = places.of(number_in("416"), region="FL")
    assert place.country == "CA"
    assert place.jurisdictions == ("US-FL", "CA-ON")
    assert {"America/Toronto", CENTRAL} <= set(place.zones)


@pytest.mark.parametrize("region", ["", "ZZ", "AE", "Florida", "\u0130", "F" * 1000])
def test_a_region_that_is_no_state_changes_nothing(region: str) -> None:
    assert places.of(number_in("907"), region=region) == places.of(number_in("907"))


def test_an_unknown_area_code_may_be_anywhere_in_the_country_and_its_territories() -> None:
    assert "565" not in places.AREAS
    place = places.of(number_in("565"))
    assert (place.country, place.states) == ("US", ())
    assert set(place.zones) == tab_zones("US", "PR", "GU", "VI", "AS", "MP")


def test_an_unknown_area_code_with_an_address_is_at_the_address() -> None:
    place = places.of(number_in("565"), region="GA")
    assert (place.states, place.zones) == (("GA",), (EASTERN,))


def test_a_canadian_code_without_a_province_may_be_anywhere_in_canada() -> None:
    place = places.of(number_in("600"))
    assert (place.country, place.states) == ("CA", ())
    assert set(place.zones) == tab_zones("CA")


@pytest.mark.parametrize(
    ("code", "country", "zone"),
    [
        ("876", "JM", "America/Jamaica"),
        ("658", "JM", "America/Jamaica"),
        ("441", "BM", "Atlantic/Bermuda"),
        ("809", "DO", "America/Santo_Domingo"),
        ("829", "DO", "America/Santo_Domingo"),
        ("868", "TT", "America/Port_of_Spain"),
        ("721", "SX", "America/Lower_Princes"),
    ],
)
def test_an_island_country_of_plus_one_has_its_own_zone_only(
    code: str, country: str, zone: str
) -> None:
    place = places.of(number_in(code), region="CA")
    assert place == places.Place(country, "", (), (zone,))


@pytest.mark.parametrize(
    ("e164", "country", "zones"),
    [
        ("+442079460000", "GB", ("Europe/London",)),
        ("+447700900123", "GB", ("Europe/London",)),  # the library says Etc/Unknown
        ("+33639980001", "FR", ("Europe/Paris",)),
    ],
)
def test_a_number_abroad_has_the_zones_of_its_country(
    e164: str, country: str, zones: tuple[str, ...]
) -> None:
    assert places.of(e164, region="TX") == places.Place(country, "", (), zones)


def test_a_mobile_may_be_anywhere_in_a_wide_country() -> None:
    zones = places.of("+61491570156").zones
    assert {"Australia/Perth", "Australia/Sydney"} < set(zones)
    assert zones == time_zones_for_number(phonenumbers.parse("+61491570156"))


@pytest.mark.parametrize("region", ["GB", "GG", "IM", "RU", "KZ", "NO", "SJ", "IT", "VA"])
def test_countries_that_share_a_country_code_are_told_apart(region: str) -> None:
    sample = phonenumbers.example_number(region)
    assert places.of(phonenumbers.format_number(sample, 0)).country == region


@pytest.mark.parametrize("e164", ["", "+", "+999123", "not a number", "+1", "+1abc5550100"])
def test_what_is_no_number_gets_more_than_a_guess(e164: str) -> None:
    assert len(places.of(e164).zones) > 30


def test_places_sort_and_serve_as_keys() -> None:
    first, second = places.of(number_in("212")), places.of(number_in("416"))
    assert sorted({first, second}) == [second, first]


@pytest.mark.parametrize("code", AMERICAN)
def test_the_area_code_table_agrees_with_the_geocoder(code: str) -> None:
    spoken = state_spoken_of(code)
    assert not spoken or spoken in places.AREAS[code].states


def test_the_geocoder_has_a_word_on_most_area_codes() -> None:
    assert len([code for code in AMERICAN if state_spoken_of(code)]) > 0.9 * len(AMERICAN)


def test_every_american_code_names_a_state_and_no_code_names_a_foreign_one() -> None:
    assert all(places.AREAS[code].states for code in AMERICAN)
    for area in places.AREAS.values():
        assert {places.STATES[state].country for state in area.states} <= {area.country}
        assert area.country in places.COUNTRY_ZONES


def test_the_table_knows_every_code_the_library_gives_a_country() -> None:
    fresh = [PhoneNumber(1, int(f"{code}5550100")) for code in range(200, 1000)]
    regions = {str(n.national_number)[:3]: phonenumbers.region_code_for_number(n) for n in fresh}
    known = {code for code, region in regions.items() if region}
    services = {code for code in known if numbers.NANP_SERVICES.match(code)}
    assert known - services - {"622", "633"} <= set(places.AREAS)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("357", "CA"),
        ("436", "OH"),
        ("457", "LA"),
        ("471", "MS"),
        ("483", "AL"),
        ("621", "TX"),
        ("624", "NY"),
        ("679", "MI"),
        ("729", "TN"),
        ("837", "CA"),
        ("861", "IL"),
        ("924", "MN"),
    ],
)
def test_codes_the_library_does_not_know_yet_have_their_state(code: str, state: str) -> None:
    assert places.of(number_in(code)).states == (state,)


def test_every_jurisdiction_with_quiet_hours_has_zones() -> None:
    with QUIET_HOURS.open(encoding="utf-8", newline="") as lines:
        jurisdictions = {row["jurisdiction"] for row in csv.DictReader(lines)}
    states = {match[1] for j in jurisdictions if (match := re.fullmatch(r"US-([A-Z]{2})", j))}
    countries = {j for j in jurisdictions if re.fullmatch(r"[A-Z]{2}", j)}
    assert len(states) > 50
    assert states <= set(places.STATES)
    assert countries <= set(places.COUNTRY_ZONES)


@pytest.mark.parametrize("country", ["US", "CA"])
def test_the_states_together_cover_the_country(country: str) -> None:
    of_states = [state.zones for state in places.STATES.values() if state.country == country]
    assert all(of_states)
    assert tab_zones(country) <= frozenset().union(*of_states)


def test_every_zone_of_every_table_exists() -> None:
    assert all(map(ZoneInfo, places.EVERY_ZONE))


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_an_ordinary_number_of_every_country_has_zones_that_exist(region: str) -> None:
    assert region in places.COUNTRY_ZONES
    sample = phonenumbers.example_number(region)
    zones = places.of(phonenumbers.format_number(sample, 0)).zones
    assert zones
    assert all(map(ZoneInfo, zones))


@given(st.one_of(PLUS_ONE, ABROAD, st.text(max_size=20)), st.one_of(STATES, st.text(max_size=3)))
def test_zones_are_always_some_sorted_distinct_and_known(e164: str, region: str) -> None:
    place = places.of(e164, region=region)
    assert place.zones
    assert "Etc/Unknown" not in place.zones
    assert list(place.zones) == sorted(set(place.zones))
    assert list(place.states) == sorted(set(place.states))


@given(CODES, st.integers(200, 999), st.one_of(STATES, st.just("")))
def test_no_source_of_a_known_code_is_left_out(code: str, exchange: int, region: str) -> None:
    e164 = f"+1{code}{exchange}0100"
    of_library = set(time_zones_for_number(phonenumbers.parse(e164))) - {"Etc/Unknown"}
    if of_library == set(places.NANP_ZONES):  # the library's answer to what it does not know
        of_library = set()
    place = places.of(e164, region=region)
    assert set(place.states) == {*places.AREAS[code].states, region} - {""}
    of_states = frozenset().union(*(places.STATES[state].zones for state in place.states))
    assert set(place.zones) == of_states | of_library


@given(CODES, STATES)
def test_an_address_never_loosens_a_known_code(code: str, region: str) -> None:
    without, with_address = places.of(number_in(code)), places.of(number_in(code), region=region)
    assert set(without.zones) <= set(with_address.zones)
    assert set(without.states) <= set(with_address.states)


@pytest.mark.parametrize("code", ["541", "605", "775", "867", "906"])
def test_the_library_is_heard_exchange_by_exchange(code: str) -> None:
    exchanges = [f"+1{code}{exchange}0100" for exchange in range(200, 1000)]
    answers = {e164: set(places.of(e164).zones) for e164 in exchanges}
    assert len(set(map(frozenset, answers.values()))) > 1
    for e164, zones in answers.items():
        assert set(time_zones_for_number(phonenumbers.parse(e164))) <= zones | {"Etc/Unknown"}


def test_the_answer_does_not_depend_on_who_asked_before() -> None:
    exchanges = [f"+1270{exchange}0100" for exchange in range(200, 1000)]
    forwards = [places.of(e164) for e164 in exchanges]
    places._in_nanp.cache_clear()
    assert [places.of(e164) for e164 in reversed(exchanges)] == forwards[::-1]

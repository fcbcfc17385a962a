"""What headings mean, and which dates, answers and names a cell holds."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import rows, sheets

DATA = Path(__file__).parent.parent / "data"
HEADINGS = [
    ("phone,first_name,language,country,state", "phone first_name language country region"),
    ("Phone,First Name,Default Address Country Code", "phone first_name country"),
    ("PHONE_NUMBER,opted_out_at", "phone withdrawn_at"),
    ("Telefon,Vorname,Land,Einwilligung am,Quelle,Sprache",)
    + ("phone first_name country given_at source language",),
    ("Téléphone,Prénom,Langue,Pays", "phone first_name language country"),
    ("telefono,nombre,idioma,país", "phone first_name language country"),
    (" mobile , Accepts SMS Marketing ,SMS Consent Level", "phone agreed confirmed"),
    ("number,disclosure,ip,user_agent,method,source,double_opt_in",)
    + ("phone wording ip_address user_agent method source confirmed",),
]
# What the columns of the four sample lists are guessed to mean, "-" for nothing that is needed.
SAMPLES = {
    "provider_optouts.csv": "phone withdrawn_at - -",
    "web_form_optins.csv": "phone first_name language country region - given_at method source "
    "ip_address user_agent wording confirmed",
    "shop_customers.csv": "- first_name - - - - region country - phone agreed given_at confirmed "
    "- -",
    "eu_leads_cp1252.csv": "phone first_name country given_at source language",
}
INSTANTS = [
    ("2025-03-24T17:18:41Z", datetime(2025, 3, 24, 17, 18, 41, tzinfo=UTC)),
    ("2025-03-24T17:18:41+02:00", datetime(2025, 3, 24, 15, 18, 41, tzinfo=UTC)),
    ("2025-03-24T17:18:41.5Z", datetime(2025, 3, 24, 17, 18, 41, 500_000, tzinfo=UTC)),
    ("2025-04-12 06:05:47 +0000", datetime(2025, 4, 12, 6, 5, 47, tzinfo=UTC)),
    ("2025-04-12 06:05:47 -0500", datetime(2025, 4, 12, 11, 5, 47, tzinfo=UTC)),
    ("2025-04-12 06:05:47", datetime(2025, 4, 12, 6, 5, 47, tzinfo=UTC)),
    ("2025-04-12", datetime(2025, 4, 12, tzinfo=UTC)),
    ("02.09.2023 09:05", datetime(2023, 9, 2, 9, 5, tzinfo=UTC)),
    ("29.02.2024", datetime(2024, 2, 29, tzinfo=UTC)),
]
NO_INSTANTS = [
    "",
    "yesterday",
    "45000",
    "31/02/2024",
    "04/05/2024",  # April or May: nobody knows
    "2024-02-30",
    "30.02.2024",
    "29.02.2025",
    "2025-13-01",
    "2025-00-10",
    "0000-00-00",
    "2025-04-12 25:00:00",
    "2025-04-12T06:05:47+99:00",
    "2025-04-12 06:05:47 +0000; DROP TABLE",
    "10000-01-01",
    "0001-01-01T00:00:00+05:00",  # lies before the first day there is, in UTC
    "9999-12-31T23:59:59-05:00",  # and this one after the last
    "1" * 5000,
]
NAMES = [
    "Ada",
    "Łukasz",
    "Олена",
    "美咲",
    "O'Brien",
    "Anne-Marie",
    "Ng",
    "x" * rows.LONGEST_NAME,
    "",
]
FORMULAS = ["=1+1", "+1", "-2 items", "@home", "\tx", "\rx", "=cmd|' /C calc'!A0"]
CONTROLS = ["Line\nbreak", "bell\x07", "null\x00", "esc\x1b[31m", "next\x85line", "del\x7f"]


# --- headings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("heading", "names"), HEADINGS)
def test_the_headings_of_known_tools_are_understood(heading: str, names: str) -> None:
    assert rows.guess(next(csv.reader([heading]))) == names.split()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_columns_of_every_sample_list_are_guessed(name: str) -> None:
    with (DATA / name).open("rb") as file:
        guessed = rows.guess(sheets.read(file).headings)
    assert [meaning or "-" for meaning in guessed] == SAMPLES[name].split()


def test_a_column_of_another_heading_means_nothing() -> None:
    assert rows.guess(["Email", "phone", "Birthday", ""]) == ["", "phone", "", ""]


def test_of_two_columns_that_could_mean_the_same_the_first_does() -> None:
    assert rows.guess(["Mobile", "Phone", "source", "Quelle"]) == ["phone", "", "source", ""]


def test_every_guess_is_a_meaning_that_a_clerk_could_choose() -> None:
    assert set(rows.COLUMN_OF.values()) == set(rows.MEANINGS)
    assert all(heading == heading.strip().casefold() for heading in rows.COLUMN_OF)


def test_the_cells_of_a_row_are_known_by_what_their_columns_mean() -> None:
    assert rows.named(["", "phone", "source"], ["a@mail.example", "5", "till"]) == {
        "phone": "5",
        "source": "till",
    }


def test_a_row_that_is_shorter_or_longer_than_its_columns_is_read_as_far_as_it_goes() -> None:
    assert rows.named(["phone", "source"], ["5"]) == {"phone": "5"}
    assert rows.named(["phone"], ["5", "and more"]) == {"phone": "5"}


# --- dates, answers, names ---------------------------------------------------------------------


@pytest.mark.parametrize(("written", "instant"), INSTANTS)
def test_a_date_is_read_in_utc(written: str, instant: datetime) -> None:
    read = rows.instant(written)
    assert read == instant
    assert read.tzinfo is UTC


@pytest.mark.parametrize("written", NO_INSTANTS)
def test_what_names_no_time_that_exists_is_none(written: str) -> None:
    assert rows.instant(written) is None


@pytest.mark.parametrize(
    "cell", ["yes", "YES", "true", "1", "Ja", "OUI", "sí", "Si", "double_opt_in"]
)
def test_a_yes_is_a_yes(cell: str) -> None:
    assert rows.says_yes(cell)


@pytest.mark.parametrize("cell", ["", "no", "0", "false", "maybe", "single_opt_in", "yes?", "2"])
def test_anything_else_is_no_yes(cell: str) -> None:
    assert not rows.says_yes(cell)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_kept_as_it_is(name: str) -> None:
    assert rows.first_name(name) == (name, "")


@pytest.mark.parametrize("name", ["x" * (rows.LONGEST_NAME + 1), "A" * 5000])
def test_an_endless_name_is_left_out_with_a_note(name: str) -> None:
    assert rows.first_name(name) == ("", "The first name was too long and was left out.")


@pytest.mark.parametrize("name", [*FORMULAS, *CONTROLS])
def test_a_formula_or_a_control_sign_is_no_name(name: str) -> None:
    kept, note = rows.first_name(name)
    assert kept == ""
    assert "looked like a formula" in note
    assert name not in note


# --- anything at all ---------------------------------------------------------------------------


@given(st.lists(st.sampled_from([*rows.COLUMN_OF, "Email", ""]) | st.text()))
def test_any_headings_are_guessed_and_no_meaning_twice(headings: list[str]) -> None:
    guessed = rows.guess(headings)
    meant = [meaning for meaning in guessed if meaning]
    assert len(guessed) == len(headings)
    assert set(meant) <= set(rows.MEANINGS)
    assert len(set(meant)) == len(meant)


@given(st.text())
def test_any_cell_names_a_time_in_utc_or_none(cell: str) -> None:
    read = rows.instant(cell)
    assert read is None or read.tzinfo is UTC


@given(st.datetimes(), st.timezones())
def test_any_written_time_is_read_without_a_fault(moment: datetime, zone: object) -> None:
    written = moment.replace(tzinfo=zone).isoformat()  # type: ignore[arg-type]
    assert rows.instant(written) is None or rows.instant(written)


@given(st.text())
def test_no_name_that_is_kept_can_do_harm(name: str) -> None:
    kept, note = rows.first_name(name)
    assert kept in (name, "")
    assert len(kept) <= rows.LONGEST_NAME
    assert not kept.startswith(("=", "+", "-", "@"))
    assert bool(note) == (kept != name)

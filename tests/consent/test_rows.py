"""What the rows of a list say, in the encodings, separators and headings of real tools."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import rows
from consent.rows import NotAList

HEADINGS = [
    ("phone,first_name,language,country,state", "phone first_name language country region"),
    ("Phone,First Name,Default Address Country Code", "phone first_name country"),
    ("PHONE_NUMBER,opted_out_at", "phone withdrawn_at"),
    ("Telefon;Vorname;Land;Einwilligung am;Quelle;Sprache",)
    + ("phone first_name country given_at source language",),
    ("Téléphone\tPrénom\tLangue\tPays", "phone first_name language country"),
    ("telefono;nombre;idioma;país", "phone first_name language country"),
    (" mobile , Accepts SMS Marketing ,SMS Consent Level", "phone agreed confirmed"),
    ("number,disclosure,ip,user_agent,method,source,double_opt_in",)
    + ("phone wording ip_address user_agent method source confirmed",),
]
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


def phones(content: str) -> list[str]:
    return [row.get("phone", "") for row in rows.read(content).rows]


# --- headings, separators, encodings -----------------------------------------------------------


@pytest.mark.parametrize(("heading", "names"), HEADINGS)
def test_the_headings_of_known_tools_are_understood(heading: str, names: str) -> None:
    cells = "\t".join("1" * len(names.split()))
    content = f"{heading}\n{cells.replace(chr(9), rows._delimiter(heading))}"
    [row] = rows.read(content).rows
    assert list(row) == names.split()
    assert rows.read(content).left_out == ()


def test_a_column_of_another_heading_is_left_out_and_named() -> None:
    table = rows.read("Email,phone,Birthday\na@mail.example,5,1.1.1990")
    assert table.left_out == ("Email", "Birthday")
    assert list(table.rows) == [{"phone": "5"}]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_usual_separator_and_line_ending_is_read(separator: str, ending: str) -> None:
    lines = [separator.join(cells) for cells in (("phone", "source"), ("1", "till"), ("2", "web"))]
    assert rows.read(ending.join(lines)).rows == [
        {"phone": "1", "source": "till"},
        {"phone": "2", "source": "web"},
    ]


def test_a_list_of_one_column_needs_no_separator() -> None:
    assert phones("phone\n1\n2\n") == ["1", "2"]


def test_separators_and_line_ends_in_quotes_belong_to_the_cell() -> None:
    [row] = rows.read('phone,source\n1,"Pike St, Seattle;\nsecond ""floor"""\n').rows
    assert row["source"] == 'Pike St, Seattle;\nsecond "floor"'


def test_cells_lose_the_white_space_around_them() -> None:
    assert rows.read("phone,source\n 1 ,\ttill\u00a0\n").rows == [{"phone": "1", "source": "till"}]


def test_empty_lines_are_no_rows() -> None:
    assert phones("phone,source\n\n1,x\n,\n\n2,y\n\n") == ["1", "2"]


@pytest.mark.parametrize(
    "raw",
    [
        "phone,Zoë\n1,é".encode(),
        "phone,Zoë\n1,é".encode("utf-8-sig"),
        "phone,Zoë\n1,é".encode("cp1252"),
    ],
)
def test_every_usual_encoding_is_read(raw: bytes) -> None:
    assert rows.text_of(raw) == "phone,Zoë\n1,é"


def test_windows_signs_outside_latin_1_are_read() -> None:
    assert rows.text_of("phone\n„Zoë“ 5 €".encode("cp1252")) == "phone\n„Zoë“ 5 €"


def test_bytes_of_no_encoding_do_not_stop_a_list() -> None:
    assert rows.text_of(b"phone\n\x81\xff") == "phone\n\ufffdÿ"


@pytest.mark.parametrize("raw", [b"phone\n1\x002", "phone\n1".encode("utf-16"), b"PK\x03\x04\x00"])
def test_a_file_that_is_no_text_is_refused_with_what_to_do(raw: bytes) -> None:
    with pytest.raises(NotAList, match="Save the list as CSV"):
        rows.text_of(raw)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "\n\nphone\n1",
        "name,email\na,b",
        "+12125550123\n+12125550124",
        '"',
        "phone number",
    ],
)
def test_a_file_without_a_heading_of_numbers_is_refused_in_words(content: str) -> None:
    with pytest.raises(NotAList, match="no column of phone numbers") as refusal:
        rows.read(content)
    assert "555" not in str(refusal.value)


# --- rows that are not as they should be -------------------------------------------------------


def test_cells_beyond_the_headings_are_left_out() -> None:
    assert rows.read("phone,source\n1,till,more,and more\n").rows == [
        {"phone": "1", "source": "till"}
    ]


def test_a_row_cut_short_has_empty_cells() -> None:
    assert rows.read("phone,source,agreed\n1\n".replace("agreed", "sms_consent")).rows == [
        {"phone": "1", "source": "", "agreed": ""}
    ]


def test_nul_signs_in_a_row_do_not_stop_a_list() -> None:
    assert phones("phone\n1\x002\n3\n") == ["1\x002", "3"]


def test_a_huge_cell_spoils_its_row_only() -> None:
    content = f"phone,source\n1,a\n2,{'x' * 1_000_001}\n3,c\n"
    assert phones(content) == ["1", "unreadable", "3"]


def test_a_huge_heading_is_refused_in_words() -> None:
    with pytest.raises(NotAList):
        rows.read(f"phone,{'x' * 1_000_001}\n1,a\n")


def test_a_quotation_mark_never_closed_swallows_nobody_silently() -> None:
    with pytest.raises(NotAList, match="quotation mark"):
        rows.read('phone,source\n1,a\n2,"b\n3,c\n4,d\n')


def test_a_quotation_mark_never_closed_in_a_long_list_swallows_nobody_either() -> None:
    with pytest.raises(NotAList, match="quotation mark"):
        rows.read('phone,source\n1,"a\n' + "2,b\n" * 300_000)


def test_a_quotation_mark_inside_a_cell_is_a_sign_like_others() -> None:
    assert rows.read('phone,source\n1,5" pipe\n2,b\n').rows[0]["source"] == '5" pipe'


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

SIGNS = st.text(st.sampled_from('ab1é",;\t\r\n\x00 \ufeff'))


@given(st.one_of(st.text(), SIGNS, SIGNS.map("phone,source\n".__add__)))
def test_any_text_is_a_list_or_refused_as_none(content: str) -> None:
    try:
        table = rows.read(content)
    except NotAList:
        return
    assert all(set(row) <= set(rows.HEADINGS) for row in table.rows)


@given(st.binary())
def test_any_file_without_a_nul_byte_is_text(raw: bytes) -> None:
    if b"\x00" in raw:
        with pytest.raises(NotAList):
            rows.text_of(raw)
    else:
        assert isinstance(rows.text_of(raw), str)


@given(
    st.lists(st.tuples(st.text(min_size=1), st.text()).filter(lambda cells: cells[0].strip())),
    st.sampled_from(",;\t"),
)
def test_what_a_tool_writes_is_what_is_read(cells: list[tuple[str, str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("phone", "source"), *cells])
    read = [(row["phone"], row["source"]) for row in rows.read(file.getvalue()).rows]
    assert read == [(phone.strip(), source.strip()) for phone, source in cells]


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

"""A list is read whole or refused in words, whatever tool wrote it and whatever befell it."""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from itertools import count
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import numbers

from consent import sheets
from consent.sheets import NotAList, Sheet

DATA = Path(__file__).parent.parent / "data"
FILES = [
    ("web_form_optins.csv", 3000, "UTF-8, separated by ,"),
    ("shop_customers.csv", 1000, "UTF-8, separated by ,"),
    ("eu_leads_cp1252.csv", 200, "Windows-1252, separated by ;"),
    ("provider_optouts.csv", 400, "UTF-8, separated by ,"),
]
ZOE = "phone,Zoë\n1,é"
ENCODINGS = [
    (ZOE.encode(), "UTF-8"),
    (ZOE.encode("utf-8-sig"), "UTF-8"),
    (ZOE.encode("cp1252"), "Windows-1252"),
    (ZOE.encode("utf-16"), "UTF-16"),
    (b"\xff\xfe" + ZOE.encode("utf-16-le"), "UTF-16"),
    (b"\xfe\xff" + ZOE.encode("utf-16-be"), "UTF-16"),
]
NO_TEXTS = [
    b"phone\n1\x002",
    b"phone\n1\xe9\n\x00",  # Windows-1252 up to there
    "phone\n1".encode("utf-16-le"),  # without a mark
    "phone\n1".encode("utf-32"),
    "phone\n\0".encode("utf-16"),
    b"phone\n" + b"1\n" * sheets.BLOCK + b"\x00",
    b"PK\x05\x06" + bytes(18),
]
EMPTY_FILES = [b"", b"\n", b"\r\n \r\n", b",,\n,", b"\xef\xbb\xbf", b"\xff\xfe"]
# A file, and the separator that cuts it as whoever wrote it meant.
SEPARATED = [
    ('"Name, first";phone\n"Doe, Ada";1\n', ";"),
    ("Name, first;phone\nAda;1\n", ";"),
    ("phone;street, city\n1;Pike St, Seattle\n", ";"),
    ("phone;price\n1;2,50\n2;3,50\n4;5,50\n", ";"),
    ("phone,note\n1,a;b;c;d\n2,e;f;g;h\n", ","),
    ('phone,"a;b;c;d",note\n1,x,y\n', ","),
    ("phone,source,state\n1\n2\n3\n", ","),
    ('"phone";"first, last, nick"\n"1";"Ada, Doe, A"\n', ";"),
    ('"name";"phone"\nDoe, Ada\nRoe, Ida\n', ";"),  # rows cut short
    ("phone\tsource, or shop\n1\ttill\n", "tab"),
    ("phone,source\t\n1,\ttill\n", ","),
    ("phone|source;shop\n1|till\n", "|"),
    ("\n;\nphone;name\n1;Doe, Ada\n", ";"),
    ('phone;name\n1;"Ada\n2;b', ";"),
    ("phone,name\n" + "1,a;b\n" * 20_000, ","),
    ("phone,name\n1," + "x;" * 100_000, ","),
    ("phone, mobile;name\n1, " + "2" * 70_000 + ";Ada\n", ";"),
]
NO_HEADINGS = [
    'phone,"source\n1,a\n2,b\n',
    'phone,"source\nof it"\n1,a\n',
    f"phone,{'x' * 81}\n1,a\n",
    f"phone,{'x' * 1_000_001}\n1,a\n",
    '"',
    'phone,"so"urce\n1,a\n',
]
# A value as Excel keeps it, and its text.
CELLS = [
    (12125550123, "12125550123"),
    (12125550123.0, "12125550123"),
    (1.2125550123e10, "12125550123"),
    (442079460000, "442079460000"),
    (-5, "-5"),
    (1.5, "1.5"),
    (0.1, "0.1"),
    (True, "TRUE"),
    (False, "FALSE"),
    ("+12125550123", "+12125550123"),
    (" Zoë\u00a0", "Zoë"),
    ("#N/A", "#N/A"),
    ("two\nlines", "two\nlines"),
    ("=A1+1", ""),  # a formula that nobody has reckoned yet
    (None, ""),
    (datetime(2025, 3, 24, 17, 18, 41), "2025-03-24 17:18:41"),
    (datetime(2025, 3, 24), "2025-03-24"),
    (date(2025, 3, 24), "2025-03-24"),
    (time(9, 5), "09:05:00"),
]


def read(content: bytes | str) -> Sheet:
    return sheets.read(io.BytesIO(content.encode() if isinstance(content, str) else content))


def cells(content: bytes | str) -> list[list[str]]:
    return [row for _number, row in read(content).rows]


def first_cells(content: bytes | str) -> list[str]:
    return [row[0] for row in cells(content)]


# --- whole files -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "people", "form"), FILES)
def test_the_exports_of_real_tools_are_read_whole(name: str, people: int, form: str) -> None:
    with (DATA / name).open("rb") as file:
        sheet = sheets.read(file)
        rows = list(sheet.rows)
    assert (len(rows), sheet.form) == (people, form)
    assert not any("unreadable" in row for _number, row in rows)


class Watched(io.BytesIO):
    """A file that remembers how much was asked of it at a time."""

    asked: int = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 < size <= sheets.BLOCK
        self.asked += size
        return super().read(size)

    read1 = read


def test_a_file_is_never_held_whole_and_its_rows_are_read_as_they_are_asked_for() -> None:
    file = Watched(b"phone,source\n" + b"1,till\n" * 1_000_000)
    sheet = sheets.read(file)
    before = file.asked
    for _row in range(1000):
        next(sheet.rows)
    assert file.asked - before < 64 * 1024


def test_a_file_that_was_read_stays_open_for_its_owner() -> None:
    file = io.BytesIO(b"phone\n1\n")
    list(sheets.read(file).rows)
    assert [row for _line, row in sheets.read(file).rows] == [["1"]]


# --- encodings, separators, lines --------------------------------------------------------------


@pytest.mark.parametrize(("raw", "encoding"), ENCODINGS, ids=count())
def test_every_usual_encoding_is_read(raw: bytes, encoding: str) -> None:
    sheet = read(raw)
    assert sheet.headings == ("phone", "Zoë")
    assert sheet.form == f"{encoding}, separated by ,"
    assert list(sheet.rows) == [(2, ["1", "é"])]


def test_windows_signs_outside_latin_1_are_read() -> None:
    assert cells("phone\n„Zoë“ 5 €".encode("cp1252")) == [["„Zoë“ 5 €"]]


def test_bytes_of_no_encoding_do_not_stop_a_list() -> None:
    assert cells(b"phone\n\x81\xff") == [["\ufffdÿ"]]


def test_a_mark_of_an_encoding_is_believed_in_spite_of_a_damaged_sign() -> None:
    assert read(b"\xef\xbb\xbfphone\n\xff").headings == ("phone",)
    assert cells(b"\xef\xbb\xbfphone,Zo\xc3\xab\n1,\xff") == [["1", "\ufffd"]]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_encoding_shows_at_the_very_end_of_a_file_too(place: int) -> None:
    lines = b"phone\n" + b"1\n" * (sheets.BLOCK // 2)  # several blocks; the signs lie across
    assert read(lines + b"x" * place + "ë".encode()).form == "UTF-8, one column"
    assert read(lines + b"x" * place + b"\xc3").form == "Windows-1252, one column"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_usual_separator_and_line_ending_is_read(separator: str, ending: str) -> None:
    lines = [separator.join(row) for row in (("phone", "source"), ("1", "till"), ("2", "web"))]
    sheet = read(ending.join(lines))
    assert sheet.headings == ("phone", "source")
    assert list(sheet.rows) == [(2, ["1", "till"]), (3, ["2", "web"])]


def test_a_list_of_one_column_needs_no_separator() -> None:
    assert read("phone\n1\n2\n").form == "UTF-8, one column"
    assert first_cells("phone\n1\n2\n") == ["1", "2"]


@pytest.mark.parametrize(("content", "separator"), SEPARATED, ids=count())
def test_the_separator_is_the_one_that_cuts_the_rows_alike(content: str, separator: str) -> None:
    assert read(content).form == f"UTF-8, separated by {separator}"


def test_separators_and_line_ends_in_quotes_belong_to_the_cell() -> None:
    [row] = cells('phone,source\n1,"Pike St, Seattle;\nsecond ""floor"""\n')
    assert row == ["1", 'Pike St, Seattle;\nsecond "floor"']


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_row_bears_the_number_of_its_first_line(ending: str) -> None:
    content = '\nphone,source\n1,a\n\n2,"b\nb\n\nb"\n,\n3,c\n'.replace("\n", ending)
    assert [(line, row[0]) for line, row in read(content).rows] == [(3, "1"), (5, "2"), (10, "3")]


def test_cells_and_headings_lose_the_white_space_around_them() -> None:
    sheet = read(" phone ,source\t\n 1 ,\ttill\u00a0\n")
    assert sheet.headings == ("phone", "source")
    assert list(sheet.rows) == [(2, ["1", "till"])]


def test_empty_lines_are_no_rows() -> None:
    assert first_cells("phone,source\n\n1,x\n,\n \n , \n2,y\n\n") == ["1", "2"]


def test_headings_stay_as_they_are_even_if_empty_or_the_same() -> None:
    assert read("Phone,,Phone,\n1,2,3,4\n").headings == ("Phone", "", "Phone", "")


# --- what is not as it should be ---------------------------------------------------------------


@pytest.mark.parametrize("raw", NO_TEXTS, ids=count())
def test_a_file_that_is_no_text_is_refused_with_what_to_do(raw: bytes) -> None:
    with pytest.raises(NotAList, match="no text file. Save the list as CSV"):
        read(raw)


@pytest.mark.parametrize("raw", EMPTY_FILES, ids=count())
def test_an_empty_file_is_refused_as_such(raw: bytes) -> None:
    with pytest.raises(NotAList, match="The file is empty"):
        read(raw)


@pytest.mark.parametrize("content", NO_HEADINGS, ids=count())
def test_a_first_line_that_names_no_columns_is_refused_in_words(content: str) -> None:
    with pytest.raises(NotAList, match="quotation mark"):
        read(content)


def test_a_file_of_one_endless_line_is_refused() -> None:
    with pytest.raises(NotAList, match="a line without an end"):
        read(b"phone\n" + b"1," * (3 * sheets.BLOCK))


def test_cells_beyond_the_headings_are_left_out() -> None:
    assert cells("phone,source\n1,till,more,and more\n") == [["1", "till"]]


def test_a_row_cut_short_has_empty_cells() -> None:
    assert cells("phone,source,agreed\n1\n") == [["1", "", ""]]


def test_a_huge_cell_spoils_its_row_only() -> None:
    content = f"phone,source\n1,a\n2,{'x' * 1_000_001}\n3,c\n"
    assert cells(content) == [["1", "a"], ["unreadable", ""], ["3", "c"]]


def test_a_quotation_mark_in_the_wrong_place_spoils_its_row_only() -> None:
    rows = list(read('phone,source\n1,a\n2,"b"b\n3,c\n').rows)
    assert rows == [(2, ["1", "a"]), (3, ["unreadable", ""]), (4, ["3", "c"])]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('phone,source\n1,a\n2,"b\n3,c\n4,d\n', 3),
        ('phone,source\n1,a\n2,"b\n3,"c"\n4,d\n', 3),
        ('phone,source\n1,"a\n' + "2,b\n" * 300_000, 2),
        ('phone,source\n1,"' + 'a\n","' * 2_000 + '"\n3,b\n', 2),  # closed, but no row is so long
    ],
    ids=count(),
)
def test_a_quotation_mark_never_closed_swallows_nobody_silently(content: str, line: int) -> None:
    with pytest.raises(NotAList, match=f"From line {line} on, a quotation mark"):
        list(read(content).rows)


def test_what_was_read_before_a_fault_is_handed_out_before_it() -> None:
    rows = read('phone,source\n1,a\n2,"b\n3,c\n').rows
    assert next(rows) == (2, ["1", "a"])
    with pytest.raises(NotAList):
        next(rows)


def test_a_quotation_mark_inside_a_cell_is_a_sign_like_others() -> None:
    assert cells('phone,source\n1,5" pipe\n2,b\n')[0] == ["1", '5" pipe']


# --- Excel -------------------------------------------------------------------------------------

Patch = Callable[[str], str]


def book(*tables: Sequence[Sequence[Any]], hidden: Sequence[int] = ()) -> bytes:
    """An Excel file with a sheet for every table."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for number, table in enumerate(tables):
        sheet = made.create_sheet(f"Sheet {number}")
        sheet.sheet_state = "hidden" if number in hidden else "visible"
        for row in table:
            sheet.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def parts_of(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


FIRST = "xl/worksheets/sheet1.xml"
PEOPLE = [["phone", "name"], [12125550123, "Ada"], ["+12125550124", "Zoë"]]


def rewritten(pattern: str, replacement: str, *, part: str = FIRST) -> bytes:
    """A book of people that says something else in one place."""
    parts = parts_of(book(PEOPLE))
    text, times = re.subn(pattern, replacement, parts[part].decode())
    assert times
    return packed({**parts, part: text.encode()})


def longer_than_the_file() -> bytes:
    """A book with a part that is said to go on where the file has ended."""
    parts, file = parts_of(book(PEOPLE)), io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    size = len(parts[FIRST]).to_bytes(4, "little") * 2  # packed and unpacked
    return file.getvalue().replace(size, (1_000_000).to_bytes(4, "little") * 2)


def without_its_chart() -> bytes:
    """A book with a page for a chart, and none to put there."""
    made, file = openpyxl.load_workbook(io.BytesIO(book(PEOPLE))), io.BytesIO()
    chart = BarChart()
    chart.add_data(Reference(made.worksheets[0], min_col=1, min_row=1, max_row=2))
    made.create_chartsheet().add_chart(chart)
    made.save(file)
    parts = parts_of(file.getvalue())
    del parts["xl/drawings/_rels/drawing1.xml.rels"]
    return packed(parts)


def test_an_excel_file_is_read_with_the_numbers_of_its_rows() -> None:
    sheet = read(book([["phone", "name"], [], [12125550123, "Ada"], [None, " "], ["2"]]))
    assert sheet.headings == ("phone", "name")
    assert sheet.form == "Excel, sheet “Sheet 0”"
    assert list(sheet.rows) == [(3, ["12125550123", "Ada"]), (5, ["2", ""])]


@pytest.mark.parametrize(("value", "text"), CELLS, ids=count())
def test_a_cell_of_excel_becomes_the_text_of_a_csv(value: object, text: str) -> None:
    assert cells(book([["a", "b"], ["x", value]])) == [["x", text]]


@pytest.mark.parametrize("number", ["12125550123.0", "1.2125550123E10", "1.2125550123e+10"])
def test_a_long_number_keeps_its_digits_however_excel_writes_it(number: str) -> None:
    assert cells(rewritten("12125550123", number))[0] == ["12125550123", "Ada"]


def test_texts_that_excel_keeps_in_a_table_of_their_own_are_read() -> None:
    raw = rewritten(r't="inlineStr"><is><t>Ada</t></is>', 't="s"><v>0</v>')
    parts = parts_of(raw)
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    part = f'<Override PartName="/texts.xml" ContentType="{kind}"/></Types>'
    parts["texts.xml"] = f'<sst xmlns="{space}"><si><t>Łukasz</t></si></sst>'.encode()
    types = parts["[Content_Types].xml"].replace(b"</Types>", part.encode())
    assert cells(packed({**parts, "[Content_Types].xml": types}))[0] == ["12125550123", "Łukasz"]


def test_the_first_visible_sheet_with_rows_is_the_list() -> None:
    sheet = read(book([["secret"], ["x"]], [[], [" "]], PEOPLE, [["other"], ["y"]], hidden=[0]))
    assert sheet.form == "Excel, sheet “Sheet 2”"
    assert len(list(sheet.rows)) == 2


def test_rows_of_excel_are_as_wide_as_the_heading() -> None:
    assert cells(book([["phone", "name"], [1], [2, "b", "more"]])) == [["1", ""], ["2", "b"]]


def test_a_heading_of_excel_that_is_a_paragraph_is_refused() -> None:
    with pytest.raises(NotAList, match="first row of the sheet “Sheet 0”"):
        read(book([["x" * 81], ["phone"]]))


@pytest.mark.parametrize("claim", ["A1", "A1:B2", "A1:XFD1048576"])
def test_a_sheet_that_misjudges_its_own_size_is_read_whole(claim: str) -> None:
    raw = rewritten('<dimension ref="[^"]*"', f'<dimension ref="{claim}"')
    assert cells(raw) == [["12125550123", "Ada"], ["+12125550124", "Zoë"]]


def test_a_number_shown_as_a_date_is_an_error_and_stands_in_no_warning() -> None:
    made = openpyxl.load_workbook(io.BytesIO(book(PEOPLE)))
    made.worksheets[0]["A2"].number_format = numbers.FORMAT_DATE_DATETIME
    file = io.BytesIO()
    made.save(file)
    assert cells(file.getvalue())[0] == ["#VALUE!", "Ada"]


def test_what_excel_can_do_beyond_a_table_does_not_stop_a_list() -> None:
    more = '</sheetData><extLst><ext uri="{CCE6A557-97BC-4B89-ADB6-D9C93CAAB3DF}"/></extLst>'
    assert len(cells(rewritten("</sheetData>", more))) == 2


NO_EXCEL_FILES = {
    "a ZIP of something else": packed({"list.csv": b"phone\n1\n"}),
    "a ZIP that says it is nothing": packed({"[Content_Types].xml": b"<Types/>"}),
    "a beginning only": sheets.ZIP,
    "cut at its end": book(PEOPLE)[:-30],
    "cut in its middle": book(PEOPLE)[: len(book(PEOPLE)) // 2],
    # The mark of a password at every part, and at its entry in the table of parts.
    "locked": book(PEOPLE)
    .replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
    .replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
    "a tag left open": rewritten("</sheetData>", ""),
    "with entities": rewritten("<worksheet", '<!DOCTYPE x [<!ENTITY a "b">]><worksheet'),
    "a number that is none": rewritten("12125550123", "a number"),
    "a row that is none": rewritten('<row r="2"', '<row r="two"'),
    "a style too high": rewritten('fontId="0"', f'fontId="{"9" * 21}"', part="xl/styles.xml"),
    "a chart that is missing": without_its_chart(),
    "an unknown property": rewritten("summaryRight", "summaryLeft"),
    "a part without an end": longer_than_the_file(),
    "a number too long": rewritten("<v>12125550123</v>", "<v>" + "1" * 5000 + "</v>"),
}


@pytest.mark.parametrize("raw", NO_EXCEL_FILES.values(), ids=NO_EXCEL_FILES)
def test_a_damaged_locked_or_foreign_file_is_refused_with_what_to_do(raw: bytes) -> None:
    with pytest.raises(NotAList, match=r"cannot be read: .* save it anew as .xlsx or CSV"):
        list(read(raw).rows)


def test_an_old_excel_file_or_one_with_a_password_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotAList, match="Save it as .xlsx or CSV"):
        read(bytes.fromhex("D0CF11E0A1B11AE1") + bytes(512))


@pytest.mark.parametrize(
    "raw", [book([]), book([[" "], []]), book(PEOPLE, [], hidden=[0])], ids=count()
)
def test_an_excel_file_without_visible_rows_is_refused(raw: bytes) -> None:
    with pytest.raises(NotAList, match="No visible sheet"):
        read(raw)


def test_a_sheet_of_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MOST_ROWS", 3)
    assert len(cells(book([["phone"], [1], [], [2], [3]]))) == 3
    with pytest.raises(NotAList, match="more than 200,000 rows"):
        cells(book([["phone"], [1], [2], [3], [4]]))


def test_a_row_beyond_excels_last_is_not_waited_for() -> None:
    with pytest.raises(NotAList, match="cannot be read"):
        cells(rewritten(r'<row r="3"(.*?)r="A3"(.*?)r="B3"', r'<row r="999999999"\1\2'))


def test_a_file_that_would_explode_is_refused_before_it_is_opened() -> None:
    parts = parts_of(book(PEOPLE))
    with pytest.raises(NotAList, match="too large when unpacked"):
        read(packed({**parts, "xl/media/image1.png": bytes(20 * 1024 * 1024)}))


def test_a_file_too_large_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MOST_UNPACKED", 10_000)
    with pytest.raises(NotAList, match="too large when unpacked"):
        read(book(PEOPLE))


def test_a_part_that_is_larger_than_it_declares_is_refused() -> None:
    raw, size = book(PEOPLE), len(parts_of(book(PEOPLE))[FIRST])
    lying = raw.replace(size.to_bytes(4, "little"), (size // 2).to_bytes(4, "little"))
    assert lying != raw
    with pytest.raises(NotAList, match="cannot be read"):
        list(read(lying).rows)


# --- anything at all ---------------------------------------------------------------------------

MARKED = "prénom"  # its Windows-1252 bytes are no UTF-8
ENDINGS = st.sampled_from(["\n", "\r\n", "\r"])
WINDOWS = st.sampled_from(bytes(range(1, 256)).decode("cp1252", errors="ignore"))
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
ENCODED = st.sampled_from(
    [("utf-8", ANY), ("utf-8-sig", ANY), ("utf-16", ANY), ("cp1252", WINDOWS)]
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """An encoding, and a table that it can write."""
    encoding, alphabet = draw(ENCODED)
    text = st.text(alphabet | st.sampled_from(',;|\t"\n\r a'), max_size=12)
    width = draw(st.integers(0, 4))
    heading = [draw(text).replace("\n", "").replace("\r", "") for _column in range(width)]
    row = st.lists(text, min_size=width + 1, max_size=width + 1)
    return encoding, [[MARKED, *heading], *draw(st.lists(row, max_size=8))]


def written(table: list[list[str]], **how: Any) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, **how).writerows(table)
    return file.getvalue()


def stripped(table: list[list[str]]) -> Iterator[list[str]]:
    rows = ([cell.strip() for cell in row] for row in table)
    return (row for row in rows if any(row))


@given(tables(), st.sampled_from(",;\t|"), ENDINGS)
def test_any_table_that_a_tool_writes_is_read_as_it_was(
    encoded: tuple[str, list[list[str]]], separator: str, ending: str
) -> None:
    encoding, table = encoded
    text = written(table, delimiter=separator, lineterminator=ending, quoting=csv.QUOTE_ALL)
    sheet = read(text.encode(encoding))
    assert [list(sheet.headings), *(row for _line, row in sheet.rows)] == list(stripped(table))


PLAIN = st.lists(st.text(st.sampled_from('ab1é" #\t,;|'), max_size=8), min_size=3, max_size=3)


@given(st.lists(PLAIN), st.sampled_from(",;\t|"), ENDINGS)
def test_any_table_with_marks_only_where_they_are_needed_is_read_as_it_was(
    rows: list[list[str]], separator: str, ending: str
) -> None:
    table = [["phone", "name", "note"], *rows]
    text = written(table, delimiter=separator, lineterminator=ending)
    sheet = read(text)
    assert [list(sheet.headings), *(row for _line, row in sheet.rows)] == list(stripped(table))


SIGNS = st.text(st.sampled_from('ab1é",;|\t\r\n\x00 \ufeff')).map(str.encode)


@given(st.one_of(st.binary(), SIGNS, SIGNS.map(b"phone,source\n".__add__)))
def test_any_file_is_a_list_or_refused_as_none(raw: bytes) -> None:
    assert_list_or_refusal(raw)


def assert_list_or_refusal(raw: bytes) -> None:
    try:
        sheet = read(raw)
        rows = list(sheet.rows)
    except NotAList:
        return
    assert all(len(row) == len(sheet.headings) for _number, row in rows)
    assert [number for number, _row in rows] == sorted({number for number, _row in rows})


GOOD = book(PEOPLE, [["x"]])
PARTS = parts_of(GOOD)
ODD = [b"", b"nan", b"1e999", b"-1", b"A0", b"ZZZZ9", b"9" * 21, b"<a>", b"&b;", b"\xff"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4))
def test_an_excel_file_with_any_byte_changed_is_a_list_or_refused(
    changes: list[tuple[int, int]],
) -> None:
    raw = bytearray(GOOD)
    for place, byte in changes:
        raw[place] = byte
    assert_list_or_refusal(bytes(raw))


@settings(max_examples=50, deadline=None)
@given(st.integers(len(sheets.ZIP), len(GOOD) - 1))
def test_an_excel_file_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(NotAList):
        list(read(GOOD[:length]).rows)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(PARTS)), st.data(), st.sampled_from(ODD))
def test_an_excel_file_with_anything_said_wrong_inside_is_a_list_or_refused(
    name: str, data: st.DataObject, odd: bytes
) -> None:
    found = list(re.finditer(rb'(?<=")[^"]*(?=")|(?<=>)[^<]+(?=<)|<[^>]+>', PARTS[name]))
    place = data.draw(st.sampled_from(found))
    content = PARTS[name][: place.start()] + odd + PARTS[name][place.end() :]
    assert_list_or_refusal(packed({**PARTS, name: content}))

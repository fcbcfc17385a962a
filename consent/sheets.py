"""The file a clerk brings, CSV or Excel, as a heading and rows of text, read a little at a time."""

import codecs
import csv
import io
import re
import threading
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from typing import IO, Any
from xml.etree.ElementTree import ParseError

LONGEST_CELL = 1_000_000  # signs
LONGEST_HEADING = 80  # signs
LONGEST_ROW = 1_000  # lines of a file; a cell of several lines makes a row of several
ENDLESS = 4  # blocks without a line end
BLOCK = 1024 * 1024  # bytes
SAMPLE = 64 * 1024  # signs from which the separator is found
SEPARATORS = {"\t": "tab", ";": ";", "|": "|", ",": ","}  # the one rarest inside cells first
ENCODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

ZIP = b"PK\x03\x04"  # how an .xlsx begins
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how an .xls begins, and an .xlsx with a password
MOST_ROWS = 200_000  # of an Excel sheet
LAST_ROW = 1_048_576  # that Excel itself can number
MOST_UNPACKED = 200 * 1024 * 1024  # bytes
MOST_SHRUNK = 100  # times; real sheets shrink five to thirty times
WORTH_A_LOOK = 1024 * 1024  # bytes; below that a part may shrink as it likes
BATCH = 200  # rows of an Excel sheet

csv.field_size_limit(LONGEST_CELL)

EMPTY = "The file is empty."
NO_TEXT = "This is no text file. Save the list as CSV or .xlsx and bring it again."
OLD_EXCEL = (
    "This is an Excel file of the old kind (.xls), or one with a password. "
    "Save it as .xlsx or CSV, without a password, and bring it again."
)
NO_HEADING = "The first line does not name the columns; is a quotation mark left open?"
NO_EXCEL_HEADING = "The first row of the sheet “{sheet}” does not name the columns."
UNCLOSED = "From line {line} on, a quotation mark is never closed. Export the list again."
NO_LINES = "The file has a line without an end. Save the list as CSV or .xlsx and bring it again."
DAMAGED = (
    "This Excel file cannot be read: it is damaged, locked with a password or of another kind. "
    "Open it, save it anew as .xlsx or CSV, without a password, and bring it again."
)
TOO_LARGE = "This Excel file is too large when unpacked. Save the list as CSV and bring it again."
TOO_LONG = f"The Excel sheet has more than {MOST_ROWS:,} rows. Save it as CSV and bring it again."
NO_ROWS = "No visible sheet of this Excel file has rows."

# What openpyxl and zipfile were seen to raise for files that are damaged.
FAULTS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ParseError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
# Filters of warnings belong to the whole process: two threads must not change them at a time.
_FILTERS_OF_WARNINGS = threading.Lock()

Row = tuple[int, list[str]]
UNREADABLE = "unreadable"
LINE_END = re.compile(r"[\r\n]")


class NotAList(ValueError):
    """A file that is no list of people; the text tells a clerk what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A heading, and the rows under it with their place in the file.

    Every row has as many cells as there are headings. The number of a row is that of its first
    line, or the row's own number in Excel. Blank rows are left out. `form` says how the file was
    read, for the screen.
    """

    headings: tuple[str, ...]
    rows: Iterator[Row]
    form: str


def read(file: IO[bytes]) -> Sheet:
    """The heading of a list, at once, and its rows as they are asked for.

    The file must be seekable and stay open until the last row; it is not closed. Raises NotAList
    for a file that cannot be read, also from within the rows.
    """
    file.seek(0)
    start = file.read(len(COMPOUND))
    if start.startswith(ZIP):
        return _excel(file)
    if start == COMPOUND:
        raise NotAList(OLD_EXCEL)
    return _csv(file)


def _fitted(cells: list[str], width: int) -> list[str]:
    return cells[:width] + [""] * (width - len(cells))


# --- CSV ---------------------------------------------------------------------------------------


class _Text(io.TextIOWrapper):
    """Text of a file that stays open, for its owner to close."""

    def close(self) -> None:
        """Nothing: it would close the file as well."""


def _csv(file: IO[bytes]) -> Sheet:
    encoding = _encoding(file)
    separator = _separator(_text_of(file, encoding).read(SAMPLE))
    records = _Records(_text_of(file, encoding), separator or ",")
    headings = records.headings()
    parted = f"separated by {SEPARATORS[separator]}" if separator else "one column"
    return Sheet(headings, records.rows(len(headings)), f"{ENCODINGS[encoding]}, {parted}")


def _text_of(file: IO[bytes], encoding: str) -> _Text:
    file.seek(0)
    return _Text(file, encoding, errors="replace", newline="")


def _encoding(file: IO[bytes]) -> str:
    """The encoding of a whole file, which is read once for it.

    Raises NotAList for a file that is no text or has no lines.
    """
    encoding, errors = _marked(file)
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    without_end = 0
    for block in _blocks(file):
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            encoding = "cp1252"
            decoder = codecs.getincrementaldecoder(encoding)("replace")
            text = decoder.decode(block)
        if "\0" in text:
            raise NotAList(NO_TEXT)
        without_end = 0 if "\n" in text or "\r" in text else without_end + 1
        if without_end >= ENDLESS:
            raise NotAList(NO_LINES)
    return encoding


def _marked(file: IO[bytes]) -> tuple[str, str]:
    """What the first bytes promise; only a file without a mark may turn out to be another."""
    file.seek(0)
    start = file.read(len(codecs.BOM_UTF8))
    if start.startswith(UTF_16_MARKS):
        return "utf-16", "replace"
    return "utf-8-sig", "replace" if start == codecs.BOM_UTF8 else "strict"


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The blocks of a file, and an empty one at its end."""
    file.seek(0)
    while block := file.read(BLOCK):
        yield block
    yield b""


def _separator(sample: str) -> str:
    """The separator that cuts most rows of a sample as it cuts the first; none for one column."""
    lines = list(io.StringIO(sample, newline=""))
    if len(sample) == SAMPLE:
        lines = lines[:-1] or lines  # the last one is cut short
    agreement = {separator: _agreement(lines, separator) for separator in SEPARATORS}
    found = max(agreement, key=agreement.__getitem__)
    return found if agreement[found] else ""


def _agreement(lines: Sequence[str], separator: str) -> tuple[int, ...]:
    """How many rows are as wide as the first, and how many columns that names.

    Nothing for a single column.
    """
    rows = list(_read_or_empty(csv.reader(lines, delimiter=separator, strict=True)))
    if not rows or len(rows[0]) < 2:
        return ()
    alike = sum(len(cells) == len(rows[0]) for cells in rows)
    return alike, sum(map(bool, map(str.strip, rows[0])))


def _read_or_empty(reader: Any) -> Iterator[list[str]]:
    """Every row that is not blank; an empty one for what cannot be read."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield []
        else:
            if any(cells):
                yield cells


class _Records:
    """The rows of a CSV text, each with the line that it begins on."""

    def __init__(self, text: _Text, separator: str) -> None:
        self.line = 1
        self.reader = csv.reader(self._lines(text), delimiter=separator, strict=True)
        self.read = self._stripped()

    def _lines(self, text: _Text) -> Iterator[str]:
        """Every line, until a row has swallowed so many that it may hold the rest of the file."""
        for number, line in enumerate(text, 1):
            if number - self.line > LONGEST_ROW:
                raise csv.Error
            yield line

    def _stripped(self) -> Iterator[list[str]]:
        """Every row; a line that cannot be read becomes a cell that is no number.

        Raises NotAList where a fault swallowed several lines: nobody must be lost among them.
        """
        while True:
            self.line = self.reader.line_num + 1
            try:
                yield [*map(str.strip, next(self.reader))]
            except StopIteration:
                return
            except csv.Error:
                if self.reader.line_num > self.line:
                    raise NotAList(UNCLOSED.format(line=self.line)) from None
                yield [UNREADABLE]

    def headings(self) -> tuple[str, ...]:
        """The first row that is not blank. Raises NotAList if it names no columns."""
        headings = next(filter(any, self.read), None)
        if headings is None:
            raise NotAList(EMPTY)
        if headings == [UNREADABLE] or not _name_columns(headings):
            raise NotAList(NO_HEADING)
        return tuple(headings)

    def rows(self, width: int) -> Iterator[Row]:
        for cells in self.read:
            if any(cells):
                yield self.line, cells if len(cells) == width else _fitted(cells, width)


def _name_columns(headings: Sequence[str]) -> bool:
    return not any(
        len(heading) > LONGEST_HEADING or LINE_END.search(heading) for heading in headings
    )


# --- Excel -------------------------------------------------------------------------------------


def _excel(file: IO[bytes]) -> Sheet:
    import openpyxl  # noqa: PLC0415 - a tenth of the time in which any process starts

    with _in_words():
        parts = zipfile.ZipFile(file).infolist()
    if _would_explode(parts):
        raise NotAList(TOO_LARGE)
    with _in_words():
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    for sheet in book.worksheets:
        rows = _filled(sheet) if sheet.sheet_state == "visible" else iter(())
        if first := next(rows, None):
            return _under(first[1], rows, sheet.title)
    raise NotAList(NO_ROWS)


def _would_explode(parts: Iterable[zipfile.ZipInfo]) -> bool:
    """Whether the parts, which unpack to no more than they declare, fill the memory."""
    declared = list(parts)
    return sum(part.file_size for part in declared) > MOST_UNPACKED or any(
        part.file_size > max(WORTH_A_LOOK, MOST_SHRUNK * part.compress_size) for part in declared
    )


@contextmanager
def _in_words() -> Iterator[None]:
    """Turns what a damaged file raises into words, and keeps quiet: a warning names its cells."""
    with _FILTERS_OF_WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except FAULTS:
            raise NotAList(DAMAGED) from None


def _filled(sheet: Any) -> Iterator[Row]:
    """The rows of a sheet that are not blank, with their numbers."""
    sheet.reset_dimensions()  # what a file says of its own size is often wrong
    numbered = enumerate(sheet.iter_rows(values_only=True), 1)
    while batch := _batch(numbered):
        if batch[-1][0] > LAST_ROW:  # rows that a file leaves out are counted, and filled
            raise NotAList(DAMAGED)
        yield from (row for row in batch if any(row[1]))


def _batch(numbered: Iterator[tuple[int, Iterable[Any]]]) -> list[Row]:
    with _in_words():
        return [(number, [*map(_cell, cells)]) for number, cells in islice(numbered, BATCH)]


def _under(headings: list[str], rows: Iterator[Row], title: str) -> Sheet:
    shown = title[:31]  # signs; Excel's own limit
    if any(len(heading) > LONGEST_HEADING for heading in headings):
        raise NotAList(NO_EXCEL_HEADING.format(sheet=shown))
    return Sheet(tuple(headings), _counted(rows, len(headings)), f"Excel, sheet “{shown}”")


def _counted(rows: Iterator[Row], width: int) -> Iterator[Row]:
    for count, (number, cells) in enumerate(rows, 1):
        if count > MOST_ROWS:
            raise NotAList(TOO_LONG)
        yield number, _fitted(cells, width)


def _cell(value: Any) -> str:
    """The text of a cell, as a CSV of the same list would have it."""
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case bool():
            return str(value).upper()
        case float() if value.is_integer():  # a long number is kept as one
            return str(int(value))
        case datetime():
            day = value.time() == time()
            return value.date().isoformat() if day else value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("seconds")
        case _:
            return str(value)

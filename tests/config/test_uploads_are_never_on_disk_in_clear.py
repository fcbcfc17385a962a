"""What a person uploads lies on no disk in clear, and is counted even where it is not kept."""

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from cryptography.exceptions import InvalidTag
from django.conf import LazySettings
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile, UploadedFile
from django.http import HttpRequest, JsonResponse
from django.test import Client
from django.urls import path
from hypothesis import given, settings
from hypothesis import strategies as st

from config import uploads
from config.uploads import MOST, PIECE, SMALL, TAG, Sealed
from consent import sheets

MIB = 1024 * 1024
CANARY = b"+12125550123 belongs to Ada Canary"
LARGE = CANARY * (5 * MIB // len(CANARY))
PATTERN = bytes(range(251)) * (SMALL // 251 + 2 * PIECE // 251)  # no two pieces are alike
OPEN_FILES = Path("/proc/self/fd")


def upload(*chunks: bytes) -> UploadedFile:
    handler = Sealed()
    handler.new_file("file", "list.csv", "text/csv", sum(map(len, chunks)))
    start = 0
    for chunk in chunks:
        handler.receive_data_chunk(chunk, start)
        start += len(chunk)
    return handler.file_complete(start)


def in_chunks(content: bytes) -> list[bytes]:
    """As Django hands it out."""
    size = Sealed.chunk_size
    return [content[start : start + size] for start in range(0, len(content), size)]


@pytest.fixture
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    """Where uploads may lie."""
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    return tmp_path


def on_disk(folder: Path) -> Iterator[bytes]:
    """All that can be found in a folder, under a name or without one."""
    for file in folder.rglob("*"):
        yield file.read_bytes()
    for descriptor in OPEN_FILES.iterdir():
        if descriptor.is_symlink() and os.readlink(descriptor).startswith(str(folder)):
            yield descriptor.read_bytes()


# --- on disk -----------------------------------------------------------------------------------


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs a system that shows its open files")
def test_a_large_upload_is_found_nowhere_on_disk_in_clear(folder: Path) -> None:
    with upload(*in_chunks(LARGE)) as file:
        file.read(MIB)
        found = list(on_disk(folder))
        assert sum(map(len, found)) > len(LARGE) - MIB  # it does lie there, but sealed
        assert not any(CANARY[:12] in content for content in found)
        assert list(folder.iterdir()) == []


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs a system that shows its open files")
@pytest.mark.parametrize("end", ["close", "break off"])
def test_nothing_is_left_of_an_upload_that_ended(folder: Path, end: str) -> None:
    if end == "close":
        upload(*in_chunks(LARGE)).close()
    else:
        handler = Sealed()
        handler.new_file("file", "list.csv", "text/csv", len(LARGE))
        handler.receive_data_chunk(LARGE, 0)
        handler.upload_interrupted()
    assert list(on_disk(folder)) == []


def test_an_upload_that_broke_off_before_its_first_file_ends_quietly() -> None:
    Sealed().upload_interrupted()


def test_every_upload_has_a_key_of_its_own() -> None:
    first, second = uploads.Pieces(), uploads.Pieces()
    for pieces in (first, second):
        pieces.append(CANARY, last=True)
        pieces._file.seek(0)
    assert first._file.read() != second._file.read()
    first.close()
    second.close()


def sealed_pieces() -> uploads.Pieces:
    pieces = uploads.Pieces()
    for number in range(3):
        pieces.append(bytes([number]) * PIECE, last=number == 2)
    return pieces


def test_a_piece_that_was_changed_is_not_read() -> None:
    pieces = sealed_pieces()
    pieces._file.seek(10)
    pieces._file.write(b"forged")
    with pytest.raises(InvalidTag):
        pieces.open(0)
    pieces.close()


def test_pieces_cannot_change_places() -> None:
    pieces = sealed_pieces()
    pieces._file.seek(PIECE + TAG)
    second = pieces._file.read(PIECE + TAG)
    pieces._file.seek(0)
    pieces._file.write(second)
    with pytest.raises(InvalidTag):
        pieces.open(0)
    pieces.close()


def test_a_file_cannot_be_cut_short_unnoticed() -> None:
    pieces = sealed_pieces()
    pieces._count = 2
    with pytest.raises(InvalidTag):
        pieces.open(1)
    pieces.close()


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL])
def test_a_small_upload_stays_in_memory(folder: Path, size: int) -> None:
    file = upload(*in_chunks(bytes(size)))
    assert isinstance(file, InMemoryUploadedFile)
    assert (file.size, file.read()) == (size, bytes(size))


@pytest.mark.parametrize("size", [SMALL + 1, 5 * PIECE - 1, 5 * PIECE, 5 * PIECE + 1, 6 * PIECE])
def test_a_large_upload_is_read_as_it_was_sent(size: int) -> None:
    content = (PATTERN * 2)[:size]
    with upload(*in_chunks(content)) as file:
        assert file.size == size
        assert file.read() == content
        assert file.read() == b""
        assert b"".join(file.chunks()) == content
        assert (file.seek(-3, os.SEEK_END), file.read()) == (size - 3, content[-3:])


STEPS = st.lists(
    st.tuples(
        st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END]),
        st.integers(-2 * PIECE, len(PATTERN) + 10),
        st.integers(0, 2 * PIECE),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(STEPS)
def test_reading_anywhere_agrees_with_the_bytes(steps: list[tuple[int, int, int]]) -> None:
    with upload(*in_chunks(PATTERN)) as file:
        plain = io.BytesIO(PATTERN)
        for whence, offset, size in steps:
            start = {0: 0, 1: plain.tell(), 2: len(PATTERN)}[whence]
            place = max(offset, -start)
            assert file.seek(place, whence) == plain.seek(start + place)
            assert file.read(size) == plain.read(size)
            assert file.tell() == plain.tell()


def test_there_is_nothing_before_the_beginning_of_a_file() -> None:
    with upload(PATTERN) as file, pytest.raises(ValueError, match="before its beginning"):
        file.seek(-1)


def test_an_upload_gives_nobody_its_file_on_disk() -> None:
    with upload(PATTERN) as file, pytest.raises(io.UnsupportedOperation):
        file.fileno()


def test_no_more_than_a_piece_or_two_is_held_in_memory() -> None:
    sealing = uploads.Sealing()
    most = 0
    for chunk in in_chunks(LARGE):
        sealing.write(chunk)
        most = max(most, len(sealing.waiting))
    assert most <= SMALL + Sealed.chunk_size
    assert len(sealing.waiting) <= PIECE
    sealing.close()


# --- too large ---------------------------------------------------------------------------------


def test_of_a_file_too_large_the_size_is_known_and_the_rest_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MOST == 512 * MIB
    monkeypatch.setattr(uploads, "MOST", 2 * MIB + 5)
    with upload(*in_chunks(LARGE)) as file:
        assert file.size == len(LARGE)
        assert file.read() == LARGE[: 2 * MIB + 5]


# --- as the product uses it --------------------------------------------------------------------


def look(request: HttpRequest) -> JsonResponse:
    """What arrived."""
    files = request.FILES.getlist("file")
    return JsonResponse(
        {
            "names": [file.name for file in files],
            "sizes": [file.size for file in files],
            "canaries": [file.read().count(CANARY) for file in files],
            "kinds": [type(file).__name__ for file in files],
        }
    )


urlpatterns = [path("look/", look)]


@pytest.fixture
def client(settings: LazySettings, folder: Path) -> Client:
    settings.FILE_UPLOAD_HANDLERS = ["config.uploads.Sealed"]
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    return Client()


def test_files_that_a_browser_sends_arrive_whole_and_leave_with_the_answer(
    client: Client, folder: Path
) -> None:
    small, large = CANARY * 2, LARGE
    sent = [SimpleUploadedFile("a.csv", small), SimpleUploadedFile("b.csv", large)]
    answer = client.post("/look/", {"file": sent})
    assert answer.json() == {
        "names": ["a.csv", "b.csv"],
        "sizes": [len(small), len(large)],
        "canaries": [2, len(large) // len(CANARY)],
        "kinds": ["InMemoryUploadedFile", "UploadedFile"],
    }
    assert list(on_disk(folder)) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_sealed_list_is_read(encoding: str) -> None:
    text = "phone;name\n" + "+12125550123;Zoë\n" * 100_000
    with upload(*in_chunks(text.encode(encoding))) as file:
        assert not isinstance(file, InMemoryUploadedFile)
        for _again in range(2):
            rows = list(sheets.read(file).rows)
            assert (len(rows), rows[-1]) == (100_000, (100_001, ["+12125550123", "Zoë"]))


def test_a_sealed_excel_file_is_read() -> None:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in (["phone"], [12125550123]):
        book.worksheets[0].append(row)
    book.save(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("media/image1.png", os.urandom(2 * MIB))
    with upload(*in_chunks(file.getvalue())) as sealed:
        assert not isinstance(sealed, InMemoryUploadedFile)
        assert list(sheets.read(sealed).rows) == [(2, ["12125550123"])]

"""Uploads lie on no disk in clear: a large one waits in pieces sealed with a key kept in memory."""

import io
import tempfile
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

MOST = 512 * 1024 * 1024  # bytes; what lies beyond is counted, so that a form can say so
SMALL = 1024 * 1024  # bytes; up to here an upload stays in memory
PIECE = 256 * 1024  # bytes
TAG = 16  # bytes that AES-GCM adds to a piece


class Sealed(FileUploadHandler):
    """Keeps the beginning of a file, in memory or sealed, and counts the rest."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.file = Sealing()  # Django's parser closes what has this name if an upload breaks off
        self.size = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.file.write(raw_data[: max(MOST - self.size, 0)])
        self.size += len(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile:
        name, kind = self.file_name or "", self.content_type or ""
        more = (self.charset, self.content_type_extra)
        opened = self.file.opened()
        if isinstance(opened, io.BytesIO):
            return InMemoryUploadedFile(opened, self.field_name, name, kind, self.size, *more)
        return UploadedFile(opened, name, kind, self.size, *more)

    def upload_interrupted(self) -> None:
        if hasattr(self, "file"):
            self.file.close()


class Sealing:
    """Takes in a file; from a certain size on it writes sealed pieces to a file without a name."""

    def __init__(self) -> None:
        self.waiting = bytearray()
        self.pieces: Pieces | None = None

    def write(self, content: bytes) -> None:
        self.waiting += content
        if self.pieces is None and len(self.waiting) > SMALL:
            self.pieces = Pieces()
        # The last piece must be known as such, so one always waits.
        while self.pieces and len(self.waiting) > PIECE:
            self.pieces.append(bytes(self.waiting[:PIECE]), last=False)
            del self.waiting[:PIECE]

    def opened(self) -> BinaryIO:
        """The whole file from its beginning, to be read anywhere. Ends the writing."""
        if self.pieces is None:
            return io.BytesIO(self.waiting)
        self.pieces.append(bytes(self.waiting), last=True)
        self.waiting.clear()
        return io.BufferedReader(Opened(self.pieces), PIECE)

    def close(self) -> None:
        if self.pieces:
            self.pieces.close()


class Pieces:
    """Pieces of a file, each sealed on its own with AES-256-GCM.

    The key is made for one file and used for nothing else, so the number of a piece is nonce
    enough (NIST SP 800-38D, 8.2.1). The number and the mark of the last piece are authenticated:
    pieces cannot change places, and the file cannot be cut short unnoticed.
    """

    def __init__(self) -> None:
        self._key = AESGCM(AESGCM.generate_key(bit_length=256))
        self._file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115 - close() below
        self._count = 0
        self.size = 0

    def append(self, content: bytes, *, last: bool) -> None:
        nonce, bound = _labels(self._count, last)
        self._file.write(self._key.encrypt(nonce, content, bound))
        self._count += 1
        self.size += len(content)

    def open(self, number: int) -> bytes:
        """The content of a piece. Raises InvalidTag if it is not as it was written."""
        self._file.seek(number * (PIECE + TAG))
        nonce, bound = _labels(number, number == self._count - 1)
        return self._key.decrypt(nonce, self._file.read(PIECE + TAG), bound)

    def close(self) -> None:
        self._file.close()


def _labels(number: int, last: bool) -> tuple[bytes, bytes]:
    """The nonce of a piece, and what is authenticated with it."""
    nonce = number.to_bytes(12, "big")
    return nonce, nonce + (b"last" if last else b"more")


class Opened(io.RawIOBase):
    """Reads sealed pieces as one file; holds one of them in clear at a time."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._at = 0
        self._held, self._number = b"", -1

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._pieces.size}[whence]
        if base + offset < 0:
            raise ValueError("A file has nothing before its beginning.")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        found = self._rest_of_piece()[: len(buffer)]
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def _rest_of_piece(self) -> memoryview:
        number, offset = divmod(self._at, PIECE)
        if self._at >= self._pieces.size:
            return memoryview(b"")
        if number != self._number:
            self._held, self._number = self._pieces.open(number), number
        return memoryview(self._held)[offset:]

    def close(self) -> None:
        self._held = b""
        self._pieces.close()
        super().close()

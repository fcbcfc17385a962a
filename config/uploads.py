"""Uploads stay in memory: nothing a person sent lies on a disk in clear, and none is too large."""

from io import BytesIO
from typing import Any

from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler

MOST = 11 * 1024 * 1024  # bytes; a little more than a form accepts, so that the form can say so


class InMemory(FileUploadHandler):
    """Keeps the beginning of a file, and counts the rest."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.kept, self.size = BytesIO(), 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.size += len(raw_data)
        self.kept.write(raw_data[: max(MOST - self.kept.tell(), 0)])

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self.kept.seek(0)
        return InMemoryUploadedFile(
            self.kept,
            self.field_name,
            self.file_name or "",
            self.content_type or "",
            self.size,
            self.charset,
            self.content_type_extra,
        )

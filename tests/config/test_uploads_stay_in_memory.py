"""What a person uploads never lies on a disk, and is counted even where it is not kept."""

from django.core.files.uploadedfile import InMemoryUploadedFile

from config.uploads import MOST, InMemory


def _upload(*chunks: bytes) -> InMemoryUploadedFile:
    handler = InMemory()
    handler.new_file("file", "list.csv", "text/csv", sum(map(len, chunks)))
    for start, chunk in enumerate(chunks):
        handler.receive_data_chunk(chunk, start)
    return handler.file_complete(sum(map(len, chunks)))


def test_a_file_is_kept_in_memory_whole(settings) -> None:
    assert settings.FILE_UPLOAD_HANDLERS == ["config.uploads.InMemory"]
    assert _upload(b"phone\n", b"+12125550123\n").read() == b"phone\n+12125550123\n"


def test_of_a_file_too_large_the_size_is_known_and_the_rest_forgotten() -> None:
    file = _upload(*[b"x" * 1024 * 1024] * 13)
    assert file.size == 13 * 1024 * 1024
    assert len(file.read()) == MOST

"""A provider that takes every message over TLS, at once or after a while; a process of its own.

It does as little as a server can, so that what is measured is the client.
"""

import asyncio
import datetime
import ipaddress
import multiprocessing
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length: "
HEAD = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
fork = multiprocessing.get_context("fork")


class Answering(asyncio.Protocol):
    """Answers each request of a connection with an id of its own."""

    count = 0

    def __init__(self, delay: float) -> None:
        self._delay, self._heard = delay, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(END_OF_HEAD)) >= 0:
            head = self._heard[:end].lower()
            begin = head.find(LENGTH) + len(LENGTH)
            whole = end + len(END_OF_HEAD) + int(head[begin:].split(b"\r\n", 1)[0])
            if len(self._heard) < whole:
                return
            self._heard = self._heard[whole:]
            asyncio.get_running_loop().call_later(self._delay, self._answer)

    def _answer(self) -> None:
        Answering.count += 1
        body = b'{"sid": "SM%032x", "status": "queued"}' % Answering.count
        head = (
            b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        )
        if not self._transport.is_closing():
            self._transport.write(head % len(body) + body)


def certificate(directory: Path) -> tuple[Path, Path]:
    """A key and a certificate for this machine, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_file, chain = directory / "key.pem", directory / "chain.pem"
    key_file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    chain.write_bytes(made.public_bytes(pem))
    return key_file, chain


@contextmanager
def serving(directory: Path, *, delay: float) -> Iterator[str]:
    """The address of a stub that answers after `delay` seconds; its chain is in `directory`."""
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_serve, args=(directory, delay, theirs), daemon=True)
    process.start()
    yield f"https://127.0.0.1:{ours.recv()}"
    process.terminate()
    process.join()


def _serve(directory: Path, delay: float, told: object) -> None:
    asyncio.run(_serve_for_good(directory, delay, told))


async def _serve_for_good(directory: Path, delay: float, told: object) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "chain.pem", directory / "key.pem")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Answering(delay), "127.0.0.1", 0, ssl=context, backlog=512
    )
    told.send(server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
    await server.serve_forever()

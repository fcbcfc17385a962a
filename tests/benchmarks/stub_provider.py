"""A provider that takes every message over TLS, at once or after a while; a process of its own.

It does as little as a server can, so that what is measured is the client. Where it is told to, it
posts a signed receipt for each message a while later.
"""

import asyncio
import base64
import datetime
import hashlib
import hmac
import ipaddress
import multiprocessing
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length: "
HEAD = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
CREATED = b"201 Created"
fork = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Receipts:
    """Where receipts go: a web server on loopback, to be called by its public name.

    `after` is how many seconds a message takes to its telephone, `at_once` how many calls the
    provider makes at a time.
    """

    port: int
    account: str
    token: str
    after: float = 0.5
    at_once: int = 8


class Answering(asyncio.Protocol):
    """Answers each request of a connection with an id of its own."""

    def __init__(self, stub: "Stub") -> None:
        self._stub, self._heard = stub, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while (end := self._heard.find(END_OF_HEAD)) >= 0:
            begin = end + len(END_OF_HEAD)
            whole = begin + _length(self._heard[:end])
            if len(self._heard) < whole:
                return
            form, self._heard = self._heard[begin:whole], self._heard[whole:]
            asyncio.get_running_loop().call_later(self._stub.delay, self._answer, form)

    def _answer(self, form: bytes) -> None:
        sid, body = self._stub.take(form)
        if not self._transport.is_closing():
            self._transport.write(HEAD % (self._stub.status, len(body)) + body)


def _length(head: bytes) -> int:
    """Of what follows a head; a GET has nothing."""
    found = head.lower().partition(LENGTH)[2]
    return int(found.split(b"\r\n", 1)[0]) if found else 0


class Stub:
    """What all connections share: how to answer, how many were answered, whom to tell."""

    def __init__(self, delay: float, status: bytes, receipts: Receipts | None) -> None:
        self.delay, self.status, self._receipts = delay, status, receipts
        self._due: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    def take(self, form: bytes) -> tuple[str, bytes]:
        """The id of a message, and the answer that tells it."""
        taken.value += 1
        sid = f"SM{taken.value:032x}"
        if self._receipts:
            told = (sid, form)
            loop = asyncio.get_running_loop()
            loop.call_later(self._receipts.after, self._due.put_nowait, told)
        return sid, b'{"sid": "%s", "status": "queued"}' % sid.encode()

    async def report(self) -> None:
        """Posts receipts on one connection, one after another."""
        assert self._receipts is not None
        to = self._receipts
        reader = writer = None
        while True:
            sid, form = await self._due.get()
            call = _receipt(to, sid, dict(parse_qsl(form.decode())))
            if writer is None or writer.is_closing() or reader.at_eof():  # type: ignore[union-attr]
                reader, writer = await asyncio.open_connection("127.0.0.1", to.port)
            try:
                refusals.value += not await _post(reader, writer, call)  # type: ignore[arg-type]
            except (OSError, asyncio.IncompleteReadError):
                writer.close()
                writer = None
                self._due.put_nowait((sid, form))


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: bytes) -> bool:
    """Whether a call was answered with a success."""
    writer.write(call)
    head = await reader.readuntil(END_OF_HEAD)
    await reader.readexactly(_length(head))
    if b"connection: close" in head.lower():
        writer.close()
    return head.startswith(b"HTTP/1.1 2")


def _receipt(to: Receipts, sid: str, message: dict[str, str]) -> bytes:
    """The call that tells of a delivery, signed as "Validating requests" of Twilio's says."""
    url = message["StatusCallback"]
    fields = {
        "AccountSid": to.account,
        "ApiVersion": "2010-04-01",
        "From": message["From"],
        "MessageSid": sid,
        "MessageStatus": "delivered",
        "SmsSid": sid,
        "SmsStatus": "delivered",
        "To": message["To"],
    }
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.digest(to.token.encode(), signed.encode(), hashlib.sha1)
    body, parts = urlencode(fields), urlsplit(url)
    return (
        f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"X-Twilio-Signature: {base64.b64encode(digest).decode()}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def certificate(directory: Path, *, address: str = "127.0.0.1") -> Path:
    """Who vouches for a server at an address of this machine; key and certificate lie beside."""
    [root, leaf] = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority = _certificate("Authority", root, root).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    server = _certificate("localhost", leaf, root).add_extension(here, critical=False)
    pem = serialization.Encoding.PEM
    (directory / "key.pem").write_bytes(
        leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    for name, made in (("chain.pem", server), ("authority.pem", authority)):
        (directory / name).write_bytes(made.sign(root, hashes.SHA256()).public_bytes(pem))
    return directory / "authority.pem"


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, root: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    [ours, theirs] = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
        for called in (name, "Authority")
    ]
    return (
        x509.CertificateBuilder()
        .subject_name(ours)
        .issuer_name(theirs)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


taken = fork.Value("Q", 0, lock=False)  # by the stub that serves; read by whoever started it
refusals = fork.Value("Q", 0, lock=False)  # of receipts, by the web server they go to


@contextmanager
def serving(
    directory: Path,
    *,
    delay: float,
    receipts: Receipts | None = None,
    status: bytes = CREATED,
) -> Iterator[str]:
    """The address of a stub that answers after `delay` seconds; its chain is in `directory`."""
    taken.value = refusals.value = 0
    ours, theirs = fork.Pipe()
    stub = Stub(delay, status, receipts)
    process = fork.Process(target=_serve, args=(directory, stub, theirs), daemon=True)
    process.start()
    try:
        yield f"https://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(directory: Path, stub: Stub, told: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(_serve_for_good(directory, stub, told))


async def _serve_for_good(directory: Path, stub: Stub, told: object) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "chain.pem", directory / "key.pem")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Answering(stub), "127.0.0.1", 0, ssl=context, backlog=512
    )
    told.send(server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
    at_once = stub._receipts.at_once if stub._receipts else 0
    async with asyncio.TaskGroup() as reporting:
        for _connection in range(at_once):
            reporting.create_task(stub.report())
        await server.serve_forever()

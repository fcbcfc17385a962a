"""Servers that answer a gateway in one way, what it is given, and what came of it."""

import datetime as dt
import http.server
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from campaigns.gateways.directory import Gateway
from campaigns.gateways.outcome import Outgoing
from campaigns.gateways.wire import wire

NUMBER, BODY = "+12125550123", "a body that nobody else may read"
ATTEMPT = "ab" * 16


def outgoing(
    to: str = NUMBER,
    *,
    sender: str = "+12125550100",
    body: str = BODY,
    valid_for: timedelta = timedelta(hours=1),
) -> Outgoing:
    return Outgoing(to=to, sender=sender, body=body, attempt=ATTEMPT, valid_for=valid_for)


def sent(gateway: Gateway, message: Outgoing) -> Any:
    """The id of the message at the provider, or what was raised."""
    [result] = wire().gather(gateway.send, [message])
    return result


def is_quiet(fault: Exception, message: Outgoing | None = None) -> bool:
    """Whether neither number nor body stands in an exception, nor in its account."""
    told = "".join([str(fault), repr(fault), *traceback.format_exception(fault)])
    about = message or outgoing()
    return about.to[1:] not in told and about.body not in told


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers every POST in one way and counts them."""

    def __init__(self, answer: Callable[["Answering"], None], asked: list[str], *args: Any) -> None:
        self.answer, self.asked = answer, asked
        super().__init__(*args)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        self.answer(self)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def server(
    answer: Callable[[Answering], None], *, context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[str]]]:
    """The address of a server on a thread of its own, and the paths it was asked for."""
    asked: list[str] = []
    with http.server.HTTPServer(("127.0.0.1", 0), partial(Answering, answer, asked)) as serving:
        serving.handle_error = lambda *_args: None  # type: ignore[method-assign]
        if context:
            serving.socket = context.wrap_socket(serving.socket, server_side=True)
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http{'s' if context else ''}://127.0.0.1:{serving.server_port}", asked
        finally:
            serving.shutdown()
            thread.join()


def self_signed(file: Path) -> ssl.SSLContext:
    """A TLS context whose certificate nobody vouches for; it is written to `file`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    file.write_bytes(secret + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context

"""The gateway tells what was certainly not sent from what nobody can tell, and asks once."""

import datetime as dt
import http.server
import json
import socket
import ssl
import threading
import traceback
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from campaigns.gateways import twilio
from campaigns.gateways.outcome import MaybeSent, NotSent, Outgoing
from campaigns.gateways.wire import wire
from campaigns.sandbox.faults import MAGIC, Fault
from campaigns.sandbox.refusals import MAGIC_RECIPIENTS, MAGIC_SENDERS
from tests.services import free_port

NUMBER, BODY = "+12125550123", "a body that nobody else may read"
PHONE_OF = {fault: phone for phone, fault in MAGIC.items()}
REFUSED = {code: phone for phone, code in MAGIC_RECIPIENTS.items()}
REFUSED_FROM = {code: phone for phone, code in MAGIC_SENDERS.items()}
# Written a second time: what each documented error means for us.
OPTED_OUT = {21610}
PERMANENT = {21211, 21212, 21408, 21602, 21606, 21612, 21614, 21617, 21635}
TEMPORARY = {14107, 20003, 20429, 21611}


def outgoing(to=NUMBER, *, sender="+12125550100", body=BODY, valid_for=timedelta(hours=1)):
    return Outgoing(to=to, sender=sender, body=body, attempt="ab" * 16, valid_for=valid_for)


def send(*messages):
    """What came of each message, sent one after another over one client."""
    return [wire().gather(twilio.send, [message])[0] for message in messages]


def _quiet(fault):
    """Whether neither number nor body stands in an exception, nor in its account."""
    told = "".join([str(fault), repr(fault), *traceback.format_exception(fault)])
    return NUMBER[1:] not in told and BODY not in told


# --- what the provider does --------------------------------------------------------------------


def test_what_the_provider_accepts_has_its_id(provider):
    [sid] = send(outgoing())
    [accepted] = provider.accepted()
    assert accepted["sid"] == sid
    assert (accepted["to"], accepted["from"]) == (NUMBER, "+12125550100")
    assert (accepted["body"], accepted["validity_period"]) == (BODY, 3600)


def test_a_receipt_will_find_its_attempt(provider, settings):
    send(outgoing())
    [accepted] = provider.accepted()
    where = f"{settings.PUBLIC_URL}/webhooks/twilio/receipt?attempt={'ab' * 16}"
    assert accepted["status_callback"] == where


@pytest.mark.parametrize(
    ("fault", "kind", "code", "accepted"),
    [
        (Fault.HANG, MaybeSent, "TimeoutError", 0),
        (Fault.SLOW, MaybeSent, "TimeoutError", 1),
        (Fault.TOO_MANY, NotSent, "429", 0),
        (Fault.ERROR, MaybeSent, "HTTP 500", 0),
        (Fault.ERROR_AFTER_ACCEPT, MaybeSent, "HTTP 500", 1),
        (Fault.RESET, MaybeSent, "", 0),
        (Fault.RESET_AFTER_ACCEPT, MaybeSent, "", 1),
        (Fault.BROKEN_JSON, MaybeSent, "HTTP 201", 1),
        (Fault.DUPLICATE_RECEIPT, str, "SM", 1),
        (Fault.EARLY_RECEIPT, str, "SM", 1),
        (Fault.UNDELIVERED, str, "SM", 1),
        (Fault.FILTERED, str, "SM", 1),
    ],
)
def test_every_way_a_provider_fails_is_told_from_the_others(
    provider, settings, fault, kind, code, accepted
):
    settings.GATEWAY_TIMEOUT = 1.5  # seconds: less than a slow one takes, and enough for the others
    first, result = send(outgoing(), outgoing(PHONE_OF[fault]))
    assert isinstance(first, str)
    assert isinstance(result, kind)
    assert str(result).startswith(code)
    assert len(provider.accepted()) == accepted + 1
    assert provider.requests() == 2  # never a second try, on a connection that was used before


def test_every_fault_of_the_provider_is_tried_above():
    [cases] = [
        mark.args[1]
        for mark in test_every_way_a_provider_fails_is_told_from_the_others.pytestmark
        if mark.name == "parametrize"
    ]
    assert {case[0] for case in cases} == set(Fault)


def test_a_provider_that_is_busy_says_how_long(provider):
    [refusal] = send(outgoing(PHONE_OF[Fault.TOO_MANY]))
    assert (refusal.permanent, refusal.retry_after) == (False, timedelta(seconds=1))


@pytest.mark.parametrize("code", [21211, 21408, 21610, 21612, 21614])
def test_a_recipient_that_the_provider_refuses_was_not_messaged(provider, code):
    [refusal] = send(outgoing(REFUSED[code]))
    assert isinstance(refusal, NotSent)
    assert (refusal.code, refusal.permanent) == (str(code), True)
    assert refusal.opted_out == (code == 21610)
    assert provider.requests() == 0


@pytest.mark.parametrize(("code", "permanent"), [(21606, True), (21611, False), (21212, True)])
def test_a_sender_that_the_provider_refuses_sent_nothing(provider, code, permanent):
    [refusal] = send(outgoing(sender=REFUSED_FROM[code]))
    assert isinstance(refusal, NotSent)
    assert (refusal.code, refusal.permanent, refusal.opted_out) == (str(code), permanent, False)


@pytest.mark.parametrize(("body", "code"), [("", "21602"), ("x" * 1601, "21617")])
def test_a_body_that_the_provider_refuses_was_not_sent(provider, body, code):
    [refusal] = send(outgoing(body=body))
    assert isinstance(refusal, NotSent)
    assert (refusal.code, refusal.permanent) == (code, True)


def test_wrong_credentials_are_for_an_operator_to_mend_and_lose_no_message(provider, settings):
    settings.TWILIO_AUTH_TOKEN = "another token"
    [refusal] = send(outgoing())
    assert isinstance(refusal, NotSent)
    assert (refusal.code, refusal.permanent) == ("20003", False)


def test_many_are_sent_at_once_and_answered_in_order(provider):
    results = wire().gather(twilio.send, [outgoing(body=f"text {n}") for n in range(20)])
    body_of = {message["sid"]: message["body"] for message in provider.accepted()}
    assert [body_of[sid] for sid in results] == [f"text {n}" for n in range(20)]


# --- what answers mean -------------------------------------------------------------------------


def _read(status, content, headers=()):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return twilio.read_answer(status, body, dict(headers))


@pytest.mark.parametrize("code", sorted(OPTED_OUT | PERMANENT | TEMPORARY))
def test_every_documented_error_means_that_nothing_was_sent(code):
    with pytest.raises(NotSent) as refusal:
        _read(400, {"code": code, "message": f"to {NUMBER}"})
    assert refusal.value.code == str(code)
    assert refusal.value.permanent == (code not in TEMPORARY)
    assert refusal.value.opted_out == (code in OPTED_OUT)


def test_every_error_of_the_table_is_tried_above():
    assert {int(code) for code in twilio.ERRORS} == OPTED_OUT | PERMANENT | TEMPORARY


@pytest.mark.parametrize("status", [200, 201])
def test_an_answer_with_an_id_means_accepted(status):
    assert _read(status, {"sid": "SM1", "status": "queued"}) == "SM1"


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (201, b""),
        (201, b"{"),
        (201, b"\xff\xfe"),
        (201, []),
        (201, {}),
        (201, {"sid": None}),
        (201, {"sid": 5}),
        (200, b"<html>proxy</html>"),
        (202, {"sid": "SM1"}),
        (204, b""),
        (301, {"code": 21610}),
        (400, b""),
        (400, {"code": 99999}),
        (400, {"code": None}),
        (400, {"code": [21610]}),
        (400, {"code": {}}),
        (403, b"<html>proxy</html>"),
        (500, {"code": 21610}),
        (503, {"code": 20429}),
        (599, b""),
    ],
)
def test_any_other_answer_leaves_it_unknown(status, content):
    with pytest.raises(MaybeSent) as outcome:
        _read(status, content)
    assert outcome.value.code == f"HTTP {status}"


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ("30", 30),
        ("3600", 3600),
        ("86400", 3600),
        ("0", 0),
        ("-5", 0),
        ("1.5", 0),
        ("Wed, 25 Nov 2026 07:28:00 GMT", 0),
        ("²", 0),
        ("9" * 5000, 3600),
    ],
)
def test_a_wait_is_believed_within_reason(wait, seconds):
    with pytest.raises(NotSent) as refusal:
        _read(429, b"", {"Retry-After": wait})
    assert refusal.value.retry_after == timedelta(seconds=seconds)


# --- the way there -----------------------------------------------------------------------------


def test_where_nobody_listens_nothing_was_sent(settings):
    settings.TWILIO_BASE_URL = f"http://127.0.0.1:{free_port()}"
    [refusal] = send(outgoing())
    assert isinstance(refusal, NotSent)
    assert (refusal.permanent, refusal.opted_out) == (False, False)
    assert _quiet(refusal)


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers every POST in one way and counts them."""

    def __init__(self, answer, counted, *args):
        self.answer, self.counted = answer, counted
        super().__init__(*args)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.counted.append(self.path)
        self.answer(self)

    def log_message(self, *args):
        """Says nothing."""


@contextmanager
def server(answer, *, context=None):
    """The address of a server on a thread of its own, and the paths it was asked for."""
    counted = []
    with http.server.HTTPServer(("127.0.0.1", 0), partial(Answering, answer, counted)) as serving:
        serving.handle_error = lambda *_args: None
        if context:
            serving.socket = context.wrap_socket(serving.socket, server_side=True)
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http{'s' if context else ''}://127.0.0.1:{serving.server_port}", counted
        finally:
            serving.shutdown()
            thread.join()


@pytest.fixture
def self_signed(tmp_path):
    """A TLS context whose certificate nobody vouches for."""
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
    file, pem = tmp_path / "server.pem", serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    file.write_bytes(secret + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_certificate_that_nobody_vouches_for_gets_no_message(settings, self_signed):
    with server(_created, context=self_signed) as (settings.TWILIO_BASE_URL, asked):
        [refusal] = send(outgoing())
    assert isinstance(refusal, NotSent)
    assert refusal.permanent is False
    assert asked == []
    assert _quiet(refusal)


def _created(handler):
    handler.send_response(201)
    handler.end_headers()
    handler.wfile.write(b'{"sid": "SM1"}')


def test_a_server_that_does_not_speak_tls_gets_no_message(settings):
    with server(_created) as (url, asked):
        settings.TWILIO_BASE_URL = url.replace("http:", "https:")
        [refusal] = send(outgoing())
    assert isinstance(refusal, NotSent)
    assert asked == []


@pytest.fixture
def mute():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"


def test_a_provider_that_never_finishes_the_handshake_gets_no_message(settings, mute):
    settings.TWILIO_BASE_URL, settings.GATEWAY_TIMEOUT = mute, 0.6
    [refusal] = send(outgoing())
    assert isinstance(refusal, NotSent)
    assert _quiet(refusal)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(provider, settings, status):
    elsewhere = twilio._url()

    def redirect(handler):
        handler.send_response(status)
        handler.send_header("Location", elsewhere)
        handler.end_headers()

    with server(redirect) as (settings.TWILIO_BASE_URL, asked):
        [outcome] = send(outgoing())
    assert isinstance(outcome, MaybeSent)
    assert outcome.code == f"HTTP {status}"
    assert len(asked) == 1
    assert provider.requests() == 0


def _cut_short(handler):
    handler.send_response(201)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"sid": "SM1"}')


def _hang_up(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def _babble(handler):
    handler.wfile.write(b"SMTP ready\r\n\r\n")


@pytest.mark.parametrize("answer", [_cut_short, _hang_up, _babble])
def test_an_answer_that_breaks_off_leaves_it_unknown_and_is_asked_for_once(settings, answer):
    with server(answer) as (settings.TWILIO_BASE_URL, asked):
        [outcome] = send(outgoing())
    assert isinstance(outcome, MaybeSent)
    assert len(asked) == 1
    assert _quiet(outcome)


def test_a_proxy_of_the_environment_is_not_used(provider, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert isinstance(send(outgoing())[0], str)


# --- secrecy and validity ----------------------------------------------------------------------


def test_neither_number_nor_body_stands_in_what_is_shown_of_a_message():
    shown = f"{outgoing()!r}{outgoing()}"
    assert NUMBER[1:] not in shown
    assert BODY not in shown


def test_neither_number_nor_body_stands_in_any_refusal(provider, settings):
    settings.GATEWAY_TIMEOUT = 0.3
    faults = [outgoing(PHONE_OF[fault]) for fault in Fault]
    refusals = [outgoing(phone) for phone in REFUSED.values()]
    results = wire().gather(twilio.send, [*faults, *refusals])
    told = [result for result in results if isinstance(result, Exception)]
    assert len(told) >= 13
    for fault, message in zip(results, [*faults, *refusals], strict=True):
        if isinstance(fault, Exception):
            account = "".join([repr(fault), *traceback.format_exception(fault)])
            assert message.to[1:] not in account
            assert BODY not in account


@pytest.mark.parametrize(
    ("valid_for", "seconds"),
    [
        (timedelta(hours=-1), "1"),
        (timedelta(0), "1"),
        (timedelta(milliseconds=500), "1"),
        (timedelta(seconds=90, milliseconds=900), "90"),
        (timedelta(hours=10), "36000"),
        (timedelta(days=3), "36000"),
    ],
)
def test_a_message_is_valid_as_long_as_twilio_allows_and_never_longer_than_asked(
    valid_for, seconds
):
    assert twilio.form(outgoing(valid_for=valid_for))["ValidityPeriod"] == seconds

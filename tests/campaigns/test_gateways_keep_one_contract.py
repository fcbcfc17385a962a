"""Every gateway tells what was certainly not sent from what nobody can tell, and asks once."""

import json
import socket
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.test import RequestFactory
from django.utils import timezone

from campaigns.gateways.directory import GATEWAYS, Gateway
from campaigns.gateways.outcome import MaybeSent, NotSent
from campaigns.gateways.told import Delivery
from campaigns.gateways.wire import wire
from campaigns.models import Receipt, Sender
from campaigns.sandbox.faults import MAGIC, Fault
from campaigns.sandbox.refusals import MAGIC_RECIPIENTS, MAGIC_SENDERS
from tests.campaigns.counterparts import BODY, NUMBER, is_quiet, outgoing, self_signed, sent, server
from tests.services import free_port

PHONE_OF = {fault: phone for phone, fault in MAGIC.items()}


@dataclass(frozen=True)
class Kit:
    """What a test must know of a gateway to try it."""

    base_url: str
    credentials: tuple[str, str]
    status: int  # of an answer that means accepted
    accepted: dict[str, Any]
    refused: dict[str, Any] = field(repr=False)  # for good
    opted_out: dict[str, Any] = field(repr=False)


def _telnyx_error(code: Any) -> dict[str, Any]:
    return {"errors": [{"code": code, "detail": f"from +12125550100 to {NUMBER}: {BODY}"}]}


KITS = {
    "twilio": Kit(
        base_url="TWILIO_BASE_URL",
        credentials=("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
        status=201,
        accepted={"sid": "SM1"},
        refused={"code": 21211, "message": f"to {NUMBER}: {BODY}"},
        opted_out={"code": 21610, "message": f"to {NUMBER}: {BODY}"},
    ),
    "telnyx": Kit(
        base_url="TELNYX_BASE_URL",
        credentials=("TELNYX_API_KEY", "TELNYX_PUBLIC_KEY"),
        status=200,
        accepted={"data": {"id": "40385f64-5717-4562-b3fc-2c963f66afa6"}},
        refused=_telnyx_error("40310"),
        opted_out=_telnyx_error("40300"),
    ),
}


def test_every_gateway_that_a_sender_may_have_is_known_and_tried_here():
    assert set(KITS) == set(GATEWAYS) == set(Sender.Gateway.values)


@pytest.fixture(params=sorted(KITS))
def name(request) -> str:
    return str(request.param)


@pytest.fixture
def gateway(name) -> Gateway:
    return GATEWAYS[name]


@pytest.fixture
def kit(name) -> Kit:
    return KITS[name]


@pytest.fixture
def at(settings, kit):
    """Lets the gateway call that address."""
    return lambda url: setattr(settings, kit.base_url, url)


# --- tables ------------------------------------------------------------------------------------


def test_what_it_tells_fits_where_receipts_are_kept(name, gateway):
    room = Receipt._meta.get_field("status").max_length
    assert set(gateway.RECEIPTS.values()) == set(Delivery)
    assert max(map(len, gateway.RECEIPTS)) <= room
    assert len(name) <= Receipt._meta.get_field("gateway").max_length


def test_a_code_that_filters_is_a_code_as_receipts_have_them(gateway):
    assert gateway.FILTERED
    assert all(code.isdigit() and len(code) == 5 for code in gateway.FILTERED)


@pytest.mark.parametrize("which", [0, 1])
def test_half_an_account_is_none(settings, gateway, kit, which):
    assert gateway.has_account()
    setattr(settings, kit.credentials[which], "")
    assert not gateway.has_account()


def test_without_a_key_nothing_is_signed(settings, gateway, kit):
    setattr(settings, kit.credentials[1], "")
    call = RequestFactory().post("/webhooks", {"MessageSid": "SM1"})
    assert gateway.is_signed(call, at=timezone.now()) is False


# --- what a provider does ----------------------------------------------------------------------


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
        (Fault.BROKEN_JSON, MaybeSent, "HTTP 20", 1),
        (Fault.DUPLICATE_RECEIPT, str, "", 1),
        (Fault.EARLY_RECEIPT, str, "", 1),
        (Fault.UNDELIVERED, str, "", 1),
        (Fault.FILTERED, str, "", 1),
    ],
)
def test_every_way_a_provider_fails_is_told_from_the_others(
    provider, settings, gateway, fault, kind, code, accepted
):
    settings.GATEWAY_TIMEOUT = 1.5  # seconds: less than a slow one takes, and enough for the others
    first, result = sent(gateway, outgoing()), sent(gateway, outgoing(PHONE_OF[fault]))
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


def test_a_provider_that_is_busy_says_how_long(provider, gateway):
    refusal = sent(gateway, outgoing(PHONE_OF[Fault.TOO_MANY]))
    assert (refusal.permanent, refusal.retry_after) == (False, timedelta(seconds=1))


@pytest.mark.parametrize(("phone", "code"), MAGIC_RECIPIENTS.items())
def test_a_recipient_that_the_provider_refuses_was_not_messaged(provider, gateway, phone, code):
    refusal = sent(gateway, outgoing(phone))
    assert isinstance(refusal, NotSent)
    assert (refusal.permanent, refusal.opted_out) == (True, code == 21610)
    assert provider.requests() == 0


@pytest.mark.parametrize(("sender", "code"), MAGIC_SENDERS.items())
def test_a_sender_that_the_provider_refuses_sent_nothing(provider, gateway, sender, code):
    refusal = sent(gateway, outgoing(sender=sender))
    assert isinstance(refusal, NotSent)
    assert (refusal.permanent, refusal.opted_out) == (code != 21611, False)


@pytest.mark.parametrize("body", ["", "x" * 1601])
def test_a_body_that_the_provider_refuses_was_not_sent(provider, gateway, body):
    refusal = sent(gateway, outgoing(body=body))
    assert isinstance(refusal, NotSent)
    assert refusal.permanent is True


def test_wrong_credentials_are_for_an_operator_to_mend_and_lose_no_message(
    provider, settings, gateway, kit
):
    for variable in kit.credentials:
        setattr(settings, variable, "another")
    refusal = sent(gateway, outgoing())
    assert isinstance(refusal, NotSent)
    assert refusal.permanent is False


def test_many_are_sent_at_once_and_answered_in_order(provider, gateway):
    results = wire().gather(gateway.send, [outgoing(body=f"text {n}") for n in range(20)])
    body_of = {message["sid"]: message["body"] for message in provider.accepted()}
    assert [body_of[sid] for sid in results] == [f"text {n}" for n in range(20)]


def test_it_is_called_by_its_own_name_and_told_where_receipts_go(provider, settings, name, gateway):
    sent(gateway, outgoing())
    [accepted] = provider.accepted()
    assert accepted["api"] == name
    where = f"{settings.PUBLIC_URL}/webhooks/{name}/receipt?attempt={outgoing().attempt}"
    assert accepted["status_callback"] == where


# --- what answers mean -------------------------------------------------------------------------


def _read(gateway, status, content, headers=()):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return gateway.read_answer(status, body, dict(headers))


def test_an_answer_with_an_id_means_accepted(gateway, kit):
    assert _read(gateway, kit.status, kit.accepted) in json.dumps(kit.accepted)


@pytest.mark.parametrize("status", [202, 204, 301, 400, 404, 408, 409, 422, 500, 503, 599])
def test_an_id_under_another_status_is_unknown(gateway, kit, status):
    with pytest.raises(MaybeSent) as outcome:
        _read(gateway, status, kit.accepted)
    assert outcome.value.code == f"HTTP {status}"


@pytest.mark.parametrize("status", [200, 201, 301, 500, 502, 503])
@pytest.mark.parametrize("which", ["refused", "opted_out"])
def test_a_refusal_is_believed_under_the_status_of_a_refusal_only(gateway, kit, status, which):
    with pytest.raises(MaybeSent):
        _read(gateway, status, getattr(kit, which))


@pytest.mark.parametrize("status", [200, 201, 400, 403, 409, 422, 500])
@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"\xff\xfe", b"<html>proxy</html>", b"null", b"[" * 9999),
        *([], {}, {"sid": None}, {"sid": 5}, {"code": None}, {"code": [21610]}, {"code": 99999}),
        *({"data": None}, {"data": []}, {"data": {"id": 5}}, {"data": {"id": ""}}),
        *({"errors": None}, {"errors": []}, {"errors": [5]}, {"errors": {"code": "40300"}}),
        *(_telnyx_error(40300), _telnyx_error("99999"), _telnyx_error(["40300"])),
    ],
)
def test_whatever_else_it_answers_is_unknown(gateway, status, content):
    with pytest.raises(MaybeSent) as outcome:
        _read(gateway, status, content)
    assert outcome.value.code == f"HTTP {status}"


@pytest.mark.parametrize(("which", "opted_out"), [("refused", False), ("opted_out", True)])
def test_a_refusal_repeats_nothing_of_what_was_answered_but_its_code(
    gateway, kit, which, opted_out
):
    with pytest.raises(NotSent) as refusal:
        _read(gateway, 400, getattr(kit, which))
    assert (refusal.value.permanent, refusal.value.opted_out) == (True, opted_out)
    assert is_quiet(NotSent(refusal.value.code))
    assert refusal.value.args == (refusal.value.code,)


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        *(("30", 30), ("3600", 3600), ("86400", 3600), ("9" * 5000, 3600)),
        *(("0", 0), ("-5", 0), ("1.5", 0), ("²", 0), ("Wed, 25 Nov 2026 07:28:00 GMT", 0)),
    ],
)
def test_a_wait_is_believed_within_reason(gateway, wait, seconds):
    with pytest.raises(NotSent) as refusal:
        _read(gateway, 429, b"", {"Retry-After": wait})
    assert refusal.value.retry_after == timedelta(seconds=seconds)


# --- the way there -----------------------------------------------------------------------------


def test_where_nobody_listens_nothing_was_sent(gateway, at):
    at(f"http://127.0.0.1:{free_port()}")
    refusal = sent(gateway, outgoing())
    assert isinstance(refusal, NotSent)
    assert (refusal.permanent, refusal.opted_out) == (False, False)
    assert is_quiet(refusal)


@pytest.fixture
def accepting(kit):
    """What a server does that accepts everything."""

    def accept(handler):
        handler.send_response(kit.status)
        handler.end_headers()
        handler.wfile.write(json.dumps(kit.accepted).encode())

    return accept


def test_a_server_that_accepts_everything_is_believed(gateway, at, accepting):
    """Without this the tests below would pass if nothing were ever sent."""
    with server(accepting) as (url, asked):
        at(url)
        assert isinstance(sent(gateway, outgoing()), str)
    assert len(asked) == 1


def test_a_certificate_that_nobody_vouches_for_gets_no_message(gateway, at, accepting, tmp_path):
    with server(accepting, context=self_signed(tmp_path / "server.pem")) as (url, asked):
        at(url)
        refusal = sent(gateway, outgoing())
    assert isinstance(refusal, NotSent)
    assert refusal.permanent is False
    assert asked == []
    assert is_quiet(refusal)


def test_a_server_that_does_not_speak_tls_gets_no_message(gateway, at, accepting):
    with server(accepting) as (url, asked):
        at(url.replace("http:", "https:"))
        refusal = sent(gateway, outgoing())
    assert isinstance(refusal, NotSent)
    assert asked == []


@pytest.fixture
def mute():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"


def test_a_provider_that_never_finishes_the_handshake_gets_no_message(gateway, settings, at, mute):
    settings.GATEWAY_TIMEOUT = 0.6
    at(mute)
    refusal = sent(gateway, outgoing())
    assert isinstance(refusal, NotSent)
    assert is_quiet(refusal)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(provider, gateway, at, status):
    def redirect(handler):
        handler.send_response(status)
        handler.send_header("Location", provider.url + handler.path)
        handler.end_headers()

    with server(redirect) as (url, asked):
        at(url)
        outcome = sent(gateway, outgoing())
    assert isinstance(outcome, MaybeSent)
    assert outcome.code == f"HTTP {status}"
    assert len(asked) == 1
    assert provider.requests() == 0


def _cut_short(handler):
    handler.send_response(201)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"sid": "SM1", "data": {"id": "1"}}')


def _hang_up(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def _babble(handler):
    handler.wfile.write(b"SMTP ready\r\n\r\n")


@pytest.mark.parametrize("answer", [_cut_short, _hang_up, _babble])
def test_an_answer_that_breaks_off_leaves_it_unknown_and_is_asked_for_once(gateway, at, answer):
    with server(answer) as (url, asked):
        at(url)
        outcome = sent(gateway, outgoing())
    assert isinstance(outcome, MaybeSent)
    assert len(asked) == 1
    assert is_quiet(outcome)


def test_a_proxy_of_the_environment_is_not_used(provider, gateway, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert isinstance(sent(gateway, outgoing()), str)


# --- secrecy -----------------------------------------------------------------------------------


def test_neither_number_nor_body_stands_in_what_is_shown_of_a_message():
    shown = f"{outgoing()!r}{outgoing()}"
    assert NUMBER[1:] not in shown
    assert BODY not in shown


def test_neither_number_nor_body_stands_in_any_refusal(provider, settings, gateway):
    settings.GATEWAY_TIMEOUT = 0.3
    messages = [outgoing(phone) for phone in (*PHONE_OF.values(), *MAGIC_RECIPIENTS)]
    results = wire().gather(gateway.send, messages)
    faults = [
        (result, message)
        for result, message in zip(results, messages, strict=True)
        if isinstance(result, Exception)
    ]
    assert len(faults) >= 13
    for fault, message in faults:
        assert is_quiet(fault, message)

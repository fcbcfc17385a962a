"""What becomes of a valid request, by whichever API it came: accepted, or met by a fault."""

import asyncio
import socket
import struct
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from aiohttp import web

from campaigns.sandbox.faults import ACCEPTS_NOTHING, Fault, Faults
from campaigns.sandbox.receipts import Receipts
from campaigns.sandbox.refusals import Draft, RefusedError
from campaigns.sandbox.truth import Api, Message, Truth

SLOW = 2.0  # seconds
NEW_ID: dict[Api, Callable[[], str]] = {
    Api.TWILIO: lambda: f"SM{uuid.uuid4().hex}",
    Api.TELNYX: lambda: str(uuid.uuid4()),
}


class Intake:
    """Accepts messages into one truth, under one set of faults."""

    def __init__(self, truth: Truth, faults: Faults, receipts: Receipts) -> None:
        self._truth = truth
        self._faults = faults
        self._receipts = receipts

    async def take(
        self,
        request: web.Request,
        draft: Draft,
        *,
        api: Api,
        answer: Callable[[Message], web.Response],
    ) -> web.StreamResponse:
        """Accept a message, or do what the drawn fault says; raises `RefusedError`."""
        fault = self._faults.choose(to=draft.to, attempt=self._truth.attempts(draft.to))
        if fault in ACCEPTS_NOTHING:
            self._truth.turn_away(to=draft.to, fault=str(fault))
            return await _turned_away(request, fault)
        message = _accepted(draft, fault, api)
        self._truth.accept(message)
        accepted = answer(message)
        if fault is Fault.EARLY_RECEIPT:
            # Shielded: a client that gives up does not take the receipts with it.
            await asyncio.shield(asyncio.create_task(self._receipts.deliver(message)))
        else:
            self._receipts.owe(message)
        return await _distorted(request, accepted, fault)


def _accepted(draft: Draft, fault: Fault | None, api: Api) -> Message:
    return Message(
        sid=NEW_ID[api](),
        api=api,
        accepted_at=datetime.now(UTC).isoformat(),
        fault=fault.value if fault else None,
        **asdict(draft),
    )


async def _turned_away(request: web.Request, fault: Fault | None) -> web.StreamResponse:
    match fault:
        case Fault.HANG:
            await asyncio.Event().wait()  # until the client goes, which cancels this handler
        case Fault.RESET:
            return _reset(request)
        case Fault.TOO_MANY:
            raise RefusedError(20429)
    raise RefusedError(20500)


async def _distorted(
    request: web.Request, answer: web.Response, fault: Fault | None
) -> web.StreamResponse:
    match fault:
        case Fault.SLOW:
            await asyncio.sleep(SLOW)
        case Fault.ERROR_AFTER_ACCEPT:
            raise RefusedError(20500)
        case Fault.RESET_AFTER_ACCEPT:
            return _reset(request)
        case Fault.BROKEN_JSON:
            answer.text = (answer.text or "")[: len(answer.text or "") // 2]
    return answer


def _reset(request: web.Request) -> web.StreamResponse:
    """Break the connection so that the client sees a reset, not an orderly end."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()  # goes nowhere

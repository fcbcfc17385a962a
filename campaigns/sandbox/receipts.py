"""Moves accepted messages on to their final status and tells the customer at each step."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from campaigns.sandbox.callbacks import Callbacks
from campaigns.sandbox.faults import Fault
from campaigns.sandbox.truth import Message, Receipt, Truth

CONCURRENT = 20
API_VERSION = "2010-04-01"


@dataclass(frozen=True, slots=True)
class Step:
    """A status a message reaches, with the carrier's error code if it has one."""

    status: str
    error_code: int | None = None


USUAL = (Step("sent"), Step("delivered"))
BAD_ENDS: dict[str | None, tuple[Step, ...]] = {
    Fault.UNDELIVERED: (Step("sent"), Step("undelivered", 30005)),
    Fault.FILTERED: (Step("failed", 30007),),
}


class Teller(Protocol):
    """Tells the customer of steps in the words of one API."""

    async def tell(self, message: Message, step: Step) -> bool:
        """Return whether the customer acknowledged it."""


class Receipts:
    """A bounded pool that sends the receipts owed for accepted messages."""

    def __init__(self, truth: Truth, tellers: Mapping[str, Teller], *, delay: float) -> None:
        self._truth = truth
        self._tellers = tellers
        self._delay = delay
        self._due: asyncio.Queue[Message] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the pool and owe again whatever an earlier run left unfinished."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(CONCURRENT)]
        for message in self._truth.unfinished():
            self.owe(message)

    async def stop(self) -> None:
        """Stop the pool; what is still owed stays owed in the log."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def owe(self, message: Message) -> None:
        """Send the receipts of `message` after the delay."""
        asyncio.get_running_loop().call_later(self._delay, self._due.put_nowait, message)

    async def deliver(self, message: Message) -> None:
        """Take `message` through the steps it has not been through yet."""
        for step in _remaining(message, self._truth.status(message.sid)):
            acknowledged = await self._tell(message, step)
            self._truth.progress(_receipt(message, step, acknowledged))

    async def _work(self) -> None:
        while True:
            await self.deliver(await self._due.get())

    async def _tell(self, message: Message, step: Step) -> int:
        """Return how many callbacks of this step were acknowledged."""
        if not message.status_callback:
            return 0
        copies = 2 if message.fault == Fault.DUPLICATE_RECEIPT else 1
        return sum([await self._post(message, step) for _ in range(copies)])

    async def _post(self, message: Message, step: Step) -> bool:
        teller = self._tellers[message.api]
        return await teller.tell(message, step) or await teller.tell(message, step)


class TwilioTeller:
    """Posts receipts as the Messages API does: signed forms."""

    def __init__(self, callbacks: Callbacks, *, account_sid: str) -> None:
        self._callbacks = callbacks
        self._account_sid = account_sid

    async def tell(self, message: Message, step: Step) -> bool:
        """Return whether the customer acknowledged it."""
        token = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{message.sid}/{step.status}"))
        fields = _fields(message, step, account_sid=self._account_sid)
        answer = await self._callbacks.post(message.status_callback, fields, token=token)
        return answer.acknowledged


def _remaining(message: Message, status: str) -> tuple[Step, ...]:
    steps = BAD_ENDS.get(message.fault, USUAL)
    reached = [step.status for step in steps]
    return steps[reached.index(status) + 1 :] if status in reached else steps


def _receipt(message: Message, step: Step, acknowledged: int) -> Receipt:
    return Receipt(
        sid=message.sid,
        status=step.status,
        error_code=step.error_code,
        at=datetime.now(UTC).isoformat(),
        acknowledged=acknowledged,
    )


def _fields(message: Message, step: Step, *, account_sid: str) -> dict[str, str]:
    fields = {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "MessageStatus": step.status,
        "SmsStatus": step.status,
        "To": message.to,
        "From": message.sender,
        "AccountSid": account_sid,
        "ApiVersion": API_VERSION,
    }
    return fields | ({"ErrorCode": str(step.error_code)} if step.error_code else {})

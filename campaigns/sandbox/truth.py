"""The only true account of what the provider accepted: an append-only log, and an index of it."""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from io import BufferedRandom
from itertools import islice
from pathlib import Path
from typing import Any

FINAL = frozenset({"delivered", "undelivered", "failed"})


class Api(StrEnum):
    """By which of the provider's APIs a message came, and by which its receipts go."""

    TWILIO = "twilio"
    TELNYX = "telnyx"


class LogError(Exception):
    """The log cannot be read, or another provider is writing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An accepted message; times are ISO 8601 in UTC."""

    sid: str
    to: str
    sender: str
    body: str
    accepted_at: str
    status_callback: str
    validity_period: int | None  # seconds
    fault: str | None
    api: str = Api.TWILIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a phone wrote back, and the HTTP status of the webhook (None: unreachable)."""

    sid: str
    phone: str
    to: str
    body: str
    sent_at: str
    answered: int | None

    @property
    def arrived(self) -> bool:
        return self.answered is not None and 200 <= self.answered < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How far a message has come; `acknowledged` counts the callbacks answered with a 2xx."""

    sid: str
    status: str
    error_code: int | None
    at: str
    acknowledged: int


class Truth:
    """Everything the provider did, in the order it did it.

    Each change is one line of JSON, flushed before it counts. Opening the log again gives the
    same account. Raises `LogError` when that is impossible.
    """

    def __init__(self, log: Path) -> None:
        self._messages: dict[str, Message] = {}
        self._order: list[Message] = []
        self._conversations: dict[str, list[Message | Reply]] = {}  # last active phone last
        self._receipts: dict[str, Receipt] = {}
        self._unfinished: dict[str, Message] = {}
        self._attempts: Counter[str] = Counter()
        self._copies: Counter[tuple[str, str]] = Counter()
        self._faults: Counter[str] = Counter()
        self._numbers: set[str] = set()
        self._sent_twice = self._receipts_sent = self._replies_sent = 0
        self._log = _open(log)
        try:
            self._reload()
        except (KeyError, TypeError, ValueError) as error:
            self._log.close()
            raise LogError(f"{log} is not a log of this provider") from error

    def close(self) -> None:
        """Let go of the log."""
        self._log.close()

    # What happens

    def accept(self, message: Message) -> None:
        """Make `message` accepted; when this returns, the log holds it."""
        self._append("accepted", asdict(message))
        self._accepted(message)

    def turn_away(self, *, to: str, fault: str) -> None:
        """Note that a request towards `to` met `fault` and was not accepted."""
        self._append("turned_away", {"to": to, "fault": fault})
        self._turned_away(to=to, fault=fault)

    def progress(self, receipt: Receipt) -> None:
        """Note that a message has come as far as `receipt` says."""
        self._append("receipt", asdict(receipt))
        self._progressed(receipt)

    def answer(self, reply: Reply) -> None:
        """Note what a phone wrote back."""
        self._append("reply", asdict(reply))
        self._replied(reply)

    # What is so

    def totals(self) -> dict[str, Any]:
        """Return the counts a client's own account must agree with."""
        return {
            "accepted": len(self._order),
            "numbers": len(self._numbers),
            "sent_twice": self._sent_twice,
            "faults": dict(self._faults),
            "receipts_sent": self._receipts_sent,
            "replies_sent": self._replies_sent,
        }

    def attempts(self, to: str) -> int:
        """Return how many requests towards `to` were accepted or met a fault."""
        return self._attempts[to]

    def message(self, sid: str) -> Message | None:
        """Return the accepted message of that SID."""
        return self._messages.get(sid)

    def receipt(self, sid: str) -> Receipt | None:
        """Return the latest receipt of a message; None while it is queued."""
        return self._receipts.get(sid)

    def status(self, sid: str) -> str:
        """Return the latest status of a message."""
        receipt = self._receipts.get(sid)
        return receipt.status if receipt else "queued"

    def unfinished(self) -> list[Message]:
        """Return the messages that have not reached a final status."""
        return list(self._unfinished.values())

    def after(self, position: int, *, limit: int) -> list[Message]:
        """Return up to `limit` messages in the order accepted, leaving out the first `position`."""
        return self._order[position : position + limit]

    def api(self, *, phone: str, sender: str) -> str:
        """Return the API by which a sender wrote to a phone last."""
        last = next(self.newest_first(to=phone, sender=sender), None)
        return last.api if last else Api.TWILIO

    def newest_first(self, *, to: str, sender: str) -> Iterator[Message]:
        """Yield messages, newest first, of one recipient and one sender; "" means any."""
        among = self._conversations.get(to, []) if to else self._order
        for message in reversed(among):
            if isinstance(message, Message) and sender in {"", message.sender}:
                yield message

    def phones(self, *, digits: str, limit: int) -> list[tuple[str, Message | Reply]]:
        """Return phones whose number holds `digits`, last active first, with what came last."""
        found = (phone for phone in reversed(self._conversations) if digits in phone)
        return [(phone, self._conversations[phone][-1]) for phone in islice(found, limit)]

    def conversation(self, phone: str, *, limit: int) -> list[Message | Reply]:
        """Return the last `limit` messages and replies of a phone, oldest first."""
        return self._conversations.get(phone, [])[-limit:]

    # How the index follows the log

    def _accepted(self, message: Message) -> None:
        self._messages[message.sid] = self._unfinished[message.sid] = message
        self._order.append(message)
        self._numbers.add(message.to)
        self._attempts[message.to] += 1
        self._copies[message.to, message.body] += 1
        self._sent_twice += self._copies[message.to, message.body] == 2
        if message.fault:
            self._faults[message.fault] += 1
        self._say(message.to, message)

    def _turned_away(self, *, to: str, fault: str) -> None:
        self._attempts[to] += 1
        self._faults[fault] += 1

    def _progressed(self, receipt: Receipt) -> None:
        self._receipts[receipt.sid] = receipt
        self._receipts_sent += receipt.acknowledged
        if receipt.status in FINAL:
            self._unfinished.pop(receipt.sid, None)

    def _replied(self, reply: Reply) -> None:
        self._replies_sent += reply.arrived
        self._say(reply.phone, reply)

    def _say(self, phone: str, said: Message | Reply) -> None:
        conversation = self._conversations.pop(phone, [])
        conversation.append(said)
        self._conversations[phone] = conversation

    # The log

    def _append(self, event: str, fields: dict[str, Any]) -> None:
        self._log.write(json.dumps({"event": event} | fields).encode() + b"\n")
        self._log.flush()

    def _reload(self) -> None:
        for record in _records(self._log):
            self._follow(record.pop("event"), record)
        _cut_torn_line(self._log)

    def _follow(self, event: str, fields: dict[str, Any]) -> None:
        match event:
            case "accepted":
                self._accepted(Message(**fields))
            case "turned_away":
                self._turned_away(**fields)
            case "receipt":
                self._progressed(Receipt(**fields))
            case "reply":
                self._replied(Reply(**fields))
            case _:
                raise ValueError(event)


def _open(log: Path) -> BufferedRandom:
    """Open `log` for this process alone; it holds phone numbers, so for this user alone too."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.fdopen(os.open(log, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise LogError(f"another provider is writing {log}") from error
    return file


def _records(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in lines if line.endswith(b"\n"))


def _cut_torn_line(file: BufferedRandom) -> None:
    """Remove a last line without its end: the process died writing it, so nobody got an answer."""
    file.seek(0)
    whole = sum(len(line) for line in file if line.endswith(b"\n"))
    file.seek(whole)
    file.truncate()

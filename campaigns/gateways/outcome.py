"""What a gateway can say of a message: handed over, certainly not sent, or unknown."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

OPTED_OUT, PERMANENT, TEMPORARY = "opted out", "permanent", "temporary"
LONGEST_WAIT = 3600  # seconds, whatever a provider asks for


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as a gateway needs it; its person is in memory only while it is handed over."""

    to: str = field(repr=False)
    sender: str
    body: str = field(repr=False)
    attempt: str
    valid_for: timedelta


class NotSent(Exception):
    """The provider certainly did not take the message.

    `permanent`: trying again is pointless. `opted_out`: the provider knows the person refused.
    `retry_after`: how long the provider asks us to wait.
    """

    def __init__(
        self,
        code: str,
        *,
        permanent: bool = False,
        opted_out: bool = False,
        retry_after: timedelta = timedelta(0),
    ) -> None:
        super().__init__(code)
        self.code = code
        self.permanent = permanent
        self.opted_out = opted_out
        self.retry_after = retry_after


class MaybeSent(Exception):
    """Nobody can tell whether the provider took the message; no machine sends it again."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def refused(code: str, meaning: str) -> NotSent:
    """A documented refusal; of the answer nothing but its code, for its words name numbers."""
    return NotSent(code, permanent=meaning != TEMPORARY, opted_out=meaning == OPTED_OUT)


def busy(headers: Mapping[str, str]) -> NotSent:
    """Too many requests: nothing was taken, and the provider may have said for how long."""
    wait = headers.get("Retry-After", "")
    seconds = min(int(wait[:9]), LONGEST_WAIT) if wait.isascii() and wait.isdigit() else 0
    return NotSent("429", retry_after=timedelta(seconds=seconds))


def object_in(body: bytes) -> dict[str, Any]:
    """The JSON object that an answer or a call holds; an empty one if it holds anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}

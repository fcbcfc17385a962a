"""What a gateway can say of a message: handed over, certainly not sent, or unknown."""

from dataclasses import dataclass, field
from datetime import timedelta


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

"""The gateways there are, by the name that a sender and a receipt carry, and what each offers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from django.http import HttpRequest
from pyreqwest.client import Client

from campaigns.gateways import telnyx, twilio
from campaigns.gateways.outcome import Outgoing
from campaigns.gateways.told import Delivery, Inbound, Told


class Gateway(Protocol):
    """One provider, one module. Whatever is not certainly unsent is unknown; nothing is retried."""

    @property
    def RECEIPTS(self) -> Mapping[str, Delivery]:  # noqa: N802
        """What each status that it tells means; another one means nothing."""

    @property
    def FILTERED(self) -> frozenset[str]:  # noqa: N802
        """Codes of receipts by which a carrier says that it wants no such messages."""

    @property
    def SILENCE(self) -> tuple[str, str]:  # noqa: N802
        """The answer to a text by which the provider writes nothing to the person, and its type."""

    def has_account(self) -> bool: ...

    async def send(self, client: Client, outgoing: Outgoing) -> str:
        """Hand one message over, once; its id there. Raises NotSent, MaybeSent."""

    def read_answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> str:
        """The id in an answer. Raises NotSent for a documented refusal, else MaybeSent."""

    def is_signed(self, request: HttpRequest, *, at: datetime) -> bool:
        """Whether a call comes from the provider, and not from long ago where that is told."""

    def read_receipt(self, request: HttpRequest) -> Told | None:
        """A receipt; None if the call is of something else. Raises KeyError."""

    def read_inbound(self, request: HttpRequest) -> Inbound | None:
        """A text; None if the call is of something else. Raises KeyError."""


GATEWAYS: Mapping[str, Gateway] = {"twilio": twilio, "telnyx": telnyx}

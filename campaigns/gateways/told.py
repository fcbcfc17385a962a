"""What a gateway tells us: how far a message has come, and what somebody wrote."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Delivery(StrEnum):
    """What a receipt means for a message."""

    ON_ITS_WAY = "on its way"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


class Told(NamedTuple):
    """A receipt in the words of its gateway."""

    attempt: str
    provider_id: str
    status: str
    code: str


@dataclass(frozen=True, slots=True)
class Inbound:
    """A text that someone sent to one of our senders."""

    provider_id: str
    number: str = field(repr=False)
    sender: str
    text: str = field(repr=False)

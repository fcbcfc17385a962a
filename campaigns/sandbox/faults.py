"""Which requests the provider treats badly, by rate or by magic recipient."""

import hashlib
import secrets
from collections.abc import Mapping
from enum import StrEnum


class Fault(StrEnum):
    """One way a provider misbehaves. The comment says what became of the message."""

    HANG = "hang"  # not accepted; no answer until the client goes
    SLOW = "slow"  # accepted; answered after two seconds
    TOO_MANY = "too_many"  # not accepted; 429 with Retry-After
    ERROR = "error"  # not accepted; 500
    ERROR_AFTER_ACCEPT = "error_after_accept"  # accepted; 500 all the same
    RESET = "reset"  # not accepted; connection reset
    RESET_AFTER_ACCEPT = "reset_after_accept"  # accepted; connection reset
    BROKEN_JSON = "broken_json"  # accepted; 201 whose JSON is cut short
    DUPLICATE_RECEIPT = "duplicate_receipt"  # accepted; each receipt comes twice
    EARLY_RECEIPT = "early_receipt"  # accepted; the receipts come before the answer
    UNDELIVERED = "undelivered"  # accepted; receipt "undelivered", 30005
    FILTERED = "filtered"  # accepted; receipt "failed", 30007


MAGIC = {
    "+15005550020": Fault.HANG,
    "+15005550021": Fault.SLOW,
    "+15005550022": Fault.TOO_MANY,
    "+15005550023": Fault.ERROR,
    "+15005550024": Fault.ERROR_AFTER_ACCEPT,
    "+15005550025": Fault.RESET,
    "+15005550026": Fault.RESET_AFTER_ACCEPT,
    "+15005550027": Fault.BROKEN_JSON,
    "+15005550028": Fault.DUPLICATE_RECEIPT,
    "+15005550029": Fault.EARLY_RECEIPT,
    "+15005550030": Fault.UNDELIVERED,
    "+15005550031": Fault.FILTERED,
}
ACCEPTS_NOTHING = frozenset({Fault.HANG, Fault.TOO_MANY, Fault.ERROR, Fault.RESET})


class RatesError(ValueError):
    """The rates name an unknown fault, leave 0..1, or add up to more than 1."""


class Faults:
    """The rates in force and the draw among them."""

    def __init__(self, rates: Mapping[str, object], *, seed: int | None = None) -> None:
        self._seed = secrets.randbits(64) if seed is None else seed
        self._rates: dict[Fault, float] = {}
        self.replace(rates)

    def replace(self, rates: Mapping[str, object]) -> None:
        """Put exactly `rates` (0..1 by fault name) in force; a fault not named is off.

        Raises `RatesError` and leaves the old rates in force.
        """
        checked = {_fault(name): _rate(name, rate) for name, rate in rates.items()}
        if sum(checked.values()) > 1 + 1e-9:
            raise RatesError("the rates add up to more than 1")
        self._rates = {fault: checked.get(fault, 0.0) for fault in Fault}

    def rates(self) -> dict[str, float]:
        """Return the rate of every fault, by name."""
        return {fault.value: rate for fault, rate in self._rates.items()}

    def choose(self, *, to: str, attempt: int) -> Fault | None:
        """Return what befalls the `attempt`-th request (from 0) towards the number `to`."""
        return MAGIC.get(to) or self._drawn(self._draw(to, attempt))

    def _drawn(self, draw: float) -> Fault | None:
        ceiling = 0.0
        for fault, rate in self._rates.items():
            ceiling += rate
            if draw < ceiling:
                return fault
        return None

    def _draw(self, to: str, attempt: int) -> float:
        # A hash of recipient and attempt, not the next number of a generator: requests arrive
        # concurrently, and a seed must give the same faults in whatever order they come.
        digest = hashlib.sha256(f"{self._seed}|{to}|{attempt}".encode()).digest()
        # 53 bits fill a float exactly; more could round up to 1.0 and escape a rate of 1.
        return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _fault(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        raise RatesError(f"{name!r} is no fault; there are {', '.join(Fault)}") from None


def _rate(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RatesError(f"the rate of {name} must be a number from 0 to 1")
    return float(value)

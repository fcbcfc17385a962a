"""How many segments a sender may hand over now: a token bucket, kept as one instant.

A bucket that fills at `rate` segments a second and holds BURST seconds of them is the same as the
time at which it will be full again (the generic cell rate algorithm, ITU-T I.371).
"""

from datetime import datetime, timedelta
from math import floor

BURST = timedelta(seconds=2)


def room(segments: int, *, rate: int, full_at: datetime | None, at: datetime) -> int:
    """How many messages of so many segments may leave now; `rate` is in segments a second.

    One that is longer than a bucket leaves when that is full, or it never would.
    """
    owed = max((full_at or at) - at, timedelta(0))
    messages = floor(rate * (BURST - owed).total_seconds()) // segments
    return max(messages, 0 if owed else 1)


def spent(segments: int, *, rate: int, full_at: datetime | None, at: datetime) -> datetime:
    """When the bucket is full again, once so many segments more have left."""
    return max(full_at or at, at) + timedelta(seconds=segments / rate)

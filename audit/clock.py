"""The business clock, read by edges only: the real time, or the demo's visible one."""

from datetime import datetime

from django.conf import settings
from django.utils import timezone


def now() -> datetime:
    """This instant in UTC. Codes, sessions and leases never use it."""
    return timezone.now() + settings.DEMO_CLOCK_OFFSET

"""The HTTP API for the sign-up forms of other systems; docs/api.md tells them how to call it.

No answer, log line or address holds what a call said: faults are told in sentences of our own.
"""

from consent.api import calls
from consent.api.protocol import MINUTE, MOST_BYTES, PER_MINUTE, api

__all__ = ["MINUTE", "MOST_BYTES", "PER_MINUTE", "api", "calls"]

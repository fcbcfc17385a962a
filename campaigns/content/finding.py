"""What is found in a text: where it stands, how bad it is, and what a clerk should do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """A text with a blocking finding must not be approved; a warning only advises."""

    BLOCKING = "blocking"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong from `start` up to `end`; both are equal for what is missing.

    `words` is a sentence for a clerk and never repeats digits of the text. Only what a list of
    words has told may be `overridable`, by a privacy officer who gives a reason.
    """

    code: str
    severity: Severity
    start: int
    end: int
    words: str
    overridable: bool = False


def blocking(code: str, start: int, end: int, words: str, *, overridable: bool = False) -> Finding:
    """A finding that stands in the way of approval."""
    return Finding(code, Severity.BLOCKING, start, end, words, overridable)


def warning(code: str, start: int, end: int, words: str) -> Finding:
    """A finding that only advises."""
    return Finding(code, Severity.WARNING, start, end, words)

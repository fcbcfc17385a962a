"""Log lines: one line an event, phone numbers masked whatever wrote them."""

import logging
import re
from typing import Any

import structlog

GAP = r"[ \u00a0().\u2011-]{0,3}"
NUMBER = re.compile(
    rf"(?<![\w-])(?!\d{{4}}-\d\d-\d\d)\+?\(?\d(?:{GAP}\d){{9,14}}(?![\w-])"
    r"|\+\d{7,15}|%2[bB]\d{7,15}"
)


def masked(text: str) -> str:
    """`text` with everything that could be a phone number hidden but its last two digits."""
    return NUMBER.sub(lambda found: "•••" + found.group()[-2:], text)


def mask_numbers(logger: Any, name: str, event: structlog.typing.EventDict) -> Any:
    return {key: masked(value) if isinstance(value, str) else value for key, value in event.items()}


class MaskedFormatter(structlog.stdlib.ProcessorFormatter):
    """Masks the finished line too, so that arguments and tracebacks are covered."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def formatter() -> logging.Formatter:
    """The formatter of every handler, for logging's configuration."""
    before: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    return MaskedFormatter(
        foreign_pre_chain=before,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            mask_numbers,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
    )

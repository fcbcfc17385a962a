"""No line of a log shows a telephone number, whoever wrote it and wherever in it the number is."""

import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config import logs

NUMBER = "+12125550123"
FICTION = st.builds("+1{}55501{:02}".format, st.sampled_from([212, 310, 415]), st.integers(0, 99))


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, StringIO]]:
    """A logger as the settings make them, and what it wrote."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.formatter())
    logger = logging.getLogger("tests.masking")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)


SPELLINGS = [
    NUMBER,
    "12125550123",
    "2125550123",
    "+1 212 555 0123",
    "+1-212-555-0123",
    "+1.212.555.0123",
    "212-555-0123",
    "(212) 555-0123",
    "+1 (212) 555-0123",
    "+1 (212) 555 - 0123",
    "%2B12125550123",
    "+44 7700 900123",
    "+44 (0)20 7946 0123",
    "+33 6 39 98 01 23",
    "+61\u00a0491\u00a0570\u00a0156",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_usual_spelling_is_masked(spelling) -> None:
    shown = logs.masked(f"sent to {spelling}, accepted")
    assert sum(sign.isdigit() for sign in shown) <= 2
    assert (shown.startswith("sent to "), shown.endswith(", accepted")) == (True, True)


@given(
    number=FICTION,
    before=st.sampled_from(["", " ", "=", "'", '"', "tel:", "to=", "(", "<", "/", "?q="]),
    after=st.sampled_from(["", " ", "'", '"', ",", ".", ")", ">", "&x=1", "\n", "/", "@s.example"]),
)
def test_a_number_is_masked_whatever_stands_beside_it(number, before, after) -> None:
    shown = logs.masked(f"{before}{number}{after}")
    assert number[1:] not in shown
    assert f"•••{number[-2:]}" in shown


def test_a_short_number_with_a_plus_is_masked() -> None:
    """Some countries have seven or eight digits in all; a plus sign says that it is a number."""
    assert logs.masked(f"to +{'0' * 8}.") == "to •••00."


@pytest.mark.parametrize(
    "text",
    [
        "campaign 1234567 has 123456789 messages",
        "2026-11-24T18:00:00.123456Z",
        "2026-11-24 18:00:00",
        "message 8f14e45f-ceea-467f-9575-123456789012",
        "fingerprint 5041e683c768fc0b9dfd2c42e1979461234567890",
        "127.0.0.1:8000",
    ],
)
def test_what_is_no_number_stays_readable(text) -> None:
    assert logs.masked(text) == text


def test_a_number_in_the_message_is_masked(log) -> None:
    logger, written = log
    logger.error(f"could not write to {NUMBER}")
    assert "could not write to •••23" in written.getvalue()


@pytest.mark.parametrize(
    "argument",
    [
        NUMBER,
        int(NUMBER[1:]),
        {"to": NUMBER},
        [NUMBER],
        (1, {"deep": [NUMBER]}),
        ValueError(NUMBER),
    ],
)
def test_a_number_in_the_arguments_is_masked(log, argument) -> None:
    logger, written = log
    logger.error("could not write to %s of %s", argument, "campaign 7")
    assert NUMBER[1:] not in written.getvalue()
    assert "•••23" in written.getvalue()
    assert "campaign 7" in written.getvalue()


def test_values_that_are_no_text_are_masked_too(log) -> None:
    logger, written = log
    told = structlog.wrap_logger(
        logger,
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    told.error("sent", to=int(NUMBER[1:]), all=[NUMBER, (NUMBER,)])
    assert NUMBER[1:] not in written.getvalue()
    assert written.getvalue().count("•••23") == 3


def _fail(number: str) -> None:
    raise ValueError(f"no route to {number}")


def test_a_traceback_is_written_in_full_with_its_numbers_masked(log) -> None:
    logger, written = log
    try:
        _fail(NUMBER)
    except ValueError:
        logger.exception("failed")
    assert NUMBER[1:] not in written.getvalue()
    assert "no route to •••23" in written.getvalue()
    assert "in _fail" in written.getvalue()


def test_an_event_is_one_line_whatever_it_holds(log) -> None:
    logger, written = log
    logger.warning("first\nlevel='error' event='forged'\r\nthird")
    try:
        _fail(NUMBER)
    except ValueError:
        logger.exception("failed")
    assert len(written.getvalue().splitlines()) == 2


def test_a_line_says_when_how_bad_and_who(log) -> None:
    logger, written = log
    logger.warning("slow")
    line = written.getvalue()
    assert line.startswith("timestamp='20")
    for part in ("level='warning'", "event='slow'", "logger='tests.masking'"):
        assert part in line


def test_every_handler_of_the_settings_masks(settings) -> None:
    handlers = settings.LOGGING["handlers"].values()
    assert {handler["formatter"] for handler in handlers} == {"lines"}
    assert settings.LOGGING["formatters"]["lines"]["()"] == "config.logs.formatter"


def test_no_configured_logger_writes_past_the_mask() -> None:
    """Django brings handlers of its own; a line that one of them writes has no mask."""
    loggers = [logging.getLogger(name) for name in ["", *logging.root.manager.loggerDict]]
    writing = [
        (logger.name, handler)
        for logger in loggers
        for handler in logger.handlers
        if type(handler) is logging.StreamHandler
    ]
    assert writing
    masked = logs.MaskedFormatter
    assert [name for name, one in writing if not isinstance(one.formatter, masked)] == []

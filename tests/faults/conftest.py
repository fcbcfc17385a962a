"""The stack's database under this process's own ORM, how large a dose is, and the report.

`DOSE=full` asks for the large dose that `make faults` gives.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from environ import Env

from tests.faults import report, scene
from tests.services import Stack

HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]  # as the stack has them


@pytest.fixture
def beside(stack: Stack, django_db_blocker: Any) -> Iterator[Stack]:
    """The running product, whose database the models here read and write, too."""
    ours = connections["default"]
    theirs = Env.db_url_config(stack.env["DATABASE_URL"])
    place = {name: theirs[name] for name in ("NAME", "HOST", "PORT")}
    connections["default"] = type(ours)({**ours.settings_dict, **place}, "default")
    with django_db_blocker.unblock(), override_settings(PASSWORD_HASHERS=HASHERS):
        yield stack
    connections["default"].close()
    connections["default"] = ours


@pytest.fixture
def business(beside: Stack) -> scene.Business:
    return scene.open_business()


@pytest.fixture
def own_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack starts a queue server of its own, whatever the caller's environment names."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")


@pytest.fixture
def dose() -> Callable[[int, int], int]:
    """How much of a fault is given: `dose(small, full)`."""
    return lambda small, full: full if os.environ.get("DOSE") == "full" else small


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Keep what became of a fault for the report, by the names of `report.Figures`."""
    return lambda **told: report.tell(request.node, report.Figures(**told))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the faults did, after a run that was asked for them."""
    if told := report.lines_of(terminalreporter.getreports("passed")):
        terminalreporter.section("faults")
        for line in told:
            terminalreporter.write_line(line)

"""Under keys that are not the database's nothing starts, and each says so in one sentence."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from config.encryption.keys import new_environment
from tests.services import ROOT, Stack, free_port

SENTENCE = (
    "Volens cannot start: ENCRYPTION_KEYS does not hold the key this database was written with; "
    "restore that key, as the last of the list if it is an old one."
)
STARTS = {
    "web": ["-m", "granian", "--interface", "wsgi", "--port", "{port}", "config.wsgi:application"],
    "worker": ["-m", "celery", "-A", "config", "worker", "--concurrency", "1"],
    "beat": ["-m", "celery", "-A", "config", "beat"],
    "command": ["manage.py", "seal_trail"],
}


def start(stack: Stack, arguments: list[str]) -> subprocess.Popen[str]:
    changes = {
        "ENCRYPTION_KEYS": new_environment()["ENCRYPTION_KEYS"],
        "BEAT_SCHEDULE": str(stack.directory / "other-schedule"),
    }
    port = str(free_port())
    return subprocess.Popen(
        [sys.executable, *(argument.replace("{port}", port) for argument in arguments)],
        cwd=ROOT,
        env={**stack.env, **changes},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def started(stack: Stack) -> Iterator[dict[str, subprocess.Popen[str]]]:
    with ExitStack() as leaving:
        yield {
            name: leaving.enter_context(start(stack, arguments))
            for name, arguments in STARTS.items()
        }


@pytest.mark.stack
def test_a_wrong_key_refuses_to_start(started: dict[str, subprocess.Popen[str]]) -> None:
    for name, process in started.items():
        try:
            said = process.communicate(timeout=90)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[1]
            pytest.fail(f"{name} did not end:\n{said[-3000:]}")
        assert process.returncode != 0, name
        assert said.count(SENTENCE) == 1, f"{name} said:\n{said[-3000:]}"
        assert "Traceback" not in said, name

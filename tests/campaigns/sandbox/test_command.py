"""The command that runs the provider in its own process."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from campaigns.sandbox.signing import public_key

ROOT = Path(__file__).parents[3]
# The command with five settings and nothing else: no application, no database.
PROGRAM = """
import sys
from django.conf import settings
settings.configure(
    TWILIO_ACCOUNT_SID="AC1", TWILIO_AUTH_TOKEN=sys.argv.pop(1), PUBLIC_URL="http://127.0.0.1:1",
    TELNYX_API_KEY=sys.argv.pop(1), TELNYX_PUBLIC_KEY="none",
)
from campaigns.management.commands.sandbox_provider import Command
Command().run_from_argv(["manage.py", "sandbox_provider", *sys.argv[1:]])
"""


def _command(*options, token="secret", telnyx_key=""):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, token, telnyx_key, *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_announces_its_address_and_ends_cleanly(tmp_path, number):
    with _command("--port", "0", "--log", str(tmp_path / "log"), "--fault", "error=0.5") as run:
        line = run.stdout.readline()
        url = line.removeprefix("sandbox provider listening on ").strip()
        with urllib.request.urlopen(f"{url}/sandbox/faults") as answer:
            assert b'"error": 0.5' in answer.read()
        run.send_signal(number)
        assert (run.wait(timeout=20), run.stderr.read()) == (0, "")
    assert url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--host", "0.0.0.0"], "no loopback address"),
        (["--host", "example.org"], "no loopback address"),
        (["--fault", "nonsense=1"], "is no fault"),
        (["--fault", "error=2"], "from 0 to 1"),
        (["--fault", "error"], "is not NAME=RATE"),
    ],
)
def test_it_refuses_what_it_must_not_do(tmp_path, options, reason):
    with _command("--log", str(tmp_path / "log"), "--port", "0", *options) as run:
        _, said = run.communicate(timeout=20)
    assert run.returncode != 0
    assert reason in said


def test_it_refuses_to_run_without_credentials(tmp_path):
    with _command("--log", str(tmp_path / "log"), "--port", "0", token="") as run:
        _, said = run.communicate(timeout=20)
    assert run.returncode != 0
    assert "TWILIO_AUTH_TOKEN" in said


def test_it_names_the_key_by_which_it_must_be_believed(tmp_path):
    with _command("--log", str(tmp_path / "log"), "--port", "0", telnyx_key="a key") as run:
        _, said = run.communicate(timeout=20)
    assert run.returncode != 0
    assert f"TELNYX_PUBLIC_KEY to {public_key('a key')}" in said

"""A missing or wrong variable ends the start in one sentence that names it and says what to do."""

import os
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.encryption.keys import new_environment
from config.refusal import STATUS
from tests.services import ROOT

SETTINGS = ROOT / "config" / "settings.py"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
MAKE_KEYS = "run `python -m config.encryption.keys`"
ACCOUNT = {"TWILIO_ACCOUNT_SID": "AC" + "5" * 32, "TWILIO_AUTH_TOKEN": "a token for tests only"}
PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://volens.example",
    "DATABASE_URL": "postgres://volens:secret@db.example:5432/volens",
    "REDIS_URL": "rediss://redis.example:6379/0",
    "TWILIO_BASE_URL": "https://api.twilio.com",
    "BUSINESS_NAME": "Harbor Coffee",
    **ACCOUNT,
}


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Reads the settings anew under a changed environment; None takes a variable away."""

    def read(**changes: str | None) -> dict[str, Any]:
        monkeypatch.setenv("ENV_FILE", os.devnull)
        for name, value in changes.items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
        return runpy.run_path(str(SETTINGS))

    return read


REFUSALS = [
    ("SECRET_KEY", None, f"is not set; {MAKE_KEYS}"),
    ("SECRET_KEY", "  ", f"is not set; {MAKE_KEYS}"),
    ("SECRET_KEY", "x" * 49, f"is shorter than 50 characters; {MAKE_KEYS}"),
    ("ENCRYPTION_KEYS", None, f"is not set; {MAKE_KEYS}"),
    ("ENCRYPTION_KEYS", "", f"is not set; {MAKE_KEYS}"),
    ("ENCRYPTION_KEYS", "none", MAKE_KEYS),
    ("ENCRYPTION_KEYS", f"{KEY},none", MAKE_KEYS),
    ("ENCRYPTION_KEYS", KEY[:20] + KEY[24:], MAKE_KEYS),
    ("BLIND_INDEX_KEY", None, f"is not set; {MAKE_KEYS}"),
    ("BLIND_INDEX_KEY", "none", MAKE_KEYS),
    ("CHECKPOINT_SEED", None, f"is not set; {MAKE_KEYS}"),
    ("CHECKPOINT_SEED", "none", MAKE_KEYS),
    ("ENVIRONMENT", "staging", "must be production or development"),
    ("DEBUG", "perhaps", "must be"),
    ("BEHIND_TLS_PROXY", "perhaps", "must be"),
    ("PUBLIC_URL", "http://volens.example", "https://"),
    ("PUBLIC_URL", "volens.example", "https://"),
    ("DATABASE_URL", "nonsense", "PostgreSQL or SQLite"),
    ("DATABASE_URL", "mysql://volens@127.0.0.1/volens", "PostgreSQL or SQLite"),
    ("DATABASE_URL", "postgres://v@db.example/v?sslmode=disable", "sslmode=verify-full"),
    ("DATABASE_URL", "postgres://v@db.example/v?sslmode=prefer", "sslmode=verify-full"),
    ("DATABASE_URL", "postgres:///v?host=db.example&sslmode=disable", "sslmode=verify-full"),
    ("DATABASE_CONN_MAX_AGE", "long", "must be"),
    ("REDIS_URL", "redis://redis.example:6379/0", "rediss://"),
    ("TWILIO_BASE_URL", "http://api.example", "https://"),
    ("TELNYX_BASE_URL", "http://api.example", "https://"),
    ("TWILIO_ACCOUNT_SID", None, "set both or neither"),
    ("TWILIO_AUTH_TOKEN", None, "no STOP could be believed"),
    ("TELNYX_API_KEY", None, "set both of them or neither"),
    ("TELNYX_PUBLIC_KEY", None, "no STOP could be believed"),
    ("TELNYX_PUBLIC_KEY", "none", "is no Ed25519 key"),
    ("TELNYX_PUBLIC_KEY", KEY[4:], "is no Ed25519 key"),
    ("TURN_EVERY", "often", "must be"),
    ("TURN_EVERY", "0", "must be"),
    ("GATEWAY_TIMEOUT", "ten", "must be"),
    ("GATEWAY_TIMEOUT", "0", "must be"),
    ("GATEWAY_CONCURRENCY", "many", "must be"),
    ("GATEWAY_CONCURRENCY", "0", "must be"),
    ("CLAIM_SIZE", "many", "must be"),
    ("CLAIM_SIZE", "0", "must be"),
    ("CLAIM_SIZE", "inf", "must be"),
    ("CLAIM_SIZE", "nan", "must be"),
    ("LEASE_SECONDS", "minute", "must be"),
    ("LEASE_SECONDS", "79", "must be twice the time"),
    ("GATEWAY_CONCURRENCY", "10", "must be twice the time"),
    ("DEMO_CLOCK_OFFSET", "tomorrow", "must be"),
    ("DEMO_CLOCK_OFFSET", "inf", "must be"),
    ("TIME_ZONE", "Mars/Olympus", "must be"),
    ("LOG_LEVEL", "LOUD", "must be"),
]
NEEDS_POSTGRES = {"DATABASE_CONN_MAX_AGE": {"DATABASE_URL": "postgres://v@127.0.0.1/v"}}
NAMED_INSTEAD = {("GATEWAY_CONCURRENCY", "10"): "LEASE_SECONDS"}


@pytest.mark.parametrize(("variable", "value", "remedy"), REFUSALS)
def test_a_wrong_variable_ends_the_start_in_one_sentence(start, variable, value, remedy) -> None:
    with pytest.raises(SystemExit) as ended:
        start(**NEEDS_POSTGRES.get(variable, {}), **{variable: value})
    said = str(ended.value)
    named = NAMED_INSTEAD.get((variable, value or ""), variable)
    assert said.startswith(f"Volens cannot start: {named} ")
    assert remedy in said
    assert said.endswith(".")
    assert ended.value.code == STATUS
    assert "\n" not in said


PRODUCTION_REFUSALS = [
    ("DEBUG", "true", "must be off in production"),
    ("PUBLIC_URL", "http://127.0.0.1:8000", "https://"),
    ("PUBLIC_URL", None, "https://"),
    ("DEMO_CLOCK_OFFSET", "60", "is for the demo"),
    ("BUSINESS_NAME", None, "is not set"),
    ("REDIS_URL", "redis://redis.example/0", "rediss://"),
    ("DATABASE_URL", "postgres://v@db.example/v?sslmode=allow", "sslmode=verify-full"),
]


@pytest.mark.parametrize(("variable", "value", "remedy"), PRODUCTION_REFUSALS)
def test_production_refuses_what_development_may_do(start, variable, value, remedy) -> None:
    with pytest.raises(SystemExit) as ended:
        start(**{**PRODUCTION, variable: value})
    assert str(ended.value).startswith(f"Volens cannot start: {variable} ")
    assert remedy in str(ended.value)


def test_production_is_what_an_unset_environment_means(start) -> None:
    assert start(**{**PRODUCTION, "ENVIRONMENT": None})["PRODUCTION"] is True


@pytest.mark.parametrize("password_of", ["ENCRYPTION_KEYS", "BLIND_INDEX_KEY", "CHECKPOINT_SEED"])
def test_a_refusal_never_repeats_a_secret(start, password_of) -> None:
    with pytest.raises(SystemExit) as ended:
        start(**{password_of: "c2VjcmV0"})
    assert "c2VjcmV0" not in str(ended.value)


def test_the_index_key_may_not_be_an_encryption_key(start) -> None:
    with pytest.raises(SystemExit, match="BLIND_INDEX_KEY is wrong: it is also an encryption key"):
        start(ENCRYPTION_KEYS=f"{new_environment()['ENCRYPTION_KEYS']},{KEY}", BLIND_INDEX_KEY=KEY)


# --- what is allowed ---------------------------------------------------------------------------


def test_a_complete_production_starts_with_everything_closed(start) -> None:
    found = start(**PRODUCTION)
    assert found["DATABASES"]["default"]["OPTIONS"]["sslmode"] == "verify-full"
    assert found["ALLOWED_HOSTS"] == ["volens.example"]
    for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"):
        assert found[name] is True
    assert found["SECURE_HSTS_SECONDS"] >= 31_536_000
    assert found["DEBUG"] is False
    assert timedelta() == found["DEMO_CLOCK_OFFSET"]


@pytest.mark.parametrize("host", ["127.0.0.1:6379", "[::1]:6379", "localhost"])
def test_plain_connections_may_stay_on_this_machine(start, host) -> None:
    assert start(REDIS_URL=f"redis://{host}/0")["REDIS_URL"] == f"redis://{host}/0"


@pytest.mark.parametrize("host", ["127.0.0.1.example", "localhost.example", "10.0.0.1", "0.0.0.0"])
def test_an_address_that_only_resembles_this_machine_is_refused(start, host) -> None:
    with pytest.raises(SystemExit, match="REDIS_URL must begin with rediss://"):
        start(REDIS_URL=f"redis://{host}/0")


def test_a_variable_left_empty_is_as_one_left_out(start) -> None:
    empty = dict.fromkeys(
        ["ALLOWED_HOSTS", "TRAIL_ORIGIN", "BEAT_SCHEDULE", "CHECKPOINT_DIRS", "QUEUE",
         "LEASE_SECONDS", "TIME_ZONE", "LOG_LEVEL", "DEMO_CLOCK_OFFSET"],
        "",
    )  # fmt: skip
    left_out, found = start(**{**PRODUCTION, **dict.fromkeys(empty)}), start(**empty)
    for name in ("ALLOWED_HOSTS", "TRAIL_ORIGIN", "CELERY_BEAT_SCHEDULE_FILENAME",
                 "CHECKPOINT_DIRS", "CELERY_TASK_DEFAULT_QUEUE", "LEASE", "TIME_ZONE", "LOG_LEVEL",
                 "DEMO_CLOCK_OFFSET"):  # fmt: skip
        assert (name, found[name]) == (name, left_out[name])
        assert found[name] or name == "DEMO_CLOCK_OFFSET"


def test_the_example_file_starts_once_its_secrets_are_filled_in(start, monkeypatch) -> None:
    example = ROOT / ".env.example"
    lines = [line for line in example.read_text().splitlines() if "=" in line and line[0] != "#"]
    variables = dict(line.split("=", 1) for line in lines)
    gateway = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "1"}
    found = start(**{**variables, **new_environment(), **gateway})
    assert (found["PRODUCTION"], found["ALLOWED_HOSTS"]) == (True, ["volens.example"])


TWILIO = dict.fromkeys(ACCOUNT)
TELNYX = dict.fromkeys(["TELNYX_API_KEY", "TELNYX_PUBLIC_KEY"])


@pytest.mark.parametrize("left_out", [TWILIO, TELNYX])
def test_a_business_may_do_without_a_second_gateway(start, left_out) -> None:
    found = start(**{**PRODUCTION, **left_out})
    assert {name: found[name] for name in left_out} == dict.fromkeys(left_out, "")


def test_in_production_nothing_starts_without_the_account_of_a_gateway(start) -> None:
    with pytest.raises(SystemExit, match="set the account of a gateway"):
        start(**{**PRODUCTION, **TWILIO, **TELNYX})


def test_sqlite_chooses_its_writer_at_begin_and_makes_its_folder(start, tmp_path) -> None:
    found = start(DATABASE_URL=f"sqlite:///{tmp_path}/new/volens.sqlite3")
    assert found["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert (tmp_path / "new").is_dir()


# --- as a process ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value"), [("SECRET_KEY", ""), ("PUBLIC_URL", "http://volens.example")]
)
def test_a_command_ends_with_that_sentence_and_without_a_traceback(variable, value) -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (STATUS, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"Volens cannot start: {variable} ")

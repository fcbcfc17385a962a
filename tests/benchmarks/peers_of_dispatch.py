"""Dispatch beside others that send the same texts to the same provider, over TLS, in one run.

The peers are written and set up as their best users would, and do less: nothing is encrypted, no
quiet hours, no caps, no trail, no lease, and a message is lost or doubled where a process dies.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import psycopg
import pytest
from celery import Celery
from django.conf import settings as ours
from django.db import connection
from django.test import override_settings

from campaigns import receipts
from campaigns.models import Message, Sender
from consent.models import Notice, Purpose
from tests import services
from tests.benchmarks import stub_provider
from tests.benchmarks.dispatch_of_messages import (
    AT,
    SETTINGS,
    in_processes,
    launched,
    notice,
    purpose,
    seconds,
    sender,
    trusted,
    work,
)
from tests.benchmarks.stub_provider import Receipts
from tests.services import ROOT, Server, free_port

__all__ = ["notice", "purpose", "sender"]

pytestmark = pytest.mark.timeout(3_600)

MESSAGES = int(os.environ.get("ROWS", "20000"))
PEER_MESSAGES = min(MESSAGES, int(os.environ.get("PEER_ROWS", "2000")))  # slow peers take fewer
WARM = 400  # messages before those that count
WANTED = {0.0: 20, 0.1: 50}  # times the rate of Celery, by the seconds the provider takes
WANTED_WITH_RECEIPTS = 10
PUBLIC_URL = "https://volens.example"
WEB = (
    "--interface",
    "wsgi",
    "--workers",
    "2",
    "--blocking-threads",
    "4",
)  # the same for both sides
PATIENCE = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Crew:
    """Celery workers: how many, of which pool, and how many tasks each does at once."""

    pool: str
    workers: int
    at_once: int

    def __str__(self) -> str:
        return f"{self.workers} x {self.pool} {self.at_once}"


# By the provider's delay: what anybody starts with, then the best of those tried here. Each call of
# the threads keeps a connection to the database; PostgreSQL has a hundred.
CREWS = {
    0.0: [Crew("prefork", 1, 2), Crew("gevent", 2, 20), Crew("threads", 2, 4)],
    0.1: [Crew("prefork", 1, 2), Crew("gevent", 2, 100), Crew("threads", 2, 35)],
}


# --- the peers' project ------------------------------------------------------------------------


class Peers:
    """The peers' project on a database of its own, on the server that ours is on."""

    def __init__(self, directory: Path, *, provider: str, broker: str = "", **more: str) -> None:
        self.directory, self.broker = directory, broker
        database = services.database_url(os.environ["DATABASE_URL"], "peers")
        self.database = database
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.peers.settings",
            "PEERS_DATABASE": database,
            "PEERS_PROVIDER": provider,
            "PEERS_BROKER": broker,
            "PUBLIC_URL": PUBLIC_URL,
            "REQUESTS_CA_BUNDLE": str(trusted() / "authority.pem"),
            "TMPDIR": str(directory),
            **more,
        }

    def fill(self, count: int, kind: str) -> None:
        """A new database with so many messages that wait."""
        server = os.environ["DATABASE_URL"]
        services.copy_database(server, "template0", "peers")
        self.run("django", "migrate", "--run-syncdb", "--verbosity", "0")
        self.run("tests.benchmarks.peers.fill", str(count), kind)
        with psycopg.connect(self.database, autocommit=True) as peers:
            peers.execute("VACUUM ANALYZE")

    def run(self, *module: str) -> str:
        command = [sys.executable, "-m", *module]
        ran = subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr[-3_000:]
        return ran.stdout

    def count(self, status: str) -> int:
        with psycopg.connect(self.database) as peers:
            query = "SELECT count(*) FROM peers_message WHERE status = %s"
            [count] = peers.execute(query, [status]).fetchone() or [0]
        return int(count)

    @contextmanager
    def crew(self, crew: Crew) -> Iterator[None]:
        """Workers that are up and have nothing to do yet."""
        self.env["PEERS_AT_ONCE"] = str(crew.at_once)
        self.env["PEERS_POOL"] = str(min(crew.at_once, 20)) if crew.pool == "gevent" else "0"
        with ExitStack() as leaving:
            workers = [self._worker(crew, place) for place in range(crew.workers)]
            for worker in workers:
                leaving.callback(worker.end)
            workers[0].wait(lambda: len(self._answering()) == crew.workers)
            yield

    def _answering(self) -> list[Any]:
        with Celery(broker=self.broker, set_as_current=False) as app:
            return list(app.control.ping(timeout=0.5))

    def _worker(self, crew: Crew, place: int) -> Server:
        command = [sys.executable, "-m", "celery", "-A", "tests.benchmarks.peers", "worker"]
        options = ["--pool", crew.pool, "--concurrency", str(crew.at_once), "--loglevel", "WARNING"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        name = f"{crew.pool}{place}"
        log = self.directory / f"{name}-{time.monotonic_ns()}.log"
        command += [*options, *quiet, "--hostname", f"{name}@%h", "--queues", f"idle-{name}"]
        return Server(command, log=log, env=self.env)

    def send(self, first: int, last: int, *, until: str) -> float:
        """Seconds in which the workers bring these messages to a status; queueing is not timed."""
        with Celery(broker=self.broker, set_as_current=False) as app:
            app.control.cancel_consumer("messages", reply=True)
            for key in range(first, last + 1):
                app.send_task("send", args=[key], queue="messages", ignore_result=True)
            since = time.perf_counter()
            app.control.add_consumer("messages", reply=False)
            services.wait_until(
                lambda: self.count(until) == last, seconds=PATIENCE, what="peers", every=0.1
            )
            return time.perf_counter() - since

    def rate(self, crew: Crew, *, until: str) -> float:
        """Messages a second, of workers that have sent a while: their first call costs a second."""
        with self.crew(crew):
            self.send(1, WARM, until=until)
            return PEER_MESSAGES / self.send(WARM + 1, WARM + PEER_MESSAGES, until=until)


# --- the measurements --------------------------------------------------------------------------


@contextmanager
def provider(delay: float, **more: Any) -> Iterator[str]:
    """A stub, and our own side told of it."""
    with (
        stub_provider.serving(trusted(), delay=delay, **more) as url,
        override_settings(TWILIO_BASE_URL=url, PUBLIC_URL=PUBLIC_URL, **SETTINGS),
    ):
        yield url


@pytest.mark.parametrize("delay", WANTED)
def test_dispatch_beside_its_peers(
    delay: float,
    purpose: Purpose,
    notice: Notice,
    sender: Sender,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    launched(purpose, notice, sender, MESSAGES)
    with provider(delay):
        rate = MESSAGES / seconds(lambda: in_processes(2, work))
    assert Message.objects.filter(status="accepted").count() == MESSAGES
    with capsys.disabled():
        print(f"\n{MESSAGES:,} messages, answers after {delay * 1000:.0f} ms")
        print(f"  {'ours, 2 workers':44}{rate:>8,.0f} a second")
        best = max(_celery(tmp_path, delay, rate))
        print(f"  the best of Celery: ours is {rate / best:.1f} of it   wanted: {WANTED[delay]}")
        _tell("django-post-office (no consent is asked)", _post_office(tmp_path, delay), rate)
        _kannel(delay, rate)


def _tell(who: str, theirs: float, rate: float) -> None:
    print(f"  {who:44}{theirs:>8,.0f} a second   ours is {rate / theirs:.1f} of it", flush=True)


def _celery(directory: Path, delay: float, rate: float) -> Iterator[float]:
    with services.valkey(directory) as broker, provider(delay) as url:
        peers = Peers(directory, provider=url, broker=broker)
        for crew in CREWS[delay]:
            peers.fill(PEER_MESSAGES + WARM, "texts")
            theirs = peers.rate(crew, until="accepted")
            _tell(f"Celery task each, {crew}", theirs, rate)
            yield theirs


def _post_office(directory: Path, delay: float) -> float:
    more = {"PEERS_AT_ONCE": "8" if delay == 0 else "50", "PEERS_BATCH": str(PEER_MESSAGES)}
    with provider(delay) as url:
        peers = Peers(directory, provider=url, **more)
        peers.fill(PEER_MESSAGES, "mail")
        spent = float(peers.run("tests.benchmarks.peers.empty_queue", "2"))
        assert stub_provider.taken.value == PEER_MESSAGES
    return PEER_MESSAGES / spent


# --- Kannel ------------------------------------------------------------------------------------

KANNEL = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {admin}
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-level = 3
ssl-trusted-ca-file = "{directory}/authority.pem"
store-type = spool
store-location = {directory}/spool

group = smsc
smsc = http
smsc-id = stub
system-type = generic
port = 0
instances = {links}
connect-allow-ip = 127.0.0.1
max-pending-submits = {at_once}
send-url = "{url}/send?From=%P&To=%p&Body=%b"
status-success-regex = "queued"
status-permfail-regex = "failed"
status-tempfail-regex = "later"
generic-foreign-id-regex = "\\"sid\\": \\"([^\\"]+)\\""

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {unused}
"""


def _kannel(delay: float, rate: float) -> None:
    if not (shutil.which("bearerbox") and shutil.which("mtbatch")):
        print("  Kannel is not installed (Debian: apt-get install kannel); it was left out.")
        return
    theirs = _of_kannel(Path(os.environ["VOLENS_TEST_DIR"]) / f"kannel-{delay}", delay)
    _tell("Kannel, HTTPS, spool (no fsync, asks nothing)", theirs, rate)


def _of_kannel(home: Path, delay: float) -> float:
    """Messages a second from the first to the last; they are fed while they go out."""
    links, at_once = (1, 10) if delay == 0 else (2, 200)
    ports = {name: free_port() for name in ("admin", "boxes", "unused")}
    (home / "spool").mkdir(parents=True)
    shutil.copy(trusted() / "authority.pem", home)
    with provider(delay) as url, ExitStack() as leaving:
        told = {"url": url, "directory": home, "links": links, "at_once": at_once, **ports}
        (home / "kannel.conf").write_text(KANNEL.format(**told))
        _write_batch(home)
        owner = services.NOBODY if os.geteuid() == 0 else None
        if owner:
            for path in (home, *home.iterdir()):
                shutil.chown(path, owner)

        def start(*command: str | Path) -> Server:
            started = Server(command, log=home / f"{command[0]}.log", cwd=home, owner=owner)
            leaving.callback(started.end)
            return started

        admin = f"http://127.0.0.1:{ports['admin']}/status.txt?password={ports['admin']}"
        start("bearerbox", home / "kannel.conf").wait(lambda: "online" in _page(admin))
        feed = ("-b", "127.0.0.1", "-p", str(ports["boxes"]), "-f", "18885550100")
        start("mtbatch", *feed, home / "text", home / "numbers")
        services.wait_until(lambda: stub_provider.taken.value, seconds=10, what="fed", every=0.001)
        since, first = time.perf_counter(), stub_provider.taken.value
        services.wait_until(
            lambda: stub_provider.taken.value == MESSAGES, seconds=PATIENCE, what="sent", every=0.01
        )
        return (MESSAGES - first) / (time.perf_counter() - since)


def _write_batch(home: Path) -> None:
    numbers = (f"1212{200 + n // 10_000}{n % 10_000:04}\n" for n in range(MESSAGES))
    (home / "numbers").write_text("".join(numbers))
    (home / "text").write_text("Harbor Coffee: new beans. Reply STOP to cancel.")


def _page(address: str) -> str:
    try:
        with build_opener(ProxyHandler({})).open(address, timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


# --- with a receipt for each message -----------------------------------------------------------


def test_dispatch_with_a_receipt_for_each_message(
    purpose: Purpose,
    notice: Notice,
    sender: Sender,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    launched(purpose, notice, sender, MESSAGES)
    rate = MESSAGES / _ours_with_receipts(tmp_path)
    with capsys.disabled():
        print(f"\n{MESSAGES:,} messages, a receipt for each, until all are read")
        print(f"  {'ours, 2 workers':44}{rate:>8,.0f} a second")
        crew = CREWS[0.0][-1]
        theirs = _theirs_with_receipts(tmp_path, crew)
        _tell(f"Celery task each, {crew}, and a plain view", theirs, rate)
        print(f"  wanted: {WANTED_WITH_RECEIPTS}")


@contextmanager
def web(application: str, directory: Path, env: dict[str, str]) -> Iterator[Receipts]:
    """The web server of the product, or of the peers, and how the stub reaches it."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "granian",
        *WEB,
        "--port",
        str(port),
        f"{application}:application",
    ]
    server = Server(command, log=directory / f"{application}.log", env=env)
    try:
        server.wait(lambda: services._listens(f"127.0.0.1:{port}"))
        yield Receipts(port, ours.TWILIO_ACCOUNT_SID, ours.TWILIO_AUTH_TOKEN)
    finally:
        server.end()


def _ours_with_receipts(directory: Path) -> float:
    name = connection.settings_dict["NAME"]
    database = services.database_url(os.environ["DATABASE_URL"], name)
    env = {**os.environ, "DATABASE_URL": database, "PUBLIC_URL": PUBLIC_URL}
    with web("config.wsgi", directory, env) as to, provider(0.0, receipts=to):
        spent = seconds(lambda: in_processes(3, _work_or_read))
        assert stub_provider.refusals.value == 0
    return spent


def _work_or_read(place: int) -> None:
    """Two workers hand over; one reads receipts, rung each second as beat does."""
    if place < 2:
        work(place)
        return
    while Message.objects.exclude(status="delivered").exists():
        receipts.reconcile(at=AT)
        time.sleep(ours.TURN_EVERY)


def _theirs_with_receipts(directory: Path, crew: Crew) -> float:
    with services.valkey(directory) as broker:
        peers = Peers(directory, provider="", broker=broker)
        peers.fill(PEER_MESSAGES + WARM, "texts")
        with (
            web("tests.benchmarks.peers.wsgi", directory, peers.env) as to,
            provider(0.0, receipts=to) as url,
        ):
            peers.env["PEERS_PROVIDER"] = url
            rate = peers.rate(crew, until="delivered")
            assert stub_provider.refusals.value == 0
    return rate

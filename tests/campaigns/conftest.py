"""Campaigns, claims and a sandbox provider on a thread, for the tests of this app."""

import asyncio
import json
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from audit import roles
from audit.models import Entry
from campaigns import conversation, delivery, dispatch
from campaigns.calling import Called, Calling
from campaigns.fence import Passed
from campaigns.gateways.told import Inbound
from campaigns.models import Attempt, Campaign, Message, Reply, Sender
from campaigns.sandbox.faults import Faults
from campaigns.sandbox.provider import Account, serving
from consent import ledger, numbers
from consent.intake import OptIn
from consent.models import Method, Notice, Purpose, Subscriber, Suppression
from tests import services
from tests.conftest import AT

T = TypeVar("T")
TEXT = "Harbor Coffee: {first_name|Hello}, the kettle is on. Reply STOP to cancel."
NEW_YORK, FLORIDA, GUAM, LONDON, AUSTRALIA = (
    "+12125550123",
    "+13055550123",
    "+16715550123",
    "+447700900123",
    "+61491570156",
)
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="row locks are PostgreSQL's"
)

# --- people and campaigns ----------------------------------------------------------------------


def new_york(count: int) -> list[str]:
    """So many fictional numbers, all of New York."""
    codes = ("212", "646", "917")
    return [f"+1{codes[n // 100]}555{100 + n % 100:04}" for n in range(count)]


@pytest.fixture
def people(notice: Notice) -> Callable[[Sequence[str]], list[Subscriber]]:
    """Enrols many at once, all confirmed, in the order of their numbers."""

    def enrol(phones: Sequence[str]) -> list[Subscriber]:
        given_at = AT - timedelta(days=30)
        opt_ins = [
            OptIn.of(
                numbers.parse(phone),
                notice_id=notice.pk,
                method=Method.WEB_FORM,
                source="test",
                given_at=given_at,
                confirmed_at=given_at,
            )
            for phone in phones
        ]
        ledger.enrol(opt_ins=opt_ins, purpose=notice.purpose, by="command", at=AT)
        found = {s.number_index: s for s in Subscriber.objects.all()}
        return [found[opt_in.number_index] for opt_in in opt_ins]

    return enrol


class Compose(Protocol):
    def __call__(self, *, to: str = ..., **fields: Any) -> Campaign: ...


STAGES = ["draft", "checked", "approved", "scheduled"]


@pytest.fixture
def compose(purpose: Purpose, sender: Sender, operators: Callable[..., Any]) -> Compose:
    """A campaign taken as far as `to`, by its author and approver; `fields` replace the usual."""

    def written(*, to: str = "approved", **fields: Any) -> Campaign:
        author, approver = operators(roles.CAMPAIGN_AUTHOR), operators(roles.CAMPAIGN_APPROVER)
        usual = {
            "name": "Kettle",
            "purpose": purpose,
            "sender": sender,
            "text": TEXT,
            "starts_at": AT,
            "deadline": AT + timedelta(hours=6),
        }
        campaign = dispatch.draft(**{**usual, **fields}, by=author, at=AT)
        steps = [
            (dispatch.check, author),
            (dispatch.approve, approver),
            (dispatch.schedule, approver),
        ]
        for step, by in steps[: STAGES.index(to)]:
            step(campaign=campaign, by=by, at=AT)
        return campaign

    return written


STAMPS = {
    "checked_at": ["checked"],
    "approved_at": ["approved", "scheduled"],
    "scheduled_at": ["scheduled"],
    "launched_at": ["sending", "paused", "finished"],
    "paused_at": ["paused"],
    "finished_at": ["finished"],
    "cancelled_at": ["cancelled"],
}
# From approved, how a campaign comes to stand anywhere.
WAY_TO = {
    "draft": ["draft"],
    "checked": ["draft", "checked"],
    "approved": [],
    "scheduled": ["scheduled"],
    "sending": ["sending"],
    "paused": ["sending", "paused"],
    "finished": ["sending", "finished"],
    "cancelled": ["cancelled"],
}


def stand(campaign: Campaign, status: str) -> Campaign:
    """An approved campaign put into any status by the steps there are, with every timestamp."""
    ours = Campaign.objects.filter(pk=campaign.pk)
    launched = "sending" in WAY_TO[status]
    ours.update(**{stamp: AT for stamp in STAMPS if launched or stamp != "launched_at"})
    for step in WAY_TO[status]:
        ours.update(status=step)
    campaign.refresh_from_db()
    return campaign


@pytest.fixture
def launched(compose: Compose) -> Callable[..., Campaign]:
    """A campaign that is being sent to everyone enrolled so far."""

    def launch(**fields: Any) -> Campaign:
        campaign = compose(**fields)
        dispatch.launch(campaign=campaign, by="worker", at=max(AT, campaign.starts_at))
        return campaign

    return launch


def fenced(at: datetime = AT) -> list[Passed]:
    """The attempts that the fence lets through of what is due, which must be something."""
    taken, attempts = delivery.claim(at=at)
    assert taken, "nothing is due"
    return attempts


def kept(attempt: Passed) -> Attempt:
    """The attempt as the database has it now."""
    return Attempt.objects.get(pk=attempt.pk)


def is_due(at: datetime = AT) -> bool:
    """Whether a claim would take something up now; it does not stay taken."""
    with transaction.atomic():
        taken, _attempts = delivery.claim(at=at)
        transaction.set_rollback(True)
    return taken > 0


def call(attempts: Sequence[Passed]) -> list[Called]:
    """What came of handing these over."""
    return Calling(attempts, since=time.monotonic()).called()


def message_to(person: Subscriber) -> Message:
    return Message.objects.get(subscriber=person)


def withdraw(person: Subscriber, **more: Any) -> bool:
    """A STOP by reply, unless `more` says otherwise."""
    stop = {"channel": Suppression.Channel.SMS, "reason": "test", "by": "person", "at": AT}
    return ledger.withdraw(number_index=person.number_index, **{**stop, **more})


def write(
    text: str, *, number: str = NEW_YORK, sid: str = "", to: str = "+12125550100", at: datetime = AT
) -> Reply | None:
    """What happens when someone writes `text` to our sender."""
    inbound = Inbound(sid or f"SM{uuid.uuid4().hex}", number, to, text)
    return conversation.receive(inbound, at=at)


def verbs(subject: str) -> list[str]:
    """What the trail tells of a subject, in order."""
    entries = Entry.objects.filter(subject=subject).order_by("id")
    return list(entries.values_list("verb", flat=True))


def queries(act: Callable[[], Any]) -> int:
    """How many queries `act` makes."""
    with CaptureQueriesContext(connection) as seen:
        act()
    return len(seen)


# --- several at once ---------------------------------------------------------------------------


def _with_own_connection(act: Callable[[], T]) -> T:
    try:
        return act()
    finally:
        connections.close_all()


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each act returned or raised, all let go at the same instant."""
    together = threading.Barrier(len(acts), timeout=30)

    def run(act: Callable[[], Any]) -> Any:
        together.wait()
        return _with_own_connection(act)

    with ThreadPoolExecutor(len(acts)) as threads:
        futures = [threads.submit(run, act) for act in acts]
    return [future.exception() or future.result() for future in futures]


@contextmanager
def meanwhile(act: Callable[[], T]) -> Iterator[Future[T]]:
    """Runs `act` on another thread while the block lasts, which then waits for its end."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(_with_own_connection, act)


def wait_until_somebody_waits_for_a_lock() -> None:
    """Raises TimeoutError unless another connection is held up by a lock of ours. PostgreSQL."""

    def waiting() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            return int(cursor.fetchone()[0])

    services.wait_until(waiting, seconds=10, what="a transaction that waits for our lock")


# --- the provider ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Provider:
    """The sandbox provider as a test sees it; its count is the true one."""

    url: str

    def ask(self, path: str, content: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(self.url + path)
        if content is not None:
            request.data = json.dumps(content).encode()
            request.add_header("Content-Type", "application/json")
        with services.NO_PROXY.open(request, timeout=10) as answer:
            return json.loads(answer.read())

    def truth(self) -> Any:
        return self.ask("/sandbox/truth")

    def accepted(self) -> list[dict[str, Any]]:
        return list(self.ask("/sandbox/messages"))

    def requests(self) -> int:
        """How many sends reached it, accepted or not."""
        turned_away = {"hang", "too_many", "error", "reset"}
        truth = self.truth()
        return int(
            truth["accepted"]
            + sum(count for fault, count in truth["faults"].items() if fault in turned_away)
        )


@contextmanager
def beside(account: Account, log: Path) -> Iterator[Provider]:
    """A sandbox provider that serves on a thread of its own while the block lasts."""
    up: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with serving(account, host="127.0.0.1", port=0, log=log, faults=Faults({})) as url:
            up.set_result((url, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    url, loop, over = up.result(timeout=30)
    try:
        yield Provider(url)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest.fixture
def provider(tmp_path: Path, settings: Any) -> Iterator[Provider]:
    """The provider that our gateways call; its own calls to us go nowhere."""
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    account = Account(
        sid=settings.TWILIO_ACCOUNT_SID,
        auth_token=settings.TWILIO_AUTH_TOKEN,
        inbound_url="http://127.0.0.1:9/",
        telnyx_api_key=settings.TELNYX_API_KEY,
        telnyx_inbound_url="http://127.0.0.1:9/",
    )
    with beside(account, tmp_path / "provider.jsonl") as running:
        settings.TWILIO_BASE_URL = settings.TELNYX_BASE_URL = running.url
        yield running

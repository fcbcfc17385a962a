"""Fixtures that speak in the product's own verbs, and traps for what a test leaves behind."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import psutil
import pytest
from django.conf import settings as product_settings
from django.db import connection, connections
from django.template.base import Node
from django.test import Client, TransactionTestCase, override_settings
from django.urls import reverse

from audit import operators as staff
from audit import roles
from audit.models import Authenticator, Operator
from campaigns import dispatch
from campaigns.gateways import wire
from campaigns.models import Campaign, Sender
from consent import ledger, numbers, purposes
from consent.admission import Fate
from consent.intake import OptIn
from consent.models import Method, Notice, Purpose, Subscriber
from tests import services

AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)  # a Tuesday; one in the afternoon in New York
PASSWORD = "nobody guesses this sentence"
WORDINGS = json.loads((Path(__file__).parent / "data" / "agreements.json").read_text())

TASKS = Path("/proc/self/task")

# --- traps -------------------------------------------------------------------------------------


class UnknownVariable(str):
    """Stands for a template variable that does not exist: fails in our templates only.

    Django's own admin templates ask for variables that are not always there.
    """

    def __bool__(self) -> bool:
        frame: FrameType | None = sys._getframe(1)
        asked = frame.f_locals.get("self")
        while frame and not isinstance(frame.f_locals.get("self"), Node):
            frame = frame.f_back
        origin = frame.f_locals["self"].origin.name if frame else ""
        if Path(origin).is_relative_to(product_settings.BASE_DIR / "templates"):
            pytest.fail(f"{origin} shows {asked}, which its view does not give it")
        return False


@pytest.fixture(scope="session", autouse=True)
def _settings_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fast passwords, strict templates, and a folder of collected files that exists."""
    [engine] = product_settings.TEMPLATES
    options = {**engine["OPTIONS"], "string_if_invalid": UnknownVariable()}
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        TEMPLATES=[{**engine, "OPTIONS": options}],
        STATIC_ROOT=tmp_path_factory.mktemp("static"),
    ):
        yield


def _children() -> set[int]:
    """Where the kernel lists children, it is asked: psutil reads of every process there is."""
    if not (TASKS / str(os.getpid()) / "children").exists():
        return {child.pid for child in psutil.Process().children()}
    children: set[int] = set()
    for task in TASKS.iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread may end meanwhile
            children.update(map(int, (task / "children").read_text().split()))
    return children


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    """A test fails that leaves a thread or a process running; its files and client are put away."""
    threads, children = set(threading.enumerate()), _children()
    yield
    wire.close()
    for directory in product_settings.CHECKPOINT_DIRS:
        shutil.rmtree(directory, ignore_errors=True)
    for thread in (left := set(threading.enumerate()) - threads):
        thread.join(timeout=2)
    if alive := [thread.name for thread in left if thread.is_alive()]:
        pytest.fail(f"left threads running: {', '.join(alive)}")
    started = _children() - children - {services.guard.pid}
    processes = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
    _gone, running = psutil.wait_procs(processes, timeout=2)
    if running:
        for process in running:
            process.kill()
        pytest.fail(f"left processes running: {running}")


# --- databases ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """A file, where Django would keep SQLite in memory: threads and processes share a file."""
    if connection.vendor == "sqlite":
        file = Path(os.environ["VOLENS_TEST_DIR"]) / "test.sqlite3"
        connection.settings_dict["TEST"]["NAME"] = str(file)


def _name() -> str:
    return str(connection.settings_dict["NAME"])


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Keeps a copy of the migrated database, to which a test that commits returns it.

    Django would empty every table instead, which triggers refuse; and the copy keeps the rows that
    migrations wrote.
    """
    server, pristine = os.environ["DATABASE_URL"], f"{_name()}_pristine"
    with django_db_blocker.unblock():
        connection.close()
        services.copy_database(server, _name(), pristine)
    with pytest.MonkeyPatch.context() as patch:

        def restore(case: TransactionTestCase) -> None:
            connections.close_all()
            services.copy_database(server, pristine, _name())

        patch.setattr(TransactionTestCase, "_fixture_teardown", restore)
        yield
        services.drop_database(server, pristine)


@pytest.fixture
def stack(request: pytest.FixtureRequest, db: None, tmp_path: Path) -> Iterator[services.Stack]:
    """The whole product beside the test, on a database of its own.

    `@pytest.mark.stack(workers=2, LEASE_SECONDS="20")` changes how many workers there are, and
    their environment. Models in the test itself look at the test's own database, not at this one.
    """
    marker = request.node.get_closest_marker("stack")
    server, name = os.environ["DATABASE_URL"], f"{_name()}_stack"
    services.copy_database(server, f"{_name()}_pristine", name)
    database = services.database_url(server, name)
    try:
        changes = marker.kwargs if marker else {}
        with services.stack(tmp_path, database=database, clock=AT, **changes) as product:
            yield product
    finally:
        services.drop_database(server, name)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium for playwright's `executable_path`; skips without one."""
    names = [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    return found or pytest.skip("no Chromium is installed")


# --- the business ------------------------------------------------------------------------------


@pytest.fixture
def at() -> datetime:
    return AT


class Clock:
    """The business clock, standing still until a test sets `at`."""

    at = AT

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr("audit.clock.now", stopped.now)
    return stopped


@pytest.fixture
def purpose(db: None) -> Purpose:
    promise = "Sales and new products."
    return Purpose.objects.create(
        code="offers", name="Offers", promise=promise, frequency=6, period=Purpose.Period.MONTH
    )


@pytest.fixture
def notice(purpose: Purpose) -> Notice:
    return purposes.publish(
        purpose=purpose,
        language="en",
        wording=WORDINGS["current"],
        shown_from=datetime(2025, 1, 1, tzinfo=UTC),
        by="command",
        at=AT,
    )


@pytest.fixture
def sender(db: None) -> Sender:
    return Sender.objects.create(
        address="+12125550100", countries="US GB DE FR AU CA", verified_at=AT
    )


@pytest.fixture
def operators(db: None) -> Callable[..., Operator]:
    """Who holds a role, engaged when first asked for; another name is another person."""

    def holder(role: str, *, name: str = "") -> Operator:
        username = name or role.lower().replace(" ", "-")
        known = Operator.objects.in_role(role).filter(username=username).first()
        return known or staff.engage(
            username=username, password=PASSWORD, roles=[role], by="command", at=AT
        )

    return holder


class Enrol(Protocol):
    def __call__(self, number: str = ..., *, confirmed: bool = ..., **more: Any) -> Subscriber: ...


@pytest.fixture
def person(notice: Notice) -> Enrol:
    """Someone who opted in thirty days ago; `more` are fields of an `OptIn`."""

    usual = notice

    def enrol(number: str = "+12125550123", *, confirmed: bool = True, **more: Any) -> Subscriber:
        given_at = more.pop("given_at", AT - timedelta(days=30))
        notice = more.pop("notice", usual)
        opt_in = OptIn.of(
            numbers.parse(number),
            notice_id=notice.pk,
            given_at=given_at,
            confirmed_at=given_at + timedelta(minutes=5) if confirmed else None,
            **{"method": Method.WEB_FORM, "source": "test", **more},
        )
        [outcome] = ledger.enrol(opt_ins=[opt_in], purpose=notice.purpose, by="command", at=AT)
        assert outcome.fate in (Fate.ACCEPTED, Fate.MERGED), outcome.reason
        return Subscriber.objects.get(number_index=opt_in.number_index)

    return enrol


def enrolled(operator: Operator) -> Authenticator:
    """The operator's second factor, none of whose codes has been used."""
    device = Authenticator.objects.filter(user=operator, confirmed=True).first()
    if device is None:
        device = staff.draft_authenticator(operator)
        staff.confirm_authenticator(authenticator=device, by=operator, at=AT)
    Authenticator.objects.filter(pk=device.pk).update(last_step=-1)
    return device


@pytest.fixture
def signed_in(operators: Callable[..., Operator]) -> Callable[..., Client]:
    """A browser in which the holder of a role gave the password and a code."""

    def browser(role: str, *, name: str = "") -> Client:
        operator, client = operators(role, name=name), Client()
        client.post(reverse("sign_in"), {"username": operator.username, "password": PASSWORD})
        code = f"{enrolled(operator).code().token():06}"
        let_in = client.post(reverse("sign_in_code"), {"code": code})
        assert let_in.status_code == 302, let_in.content.decode()
        return client

    return browser


@pytest.fixture
def approved_campaign(
    purpose: Purpose, sender: Sender, operators: Callable[..., Operator]
) -> Campaign:
    """Written by one person, approved by another, and free to be launched at `at`."""
    author, approver = operators(roles.CAMPAIGN_AUTHOR), operators(roles.CAMPAIGN_APPROVER)
    campaign = dispatch.draft(
        name="Autumn",
        purpose=purpose,
        sender=sender,
        text="Harbor Coffee: Hi {first_name|there}, new beans are in. Reply STOP to cancel.",
        starts_at=AT,
        deadline=AT + timedelta(hours=6),
        by=author,
        at=AT - timedelta(hours=2),
    )
    dispatch.check(campaign=campaign, by=author, at=AT - timedelta(hours=1))
    dispatch.approve(campaign=campaign, by=approver, at=AT - timedelta(minutes=30))
    return campaign

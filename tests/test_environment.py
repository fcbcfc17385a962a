"""The traps catch what they are for, and the servers of tests come and go as they should."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.template.loader import render_to_string

import audit.clock
from audit import roles
from audit.models import Operator
from campaigns import dispatch
from consent.models import Notice, Subscriber
from tests import environment, services

TRAPPED = """
import asyncio, gc, socket, subprocess, threading, time, warnings
from django.db import connection
from django.template.loader import render_to_string

def test_leaves_a_thread():
    threading.Thread(target=time.sleep, args=(20,), daemon=True).start()

kept = []

def test_leaves_a_process():
    kept.append(subprocess.Popen(["sleep", "20"]))

def test_leaves_a_socket_open():
    socket.socket()

def test_leaves_an_event_loop_open():
    asyncio.new_event_loop()
    gc.collect()

def test_calls_a_stranger():
    socket.create_connection(("192.0.2.1", 80), timeout=1)

def test_looks_up_a_name():
    socket.getaddrinfo("volens.example", 80)

def test_shows_an_unknown_variable():
    render_to_string("sign_in/password.html", {})

def test_warns():
    warnings.warn("this will go", DeprecationWarning)

def test_does_nothing_wrong():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
"""


def _bad_run(directory: Path) -> dict[str, bool]:
    """Which tests of TRAPPED failed, by name, in a run of their own with the same plugins."""
    (directory / "conftest.py").write_text('pytest_plugins = ["tests.conftest"]\n')
    (directory / "test_trapped.py").write_text(TRAPPED)
    report, settings = directory / "report.xml", services.ROOT / "pyproject.toml"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    options = ["-c", settings, "--rootdir", directory, "--confcutdir", directory]
    options += ["--junit-xml", report, "-p", "no:cacheprovider", "-p", "no:randomly", directory]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=services.ROOT,
        env={**env, "TEST_DATABASE": "sqlite"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    failed: dict[str, bool] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["name"]
        failed[name] = failed.get(name, False) or len(case) > 0
    return failed


def test_every_trap_catches_what_it_is_for(tmp_path: Path) -> None:
    failed = _bad_run(tmp_path)
    assert len(failed) == TRAPPED.count("def test_")
    assert [name for name, did in failed.items() if not did] == ["test_does_nothing_wrong"]


def test_stock_templates_may_ask_for_what_is_not_there() -> None:
    assert "<details" in render_to_string("admin/filter.html")


def test_what_the_caller_exported_does_not_reach_the_tests(tmp_path: Path) -> None:
    exported = {"DEBUG": "true", "LEASE_SECONDS": "1", "https_proxy": "http://192.0.2.1"}
    caller = {**exported, "HOME": "/home/someone", "REDIS_URL": "redis://127.0.0.1:1/0"}
    env = environment.for_tests(caller, directory=tmp_path, database="sqlite:////nowhere")
    assert (env["DEBUG"], env["HOME"], env["REDIS_URL"]) == (
        "false",
        "/home/someone",
        "redis://127.0.0.1:1/0",
    )
    assert not {"LEASE_SECONDS", "https_proxy"} & set(env)


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "CLAIM_SIZE", "BEHIND_TLS_PROXY"])
def test_the_names_that_settings_read_are_found_in_them(name: str) -> None:
    assert name not in environment.without_settings({name: "from outside"})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_that_commits_finds_the_database_as_it_was(turn: int, notice: Notice) -> None:
    assert (Notice.objects.count(), Group.objects.count()) == (1, len(roles.ROLES))


@pytest.mark.django_db(transaction=True)
def test_another_thread_sees_what_was_committed(notice: Notice) -> None:
    seen: list[int] = []

    def look() -> None:
        with closing(connection):
            seen.append(Notice.objects.count())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [1]


def test_the_clock_stands_still_until_it_is_set(clock, at) -> None:
    clock.at = at + timedelta(hours=3)
    assert audit.clock.now() == at + timedelta(hours=3)


def test_a_person_of_the_fixtures_is_reachable(person, purpose, at) -> None:
    ada, bob = person(), person("+447700900123", confirmed=False)
    assert list(Subscriber.objects.reachable(purpose, at=at)) == [ada]
    assert bob.area.country == "GB"


def test_the_campaign_of_the_fixtures_can_be_launched(
    approved_campaign, person, operators, at
) -> None:
    person()
    approver = operators(roles.CAMPAIGN_APPROVER)
    assert dispatch.launch(campaign=approved_campaign, by=approver, at=at) == 1


def test_a_role_signs_in_by_the_real_pages_as_often_as_asked(signed_in) -> None:
    for _time in range(2):
        assert signed_in(roles.AUDITOR).get("/admin/").status_code == 200
    assert Operator.objects.count() == 1


STARTER = """
import sys, time
from pathlib import Path
from tests import services
server = services.Server(["sleep", "60"], log=Path(sys.argv[1]))
print(*server.pids(), flush=True)
time.sleep(60)
"""


def test_servers_end_with_whoever_started_them_even_if_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=services.ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.send_signal(signal.SIGKILL)
    services.wait_until(lambda: not psutil.pid_exists(pid), seconds=10, what="the server is gone")


def test_a_server_that_does_not_come_up_shows_its_log(tmp_path: Path) -> None:
    server = services.Server(["sh", "-c", "echo no such thing"], log=tmp_path / "log")
    with pytest.raises(services.NotUp, match="no such thing"):
        server.wait(lambda: False)
    server.end()


@pytest.mark.stack(workers=2)
def test_the_whole_product_runs_beside_a_test_and_survives_a_killed_worker(stack) -> None:
    first = set(stack.worker_pids())
    stack.kill_worker()
    stack.start_worker()
    assert set(stack.worker_pids()) - first
    assert not [pid for pid in first - set(stack.worker_pids()) if psutil.pid_exists(pid)]
    assert stack.python("from audit import clock; print(clock.now().date())") == "2026-11-24"
    assert stack.truth()["accepted"] == 0


@pytest.mark.stack
def test_the_web_server_of_a_stack_shows_its_pages(stack) -> None:
    with services.NO_PROXY.open(f"{stack.url}/sign-in/", timeout=10) as page:
        assert b"Sign in" in page.read()

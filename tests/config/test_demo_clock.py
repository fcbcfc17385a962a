"""The demo runs at a working hour of its own, visibly, and nowhere but on this machine."""

import os
import runpy
import socket
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit import clock
from campaigns.sandbox.signing import public_key
from config import demo
from tests.config.test_settings_refuse import PRODUCTION, SETTINGS

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

# From the calendars of the states, read by a person.
NEXT_WORKING_DAYS = [
    ("2026-11-24", "2026-11-25"),  # Tuesday to Wednesday
    ("2026-11-25", "2026-12-01"),  # past Thanksgiving and the weekend
    ("2026-11-02", "2026-11-05"),  # past Election Day and the day some states take after it
    ("2026-12-31", "2027-01-05"),  # past New Year's Day, the weekend and Monday
    ("2027-03-26", "2027-03-30"),  # past a weekend and Monday, which is Cesar Chavez's eve
    ("2027-07-01", "2027-07-06"),  # past Independence Day and the Monday it is kept on
]


@pytest.mark.parametrize("hour", [0, 12, 23])
@pytest.mark.parametrize(("today", "working_day"), NEXT_WORKING_DAYS)
def test_the_demo_takes_place_on_the_next_working_day(today, working_day, hour) -> None:
    now = datetime.fromisoformat(today).replace(hour=hour, minute=59, tzinfo=UTC)
    at = demo.working_time(now)
    assert at == datetime.fromisoformat(working_day).replace(hour=17, minute=30, tzinfo=UTC)
    assert at > now


def test_a_free_port_is_taken_as_it_is() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        wanted = listener.getsockname()[1]
    assert demo.free_port(wanted) == wanted


def test_a_port_on_which_somebody_listens_is_left_to_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        found = demo.free_port(taken)
    assert found not in (0, taken)
    with socket.create_server(("127.0.0.1", found)) as another:
        assert another.getsockname()[1] == found


def test_the_business_clock_is_the_real_time_without_an_offset(settings) -> None:
    settings.DEMO_CLOCK_OFFSET = timedelta()
    with time_machine.travel(AT, tick=False):
        assert clock.now() == AT


@pytest.mark.parametrize("offset", [timedelta(hours=8), timedelta(days=-1)])
def test_the_business_clock_is_ahead_by_the_offset_and_the_real_time_is_not(
    settings, offset
) -> None:
    settings.DEMO_CLOCK_OFFSET = offset
    with time_machine.travel(AT, tick=False):
        assert (clock.now(), timezone.now()) == (AT + offset, AT)


@pytest.mark.django_db
def test_a_page_shows_the_demo_clock_while_there_is_one(settings) -> None:
    page = reverse("sign_in")
    assert b"Demo clock" not in Client().get(page).content
    settings.DEMO_CLOCK_OFFSET = timedelta(hours=8)
    with time_machine.travel(AT, tick=False):
        assert b"Demo clock: Tuesday 24 November 2026, 17:00 UTC" in Client().get(page).content


def _start(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, object]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


def test_an_offset_is_refused_in_production(monkeypatch) -> None:
    loopback = {**PRODUCTION, "TWILIO_BASE_URL": "http://127.0.0.1:9"}
    with pytest.raises(SystemExit, match="DEMO_CLOCK_OFFSET is for the demo; unset it"):
        _start(monkeypatch, **loopback, DEMO_CLOCK_OFFSET="3600")


@pytest.mark.parametrize("offset", ["3600", "-3600", "0.5"])
def test_an_offset_is_refused_towards_a_gateway_elsewhere(monkeypatch, offset) -> None:
    with pytest.raises(SystemExit, match="DEMO_CLOCK_OFFSET is for the demo; unset it"):
        _start(monkeypatch, TWILIO_BASE_URL="https://api.twilio.com", DEMO_CLOCK_OFFSET=offset)


def test_an_offset_is_refused_towards_a_second_gateway_elsewhere(monkeypatch) -> None:
    elsewhere = {"TELNYX_BASE_URL": "https://api.telnyx.com", "DEMO_CLOCK_OFFSET": "60"}
    with pytest.raises(SystemExit, match="DEMO_CLOCK_OFFSET is for the demo"):
        _start(monkeypatch, **elsewhere)


@pytest.mark.parametrize("gateway", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"])
@pytest.mark.parametrize("hours", [1, -1])
def test_an_offset_is_allowed_towards_a_counterpart_on_this_machine(
    monkeypatch, gateway, hours
) -> None:
    found = _start(monkeypatch, TWILIO_BASE_URL=gateway, DEMO_CLOCK_OFFSET=str(hours * 3600))
    assert found["DEMO_CLOCK_OFFSET"] == timedelta(hours=hours)


def test_the_demo_gives_itself_an_environment_that_the_settings_take(monkeypatch) -> None:
    with time_machine.travel(AT, tick=False):
        env = demo.environment()
    found = _start(monkeypatch, **env)
    assert AT + found["DEMO_CLOCK_OFFSET"] == demo.working_time(AT)
    assert (found["PRODUCTION"], found["DEBUG"]) == (False, False)
    assert env["DATABASE_URL"] == os.environ["DATABASE_URL"]


def test_the_demo_believes_the_key_with_which_its_provider_signs() -> None:
    env = demo.environment()
    assert env["TELNYX_PUBLIC_KEY"] == public_key(env["TELNYX_API_KEY"])


def test_the_demo_makes_new_secrets_every_time() -> None:
    first, second = demo.environment(), demo.environment()
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "BLIND_INDEX_KEY", "CHECKPOINT_SEED",
                 "TWILIO_AUTH_TOKEN", "TELNYX_API_KEY"):  # fmt: skip
        assert first[name] != second[name] != os.environ[name]


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(demo, "VAR", tmp_path)
    refused = pytest.raises(SystemExit, match="A demo is running in this folder already")
    with demo.only_demo(), refused, demo.only_demo():
        pass
    with demo.only_demo():
        pass

"""How the provider misbehaves, and what became of the message each time."""

import asyncio
import json
import time

import aiohttp
import pytest

from campaigns.sandbox.faults import MAGIC, Fault, Faults, RatesError
from tests.campaigns.sandbox.conftest import MESSAGES, PHONE

RECIPIENT = {fault: number for number, fault in MAGIC.items()}


def test_every_fault_has_a_magic_recipient():
    assert set(RECIPIENT) == set(Fault)


@pytest.mark.parametrize(
    ("fault", "status", "accepted"),
    [
        (Fault.TOO_MANY, 429, 0),
        (Fault.ERROR, 500, 0),
        (Fault.ERROR_AFTER_ACCEPT, 500, 1),
        (Fault.BROKEN_JSON, 201, 1),
        (Fault.DUPLICATE_RECEIPT, 201, 1),
        (Fault.EARLY_RECEIPT, 201, 1),
        (Fault.UNDELIVERED, 201, 1),
        (Fault.FILTERED, 201, 1),
    ],
)
def test_a_fault_answers_as_told_and_the_truth_knows(sandbox, fault, status, accepted):
    assert sandbox.send(RECIPIENT[fault]).status == status
    truth = sandbox.truth()
    assert (truth["accepted"], truth["faults"]) == (accepted, {fault: 1})


@pytest.mark.parametrize(("fault", "accepted"), [("reset", 0), ("reset_after_accept", 1)])
def test_a_reset_breaks_the_connection_without_an_answer(sandbox, fault, accepted):
    with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        sandbox.send(RECIPIENT[fault])
    assert sandbox.truth()["accepted"] == accepted


def test_a_hang_gives_no_answer_and_accepts_nothing(sandbox):
    with pytest.raises(asyncio.TimeoutError):
        sandbox.run(asyncio.wait_for(_send(sandbox, Fault.HANG), 0.3))
    assert sandbox.truth()["accepted"] == 0


def test_a_hung_request_ends_when_its_client_goes(sandbox):
    before = sandbox.run(_count_tasks())
    with pytest.raises(asyncio.TimeoutError):
        sandbox.run(asyncio.wait_for(_send(sandbox, Fault.HANG), 0.3))
    sandbox.wait(lambda: len(asyncio.all_tasks()) == before)


def test_a_hung_request_does_not_hold_up_the_end(sandbox):
    hung = sandbox.run(_start_hanging(sandbox))
    started = time.monotonic()
    sandbox.restart()
    with pytest.raises(aiohttp.ClientError):
        sandbox.run(hung)
    assert time.monotonic() - started < 10


def test_a_slow_answer_takes_two_seconds_and_accepts_at_once(sandbox):
    with pytest.raises(asyncio.TimeoutError):
        sandbox.run(asyncio.wait_for(_send(sandbox, Fault.SLOW), 0.3))
    assert sandbox.truth()["accepted"] == 1
    started = time.monotonic()
    assert sandbox.send(RECIPIENT[Fault.SLOW]).status == 201
    assert time.monotonic() - started >= 1.9


def test_too_many_says_when_to_come_back(sandbox):
    answer = sandbox.send(RECIPIENT[Fault.TOO_MANY])
    assert (answer.json["code"], answer.headers["Retry-After"]) == (20429, "1")


def test_broken_json_cannot_be_read(sandbox):
    answer = sandbox.send(RECIPIENT[Fault.BROKEN_JSON])
    assert answer.text.startswith("{")
    with pytest.raises(json.JSONDecodeError):
        answer.json  # noqa: B018


def test_rates_are_changed_and_shown_while_running(sandbox):
    answer = sandbox.post("/sandbox/faults", json={"error": 1})
    assert answer.json == sandbox.get("/sandbox/faults").json
    assert answer.json["error"] == 1
    assert set(answer.json) == set(Fault)
    assert sandbox.send().status == 500


def test_new_rates_replace_the_old_ones(sandbox):
    sandbox.post("/sandbox/faults", json={"error": 1})
    sandbox.post("/sandbox/faults", json={})
    assert sandbox.send().status == 201


@pytest.mark.parametrize(
    "rates", [{"nonsense": 0.1}, {"error": 1.1}, {"error": -1}, {"error": "1"}, {"error": True}]
)
def test_a_rate_that_makes_no_sense_changes_nothing(sandbox, rates):
    assert sandbox.post("/sandbox/faults", json=rates).status == 400
    assert set(sandbox.get("/sandbox/faults").json.values()) == {0}


def test_rates_above_one_in_sum_are_refused():
    with pytest.raises(RatesError, match="more than 1"):
        Faults({"error": 0.6, "hang": 0.5})


def test_rates_are_taken_as_json_only(sandbox):
    assert sandbox.post("/sandbox/faults", data='{"error": 1}').status == 400
    json_text = {"Content-Type": "application/json"}
    assert sandbox.post("/sandbox/faults", data="{", headers=json_text).status == 400
    assert sandbox.post("/sandbox/faults", json=[]).status == 400


def test_a_seed_gives_the_same_faults_in_any_order():
    draws = [(f"+120255501{number:02}", attempt) for number in range(100) for attempt in (0, 1)]
    one, two = _chosen(draws, seed=7), _chosen(reversed(draws), seed=7)
    assert one == two
    assert one != _chosen(draws, seed=8)


def test_a_second_attempt_draws_anew():
    faults = Faults({"error": 0.5}, seed=3)
    assert {faults.choose(to=PHONE, attempt=attempt) for attempt in range(50)} == {
        None,
        Fault.ERROR,
    }


def test_attempts_are_counted_over_accepted_and_turned_away(sandbox):
    sandbox.faults.replace({"error": 0.5})
    expected = [sandbox.faults.choose(to=PHONE, attempt=attempt) for attempt in range(12)]
    met = [Fault.ERROR if sandbox.send().status == 500 else None for _ in range(12)]
    assert met == expected
    assert set(met) == {None, Fault.ERROR}


def test_each_fault_comes_about_as_often_as_its_rate():
    faults = Faults({"error": 0.1, "reset": 0.3}, seed=11)
    drawn = [faults.choose(to=PHONE, attempt=attempt) for attempt in range(5000)]
    assert 400 < drawn.count(Fault.ERROR) < 600
    assert 1350 < drawn.count(Fault.RESET) < 1650


def _chosen(draws, *, seed):
    faults = Faults({"error": 0.2, "reset": 0.3}, seed=seed)
    return {(to, attempt): faults.choose(to=to, attempt=attempt) for to, attempt in draws}


def _send(sandbox, fault):
    form = {"To": RECIPIENT[fault], "From": "Northwind", "Body": "Hello"}
    return sandbox.ask("POST", f"{MESSAGES}.json", data=form)


async def _count_tasks():
    return len(asyncio.all_tasks())


async def _start_hanging(sandbox):
    task = asyncio.create_task(_send(sandbox, Fault.HANG))
    await asyncio.sleep(0.1)
    return task

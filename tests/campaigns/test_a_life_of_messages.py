"""Whatever happens, and in whatever order, no message is sent twice and none to who refused."""

import os
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django import conf
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count
from django.db.models.functions import Now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from audit import roles
from audit.models import Operator
from campaigns import delivery, dispatch, erasure, receipts
from campaigns.models import Attempt, Campaign, Message
from consent.models import Subscriber
from tests import services
from tests.campaigns.conftest import TEXT, Compose, Provider, new_york, withdraw, write
from tests.conftest import AT

PHONES = new_york(12)
NOBODY = "http://127.0.0.1:9"
MANNERS = ["too_many", "error", "error_after_accept", "reset_after_accept", "broken_json"]
REFUSED = (dispatch.StepRefused, ValidationError)
Outcome = Attempt.Outcome


class Life(RuleBasedStateMachine):
    """People, two campaigns, workers that may vanish, and a provider with moods."""

    provider: Provider
    compose: Compose
    author: Operator
    approver: Operator
    people: Sequence[Subscriber]

    @initialize()
    def begin(self) -> None:
        self.at, self.before = AT, int(self.provider.truth()["accepted"])
        self.batches: list[delivery.Batch] = []
        self.launched: dict[int, int] = {}  # how many messages a campaign has
        self.closed: dict[int, int] = {}  # how many attempts, once there must be no more
        self.over: dict[int, int] = {}  # the same of cancelled campaigns
        self.campaigns = [self.compose(to="draft"), self.compose(text=f"{TEXT} Bye.")]
        self.prepare(1, "launch")

    # --- campaigns

    @rule(which=st.integers(0, 1), step=st.sampled_from(["check", "edit", "approve", "launch"]))
    def prepare(self, which: int, step: str) -> None:
        campaign = self.campaigns[which]
        by = self.author if step in {"check", "edit"} else self.approver
        changes = {"name": f"Kettle {step}"} if step == "edit" else {}
        with suppress(*REFUSED):
            getattr(dispatch, step)(campaign=campaign, by=by, at=self.at, **changes)
            if step == "launch":
                self.launched[campaign.pk] = campaign.messages.count()

    @rule(which=st.integers(0, 1))
    def hurry(self, which: int) -> None:
        for step in ("check", "approve", "launch"):
            self.prepare(which, step)

    @precondition(lambda self: self.launched)
    @rule(which=st.integers(0, 1), step=st.sampled_from(["pause", "resume", "resume", "cancel"]))
    def halt(self, which: int, step: str) -> None:
        with suppress(*REFUSED):
            getattr(dispatch, step)(campaign=self.campaigns[which], by=self.approver, at=self.at)

    # --- workers

    @precondition(lambda self: self.launched)
    @rule(mood=st.sampled_from(["", "", *MANNERS, "away"]), goes_on=st.booleans())
    def take_up(self, mood: str, goes_on: bool) -> None:
        """By a worker that goes on to settle, or that does later or never."""
        self.provider.ask("/sandbox/faults", {mood: 1.0} if mood in MANNERS else {})
        # Into the settings that the test has made: each change by its fixture would nest once more.
        conf.settings.TWILIO_BASE_URL = NOBODY if mood == "away" else self.provider.url
        heard = self.provider.requests()
        on_record = set(Attempt.objects.values_list("pk", flat=True))
        if (batch := delivery.take_up(at=self.at)) is None:
            return
        if mood == "away":
            wait([batch._calling._answers])  # or the next address would be theirs, too
        else:
            calls = Attempt.objects.exclude(pk__in=on_record).count()
            services.wait_until(
                lambda: self.provider.requests() == heard + calls,
                seconds=10,
                what="all calls are made",
                every=0.005,
            )
        self.batches.append(batch)
        if goes_on:
            self.settle(len(self.batches) - 1)

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(0, 9))
    def settle(self, which: int) -> None:
        """Late perhaps, when others have given its messages up."""
        self.batches.pop(which % len(self.batches)).finish(at=self.at)

    @precondition(lambda self: self.batches)
    @rule(which=st.integers(0, 9))
    def crash(self, which: int) -> None:
        self.batches.pop(which % len(self.batches))

    @precondition(lambda self: self.launched)
    @rule(mood=st.sampled_from(["", *MANNERS, "away"]))
    def die(self, mood: str) -> None:
        """A worker takes up, dies, and is found."""
        before = len(self.batches)
        self.take_up(mood, goes_on=False)
        del self.batches[before:]
        self.end_leases()

    @precondition(lambda self: self.launched)
    @rule()
    def end_leases(self) -> None:
        held = Message.objects.filter(lease_until__isnull=False)
        held.update(lease_until=Now() - timedelta(hours=1))
        delivery.sweep(at=self.at)

    # --- receipts

    @precondition(lambda self: self.launched)
    @rule(status=st.sampled_from(["sent", "delivered", "undelivered"]), skip=st.integers(0, 2))
    def receive_receipts(self, status: str, skip: int) -> None:
        for attempt, sid in sorted(self.taken().items())[skip:]:
            receipts.keep(attempt=attempt, provider_id=sid, status=status, code="", at=self.at)
        receipts.reconcile(at=self.at)

    def taken(self) -> dict[str, str]:
        """The provider's own account, by attempt, of what it took in this life."""
        ours = {attempt.hex for attempt in Attempt.objects.values_list("pk", flat=True)}
        new = self.provider.ask(f"/sandbox/messages?after={self.before}")
        found = {attempt_of(message): message["sid"] for message in new}
        return {attempt: sid for attempt, sid in found.items() if attempt in ours}

    # --- people and time

    @rule(who=st.integers(0, len(PHONES) - 1), word=st.sampled_from(["STOP", "START"]))
    def write(self, who: int, word: str) -> None:
        self.at += timedelta(seconds=1)  # nobody writes twice at one instant
        write(word, number=PHONES[who], at=self.at)

    @rule(who=st.integers(0, len(PHONES) - 1))
    def tell_staff(self, who: int) -> None:
        self.people[who].refresh_from_db()
        withdraw(self.people[who], channel="staff", by="command", at=self.at)

    @rule(who=st.integers(0, len(PHONES) - 1))
    def erase(self, who: int) -> None:
        person = Subscriber.objects.get(pk=self.people[who].pk)
        if person.number:
            erasure.erase(person=person, by="command", at=self.at)

    @rule(seconds=st.sampled_from([1, 15, 120, 900]))
    def pass_time(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)

    # --- what holds at any time

    @invariant()
    def every_message_is_in_one_state(self) -> None:
        for campaign in Campaign.objects.filter(pk__in=self.launched):
            assert sum(campaign.counts().values()) == self.launched[campaign.pk]

    @invariant()
    def nothing_is_tried_again_that_may_have_been_sent(self) -> None:
        tried = Attempt.objects.exclude(outcome=Outcome.REFUSED).values("message")
        assert not tried.annotate(times=Count("pk")).filter(times__gt=1).exists()

    @invariant()
    def nothing_is_taken_twice(self) -> None:
        taken = [uuid.UUID(attempt) for attempt in self.taken()]
        of = Attempt.objects.filter(pk__in=taken).values_list("message", flat=True)
        assert [message for message, times in Counter(of).items() if times > 1] == []

    @invariant()
    def nothing_is_tried_after_a_refusal(self) -> None:
        """Of a consent that was closed, whatever the person said later."""
        closed = Message.objects.filter(consent__withdrawn_at__isnull=False)
        for message, tries in closed.annotate(times=Count("attempts")).values_list("pk", "times"):
            assert self.closed.setdefault(message, tries) == tries

    @invariant()
    def a_cancelled_campaign_is_over(self) -> None:
        cancelled = Campaign.objects.filter(status=Campaign.Status.CANCELLED)
        for campaign, tries in cancelled.annotate(times=Count("messages__attempts")).values_list(
            "pk", "times"
        ):
            assert self.over.setdefault(campaign, tries) == tries


def attempt_of(message: dict[str, Any]) -> str:
    return parse_qs(urlsplit(message["status_callback"]).query)["attempt"][0]


class Undone(Life):
    """A life after which the database is as before."""

    def __init__(self) -> None:
        super().__init__()
        self._all = transaction.atomic()
        self._all.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._all.__exit__(None, None, None)


def test_a_life_of_messages(
    provider: Provider,
    compose: Compose,
    people: Callable[[Sequence[str]], list[Subscriber]],
    operators: Callable[..., Operator],
    settings: Any,
) -> None:
    Undone.provider, Undone.compose = provider, staticmethod(compose)
    Undone.author, Undone.approver = (
        operators(roles.CAMPAIGN_AUTHOR),
        operators(roles.CAMPAIGN_APPROVER),
    )
    Undone.people = people(PHONES)
    settings.CLAIM_SIZE = 3
    run_state_machine_as_test(Undone, settings=DOSE)


DOSE = settings(
    max_examples=500 if os.environ.get("DOSE") == "full" else 12,
    stateful_step_count=50,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

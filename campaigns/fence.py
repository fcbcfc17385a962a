"""The fence: the last question before a message leaves, asked under locks and committed first.

Still ours, campaign being sent, permission still there, inside the window, caps not reached,
sender verified: then an attempt is recorded. A STOP that committed before is seen; a STOP that
comes during waits for this transaction, so no attempt commits after an opt-out did. An emergency
stop that committed before we read is obeyed; one that commits while we run lets this batch go.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from audit import merkle, trail
from campaigns import facts, verdicts
from campaigns.facts import Due, Facts, Person
from campaigns.models import Attempt, Decision, Message, Sender
from campaigns.verdicts import PASS, Grounds, Verdict

Status = Message.Status

INSERT_ATTEMPTS = """
INSERT INTO campaigns_attempt
    (id, message_id, number, claim, at, decision_id, outcome, provider_id, code)
SELECT id, message_id, number, %s, %s, decision_id, 'pending', '', ''
FROM json_to_recordset(%s)
    AS told (id uuid, message_id bigint, number smallint, decision_id bigint)
"""


class Passed(NamedTuple):
    """An attempt on record: what may be handed over, from whom and to whom."""

    pk: uuid.UUID
    number: int
    claim: uuid.UUID
    at: datetime
    message: Due
    person: Person | None
    sender: Sender
    decision: Decision

    @property
    def message_id(self) -> int:
        return self.message.pk

    @property
    def found(self) -> dict[str, Any]:
        """What allowed it, as `Attempt.found` tells it from what the database keeps."""
        consent = self.message.consent_id
        return {**self.decision.told, **({"consent": str(consent)} if consent else {})}


Decided = tuple[Due, Verdict, Grounds]


def let_pass(messages: Iterable[Due], *, at: datetime) -> list[Passed]:
    """Record an attempt for each message that may leave now; put the others aside.

    Call it in the transaction that locked the messages, after their campaigns.
    """
    asked = sorted(messages, key=lambda message: message.pk)
    found = facts.of(asked, at)
    decided = [
        (message, verdicts.of(message, found), verdicts.grounds_of(message, found))
        for message in asked
    ]
    _put_aside([one for one in decided if one[1] is not PASS], found)
    return _record([one for one in decided if one[1] is PASS], found)


def _put_aside(stopped: Iterable[Decided], found: Facts) -> None:
    """One statement for all that share a verdict and its grounds, not one per message."""
    together: dict[tuple[Verdict, Grounds], list[int]] = defaultdict(list)
    for message, verdict, grounds in stopped:
        together[verdict, grounds._replace(allowed_by=None)].append(message.pk)
    for (verdict, grounds), ids in together.items():
        waits = verdict.status == Status.WAITING
        Message.objects.filter(pk__among=ids).update(
            status=verdict.status,
            reason=verdict.reason,
            stopped=verdicts.told(grounds, found),
            due_at=verdict.due_at,
            settled_at=None if waits else found.at,
        )


def _record(passing: Sequence[Decided], found: Facts) -> list[Passed]:
    if not passing:
        return []
    claim, decisions = uuid.uuid4(), _decisions(passing, found)
    attempts = [
        Passed(
            pk=uuid.uuid4(),
            number=message.tries + 1,
            claim=claim,
            at=found.at,
            message=message,
            person=found.people[message.subscriber_id] if message.subscriber_id else None,
            sender=verdicts.sender_of(message, found),
            decision=decisions[grounds],
        )
        for message, _verdict, grounds in passing
    ]
    _insert(attempts, claim, found.at)
    _mark_calling([message for message, _verdict, _grounds in passing], claim, found.at)
    _tell(attempts, found.at)
    return attempts


def _decisions(passing: Iterable[Decided], found: Facts) -> dict[Grounds, Decision]:
    """One row for all that were found alike."""
    distinct = dict.fromkeys(grounds for _message, _verdict, grounds in passing)
    decisions = {grounds: Decision(told=verdicts.told(grounds, found)) for grounds in distinct}
    Decision.objects.bulk_create(decisions.values())
    return decisions


def _insert(attempts: Sequence[Passed], claim: uuid.UUID, at: datetime) -> None:
    """Write the attempts of a claim, by the fastest way that this database has."""
    rows = [
        {
            "id": one.pk.hex,
            "message_id": one.message.pk,
            "number": one.number,
            "decision_id": one.decision.pk,
        }
        for one in attempts
    ]
    if connection.vendor != "postgresql":
        Attempt.objects.bulk_create(Attempt(claim=claim, at=at, **row) for row in rows)
        return
    with connection.cursor() as cursor:
        cursor.execute(INSERT_ATTEMPTS, [claim, at, json.dumps(rows)])


def _tell(attempts: Sequence[Passed], at: datetime) -> None:
    """One entry with the Merkle root of the batch's decisions: each is provable without its own."""
    leaves = (merkle.hash_leaf(trail.canonical(_leaf(attempt))) for attempt in attempts)
    trail.record(
        verb="messages.allowed",
        subject=f"claim:{attempts[0].claim.hex}",
        by="worker",
        at=at,
        facts={"messages": len(attempts), "decisions": merkle.root_of(leaves).hex()},
    )


def leaves_of(claims: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    """What the entry of each claim tells of its attempts, in the order it was told in.

    A claim's messages are taken up by their keys, each once: so the order can be had again.
    """
    told: dict[uuid.UUID, list[dict[str, Any]]] = defaultdict(list)
    of_them = Attempt.objects.filter(claim__among=set(claims)).order_by("message_id")
    for attempt in of_them.select_related("message", "decision"):
        told[attempt.claim].append(_leaf(attempt))
    return dict(told)


def _leaf(attempt: Attempt | Passed) -> dict[str, Any]:
    return {
        "attempt": attempt.pk.hex,
        "message": attempt.message_id,
        "number": attempt.number,
        "decision": attempt.found,
    }


def _mark_calling(passing: Sequence[Due], claim: uuid.UUID, at: datetime) -> None:
    by_tries: dict[int, list[int]] = defaultdict(list)
    for message in passing:
        by_tries[message.tries].append(message.pk)
    for tries, ids in by_tries.items():
        Message.objects.filter(pk__among=ids).update(
            status=Status.CALLING,
            claim=claim,
            fenced_at=at,
            tries=tries + 1,
            reason="",
            lease_until=Now() + settings.LEASE,
        )

"""Writes the trail: one entry for every act, in the transaction of the act."""

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from audit.merkle import hash_leaf
from audit.models import Detail, Entry, Operator

MACHINES = frozenset({"worker", "gateway", "person", "command", "web"})
BATCH = 1_000
LOOKS_PERSONAL = re.compile(
    r"\+\d[\d ().-]{5,}\d"  # an international number, however it is spaced
    r"|(?<![\w-])\d{10,15}(?![\w-])"
    r"|(?<![\w-])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w-])"  # as North America writes them
    r"|[^@\s]+@[^@\s]+\.[A-Za-z]"
)

ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)

Actor = Operator | str


@dataclass(frozen=True, slots=True)
class Act:
    """What an entry tells of: a verb in the past, an opaque subject, impersonal facts."""

    verb: str
    subject: str
    facts: dict[str, Any] = field(default_factory=dict)
    detail: str = field(default="", repr=False)


class NotRecorded(ValueError):
    """An entry that may not be written as it is; the text says what is wrong with it."""


def actor_name(by: Actor) -> str:
    """How an actor stands in the trail: an operator's key or a machine's name."""
    if isinstance(by, Operator):
        return f"operator:{by.pk}"
    if by not in MACHINES:
        raise NotRecorded(f"an actor is an operator or one of {', '.join(sorted(MACHINES))}")
    return by


def instant(at: datetime) -> str:
    """ISO 8601 in UTC with microseconds, the one form in which a time is hashed."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def canonical(content: dict[str, Any]) -> bytes:
    """The one spelling of `content` as JSON that is hashed; see docs/trail-format.md."""
    return ENCODER.encode(content).encode()


def content_of(entry: Entry) -> dict[str, Any]:
    """What the leaf of an entry covers: everything in it."""
    return {
        "v": 1,
        "uid": entry.uid.hex,
        "at": instant(entry.at),
        "actor": entry.actor,
        "verb": entry.verb,
        "subject": entry.subject,
        "facts": entry.facts,
        "commitment": entry.commitment,
    }


def commitment_to(text: str, salt: bytes) -> str:
    """A hash that fixes `text` and gives it away to nobody who lacks the salt."""
    return hashlib.sha256(salt + text.encode()).hexdigest()


def record(
    *,
    verb: str,
    subject: str,
    by: Actor,
    at: datetime,
    facts: dict[str, Any] | None = None,
    detail: str = "",
) -> None:
    """Write one entry. Call it inside the transaction of the act it tells of.

    `subject` is an opaque id (`subscriber:<uuid>`); `facts` hold nothing personal and no floats;
    what must be personal goes into `detail`, which is encrypted and can be erased.
    Raises NotRecorded if an actor is unknown, a fact looks personal or no transaction is open.
    """
    record_many([Act(verb, subject, facts or {}, detail)], by=by, at=at)


def record_many(acts: Sequence[Act], *, by: Actor, at: datetime) -> None:
    """As `record`, for many acts of one actor at one time, in as few statements as may be."""
    if not connection.in_atomic_block:
        raise NotRecorded("an entry is written in the transaction of its act, and none is open")
    written = [_entry(act, by=actor_name(by), at=at) for act in acts]
    Entry.objects.bulk_create([entry for entry, _detail in written], batch_size=BATCH)
    details = [detail for _entry, detail in written if detail]
    Detail.objects.bulk_create(details, batch_size=BATCH)


def _entry(act: Act, *, by: str, at: datetime) -> tuple[Entry, Detail | None]:
    if looks_personal(act.subject):
        raise NotRecorded("a subject is an opaque id and names nobody")
    salt = secrets.token_bytes(32)
    entry = Entry(
        at=at,
        actor=by,
        verb=act.verb,
        subject=act.subject,
        facts=_impersonal(act.facts),
        commitment=commitment_to(act.detail, salt) if act.detail else "",
    )
    entry.leaf_hash = hash_leaf(canonical(content_of(entry))).hex()
    if not act.detail:
        return entry, None
    return entry, Detail(entry=entry, salt=salt.hex(), text=act.detail)


def _impersonal(facts: dict[str, Any]) -> dict[str, Any]:
    for value in _leaves_of(facts):
        if isinstance(value, float):
            raise NotRecorded("facts hold no floats: two machines may spell them differently")
        if looks_personal(str(value)):
            raise NotRecorded("facts hold nothing personal: put it into the detail")
    return facts


def looks_personal(text: str) -> bool:
    """Whether `text` holds what could be a phone number or a mail address."""
    return LOOKS_PERSONAL.search(text) is not None


def _leaves_of(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.items() for leaf in _leaves_of(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves_of(item)]
    return [value]

"""Other systems: gives and revokes their keys, and acts once on a call that is told twice."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from audit import trail
from audit.trail import Actor
from consent.models import ApiCall, Integration

KEY = re.compile(r"vk_[A-Za-z0-9_-]{43}")  # the prefix lets scanners find a key that was leaked

NAMELESS = "The name must hold no telephone number and no mail address."

Answer = tuple[int, dict[str, Any]]  # an HTTP status, and a body that holds nothing personal


class KeyUsed(ValueError):
    """An idempotency key that stands for another call; `str()` says it to people."""


@transaction.atomic
def issue(*, name: str, scopes: Iterable[str], by: Actor, at: datetime) -> tuple[Integration, str]:
    """A new integration and its key, which is told here once and kept nowhere.

    The key has 256 bits of entropy, so a plain SHA-256 of it gives nothing away: a slow hash is
    for what people choose and others guess. Raises ValidationError.
    """
    key = f"vk_{secrets.token_urlsafe(32)}"
    told = sorted(_known(scopes), key=Integration.Scope.values.index)
    integration = Integration(name=name, scopes=" ".join(told), key_hash=_hash(key), created_at=at)
    if trail.looks_personal(name):  # it stands in clear beside every consent it told of
        raise ValidationError({"name": NAMELESS})
    integration.full_clean()
    integration.save()
    _tell("integration.issued", integration, by=by, at=at, scopes=told)
    return integration, key


def _known(scopes: Iterable[str]) -> set[str]:
    wanted = set(scopes)
    if not wanted or wanted - set(Integration.Scope.values):
        raise ValidationError({"scopes": f"Give some of: {', '.join(Integration.Scope.values)}."})
    return wanted


@transaction.atomic
def revoke(*, integration: Integration, by: Actor, at: datetime) -> bool:
    """End an integration's key for good, from the next call on; False if it was over already."""
    ours = Integration.objects.filter(pk=integration.pk, revoked_at=None)
    if not ours.update(revoked_at=at):
        return False
    _tell("integration.revoked", integration, by=by, at=at)
    return True


def by_key(key: str) -> Integration | None:
    """Whose key this is; None for one that is unknown or revoked.

    Only hashes are compared, by an index: how long that takes says something about the hash of a
    guess, and nobody can choose a guess by its hash.
    """
    if not KEY.fullmatch(key):
        return None
    return Integration.objects.filter(key_hash=_hash(key), revoked_at=None).first()


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _tell(verb: str, integration: Integration, *, by: Actor, at: datetime, **facts: Any) -> None:
    subject = f"integration:{integration.pk}"
    trail.record(verb=verb, subject=subject, by=by, at=at, facts=facts)


# --- calls that are told twice -----------------------------------------------------------------


@transaction.atomic
def once(
    *,
    integration: Integration,
    key: str,
    fingerprint: str,
    act: Callable[[], Answer],
    at: datetime,
) -> Answer:
    """Do `act` and keep its answer; for the same call told again, that answer and no act.

    The row is written before the act: of two equal calls at once the second waits for the first,
    in the unique index on PostgreSQL, and on SQLite before its transaction begins. If `act`
    raises, nothing is kept. Raises KeyUsed.
    """
    unanswered = {"fingerprint": fingerprint, "status": 0, "answer": {}, "at": at}
    call, new = ApiCall.objects.get_or_create(integration=integration, key=key, defaults=unanswered)
    if new:
        call.status, call.answer = act()
        call.save(update_fields=["status", "answer"])
    elif not constant_time_compare(call.fingerprint, fingerprint):
        raise KeyUsed("This Idempotency-Key was used for another call; take a new one.")
    return call.status, call.answer


def fingerprint_of(operation: str, body: bytes) -> str:
    """Tells whether two calls are the same, and nobody who lacks SECRET_KEY what they said."""
    told = operation.encode() + b"\n" + body
    return salted_hmac("consent.integrations", told, algorithm="sha256").hexdigest()

"""Every change of who may be messaged: the only code that opens, confirms or closes a consent."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from audit import merkle, trail
from audit.trail import Actor
from consent import admission as admissions
from consent import intake
from consent.admission import Admission, Outcome, leaf_of
from consent.intake import OptIn
from consent.models import Consent, Method, Purpose, Subscriber, Suppression

# --- opening -----------------------------------------------------------------------------------


@transaction.atomic
def enrol(*, opt_ins: Sequence[OptIn], purpose: Purpose, by: Actor, at: datetime) -> list[Outcome]:
    """Open a consent for each opt-in that may have one; the outcomes stand in the same order.

    Never lifts a refusal, and never re-opens what was withdrawn after the opt-in was given.
    A notice that lacks an essential element is the caller's to refuse.
    """
    lapse(purpose=purpose, by=by, at=at)
    admission = admissions.of(opt_ins, purpose=purpose)
    outcomes = admission.decide_all(opt_ins)
    opened = [_act("consent.opened", leaf) for leaf in admission.write(at=at)]
    confirmed = [_act("consent.confirmed", leaf) for leaf in confirmations(admission)]
    trail.record_many([*opened, *confirmed], by=by, at=at)
    return outcomes


def confirmations(admission: Admission) -> list[dict[str, Any]]:
    """What the trail fixes of consents on record that an admission has confirmed."""
    ours = Consent.objects.filter(pk__among=[period.consent for period in admission.confirmed])
    return [leaf_of(consent) for consent in ours.order_by("pk").values(*intake.CONSENT)]


def _act(verb: str, facts: dict[str, Any]) -> trail.Act:
    return trail.Act(verb=verb, subject=f"subscriber:{uuid.UUID(facts['subscriber'])}", facts=facts)


@transaction.atomic
def admit(
    *, opt_ins: Sequence[OptIn], purpose: Purpose, source: str, by: Actor, at: datetime
) -> list[Outcome]:
    """As `enrol`, for a share of a list: one entry of the trail, about `source`, tells of them all.

    It holds the Merkle roots of what was opened and of what was confirmed, so that each is
    provable without an entry of its own.
    """
    lapse(purpose=purpose, by=by, at=at)
    told_in = uuid.uuid4()
    admission = admissions.of(opt_ins, purpose=purpose)
    outcomes = admission.decide_all(opt_ins)
    opened = admission.write(at=at, told_in=told_in)
    confirmed = confirmations(admission)
    facts = {
        "told_in": told_in.hex,
        "opened": len(opened),
        "consents": root_of(opened),
        "confirmed": len(confirmed),
        "confirmations": root_of(confirmed),
    }
    trail.record(verb="consents.opened", subject=source, by=by, at=at, facts=facts)
    return outcomes


def root_of(leaves: Iterable[dict[str, Any]]) -> str:
    """The Merkle root over such leaves in the order of their consents, "" if there are none."""
    ordered = sorted(leaves, key=lambda leaf: str(leaf["consent"]))
    hashed = [merkle.hash_leaf(trail.canonical(leaf)) for leaf in ordered]
    return merkle.root_of(hashed).hex() if hashed else ""


@transaction.atomic
def lapse(*, purpose: Purpose, by: Actor, at: datetime) -> int:
    """Close what nobody confirmed in time, and what was granted only until now; returns how many.

    CTIA and carriers want a recurring programme confirmed; the days are the purpose's own.
    """
    lapsed = Consent.objects.lapsing(purpose, at).update(lapsed_at=at)
    if lapsed:
        facts = {"consents": lapsed}
        trail.record(
            verb="consents.lapsed", subject=f"purpose:{purpose.pk}", by=by, at=at, facts=facts
        )
    return lapsed


def hold(indexes: Iterable[str]) -> None:
    """Lock the people of these numbers in the common order, before any of them is withdrawn."""
    people = Subscriber.objects.filter(number_index__among=set(indexes)).in_lock_order()
    list(people.values_list("pk"))


# --- closing -----------------------------------------------------------------------------------


@transaction.atomic
def withdraw(
    *,
    number_index: str,
    channel: Suppression.Channel,
    reason: str,
    by: Actor,
    at: datetime,
    purpose: Purpose | None = None,
    note: str = "",
) -> bool:
    """Close every open consent (of `purpose`, or all) and refuse from now on.

    Works for a number that never subscribed, too. Returns whether this is a new refusal, so that
    it is confirmed once. `reason` is a fixed phrase, never what the person wrote; `note`, if any,
    is personal and goes encrypted into the trail. The person's row is locked first: no attempt can
    commit after this does.
    """
    person = Subscriber.objects.filter(number_index=number_index).in_lock_order().first()
    closed = _close(person, purpose, at) if person else 0
    known = Suppression.objects.against(number_index, purpose).exists()
    _refusal, created = Suppression.objects.get_or_create(
        number_index=number_index,
        purpose=purpose,
        channel=channel,
        lifted_at=None,
        defaults={"reason": reason, "at": at},
    )
    new = created and not known  # of two at once from a stranger, the database lets one create
    trail.record(
        verb="consent.withdrawn",
        subject=f"subscriber:{person.pk}" if person else f"index:{number_index[:16]}",
        by=by,
        at=at,
        facts={"channel": channel, "reason": reason, "closed": closed, "new": new},
        detail=note,
    )
    return new


def _close(person: Subscriber, purpose: Purpose | None, at: datetime) -> int:
    consents = person.consents.open()
    if purpose:
        consents = consents.filter(purpose=purpose)
    return consents.update(withdrawn_at=at)


@transaction.atomic
def restore(*, number_index: str, evidence: str, by: Actor, at: datetime) -> int:
    """The person's own START: give back what their STOP by the same channel took.

    Only consents that were valid when STOP closed them come back, as new periods; nothing is
    created for a number that had none, and a refusal by another channel stands. Returns how many
    came back.
    """
    person = Subscriber.objects.filter(number_index=number_index).in_lock_order().first()
    stops = Suppression.objects.standing().filter(
        number_index=number_index, channel=Suppression.Channel.SMS
    )
    stopped_at = stops.order_by("at").values_list("at", flat=True).first()
    if stopped_at is None:
        return 0
    stops.update(lifted_at=at)
    taken = person.consents.filter(withdrawn_at=stopped_at) if person else Consent.objects.none()
    valid = taken.confirmed().unrefused().exclude(expires_at__lte=at)
    reopened = [_reopened(consent, evidence, at) for consent in valid]
    Consent.objects.bulk_create(reopened)
    trail.record(
        verb="consent.restored",
        subject=f"subscriber:{person.pk}" if person else f"index:{number_index[:16]}",
        by=by,
        at=at,
        facts={"consents": [consent.pk.hex for consent in reopened]},
    )
    return len(reopened)


def _reopened(consent: Consent, evidence: str, at: datetime) -> Consent:
    return Consent(
        subscriber_id=consent.subscriber_id,
        purpose_id=consent.purpose_id,
        notice_id=consent.notice_id,
        method=Method.RESTORED,
        source=f"consent {consent.pk.hex}",
        evidence=evidence,
        given_at=at,
        recorded_at=at,
        confirmed_at=at,
        expires_at=consent.expires_at,
    )

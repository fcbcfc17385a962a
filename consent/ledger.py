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
from consent.evidence import commitment
from consent.intake import OptIn
from consent.models import (
    Consent,
    ConsentQuerySet,
    Method,
    Purpose,
    Subscriber,
    Suppression,
    SuppressionQuerySet,
)

# --- opening -----------------------------------------------------------------------------------


@transaction.atomic
def enrol(*, opt_ins: Sequence[OptIn], purpose: Purpose, by: Actor, at: datetime) -> list[Outcome]:
    """Open a consent for each opt-in that may have one; the outcomes stand in the same order.

    Never lifts a refusal, and never re-opens what was withdrawn after the opt-in was given.
    A notice that lacks an essential element is the caller's to refuse.
    """
    _lapse_among(opt_ins, purpose, by, at)
    admission = admissions.of(opt_ins, purpose=purpose, at=at)
    outcomes = admission.decide_all(opt_ins)
    opened = [_act("consent.opened", leaf) for leaf in admission.write(at=at)]
    confirmed = [_act("consent.confirmed", leaf) for leaf in confirmations(admission)]
    trail.record_many([*opened, *confirmed], by=by, at=at)
    return outcomes


@transaction.atomic
def join(*, opt_in: OptIn, purpose: Purpose, by: Actor, at: datetime) -> Outcome:
    """An opt-in that came from the telephone itself: new evidence, after whatever it refused.

    It lifts the person's own refusals, of everything and of this purpose; not the provider's,
    which would refuse the message anyway. Nothing that another purpose lost comes back.
    """
    hold([opt_in.number_index])
    refusals = Suppression.objects.against(opt_in.number_index, purpose)
    lifted = refusals.exclude(channel=Suppression.Channel.PROVIDER).update(lifted_at=at)
    [outcome] = enrol(opt_ins=[opt_in], purpose=purpose, by=by, at=at)
    if lifted:
        _tell("refusal.lifted", opt_in.number_index, by=by, at=at, lifted=lifted)
    return outcome


@transaction.atomic
def confirm(*, consent: Consent, evidence: str, by: Actor, at: datetime) -> bool:
    """The second half of a double opt-in; False if there is nothing left to confirm.

    What lapsed, was withdrawn or is refused by now is not confirmed. `evidence` is what shows it:
    the reply, or where the link was opened.
    """
    hold([consent.subscriber.number_index])
    over = Consent.objects.filter(pk=consent.pk).lapsing(consent.purpose, at)
    _close_what_is_over(over, consent.purpose, by, at)
    ours = Consent.objects.open().unrefused().filter(pk=consent.pk, confirmed_at=None).first()
    if ours is None:
        return False
    ours.confirmed_at, ours.confirmed_with = at, evidence
    ours.save(update_fields=["confirmed_at", "confirmed_with"])
    told = Consent.objects.values(*intake.CONSENT).get(pk=ours.pk)
    leaf = {**leaf_of(told), "confirmed_with": commitment(evidence)}
    trail.record_many([_act("consent.confirmed", leaf)], by=by, at=at)
    return True


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
    _lapse_among(opt_ins, purpose, by, at)
    told_in = uuid.uuid4()
    admission = admissions.of(opt_ins, purpose=purpose, at=at)
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


def _lapse_among(opt_ins: Sequence[OptIn], purpose: Purpose, by: Actor, at: datetime) -> None:
    """Close what is over, of these people only and once they are held: a STOP holds them first."""
    indexes = {opt_in.number_index for opt_in in opt_ins}
    hold(indexes)
    over = Consent.objects.filter(subscriber__number_index__among=indexes)
    _close_what_is_over(over.lapsing(purpose, at), purpose, by, at)


@transaction.atomic
def lapse(*, purpose: Purpose, by: Actor, at: datetime) -> int:
    """Close what nobody confirmed in time, and what was granted only until now; returns how many.

    CTIA and carriers want a recurring programme confirmed; the days are the purpose's own.
    """
    return _close_what_is_over(Consent.objects.lapsing(purpose, at), purpose, by, at)


def _close_what_is_over(over: ConsentQuerySet, purpose: Purpose, by: Actor, at: datetime) -> int:
    lapsed = over.update(lapsed_at=at)
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
        subject=_subject(person, number_index),
        by=by,
        at=at,
        facts={"channel": channel, "reason": reason, "closed": closed, "new": new},
        detail=note,
    )
    return new


def _subject(person: Subscriber | None, number_index: str) -> str:
    return f"subscriber:{person.pk}" if person else f"index:{number_index[:16]}"


def _tell(verb: str, number_index: str, *, by: Actor, at: datetime, **facts: Any) -> None:
    person = Subscriber.objects.filter(number_index=number_index).first()
    subject = _subject(person, number_index)
    trail.record(verb=verb, subject=subject, by=by, at=at, facts=facts)


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
    hold([number_index])
    stops = _stops(number_index)
    stopped_at = stops.order_by("at").values_list("at", flat=True).first()
    if stopped_at is None:
        return 0
    stops.update(lifted_at=at)
    reopened = _reopen(number_index, stopped_at, evidence, at)
    fixed = {"consents": reopened, "evidence": commitment(evidence)}
    _tell("consent.restored", number_index, by=by, at=at, **fixed)
    return len(reopened)


@transaction.atomic
def undo(
    *, number_index: str, stopped_at: datetime, evidence: str, note: str, by: Actor, at: datetime
) -> int:
    """An operator's word that a reply of `stopped_at` was no STOP after all; `note` says why.

    Only that refusal is lifted: one that stood before it, or came after, stands. Returns how many
    consents came back.
    """
    hold([number_index])
    lifted = _stops(number_index).filter(at=stopped_at).update(lifted_at=at)
    reopened = _reopen(number_index, stopped_at, evidence, at) if lifted else []
    person = Subscriber.objects.filter(number_index=number_index).first()
    trail.record(
        verb="refusal.undone",
        subject=_subject(person, number_index),
        by=by,
        at=at,
        facts={"consents": reopened, "lifted": lifted, "evidence": commitment(evidence)},
        detail=note,
    )
    return len(reopened)


@transaction.atomic
def narrow(
    *,
    number_index: str,
    keep: Purpose,
    evidence: str,
    stopped_at: datetime,
    by: Actor,
    at: datetime,
) -> bool:
    """The person's answer to which topics they meant: all of them stopped but `keep`.

    47 CFR 64.1200(a)(12) allows to ask once; without an answer everything stays stopped.
    """
    hold([number_index])
    stop = _stops(number_index).filter(at=stopped_at, purpose=None).first()
    if stop is None:
        return False
    stop.lifted_at = at
    stop.save(update_fields=["lifted_at"])
    ours = Consent.objects.filter(subscriber__number_index=number_index, withdrawn_at=stopped_at)
    for purpose in {consent.purpose for consent in ours.select_related("purpose")} - {keep}:
        Suppression.objects.create(
            number_index=number_index,
            purpose=purpose,
            channel=Suppression.Channel.SMS,
            reason=stop.reason,
            at=stopped_at,  # so that a START finds what this STOP took
        )
    reopened = _reopen(number_index, stopped_at, evidence, at, purpose=keep)
    fixed = {"kept": keep.pk, "consents": reopened, "evidence": commitment(evidence)}
    _tell("refusal.narrowed", number_index, by=by, at=at, **fixed)
    return bool(reopened)


def _stops(number_index: str) -> SuppressionQuerySet:
    """Standing refusals by reply."""
    channel = Suppression.Channel.SMS
    return Suppression.objects.standing().filter(number_index=number_index, channel=channel)


def _reopen(
    number_index: str,
    stopped_at: datetime,
    evidence: str,
    at: datetime,
    *,
    purpose: Purpose | None = None,
) -> list[str]:
    """New periods for the valid consents that a STOP of that instant closed; returns their keys."""
    ours = Consent.objects.filter(subscriber__number_index=number_index)
    taken = ours.filter(withdrawn_at=stopped_at).exclude(expires_at__lte=at)
    standing = ours.open().values("purpose")  # joined anew, or kept, in between
    valid = taken.confirmed().unrefused().exclude(purpose__in=standing)
    if purpose:
        valid = valid.filter(purpose=purpose)
    reopened = [_reopened(consent, evidence, at) for consent in valid]
    Consent.objects.bulk_create(reopened)
    return [consent.pk.hex for consent in reopened]


def _reopened(consent: Consent, evidence: str, at: datetime) -> Consent:
    return Consent(
        subscriber_id=consent.subscriber_id,
        purpose_id=consent.purpose_id,
        notice_id=consent.notice_id,
        method=Method.RESTORED,
        source=f"consent {consent.pk.hex}",
        evidence=evidence,
        commitment=commitment(evidence),
        given_at=at,
        recorded_at=at,
        confirmed_at=at,
        expires_at=consent.expires_at,
    )

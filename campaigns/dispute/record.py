"""Writes down everything about one person as the plain values that pack.json holds."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from audit import trail
from audit.models import Entry, Operator
from campaigns import timeline
from campaigns.dispute.proved import Proved
from campaigns.models import Attempt, Message, Reply
from campaigns.timeline import Event, Life, Masked
from consent.evidence import PROOFS
from consent.models import Consent, OptOutRequest, Subscriber, Suppression

FORMAT = "volens-dispute/1"


@dataclass(frozen=True, slots=True)
class Cover:
    """Who packed whose life, when, and whether the number stands in it in clear."""

    person: Subscriber
    by: Operator
    at: datetime
    reveal: bool

    @property
    def number(self) -> str:
        """The number as it may stand in the pack; "" if the person is erased."""
        return (self.person.number or "") if self.reveal else self.person.masked_number

    @property
    def masked(self) -> Masked:
        """What every text of a person or a clerk passes through before it stands in the pack."""
        return str if self.reveal else timeline.masking(self.person)


def record_of(life: Life, cover: Cover, proved: Proved) -> dict[str, Any]:
    """Everything about the person as JSON can hold it; times in UTC, the number as on the cover.

    Raises CannotDecrypt if a text cannot be read. Source: docs/dispute-packs.md.
    """
    masked = cover.masked
    events = timeline.events_of(life, masked=masked, with_texts=True, with_notes=True)
    return {
        "format": FORMAT,
        "business": settings.BUSINESS_NAME,
        "trail": settings.TRAIL_ORIGIN,
        "made_at": trail.instant(cover.at),
        "made_by": cover.by.username,
        "person": {
            "subscriber": life.person.pk.hex,
            "pseudonym": life.person.pseudonym,
            "number": cover.number,
            "language": life.person.language,
        },
        "consents": [_consent(consent, life, proved, masked) for consent in life.consents],
        "refusals": [_refusal(refusal) for refusal in life.refusals],
        "told_to_staff": [_request(request, masked) for request in life.requests],
        "replies": [_reply(reply, masked) for reply in life.replies],
        "messages": [_message(message, life, proved, masked) for message in life.messages],
        "acts": [_act(entry, life) for entry in life.entries],
        "timeline": [_event(event) for event in events],
        "without_an_entry": proved.untold,
        "not_sealed_yet": proved.document["not_sealed_yet"],
    }


def _instant(at: datetime | None) -> str | None:
    return trail.instant(at) if at else None


def _consent(consent: Consent, life: Life, proved: Proved, masked: Masked) -> dict[str, Any]:
    notice, key = consent.notice, consent.pk.hex
    confirmed = consent.confirmed_at is not None
    return {
        "consent": key,
        "purpose": {
            "code": consent.purpose.code,
            "name": consent.purpose.name,
            "promise": consent.purpose.promise,
            "at_most": f"{consent.purpose.frequency} a {consent.purpose.period}",
            "double_opt_in": consent.purpose.double_opt_in,
        },
        "notice": {
            "notice": notice.pk,
            "channel": notice.channel,
            "language": notice.language,
            "number": notice.number,
            "wording": notice.wording,
            "fingerprint": notice.fingerprint,
            "shown_from": _instant(notice.shown_from),
            "published_at": _instant(notice.published_at),
        },
        "method": consent.method,
        "source": masked(consent.source),
        "can_prove": PROOFS[consent.method].shows,
        "evidence": _evidence(consent.evidence, masked),
        "commitment": consent.commitment,
        "scan": consent.scan.fingerprint if hasattr(consent, "scan") else None,
        "given_at": _instant(consent.given_at),
        "recorded_at": _instant(consent.recorded_at),
        "told_in_entry": proved.told.get(f"opened {key}"),
        "confirmed_at": _instant(consent.confirmed_at),
        "confirmed_how": timeline.confirmed_how(consent, life) if confirmed else None,
        "confirmed_with": _evidence(consent.confirmed_with, masked),
        "confirmation_told_in_entry": proved.told.get(f"confirmed {key}"),
        "expires_at": _instant(consent.expires_at),
        "lapsed_at": _instant(consent.lapsed_at),
        "withdrawn_at": _instant(consent.withdrawn_at),
    }


def _evidence(kept: str | None, masked: Masked) -> dict[str, Any]:
    """The facts of an evidence, and its exact text where the number does not stand in it.

    The commitment in the trail is the hash of the exact text.
    """
    if not kept:
        return {"facts": {}, "text": None}
    try:
        facts = json.loads(kept)
    except ValueError:
        facts = {"told": kept}
    shown = {name: masked(str(fact)) for name, fact in facts.items() if name != "salt"}
    return {"facts": shown, "text": kept if masked(kept) == kept else None}


def _refusal(refusal: Suppression) -> dict[str, Any]:
    return {
        "of": refusal.purpose.code if refusal.purpose else "everything",
        "channel": refusal.channel,
        "reason": refusal.reason,
        "at": _instant(refusal.at),
        "lifted_at": _instant(refusal.lifted_at),
    }


def _request(request: OptOutRequest, masked: Masked) -> dict[str, Any]:
    return {
        "request": request.pk.hex,
        "of": request.purpose.code if request.purpose else "everything",
        "channel": request.channel,
        "note": masked(request.note or ""),
        "received_at": _instant(request.received_at),
        "recorded_at": _instant(request.recorded_at),
        "recorded_by": str(request.recorded_by),
        "due_by": _instant(request.due_by),
        "honoured_at": _instant(request.honoured_at),
        "late": request.was_late,
    }


def _reply(reply: Reply, masked: Masked) -> dict[str, Any]:
    return {
        "reply": reply.pk.hex,
        "provider_id": reply.provider_id,
        "to": reply.sender.address if reply.sender else None,
        "text": masked(reply.text or ""),
        "read_as": reply.intent,
        "reason": reply.reason,
        "language": reply.language,
        "received_at": _instant(reply.received_at),
        "judged_at": _instant(reply.judged_at),
        "judged_by": str(reply.judged_by) if reply.judged_by else None,
        "verdict": reply.verdict or None,
    }


def _message(message: Message, life: Life, proved: Proved, masked: Masked) -> dict[str, Any]:
    sender, campaign = message.from_sender, message.campaign
    return {
        "message": message.pk,
        "campaign": campaign.name if campaign else None,
        "purpose": campaign.purpose.code if campaign else None,
        "answers": message.reply_id.hex if message.reply_id else None,
        "confirms": message.confirms_id.hex if message.confirms_id else None,
        "consent": message.consent_id.hex if message.consent_id else None,
        "from": sender.address if sender else None,
        "text": masked(timeline.text_of(message, life.attempts.get(message.pk, []))),
        "status": message.status,
        "reason": message.reason,
        "stopped": message.stopped,
        "quiet_hours_at_launch": message.opening.decision if message.opening else None,
        "due_at": _instant(message.due_at),
        "not_after": _instant(message.not_after),
        "settled_at": _instant(message.settled_at),
        "attempts": [_attempt(one, life, proved) for one in life.attempts.get(message.pk, [])],
    }


def _attempt(attempt: Attempt, life: Life, proved: Proved) -> dict[str, Any]:
    return {
        "attempt": attempt.pk.hex,
        "number": attempt.number,
        "at": _instant(attempt.at),
        "decision": attempt.found,
        "told_in_entry": proved.told.get(f"allowed {attempt.pk.hex}"),
        "outcome": attempt.outcome,
        "provider_id": attempt.provider_id,
        "code": attempt.code,
        "receipts": [
            {"status": one.status, "code": one.code, "received_at": _instant(one.received_at)}
            for one in life.receipts.get(attempt.pk, [])
        ],
    }


def _act(entry: Entry, life: Life) -> dict[str, Any]:
    return {
        "entry": entry.uid.hex,
        "at": _instant(entry.at),
        "actor": entry.actor,
        "name": life.name_of(entry.actor),
        "verb": entry.verb,
        "subject": entry.subject,
        "facts": entry.facts,
    }


def _event(event: Event) -> dict[str, Any]:
    told = {**asdict(event), "at": _instant(event.at), "lines": list(event.lines)}
    del told["target"]
    return told

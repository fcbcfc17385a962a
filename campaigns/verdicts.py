"""What becomes of a message at the fence, and on what grounds: judged by facts, writing nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings

from campaigns import emergency, quiet_hours
from campaigns.facts import Due, Facts, Person
from campaigns.models import Campaign, Message, Sender
from consent.models import Consent, Method, Purpose

Status = Message.Status

NOT_NOW = "The campaign is not being sent."
NO_PERMISSION = "The person no longer allows it: withdrawn, refused, expired or not confirmed."
TOO_LATE = "Its time was over before it could be sent."
CAP_OF_DAY = "The daily limit of messages to this person was reached."
CAP_OF_PURPOSE = "The promised frequency was reached."
NOT_TO_BE_CONFIRMED = "There is nothing left to confirm: withdrawn, refused or lapsed."
CAP_OF_BUSINESS = "The daily limit of our own messages to one person was reached."
SENDER = "The sender is not verified, or may not be used in that country."
OUTSIDE_WINDOW = "Outside the permitted hours."

CONSENT = "consent"
OWN_OPT_IN = "the person's own opt-in"
OWN_REPLY = "the person's own reply"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a message at the fence."""

    status: Message.Status
    reason: str = ""
    due_at: datetime | None = None


PASS = Verdict(Status.CALLING)


class Grounds(NamedTuple):
    """What the fence finds of one message; what is the same of many is recorded once."""

    allowed_by: str | None = None  # nothing, of what was stopped
    text_in: str | None = None
    notice: int | None = None
    area: int | None = None
    of_day: int | None = None
    of_purpose: int | None = None
    stand_in: str | None = None  # whom people see it from, if not the campaign's own sender


def of(message: Due, facts: Facts) -> Verdict:
    """Whether a message may leave now, waits, or never will; who passes is counted in the facts."""
    if facts.at >= message.not_after:
        return Verdict(Status.EXPIRED, TOO_LATE)
    if message.campaign is not None:
        return _verdict_on_campaign(message, message.campaign, facts)
    assert message.answer is not None  # what has no campaign is one
    if message.answer.confirms is not None:
        return _verdict_on_confirmation(message, message.answer.confirms, facts)
    return _verdict_on_answer(message.answer)


def _verdict_on_answer(answer: Message) -> Verdict:
    """An answer to a person's own reply needs no consent and no hour, only a sender of ours."""
    sender = answer.from_sender
    if sender is None or sender.verified_at is None:
        return Verdict(Status.BLOCKED, SENDER)
    return PASS


def _verdict_on_confirmation(message: Due, consent: Consent, facts: Facts) -> Verdict:
    """The one text to someone who opted in: at the permitted hours, unless their own text asked."""
    assert message.answer is not None  # it is one
    person, sender = facts.person(message), message.answer.from_sender
    if consent.pk not in facts.confirmable:
        return Verdict(Status.BLOCKED, NOT_TO_BE_CONFIRMED)
    if sender is None or not sender.may_reach(facts.country(person)):
        return Verdict(Status.BLOCKED, SENDER)
    window = facts.windows[person.area_id]
    if consent.method != Method.KEYWORD and not window.open:
        return _wait_for(window.next_opening, message)
    return _wait_for_lifting(person, message, facts) or PASS


def _verdict_on_campaign(message: Due, campaign: Campaign, facts: Facts) -> Verdict:
    person = facts.person(message)
    if campaign.status == Campaign.Status.CANCELLED:
        return Verdict(Status.CANCELLED, NOT_NOW)
    if message.consent_id not in facts.permitted:
        return Verdict(Status.BLOCKED, NO_PERMISSION)
    if not campaign.sender.may_reach(facts.country(person)):
        return Verdict(Status.BLOCKED, SENDER)
    window = facts.windows[person.area_id]
    if not window.open:
        return _wait_for(window.next_opening, message)
    if waits := _wait_for_lifting(person, message, facts):
        return waits
    return _verdict_on_caps(person, campaign.purpose, window, facts)


def _wait_for(opening: datetime | None, message: Due) -> Verdict:
    if opening is None or opening >= message.not_after:
        return Verdict(Status.EXPIRED, TOO_LATE)
    return Verdict(Status.WAITING, OUTSIDE_WINDOW, due_at=opening)


def _wait_for_lifting(person: Person, message: Due, facts: Facts) -> Verdict | None:
    """Asked again soon while an emergency stop stands where the person may be; else nothing."""
    stops = facts.stops[person.area_id]
    if not stops:
        return None
    again = min(facts.at + emergency.LOOK_AGAIN, message.not_after)
    return Verdict(Status.WAITING, emergency.because(stops[0]), due_at=again)


def _verdict_on_caps(
    person: Person, purpose: Purpose, window: quiet_hours.Window, facts: Facts
) -> Verdict:
    of_day, of_purpose = facts.of_day[person.pk], facts.of_purpose[person.pk, purpose.pk]
    if window.daily_cap is not None and of_day >= window.daily_cap:
        return Verdict(Status.BLOCKED, CAP_OF_DAY)
    if of_day >= settings.BUSINESS_DAILY_CAP:
        return Verdict(Status.BLOCKED, CAP_OF_BUSINESS)
    if of_purpose >= purpose.frequency:
        return Verdict(Status.BLOCKED, CAP_OF_PURPOSE)
    facts.of_day[person.pk], facts.of_purpose[person.pk, purpose.pk] = of_day + 1, of_purpose + 1
    return PASS


# --- grounds ------------------------------------------------------------------------------------


def sender_of(message: Due, facts: Facts) -> Sender:
    """Who hands a message over; answers leave from the number that was written to."""
    if message.campaign is not None:
        stand_in = message.stand_in
        if stand_in and stand_in.may_reach(facts.country(facts.person(message))):
            return stand_in
        return message.campaign.sender
    sender = message.answer.from_sender if message.answer else None
    assert sender is not None  # the fence lets none pass without
    return sender


def grounds_of(message: Due, facts: Facts) -> Grounds:
    """What holds for the person of a message: the wording, the place, and counts."""
    if message.campaign is None:
        return _grounds_of_answer(message, facts)
    person, campaign = facts.person(message), message.campaign
    sender = sender_of(message, facts)
    return Grounds(
        CONSENT,
        campaign.version_for(person.language),
        facts.permitted.get(message.consent_id) if message.consent_id else None,
        person.area_id,
        facts.of_day[person.pk],
        facts.of_purpose[person.pk, campaign.purpose_id],
        None if sender.pk == campaign.sender_id else sender.address,
    )


def _grounds_of_answer(message: Due, facts: Facts) -> Grounds:
    """Their own reply, or their own opt-in, which only by another way than a text has its hours."""
    consent = message.answer.confirms if message.answer else None
    if message.subscriber_id is None or consent is None:
        return Grounds(OWN_REPLY)
    area = facts.person(message).area_id
    anywhere = consent.method == Method.KEYWORD and not facts.stops[area]
    return Grounds(OWN_OPT_IN, area=None if anywhere else area)


def told(grounds: Grounds, facts: Facts) -> dict[str, Any]:
    """What allowed or stopped these messages, so that it can be shown for each one."""
    kept = {name: value for name, value in grounds._asdict().items() if value is not None}
    area = kept.pop("area", None)
    stopped = [emergency.told_of(stop) for stop in facts.stops.get(area, ())]
    kept |= {"emergency_stops": stopped} if stopped else {}
    return kept | facts.hours.get(area, {})

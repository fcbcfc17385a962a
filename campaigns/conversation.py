"""Takes in what people write, does what they ask, and answers once."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from audit import trail
from audit.models import Operator
from campaigns import answers, hours, quiet_hours
from campaigns.gateways.told import Inbound
from campaigns.models import Message, Reply, Sender
from config.encryption import blind_index
from consent import evidence, ledger, numbers, replies
from consent.admission import MERGED
from consent.intake import OptIn
from consent.models import (
    Consent,
    Method,
    Notice,
    Purpose,
    StopScope,
    Subscriber,
    Suppression,
)
from consent.numbers import NumberRefused
from consent.replies import Intent, Reading

# 47 CFR 64.1200(a)(12): one confirmation, within five minutes, with no marketing in it.
ANSWER_WITHIN = timedelta(minutes=5)
CHOOSE_WITHIN = timedelta(hours=24)  # then silence means everything
CONFIRMATION_WITHIN = timedelta(hours=24)  # a later one would surprise
MOST_TOPICS = 9
BATCH = 200


class ReviewRefused(Exception):
    """A reply that cannot be judged so; the text says why."""


# --- receiving ---------------------------------------------------------------------------------


@transaction.atomic
def receive(inbound: Inbound, *, at: datetime) -> Reply | None:
    """Keep a message from a person and act on it, in one transaction; None if it came before.

    An opt-out takes effect here, whoever wrote it, whether or not we ever wrote to them, and even
    if the sender it was written to is not registered here.
    """
    purposes = keywords()
    reading = replies.read(inbound.text, keywords=purposes)
    index = blind_index.of(_e164(inbound.number))
    ledger.hold([index])  # what one person writes is taken in one after another
    reply, is_new = Reply.objects.get_or_create(
        provider_id=inbound.provider_id,
        defaults={
            "sender": Sender.objects.filter(address=inbound.sender).first(),
            "number": inbound.number,
            "number_index": index,
            "text": inbound.text[:1600],
            "intent": reading.intent,
            "reason": reading.reason[:200],
            "language": _language(reading, index),
            "received_at": at,
        },
    )
    if not is_new:
        return None
    trail.record(
        verb="reply.received",
        subject=f"reply:{reply.pk}",
        by="person",
        at=at,
        facts={"intent": reading.intent},
    )
    ACTS[reading.intent](reply, reading, at)
    return reply


def keywords() -> dict[str, Purpose]:
    """The words by which people join, and what each joins them to."""
    purposes = Purpose.objects.exclude(keywords="").order_by("pk")
    return {word.casefold(): one for one in purposes for word in one.keywords.split()}


def _e164(number: str) -> str:
    """The number as the rest of the product knows it; a provider's own spelling otherwise."""
    try:
        return numbers.parse(number).e164
    except NumberRefused:
        return number


def _language(reading: Reading, index: str) -> str:
    """In which language to answer: the person's, for words that everyone knows in English."""
    if reading.language not in ("", "en"):
        return reading.language
    known = Subscriber.objects.filter(number_index=index).values_list("language", flat=True).first()
    return known or "en"


def _person(reply: Reply) -> Subscriber | None:
    return Subscriber.objects.filter(number_index=reply.number_index).first()


# --- acting ------------------------------------------------------------------------------------


def _stop(reply: Reply, reading: Reading, at: datetime) -> None:
    purposes = _open_purposes(reply, at)
    if not _withdraw(reply, "replied with a word that stops", at):
        return
    if StopScope.of(at) == StopScope.Scope.ASK and len(purposes) in range(2, MOST_TOPICS + 1):
        reply.topics = [purpose.pk for purpose in purposes]
        reply.save(update_fields=["topics"])
        _answer(reply, answers.of_topics(reply.language, purposes), at)
    else:
        _answer(reply, answers.text("stopped", reply.language), at)


def _likely_stop(reply: Reply, reading: Reading, at: datetime) -> None:
    """Suppressed first; an operator judges it afterwards."""
    if _withdraw(reply, "replied with what may mean stop", at):
        _answer(reply, answers.text("likely", reply.language), at)


def _withdraw(reply: Reply, reason: str, at: datetime) -> bool:
    return ledger.withdraw(
        number_index=reply.number_index,
        channel=Suppression.Channel.SMS,
        reason=reason,
        by="person",
        at=at,
    )


def _help(reply: Reply, reading: Reading, at: datetime) -> None:
    person = _person(reply)
    purposes = _open_purposes(reply, at)
    words = answers.of_help(reply.language, purposes, person=person.pk if person else None)
    _answer(reply, words, at)


def _open_purposes(reply: Reply, at: datetime) -> list[Purpose]:
    ours = Consent.objects.permitting(at).filter(subscriber__number_index=reply.number_index)
    return list(Purpose.objects.filter(pk__in=ours.values("purpose")).order_by("name"))


def _start(reply: Reply, reading: Reading, at: datetime) -> None:
    if _stopped_since(reply):
        return
    shown = evidence.written(Method.RESTORED, {"reply": str(reply.pk)})
    if ledger.restore(number_index=reply.number_index, evidence=shown, by="person", at=at):
        _answer(reply, answers.text("restored", reply.language), at)


def _join(reply: Reply, reading: Reading, at: datetime) -> None:
    """An opt-in by the telephone itself; without a wording on record that names the word, none."""
    purpose = _joined(reading)
    notice = _call_to_action(purpose, reply.language, at) if purpose else None
    if purpose is None or notice is None:
        _help(reply, reading, at)
        return
    try:
        number = numbers.parse(reply.number)
    except NumberRefused:
        return
    opt_in = OptIn.of(
        number,
        notice_id=notice.pk,
        method=Method.KEYWORD,
        source=f"word {reading.keyword.upper() or 'JOIN'}",
        given_at=at,
        confirmation_due_at=at,
        evidence=evidence.written(Method.KEYWORD, {"reply": str(reply.pk)}),
        language=notice.language,
    )
    outcome = ledger.join(opt_in=opt_in, purpose=purpose, by="person", at=at)
    _confirm_opt_in_by(reply, purpose, at)
    if outcome == MERGED:
        _confirm_what_came_another_way(reply, opt_in, at)


def _confirm_what_came_another_way(reply: Reply, opt_in: OptIn, at: datetime) -> None:
    """An opt-in by a list or a form that waits for its confirmation: the telephone has spoken."""
    waits = Consent.objects.open().unconfirmed().exclude(method=Method.KEYWORD)
    ours = waits.filter(subscriber__number_index=reply.number_index)
    consent = ours.filter(purpose__notices=opt_in.notice_id).select_related("purpose").first()
    if consent and ledger.confirm(consent=consent, evidence=opt_in.evidence, by="person", at=at):
        words = answers.of_opt_in("welcome", reply.language, consent.purpose, consent=consent.pk)
        _answer(reply, words, at)


def _joined(reading: Reading) -> Purpose | None:
    """The purpose whose word it is; JOIN alone is enough while there is only one to join."""
    known = keywords()
    if reading.keyword:
        return known.get(reading.keyword.casefold())
    joinable = set(known.values())
    return joinable.pop() if len(joinable) == 1 else None


def _call_to_action(purpose: Purpose, language: str, at: datetime) -> Notice | None:
    """The wording that made the person text the word: in their language, or in the first one."""
    for wanted in [language, *purpose.languages.split()]:
        notice = purpose.notices.shown(channel=Notice.Channel.KEYWORD, language=wanted, at=at)
        if notice and not notice.missing_essentials:
            return notice
    return None


def _other(reply: Reply, reading: Reading, at: datetime) -> None:
    """A YES that is waited for, a topic that is kept, or nothing that we could act on."""
    if replies.says_yes(reply.text or ""):
        _yes(reply, at)
    elif (reply.text or "").strip().isdecimal():
        _choose(reply, at)


def _yes(reply: Reply, at: datetime) -> None:
    """YES confirms what was asked last; it restores nothing and creates nothing."""
    asked = Consent.objects.awaiting_confirmation(at).filter(
        subscriber__number_index=reply.number_index,
        purpose__double_opt_in=True,
        confirmation__status__in=Message.MAY_HAVE_ARRIVED,
    )
    latest = asked.order_by("-confirmation__fenced_at", "-confirmation__pk")
    consent = latest.select_related("purpose", "subscriber").first()
    if consent is None:
        return
    shown = evidence.written(Method.KEYWORD, {"reply": str(reply.pk)})
    if ledger.confirm(consent=consent, evidence=shown, by="person", at=at):
        language = consent.subscriber.language
        words = answers.of_opt_in("welcome", language, consent.purpose, consent=consent.pk)
        _answer(reply, words, at)


def _choose(reply: Reply, at: datetime) -> None:
    """The answer to which topic is kept, within its time and only to our last question."""
    asked = Reply.objects.filter(number_index=reply.number_index).exclude(pk=reply.pk)
    stop = asked.exclude(intent=Intent.NONE).order_by("-received_at").first()
    if stop is None or not stop.topics or at > stop.received_at + CHOOSE_WITHIN:
        return
    place = int((reply.text or "").strip()[:2])
    if not 1 <= place <= len(stop.topics):
        return
    keep = Purpose.objects.get(pk=stop.topics[place - 1])
    if ledger.narrow(
        number_index=reply.number_index,
        keep=keep,
        evidence=evidence.written(Method.RESTORED, {"reply": str(reply.pk)}),
        stopped_at=stop.received_at,
        by="person",
        at=at,
    ):
        _answer(reply, answers.text("kept", stop.language, purpose=keep.name), at)


ACTS: dict[Intent, Callable[[Reply, Reading, datetime], None]] = {
    Intent.STOP: _stop,
    Intent.LIKELY_STOP: _likely_stop,
    Intent.START: _start,
    Intent.HELP: _help,
    Intent.JOIN: _join,
    Intent.NONE: _other,
}


# --- answering ---------------------------------------------------------------------------------


def _answer(reply: Reply, words: str, at: datetime) -> None:
    """Put an answer into the queue; it goes out though the number has just been suppressed."""
    if reply.sender is None:
        return
    Message.objects.create(reply=reply, body=words, due_at=at, not_after=at + ANSWER_WITHIN)


def _confirm_opt_in_by(reply: Reply, purpose: Purpose, at: datetime) -> None:
    """Confirm an opt-in at once, from the sender it was written to: the person waits for it."""
    due = Consent.objects.awaiting_confirmation(at).filter(
        purpose=purpose,
        subscriber__number_index=reply.number_index,
        confirmation_queued_at=None,
    )
    consent = due.select_related("purpose", "subscriber__area").select_for_update(of=("self",))
    for one in consent:
        _queue(one, sender=reply.sender, due_at=at, at=at)


@transaction.atomic
def confirm_opt_ins(*, at: datetime) -> int:
    """Put the one confirmation of each new opt-in into the queue; returns how many there were.

    One that came by a form waits for the hours that are permitted where the person may be: that
    the number is theirs is not shown yet.
    """
    due = Consent.objects.awaiting_confirmation(at).filter(
        confirmation_due_at__lte=at, confirmation_queued_at=None
    )
    locked = due.select_related("purpose", "subscriber__area").select_for_update(
        of=("self",), skip_locked=True
    )
    consents = list(locked.order_by("confirmation_due_at")[:BATCH])
    book = hours.in_force(at)
    for consent in consents:
        area = consent.subscriber.area
        sender = Sender.objects.speaking(consent.purpose, area.country)
        _queue(consent, sender=sender, due_at=_opening(book, consent, at), at=at)
    return len(consents)


def _opening(book: quiet_hours.Rulebook, consent: Consent, at: datetime) -> datetime:
    area = consent.subscriber.area
    window = quiet_hours.window(
        book,
        at=at,
        country=area.country,
        states=area.candidate_states,
        zones=area.candidate_zones,
    )
    return at if window.open else window.next_opening or at


def _queue(consent: Consent, *, sender: Sender | None, due_at: datetime, at: datetime) -> None:
    name = "confirm" if consent.purpose.double_opt_in else "welcome"
    person = consent.subscriber
    words = answers.of_opt_in(name, person.language, consent.purpose, consent=consent.pk)
    Message.objects.create(
        confirms=consent,
        subscriber=person,
        consent=consent,
        sender=sender,
        body=words,
        due_at=due_at,
        not_after=max(at, due_at) + CONFIRMATION_WITHIN,
    )
    consent.confirmation_queued_at = at
    consent.save(update_fields=["confirmation_queued_at"])


# --- judging what may have been a STOP ---------------------------------------------------------


@transaction.atomic
def keep(*, reply: Reply, note: str, by: Operator, at: datetime) -> None:
    """An operator's word that it was a STOP. Raises ReviewRefused."""
    _judge(reply, Reply.Verdict.KEPT, by=by, at=at)
    trail.record(
        verb="reply.kept", subject=f"reply:{reply.pk}", by=by, at=at, facts={}, detail=note
    )


@transaction.atomic
def undo(*, reply: Reply, note: str, by: Operator, at: datetime) -> int:
    """An operator's word that it was none: give back what it took; returns how many consents.

    Raises ReviewRefused, also if the person has asked to stop since.
    """
    ledger.hold([reply.number_index])  # a STOP that is being taken in is waited for
    if _stopped_since(reply):
        raise ReviewRefused("This person has asked to stop again since; the refusal stands.")
    _judge(reply, Reply.Verdict.UNDONE, by=by, at=at)
    trail.record(verb="reply.undone", subject=f"reply:{reply.pk}", by=by, at=at)
    return ledger.undo(
        number_index=reply.number_index,
        stopped_at=reply.received_at,
        evidence=evidence.written(Method.RESTORED, {"reply": str(reply.pk)}),
        note=note,
        by=by,
        at=at,
    )


def _stopped_since(reply: Reply) -> bool:
    """Whether the person asked to stop after that; asked once their row is held."""
    later = Reply.objects.filter(number_index=reply.number_index, received_at__gt=reply.received_at)
    return later.filter(intent__in=[Intent.STOP, Intent.LIKELY_STOP]).exists()


def _judge(reply: Reply, verdict: Reply.Verdict, *, by: Operator, at: datetime) -> None:
    reply.refresh_from_db(from_queryset=Reply.objects.select_for_update())
    if reply.intent != Intent.LIKELY_STOP or reply.judged_at is not None:
        raise ReviewRefused("This reply was judged already, or it leaves nothing to judge.")
    reply.judged_at, reply.judged_by, reply.verdict = at, by, verdict
    reply.save(update_fields=["judged_at", "judged_by", "verdict"])

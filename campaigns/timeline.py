"""Everything that happened with one person, in order of time and in words for a clerk."""

import re
import unicodedata
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from django.db.models import Q

from audit.models import Entry, Operator
from campaigns import decisions
from campaigns.answers import LINK
from campaigns.decisions import when
from campaigns.models import Attempt, Message, Receipt, Reply
from consent.evidence import PROOFS
from consent.models import Consent, Method, OptOutRequest, Purpose, Subscriber, Suppression
from consent.replies import Intent

Masked = Callable[[str], str]

# At one instant what a person did comes before what it brought about.
KINDS = (
    *("reply", "told to staff", "judged", "refused", "withdrawn", "lapsed", "lifted"),
    *("agreed", "confirmed", "message", "act"),
)
READ_AS = {
    Intent.STOP: "a STOP",
    Intent.LIKELY_STOP: "what may be a STOP",
    Intent.START: "a START",
    Intent.HELP: "a call for help",
    Intent.JOIN: "a word that joins",
    Intent.NONE: "nothing that asks us to act by a known word",
}
CONFIRMED_BY = {
    "person": "By the person's own reply to the message that asked.",
    "web": "By the link in the message that asked, opened and pressed.",
}
ACTS = {
    "consent.opened": "recorded an opt-in",
    "consent.confirmed": "recorded a confirmation",
    "consent.withdrawn": "recorded an opt-out",
    "scan.opened": "opened the scan of a signed form",
    "dispute.packed": "made a dispute pack",
    "person.erased": "erased who this person is",
}
# What rows tell already: entries of these verbs are no events of their own.
TOLD_BY_ROWS = frozenset(
    {
        *("consent.opened", "consent.confirmed", "consent.withdrawn", "consent.restored"),
        *("refusal.lifted", "refusal.narrowed", "reply.received"),
    }
)
TOLD_WITH_A_NAME = frozenset(
    {"opt_out.told", "opt_out.honoured", "reply.kept", "reply.undone", "refusal.undone"}
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `target` is the name and arguments of an admin page about it."""

    at: datetime
    kind: str
    title: str
    lines: tuple[str, ...] = ()
    target: tuple[str, tuple[Any, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """All rows about one person; what is encrypted in them is opened when it is read."""

    person: Subscriber
    consents: list[Consent]
    refusals: list[Suppression]
    requests: list[OptOutRequest]
    replies: list[Reply]
    messages: list[Message]
    attempts: dict[int, list[Attempt]]
    receipts: dict[uuid.UUID, list[Receipt]]
    entries: list[Entry]
    operators: dict[str, str]

    def name_of(self, actor: str) -> str:
        """Who acted, by the trail: an operator's name, or what a machine is called there."""
        return self.operators.get(actor, actor)


def of(person: Subscriber, *, with_texts: bool = False) -> list[Event]:
    """Everything that happened with one person, oldest first, their number masked throughout.

    What they wrote is personal: it is told only `with_texts`, which is for those who may read
    replies. The number of queries does not depend on the length of the life.
    """
    return events_of(life_of(person), masked=masking(person), with_texts=with_texts)


def events_of(
    life: Life, *, masked: Masked, with_texts: bool = False, with_notes: bool = False
) -> list[Event]:
    """The events of a life, each text of a person or clerk passed through `masked`.

    Notes of staff are told only `with_notes`.
    """
    told = chain(
        chain.from_iterable(_of_consent(consent, life, masked) for consent in life.consents),
        chain.from_iterable(_of_refusal(refusal) for refusal in life.refusals),
        (_of_request(request, masked, with_notes) for request in life.requests),
        chain.from_iterable(_of_reply(reply, masked, with_texts) for reply in life.replies),
        (_of_message(message, life, masked) for message in life.messages),
        (_of_entry(entry, life) for entry in life.entries if _is_news(entry)),
    )
    return sorted(told, key=lambda event: (event.at, KINDS.index(event.kind)))


# --- reading -----------------------------------------------------------------------------------


def life_of(person: Subscriber) -> Life:
    """All rows about a person, in a fixed number of queries.

    What is known by number only (refusals, replies, what was told to staff) is found by its blind
    index, so also what came before the person was a subscriber.
    """
    index = {"number_index": person.number_index}
    consents = person.consents.select_related("purpose", "notice__purpose", "scan")
    replies = list(
        Reply.objects.filter(**index).select_related("sender", "judged_by").order_by("received_at")
    )
    requests = OptOutRequest.objects.filter(**index).select_related("purpose", "recorded_by")
    told_to_staff = list(requests.order_by("received_at"))
    messages = _messages(person)
    attempts = _attempts(messages)
    entries = _entries(person, replies=replies, messages=messages, requests=told_to_staff)
    return Life(
        person=person,
        consents=list(consents.defer("scan__content").order_by("given_at", "purpose__name", "pk")),
        refusals=list(
            Suppression.objects.filter(**index).select_related("purpose").order_by("at", "pk")
        ),
        requests=told_to_staff,
        replies=replies,
        messages=messages,
        attempts=attempts,
        receipts=_receipts(chain.from_iterable(attempts.values())),
        entries=entries,
        operators=_operators(entries),
    )


def _messages(person: Subscriber) -> list[Message]:
    ours = Q(subscriber=person) | Q(reply__number_index=person.number_index)
    related = (
        *("campaign__purpose", "campaign__sender", "reply__sender", "sender", "opening"),
        "confirms__purpose",
    )
    return list(Message.objects.filter(ours).select_related(*related).order_by("pk"))


def _attempts(messages: Iterable[Message]) -> dict[int, list[Attempt]]:
    made: dict[int, list[Attempt]] = defaultdict(list)
    of_them = Attempt.objects.filter(message__among=[message.pk for message in messages])
    of_them = of_them.select_related("message", "decision")
    for attempt in of_them.order_by("number"):
        made[attempt.message_id].append(attempt)
    return made


def _receipts(attempts: Iterable[Attempt]) -> dict[uuid.UUID, list[Receipt]]:
    came: dict[uuid.UUID, list[Receipt]] = defaultdict(list)
    of_them = Receipt.objects.filter(attempt__among=[attempt.pk for attempt in attempts])
    for receipt in of_them.order_by("received_at", "pk"):
        came[receipt.attempt].append(receipt)
    return came


def _entries(
    person: Subscriber,
    *,
    replies: Iterable[Reply],
    messages: Iterable[Message],
    requests: Iterable[OptOutRequest],
) -> list[Entry]:
    subjects = [
        f"subscriber:{person.pk}",
        f"index:{person.number_index[:16]}",
        *(f"reply:{reply.pk}" for reply in replies),
        *(f"message:{message.pk}" for message in messages),
        *(f"opt_out:{request.pk}" for request in requests),
    ]
    return list(Entry.objects.filter(subject__among=subjects).order_by("id"))


def _operators(entries: Iterable[Entry]) -> dict[str, str]:
    actors = {entry.actor for entry in entries if entry.actor.startswith("operator:")}
    keys = [int(actor.removeprefix("operator:")) for actor in actors]
    named = Operator.objects.filter(pk__among=keys).values_list("pk", "username")
    return {f"operator:{pk}": name for pk, name in named}


# --- masking -----------------------------------------------------------------------------------

BETWEEN = r"[\s().\-/]*"
KNOWN_BY = 7  # last digits: fewer are no number, and nobody writes fewer


def masking(person: Subscriber) -> Masked:
    """What replaces the person's number, however it is spelled in a text, by its masked form."""
    digits, mask = re.sub(r"\D", "", person.number or ""), person.masked_number
    if not digits:
        return lambda text: text
    before = rf"[+(]*(?:\d{BETWEEN}){{0,8}}"
    spelled = re.compile(before + BETWEEN.join(digits[-KNOWN_BY:]) + r"(?!\d)")

    def masked(text: str) -> str:
        plain = "".join(str(unicodedata.decimal(sign, sign)) for sign in text)
        end, kept = 0, []
        for found in spelled.finditer(plain):
            kept += [text[end : found.start()], mask]
            end = found.end()
        return "".join([*kept, text[end:]])

    return masked


# --- consents and refusals ---------------------------------------------------------------------


def _of_consent(consent: Consent, life: Life, masked: Masked) -> Iterator[Event]:
    name = consent.purpose.name
    yield _agreed(consent, masked)
    if consent.confirmed_at and consent.method != Method.RESTORED:
        how = confirmed_how(consent, life)
        yield Event(consent.confirmed_at, "confirmed", f"Confirmed the opt-in to {name}.", (how,))
    if consent.lapsed_at:
        title, why = f"The consent to {name} lapsed.", _why_lapsed(consent)
        yield Event(consent.lapsed_at, "lapsed", title, (why,))
    if consent.withdrawn_at:
        title, since = (
            f"Withdrew the consent to {name}.",
            f"It stood since {when(consent.given_at)}.",
        )
        yield Event(consent.withdrawn_at, "withdrawn", title, (since,))


def _agreed(consent: Consent, masked: Masked) -> Event:
    restored = consent.method == Method.RESTORED
    title = (
        f"Took the STOP back and agreed to {consent.purpose.name} again."
        if restored
        else f"Agreed to {consent.purpose.name} by {consent.get_method_display()}."
    )
    notice = consent.notice
    lines = [
        "" if restored else f"Source: {masked(consent.source)}.",
        f"Given {when(consent.given_at)}, recorded {when(consent.recorded_at)}.",
        f"What was shown: notice {notice.number} in {notice.language} "
        f"({notice.get_channel_display()}), shown from {when(notice.shown_from)}:",
        f"“{notice.wording}”",
        f"What this can prove: {PROOFS[consent.method].shows}",
        f"Granted until {when(consent.expires_at)}." if consent.expires_at else "",
    ]
    return Event(
        consent.given_at, "agreed", title, _said(lines), _page("consent_notice", notice.pk)
    )


def confirmed_how(consent: Consent, life: Life) -> str:
    """By what a consent was confirmed, in words, from the trail; nothing is decrypted for it."""
    if consent.confirmed_in:
        same = consent.confirmed_in == consent.opened_in
        return f"Told by {'the same' if same else 'a later'} list that was brought."
    told = (entry for entry in life.entries if entry.verb == "consent.confirmed")
    actor = next((e.actor for e in told if e.facts.get("consent") == consent.pk.hex), "")
    if actor.startswith("operator:"):
        return f"Recorded by {life.name_of(actor)}."
    if actor:
        return CONFIRMED_BY.get(actor, "Told with a later opt-in to the same.")
    return "Told with the opt-in itself."


def _why_lapsed(consent: Consent) -> str:
    assert consent.lapsed_at is not None  # it is asked of lapsed ones
    if consent.expires_at and consent.expires_at <= consent.lapsed_at:
        return f"It was granted until {when(consent.expires_at)}."
    return f"Nobody confirmed it within {consent.purpose.confirm_within} days."


def _of_refusal(refusal: Suppression) -> Iterator[Event]:
    what = _what(refusal.purpose)
    channel = refusal.get_channel_display()
    lines = (f"Told by: {channel}.", f"Reason: {refusal.reason}.")
    yield Event(
        refusal.at, "refused", f"Refused {what}.", lines, _page("consent_suppression", refusal.pk)
    )
    if refusal.lifted_at:
        title = f"The refusal of {what} was lifted."
        since = f"It stood since {when(refusal.at)}, told by: {channel}."
        yield Event(refusal.lifted_at, "lifted", title, (since,))


def _what(purpose: Purpose | None) -> str:
    return purpose.name if purpose else "every message of the business"


def _of_request(request: OptOutRequest, masked: Masked, with_notes: bool) -> Event:
    channel = request.get_channel_display()
    lines = [
        f"Recorded {when(request.recorded_at)} by {request.recorded_by}.",
        f"The law's deadline: {when(request.due_by)}.",
        _standing(request),
        f"Note of the clerk: “{masked(request.note or '')}”" if with_notes else "",
    ]
    title = f"Asked staff to stop {_what(request.purpose)} ({channel})."
    target = _page("consent_optoutrequest", request.pk)
    return Event(request.received_at, "told to staff", title, _said(lines), target)


def _standing(request: OptOutRequest) -> str:
    if request.honoured_at is None:
        return "It is not in effect yet."
    late = "TOO LATE" if request.was_late else "in time"
    return f"In effect since {when(request.honoured_at)}, {late}."


# --- replies and messages ----------------------------------------------------------------------


def _of_reply(reply: Reply, masked: Masked, with_texts: bool) -> Iterator[Event]:
    target = _page("campaigns_reply", reply.pk)
    lines = [
        f"Written to {reply.sender}." if reply.sender else "",
        f"Why it was read so: {reply.reason}." if reply.reason else "",
        f"“{masked(reply.text or '')}”" if with_texts else "",
    ]
    title = f"Wrote to us; read as {READ_AS.get(Intent(reply.intent), reply.intent)}."
    yield Event(reply.received_at, "reply", title, _said(lines), target)
    if reply.judged_at:
        title = (
            f"{reply.judged_by} judged what may have been a STOP: {reply.get_verdict_display()}."
        )
        lines = [f"The reply came {when(reply.received_at)}."]
        yield Event(reply.judged_at, "judged", title, tuple(lines), target)


def _of_message(message: Message, life: Life, masked: Masked) -> Event:
    attempts = life.attempts.get(message.pk, [])
    at = attempts[0].at if attempts else message.settled_at or message.due_at or message.not_after
    sender = message.from_sender
    lines = [
        f"“{masked(text_of(message, attempts))}”",
        f"From {sender}, by {sender.get_gateway_display()}." if sender else "",
        _at_launch(message),
        *chain.from_iterable(_of_attempt(attempt, life) for attempt in attempts),
        f"Why it stands so: {message.reason}" if message.reason else "",
        *(decisions.at_the_fence(message.stopped) if message.stopped else ()),
    ]
    title = f"{_what_kind(message)}: {message.get_status_display()}."
    return Event(at, "message", title, _said(lines), _page("campaigns_message", message.pk))


def _what_kind(message: Message) -> str:
    if message.campaign:
        return f"Message of the campaign {message.campaign} about {message.campaign.purpose}"
    if message.confirms:
        asks = message.confirms.purpose.double_opt_in
        what = "Request to confirm the opt-in" if asks else "Message that tells of the opt-in"
        return f"{what} to {message.confirms.purpose}"
    return "Answer to what the person wrote"


def text_of(message: Message, attempts: Sequence[Attempt]) -> str:
    """What a message says; a name is filled in and a link is signed only when it is sent.

    Of a text in several languages, it is the version that the fence let pass, or else the first.
    """
    if message.campaign:
        passed = attempts[-1].decision.told if attempts else {}
        return message.campaign.text_in(passed.get("text_in", ""))
    return LINK.sub(lambda found: f"[link: {found[1]}]", message.body)


def _at_launch(message: Message) -> str:
    if message.opening is None:
        return ""
    return f"The quiet hours at launch: {decisions.at_launch(message.opening.decision)}"


def _of_attempt(attempt: Attempt, life: Life) -> Iterator[str]:
    yield f"Attempt {attempt.number}, {when(attempt.at)}: {allowed_by(attempt, life)}"
    known = f" as {attempt.provider_id}" if attempt.provider_id else ""
    code = f" ({attempt.code})" if attempt.code else ""
    yield f"The provider's answer: {attempt.get_outcome_display()}{known}{code}."
    for receipt in life.receipts.get(attempt.pk, []):
        code = f" ({receipt.code})" if receipt.code else ""
        yield f"Receipt, {when(receipt.received_at)}: {receipt.status}{code}."


def allowed_by(attempt: Attempt, life: Life) -> str:
    """What allowed one attempt, in sentences; from the decision that the fence recorded."""
    given = {str(consent.pk): consent.given_at for consent in life.consents}
    found = attempt.found
    given_at = given.get(found.get("consent", ""))
    return " ".join(decisions.at_the_fence(found, given_at=given_at))


# --- acts --------------------------------------------------------------------------------------


def _is_news(entry: Entry) -> bool:
    """Whether an entry tells what no row does: what operators did, and whatever is new to us."""
    if entry.verb in TOLD_WITH_A_NAME:
        return False
    return entry.actor.startswith("operator:") or entry.verb not in TOLD_BY_ROWS


def _of_entry(entry: Entry, life: Life) -> Event:
    act = ACTS.get(entry.verb, f"did: {entry.verb}")
    plain = {name: fact for name, fact in entry.facts.items() if isinstance(fact, str | int)}
    facts = ", ".join(f"{name} {fact}" for name, fact in sorted(plain.items()))
    return Event(
        entry.at,
        "act",
        f"{life.name_of(entry.actor)} {act}.",
        (f"In the trail: {facts}.",) if facts else (),
        _page("audit_entry", entry.pk),
    )


def _page(model: str, key: Any) -> tuple[str, tuple[Any, ...]]:
    return f"admin:{model}_change", (key,)


def _said(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(line for line in lines if line)

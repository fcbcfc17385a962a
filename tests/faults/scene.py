"""A campaign on the running product, and the two accounts of what became of it.

The test acts and reads in its own process, on the stack's database; the other account is the
provider's, which is the only true one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from audit import operators, roles
from audit.models import Authenticator, Operator
from campaigns import dispatch, receipts, senders
from campaigns.models import Attempt, Campaign, Message, Receipt, Sender
from consent import ledger, numbers, purposes
from consent.admission import Fate
from consent.intake import OptIn
from consent.models import Method, Notice, Purpose, Subscriber
from tests.conftest import AT, PASSWORD, WORDINGS
from tests.services import Stack

HARBOR = "+18885550100"
TEXT = "Harbor Coffee: new beans are in, first come first served. Reply STOP to cancel."
NEW_YORK, BOSTON, CHICAGO, SAN_FRANCISCO, GUAM = "212", "617", "312", "415", "671"
Status = Message.Status
SURELY_SENT = {Status.ACCEPTED, Status.DELIVERED, Status.UNDELIVERED}
SURELY_NOT_SENT = {
    Status.WAITING,
    Status.BLOCKED,
    Status.REFUSED,
    Status.EXPIRED,
    Status.CANCELLED,
}
FINAL_AT_PROVIDER = {"delivered", "undelivered", "failed"}


class Provider(Protocol):
    """Whoever tells what the provider tells, such as the stack."""

    def ask(self, path: str, content: dict[str, Any] | None = None) -> Any: ...

    def truth(self) -> Any: ...


def fiction(*area_codes: str, each: int = 100) -> list[str]:
    """Numbers that belong to nobody: so many of the hundred of every area code."""
    return [f"+1{code}555{line:04}" for code in area_codes for line in range(100, 100 + each)]


def crowd(count: int) -> list[str]:
    """So many numbers, made up for a provider on this machine: `fiction` has too few of them."""
    codes = (NEW_YORK, BOSTON, CHICAGO, SAN_FRANCISCO)
    every = product(range(200, 900), range(10_000), codes)
    return [f"+1{code}{exchange}{line:04}" for exchange, line, code in islice(every, count)]


@dataclass(frozen=True, slots=True)
class Business:
    """What a campaign needs before it can be written."""

    purpose: Purpose
    notice: Notice
    sender: Sender
    author: Operator
    approver: Operator


def open_business() -> Business:
    """One purpose with its wording, one verified sender, an author and an approver."""
    purpose = purposes.define(
        code="offers",
        name="Coffee offers",
        promise="Sales and new products.",
        frequency=6,
        period=Purpose.Period.MONTH,
        double_opt_in=True,
        by="command",
        at=AT,
    )
    author, approver = engage(roles.CAMPAIGN_AUTHOR), engage(roles.CAMPAIGN_APPROVER)
    return Business(purpose, publish(purpose), _sender(), author, approver)


def publish(purpose: Purpose) -> Notice:
    """The current wording, shown since 2025."""
    shown_from = datetime(2025, 1, 1, tzinfo=UTC)
    wording = WORDINGS["current"]
    return purposes.publish(
        purpose=purpose, language="en", wording=wording, shown_from=shown_from, by="command", at=AT
    )


def _sender() -> Sender:
    sender = senders.register(
        address=HARBOR,
        gateway=Sender.Gateway.TWILIO,
        countries="US AU",
        segments_per_second=None,
        by="command",
        at=AT,
    )
    senders.verify(sender=sender, by="command", at=AT)
    return sender


def username(role: str) -> str:
    """The name under which the holder of a role signs in here."""
    return role.lower().replace(" ", "-")


def engage(role: str) -> Operator:
    """A holder of a role, without a second factor yet."""
    assert role in roles.ROLES
    return operators.engage(
        username=username(role), password=PASSWORD, roles=[role], by="command", at=AT
    )


def give_authenticator(operator: Operator) -> Authenticator:
    """The second factor of an operator, none of whose codes was used."""
    device = operators.draft_authenticator(operator)
    operators.confirm_authenticator(authenticator=device, by=operator, at=AT)
    return device


def enrol(
    business: Business,
    e164s: Iterable[str],
    *,
    confirmed: bool = True,
    confirmation_due_at: datetime | None = None,
) -> list[Subscriber]:
    """People who opted in thirty days ago, in the order of their numbers."""
    given_at = AT - timedelta(days=30)
    opt_ins = [
        OptIn.of(
            numbers.parse(e164),
            notice_id=business.notice.pk,
            method=Method.WEB_FORM,
            source="test",
            given_at=given_at,
            confirmed_at=given_at + timedelta(minutes=5) if confirmed else None,
            confirmation_due_at=confirmation_due_at,
        )
        for e164 in e164s
    ]
    outcomes = ledger.enrol(opt_ins=opt_ins, purpose=business.purpose, by="command", at=AT)
    assert {outcome.fate for outcome in outcomes} == {Fate.ACCEPTED}
    known = Subscriber.objects.in_bulk([o.number_index for o in opt_ins], field_name="number_index")
    return [known[opt_in.number_index] for opt_in in opt_ins]


def approved(business: Business, *, text: str = TEXT, at: datetime = AT) -> Campaign:
    """A campaign that may be launched, written by one person and approved by another."""
    campaign = dispatch.draft(
        name=text[15:40],
        purpose=business.purpose,
        sender=business.sender,
        text=text,
        starts_at=at,
        deadline=at + timedelta(hours=6),
        by=business.author,
        at=at,
    )
    dispatch.check(campaign=campaign, by=business.author, at=at)
    dispatch.approve(campaign=campaign, by=business.approver, at=at)
    return campaign


def launch(business: Business, *, text: str = TEXT, at: datetime = AT) -> Campaign:
    """A campaign to everyone who may be messaged, under way from now on."""
    campaign = approved(business, text=text, at=at)
    dispatch.launch(campaign=campaign, by=business.approver, at=at)
    return campaign


# --- the provider's account --------------------------------------------------------------------


def resume_if_paused(business: Business, campaign: Campaign) -> None:
    """What an operator does who saw that a campaign paused by itself, and knows why."""
    campaign.refresh_from_db()
    if campaign.status == Campaign.Status.PAUSED:
        after = campaign.tallies.latest("at").at + timedelta(seconds=1)
        dispatch.resume(campaign=campaign, by=business.approver, at=after)


def misbehave(stack: Provider, **rates: float) -> None:
    """Put these fault rates in force at the provider, and no others."""
    stack.ask("/sandbox/faults", rates)


def accepted(stack: Provider) -> int:
    """How many messages the provider has taken so far."""
    return int(stack.truth()["accepted"])


def provider_messages(stack: Provider) -> Iterator[dict[str, Any]]:
    """Every message that the provider took, in its order."""
    position = 0
    while page := stack.ask(f"/sandbox/messages?after={position}"):
        yield from page
        position += len(page)


def received(stack: Provider, text: str = TEXT) -> Counter[str]:
    """How often each phone got exactly this text."""
    return Counter(m["to"] for m in provider_messages(stack) if m["body"] == text)


def _is_done(stack: Provider) -> bool:
    return all(m["status"] in FINAL_AT_PROVIDER for m in provider_messages(stack))


def tell_receipts_again(stack: Provider) -> None:
    """What an operator has told anew of everything that the provider took: receipts get lost."""
    for message in provider_messages(stack):
        receipts.keep(
            attempt=attempt_of(message),
            provider_id=message["sid"],
            status="delivered",
            code="",
            at=AT,
        )


# --- our account -------------------------------------------------------------------------------


def fates(campaign: Campaign) -> dict[str, str]:
    """The status of each person's message, by number."""
    messages = campaign.messages.select_related("subscriber")
    return {m.subscriber.number: m.status for m in messages if m.subscriber}


def those(found: dict[str, str], statuses: Iterable[str]) -> set[str]:
    """The numbers whose message has one of these statuses."""
    wanted = set(statuses)
    return {number for number, status in found.items() if status in wanted}


def await_end(
    stack: Stack,
    campaign: Campaign,
    *,
    leaving: int = 0,
    seconds: float = 60,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Wait until all but `leaving` messages are decided and every receipt has been taken in.

    `meanwhile` is what somebody does at every look, such as a supervisor.
    """

    def wait(done: Callable[[], bool]) -> None:
        stack.wait_until(lambda: (meanwhile(), done())[1], seconds)

    undecided = campaign.messages.undecided()
    wait(lambda: undecided.count() <= leaving)
    wait(lambda: _is_done(stack))
    awaited = Message.objects.filter(status=Status.ACCEPTED)
    unread = Receipt.objects.unread()
    wait(lambda: not unread.exists() and not awaited.exists())


def check_accounts(stack: Provider, campaign: Campaign, audience: Sequence[str]) -> dict[str, str]:
    """Both accounts agree, and nobody was written to twice; returns our account."""
    ours, theirs = fates(campaign), received(stack, campaign.text)
    assert sorted(ours) == sorted(audience), "a message was lost, or one too many made"
    assert [number for number, times in theirs.items() if times > 1] == [], "sent twice"
    assert those(ours, SURELY_SENT) <= set(theirs), "called sent and was not"
    assert not those(ours, SURELY_NOT_SENT) & set(theirs), "called not sent and was"
    assert _sent_again(campaign) == [], "sent again though nobody knew the outcome"
    assert attempts_at(stack) <= _attempts_on_record(), "sent before it was recorded"
    return ours


def _sent_again(campaign: Campaign) -> list[int]:
    """Messages with an attempt after one that was not certainly refused."""
    attempts = Attempt.objects.filter(message__campaign=campaign)
    tried = Counter(attempts.exclude(outcome="refused").values_list("message", flat=True))
    return [message for message, times in tried.items() if times > 1]


def attempt_of(message: dict[str, Any]) -> str:
    """The attempt by which the provider came to a message."""
    return parse_qs(urlsplit(message["status_callback"]).query)["attempt"][0]


def attempts_at(stack: Provider) -> set[str]:
    """Every attempt that has come to the provider, and was taken."""
    return {attempt_of(message) for message in provider_messages(stack)}


def _attempts_on_record() -> set[str]:
    return {attempt.hex for attempt in Attempt.objects.values_list("pk", flat=True)}

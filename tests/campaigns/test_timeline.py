"""A person's timeline tells all that happened, in order and in words, and of nobody else."""

import itertools
from datetime import timedelta
from io import BytesIO

import pytest
from django.urls import reverse

from audit import roles, trail
from campaigns import calling, conversation, delivery, receipts, timeline, verdicts
from campaigns.models import Message, Reply
from config.encryption import ring
from consent import ledger, list_work, lists, numbers, opt_outs, purposes, signup
from consent.models import ListImport, Method, OptOutRequest, Purpose, Subscriber, Suppression
from tests.campaigns.conftest import (
    NEW_YORK,
    TEXT,
    fenced,
    kept,
    new_york,
    queries,
    withdraw,
    write,
)
from tests.conftest import AT, WORDINGS

pytestmark = pytest.mark.django_db
HEADS = "phone,opted_in_at,confirmed,ip_address,user_agent"
CALLED = "called from (212) 555 0123 and said: no more"


# --- a life with everything in it --------------------------------------------------------------


def minutes(count):
    return AT + timedelta(minutes=count)


def listed(purpose, *rows, at):
    """Takes in a list of (number, confirmed, network address)."""
    given_at = (AT - timedelta(days=30)).isoformat()
    lines = [f"{number},{given_at},{yes},{address},Safari" for number, yes, address in rows]
    brought = lists.bring(
        file=BytesIO("\n".join([HEADS, *lines]).encode()),
        kind=ListImport.Kind.OPT_INS,
        purpose=purpose,
        label="shop export",
        by="command",
        at=at,
    )
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=at)
    list(list_work.run(brought=brought, by="worker", at=at))
    lists.begin(brought=brought, by="command", at=at)
    list(list_work.run(brought=brought, by="worker", at=at))


def sent(at, sid="SM1"):
    """Hands over what is due; the provider takes all of it."""
    attempts = fenced(at)
    named = [calling.read(one, f"{sid}{place}") for place, one in enumerate(attempts)]
    delivery.settle(called=named, at=at)
    return attempts


def _receipt(attempt, status, at):
    attempt = kept(attempt)
    known_as = attempt.provider_id
    receipts.keep(attempt=attempt.pk.hex, provider_id=known_as, status=status, code="", at=at)
    receipts.reconcile(at=at)


def _on_lists(purpose):
    """In a list without a confirmation, among others; a second list confirms."""
    before = AT - timedelta(days=20)
    others = [(number, "no", "203.0.113.9") for number in new_york(6)]
    listed(purpose, (NEW_YORK, "no", "203.0.113.7"), *others, at=before)
    confirmed = [(number, "yes", "") for number, _no, _address in others]
    listed(purpose, *confirmed, (NEW_YORK, "yes", ""), at=before + timedelta(days=1))


def _by_web(sender):
    """Opts in to another purpose by the page, and confirms with a YES."""
    news = purposes.define(
        code="news",
        name="News",
        promise="Sales and what is new.",
        frequency=1,
        period=Purpose.Period.WEEK,
        double_opt_in=True,
        by="command",
        at=AT,
    )
    news.senders.add(sender)
    notice = purposes.publish(
        purpose=news,
        language="en",
        wording=WORDINGS["current"],
        shown_from=AT - timedelta(days=1),
        by="command",
        at=AT,
    )
    signup.sign_up(
        number=numbers.parse(NEW_YORK),
        notice=notice,
        method=Method.WEB_FORM,
        source="page",
        facts={"ip_address": "203.0.113.8", "user_agent": "Firefox"},
        given_at=minutes(1),
        by="web",
        at=minutes(1),
    )
    conversation.confirm_opt_ins(at=minutes(2))
    sent(minutes(2), "SMA")
    write("YES", at=minutes(3))
    sent(minutes(3), "SMB")


def live(*, purpose, notice, sender, operators, launched):
    """All that can happen to one person, within an hour; they are ADA of New York."""
    _on_lists(purpose)
    _by_web(sender)
    launched()
    sent(minutes(5), "SMC")
    person = Subscriber.objects.with_number(NEW_YORK).get()
    message = Message.objects.exclude(campaign=None).get(subscriber=person)
    _receipt(message.attempts.get(), "delivered", minutes(6))
    write("STOP", at=minutes(10))
    sent(minutes(10), "SMD")
    write("START", at=minutes(11))
    sent(minutes(11), "SME")
    opt_outs.record(
        channel=OptOutRequest.Channel.PHONE,
        received_at=minutes(20),
        note=CALLED,
        number=numbers.parse(NEW_YORK),
        by=operators(roles.SUBSCRIBER_MANAGER),
        at=minutes(21),
    )
    person.refresh_from_db()
    return person


@pytest.fixture
def life(purpose, notice, sender, operators, launched):
    given = {"purpose": purpose, "notice": notice, "sender": sender}
    return live(**given, operators=operators, launched=launched)


def told(person, kind="", **asked):
    return [event for event in timeline.of(person, **asked) if not kind or event.kind == kind]


def text(events):
    return "\n".join(itertools.chain.from_iterable((one.title, *one.lines) for one in events))


# --- all of it, in order -----------------------------------------------------------------------


def test_everything_is_told_in_the_order_in_which_it_happened(life):
    events = timeline.of(life)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert [(event.kind, event.title) for event in events] == [
        ("agreed", "Agreed to Offers by web form."),
        ("confirmed", "Confirmed the opt-in to Offers."),
        ("agreed", "Agreed to News by web form."),
        ("message", "Request to confirm the opt-in to News: accepted by the provider."),
        ("reply", "Wrote to us; read as nothing that asks us to act by a known word."),
        ("confirmed", "Confirmed the opt-in to News."),
        ("message", "Answer to what the person wrote: accepted by the provider."),
        ("message", "Message of the campaign Kettle about Offers: delivered."),
        ("reply", "Wrote to us; read as a STOP."),
        ("refused", "Refused every message of the business."),
        ("withdrawn", "Withdrew the consent to Offers."),
        ("withdrawn", "Withdrew the consent to News."),
        ("message", "Answer to what the person wrote: accepted by the provider."),
        ("reply", "Wrote to us; read as a START."),
        ("lifted", "The refusal of every message of the business was lifted."),
        ("agreed", "Took the STOP back and agreed to News again."),
        ("agreed", "Took the STOP back and agreed to Offers again."),
        ("message", "Answer to what the person wrote: accepted by the provider."),
        ("told to staff", "Asked staff to stop every message of the business (telephone call)."),
        ("refused", "Refused every message of the business."),
        ("withdrawn", "Withdrew the consent to News."),
        ("withdrawn", "Withdrew the consent to Offers."),
        ("act", "subscriber-manager recorded an opt-out."),
    ]


def test_a_life_costs_as_many_queries_as_a_short_one(life, person):
    short = person("+12125550124")
    assert queries(lambda: timeline.of(life)) == queries(lambda: timeline.of(short))


def test_nothing_of_another_person_is_told(life):
    other = Subscriber.objects.with_number(new_york(1)[0]).get()
    assert [event.kind for event in told(other)] == ["agreed", "confirmed", "message"]
    assert life.pseudonym not in text(told(other))


# --- consents ----------------------------------------------------------------------------------


def test_a_consent_is_told_with_the_exact_wording_and_what_its_method_proves(life):
    agreed = told(life, "agreed")[0]
    assert f"“{WORDINGS['current']}”" in agreed.lines
    said = text([agreed])
    assert "notice 1 in en (page with a form), shown from 2025-01-01 00:00:00 UTC" in said
    assert "Given 2026-10-25 18:00:00 UTC, recorded 2026-11-04 18:00:00 UTC." in said
    assert "Source: shop export." in said
    assert "That they held the telephone is shown by the confirmation only." in said


def test_it_is_told_how_each_consent_was_confirmed(life):
    assert [event.lines for event in told(life, "confirmed")] == [
        ("Told by a later list that was brought.",),
        ("By the person's own reply to the message that asked.",),
    ]


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("web", "By the link in the message that asked, opened and pressed."),
        ("command", "Told with a later opt-in to the same."),
        (roles.SUBSCRIBER_MANAGER, "Recorded by subscriber-manager."),
    ],
)
def test_a_confirmation_is_told_by_whoever_the_trail_names(person, operators, by, said):
    someone = person(confirmed=False)
    actor = operators(by) if by == roles.SUBSCRIBER_MANAGER else by
    ledger.confirm(consent=someone.consents.get(), evidence="{}", by=actor, at=AT)
    assert told(someone, "confirmed")[0].lines == (said,)


def test_a_confirmation_that_came_with_the_opt_in_is_told_so(person):
    assert told(person(), "confirmed")[0].lines == ("Told with the opt-in itself.",)


def test_one_list_that_brought_both_is_told_so(purpose, notice):
    listed(purpose, (NEW_YORK, "yes", ""), at=AT)
    someone = Subscriber.objects.with_number(NEW_YORK).get()
    said = told(someone, "confirmed")[0].lines
    assert said == ("Told by the same list that was brought.",)


def test_a_lapse_says_that_nobody_confirmed_in_time(person, purpose):
    someone = person(confirmed=False)
    ledger.lapse(purpose=purpose, by="worker", at=AT + timedelta(days=31))
    [lapsed] = told(someone, "lapsed")
    assert lapsed.lines == ("Nobody confirmed it within 30 days.",)


def test_a_lapse_says_that_it_was_granted_until_then(person, purpose):
    someone = person()
    someone.consents.update(expires_at=AT + timedelta(days=1))
    ledger.lapse(purpose=purpose, by="worker", at=AT + timedelta(days=2))
    [lapsed] = told(someone, "lapsed")
    assert lapsed.lines == ("It was granted until 2026-11-25 18:00:00 UTC.",)


@pytest.fixture
def opened(monkeypatch):
    """The columns of all values that were decrypted."""
    columns, decrypt = set(), ring.decrypt

    def noted(token, *, place):
        columns.add(place.partition(":")[0])
        return decrypt(token, place=place)

    monkeypatch.setattr(ring, "decrypt", noted)
    return columns


def test_nothing_but_the_number_is_opened_for_a_timeline_without_texts(life, opened):
    opened.clear()
    timeline.of(Subscriber.objects.get(pk=life.pk))
    assert opened == {"consent_subscriber.number"}


# --- messages ----------------------------------------------------------------------------------


def test_a_message_is_told_with_its_text_what_allowed_it_and_its_receipt(life):
    [message] = [event for event in told(life, "message") if "Kettle" in event.title]
    assert message.at == minutes(5)
    assert f"“{TEXT}”" in message.lines
    said = text([message])
    assert "From +12125550100, by Twilio." in said
    assert "allowed by consent of 2026-10-25 18:00:00 UTC." in said
    assert "Rules: " in said
    assert "Time zones: America/New_York." in said
    assert "Number 2 to this person within a day, number 1 of the purpose" in said
    assert "The provider's answer: accepted as SMC" in said
    assert "Receipt, 2026-11-24 18:06:00 UTC: delivered." in said
    assert "The quiet hours at launch: Open everywhere the person may be." in said


def test_a_message_that_was_not_allowed_says_why(person, launched):
    someone = person()
    launched()
    withdraw(someone)
    assert fenced() == []
    [message] = told(someone, "message")
    assert message.title.endswith(": not allowed.")
    assert f"Why it stands so: {verdicts.NO_PERMISSION}" in message.lines


def test_a_receipt_that_names_another_message_of_the_provider_is_told_too(life):
    attempt = Message.objects.exclude(campaign=None).get(subscriber=life).attempts.get()
    receipts.keep(attempt=attempt.pk.hex, provider_id="SM2nd", status="sent", code="7", at=AT)
    assert "UTC: sent (7)." in text(told(life, "message"))


def test_no_link_of_a_message_is_told(life):
    said = text(told(life))
    assert "Or open [link: confirm]" in said
    assert "{confirm" not in said


# --- replies and refusals ----------------------------------------------------------------------


def test_what_a_person_wrote_is_told_to_those_only_who_may_read_it(person, sender):
    someone = person()
    write("When do you open?")
    assert "When do you open?" not in text(told(someone))
    assert "“When do you open?”" in text(told(someone, with_texts=True))


SPELLINGS = ["+12125550123", "(212) 555-0123", "212.555.0123", "1 212 555 0123", "555-0123"]


@pytest.mark.parametrize("spelled", [*SPELLINGS, "٢١٢٥٥٥٠١٢٣"])
def test_a_number_in_what_a_person_wrote_is_masked(person, sender, spelled):
    someone = person()
    write(f"Call me at {spelled}, please, not at 212 555 0124")
    said = text(told(someone, "reply", with_texts=True))
    assert "“Call me at +1 ••• ••• ••23, please, not at 212 555 0124”" in said


def test_a_judgment_is_told_with_who_judged_and_how(person, sender, operators):
    someone, clerk = person(), operators(roles.SUBSCRIBER_MANAGER)
    reply = write("please do not text me so early")
    Reply.objects.filter(pk=reply.pk).update(intent="likely_stop")
    conversation.keep(reply=reply, note="a secret", by=clerk, at=minutes(2))
    [judged] = told(someone, "judged")
    who = "subscriber-manager judged what may have been a STOP"
    assert judged.title == f"{who}: it was a STOP."
    assert not told(someone, "act")


def test_a_refusal_is_told_with_its_channel_and_reason_and_when_it_was_lifted(life):
    first, second = told(life, "refused")
    assert first.lines == ("Told by: reply.", "Reason: replied with a word that stops.")
    assert second.lines[0] == "Told by: told to staff."
    [lifted] = told(life, "lifted")
    assert lifted.lines == ("It stood since 2026-11-24 18:10:00 UTC, told by: reply.",)


def test_what_came_before_the_person_was_a_subscriber_is_told(person, sender):
    write("STOP", at=AT - timedelta(days=90))
    Suppression.objects.update(lifted_at=AT - timedelta(days=80))
    assert [event.kind for event in told(person())] == [
        *("reply", "refused", "message", "lifted", "agreed", "confirmed"),
    ]


@pytest.mark.parametrize(
    ("received_at", "said"), [(AT, "in time."), (AT - timedelta(days=30), "TOO LATE.")]
)
def test_what_staff_were_told_has_its_deadline_and_whether_it_was_late(
    person, operators, received_at, said
):
    someone = person()
    opt_outs.record(
        channel=OptOutRequest.Channel.LETTER,
        received_at=received_at,
        note=CALLED,
        number=numbers.parse(NEW_YORK),
        by=operators(roles.PRIVACY_OFFICER),
        at=AT,
    )
    [request] = told(someone, "told to staff")
    assert request.lines[2] == f"In effect since 2026-11-24 18:00:00 UTC, {said}"
    assert "The law's deadline: " in request.lines[1]
    assert CALLED not in text(told(someone, with_texts=True))


# --- acts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "verb", "by", "title"),
    [
        ("subscriber", "number.revealed", roles.PRIVACY_OFFICER, "did: number.revealed."),
        ("subscriber", "consent.opened", roles.PRIVACY_OFFICER, "recorded an opt-in."),
        ("message", "message.settled", roles.PRIVACY_OFFICER, "did: message.settled."),
        ("subscriber", "something.new", "worker", "worker did: something.new."),
        ("subscriber", "consent.opened", "web", None),
    ],
)
def test_acts_are_told_from_the_trail(person, launched, operators, subject, verb, by, title):
    someone = person()
    launched()
    key = someone.pk if subject == "subscriber" else Message.objects.get(subscriber=someone).pk
    actor = by if by in trail.MACHINES else operators(by)
    trail.record(verb=verb, subject=f"{subject}:{key}", by=actor, at=AT, facts={"reason": "asked"})
    acts = told(someone, "act")
    assert [act.title.endswith(title) for act in acts] == ([True] if title else [])
    assert all(act.lines == ("In the trail: reason asked.",) for act in acts)


def test_every_event_that_has_a_page_leads_to_it(life):
    targets = [event.target for event in timeline.of(life) if event.target]
    addresses = [reverse(name, args=arguments) for name, arguments in targets]
    assert {address.split("/")[3] for address in addresses} == {
        *("notice", "message", "reply", "suppression", "optoutrequest", "entry")
    }

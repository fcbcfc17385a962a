"""Messages, replies, receipts and senders can be looked at by whom they concern, numbers masked."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.messages import get_messages
from django.core.exceptions import ValidationError
from django.urls import reverse

from audit import roles
from audit.models import Entry
from campaigns import calling, delivery, receipts, senders
from campaigns.models import Message, Reply, Sender
from tests.campaigns.conftest import GUAM, NEW_YORK, fenced, message_to, new_york, queries, write
from tests.conftest import AT

MESSAGES = "/admin/campaigns/message/"
REPLIES = "/admin/campaigns/reply/"
RECEIPTS = "/admin/campaigns/receipt/"
SENDERS = "/admin/campaigns/sender/"


@pytest.fixture(autouse=True)
def _business_time(clock):
    """Pages read the clock; it stands at AT."""


def _read(browser, address):
    answer = browser.get(address)
    assert answer.status_code == 200, address
    return unescape(answer.content.decode())


def _page(row):
    return reverse(f"admin:campaigns_{row._meta.model_name}_change", args=[row.pk])


@pytest.fixture
def sent(person, launched):
    """A message that was accepted."""
    someone = person(NEW_YORK, first_name="Ada")
    launched()
    delivery.settle(called=[calling.read(one, "SM1") for one in fenced()], at=AT)
    return message_to(someone)


# --- messages ----------------------------------------------------------------------------------

READERS = [
    *(roles.CAMPAIGN_AUTHOR, roles.CAMPAIGN_APPROVER, roles.AUDITOR),
    roles.PRIVACY_OFFICER,
]
STRANGERS = [roles.SUBSCRIBER_MANAGER, roles.ADMINISTRATOR]


@pytest.mark.parametrize("role", READERS)
def test_messages_are_listed_by_pseudonym(signed_in, sent, role):
    page = _read(signed_in(role), MESSAGES)
    assert sent.subscriber.pseudonym in page
    assert "accepted by the provider" in page


@pytest.mark.parametrize("role", STRANGERS)
def test_messages_are_not_everyones_to_see(signed_in, sent, role):
    browser = signed_in(role)
    assert browser.get(MESSAGES).status_code == 403
    assert browser.get(_page(sent)).status_code == 403


@pytest.mark.parametrize("role", READERS)
def test_neither_number_nor_name_stands_on_the_pages_of_messages(signed_in, sent, role):
    browser = signed_in(role)
    shown = _read(browser, MESSAGES) + _read(browser, _page(sent))
    assert NEW_YORK[1:] not in shown
    assert "Ada" not in shown


def test_an_auditor_sees_what_allowed_each_attempt(signed_in, sent):
    page = _read(signed_in(roles.AUDITOR), _page(sent))
    assert f"Wording: notice {sent.consent.notice_id}." in page
    assert "US-NY" in page
    assert "SM1" in page


def test_a_message_says_what_the_quiet_hours_said_at_the_launch(signed_in, person, launched):
    someone = person(GUAM)
    launched()
    page = _read(signed_in(roles.AUDITOR), _page(message_to(someone)))
    assert "It is 04:00 on Wednesday in Pacific/Guam; US allows 08:00 to 21:00." in page
    assert "Rules: US, US-GU" in page
    assert "Time zones: Pacific/Guam." in page


def test_a_message_that_was_free_to_go_says_so(signed_in, sent):
    page = _read(signed_in(roles.AUDITOR), _page(sent))
    assert "Open everywhere the person may be." in page


def test_a_message_that_was_blocked_says_why(signed_in, person, launched):
    someone = person(GUAM)
    launched(deadline=AT + timedelta(hours=1))
    browser = signed_in(roles.CAMPAIGN_AUTHOR)
    for address in (MESSAGES, _page(message_to(someone))):
        assert "There is no permitted hour before the deadline." in _read(browser, address)


def test_an_answer_has_a_page_too(signed_in, sender):
    answer = write("HELP").answer
    fenced()
    page = _read(signed_in(roles.AUDITOR), _page(answer))
    assert "the person's own reply" in page
    assert NEW_YORK[1:] not in page


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("verb", ["add", "change", "delete"])
def test_nobody_writes_a_message_by_hand(signed_in, sent, role, verb):
    browser = signed_in(role)
    arguments = [] if verb == "add" else [sent.pk]
    address = reverse(f"admin:campaigns_message_{verb}", args=arguments)
    answer = browser.post(address, {"status": "waiting", "post": "yes"})
    assert answer.status_code == 403
    sent.refresh_from_db()
    assert sent.status == Message.Status.ACCEPTED


def test_messages_are_found_by_status(signed_in, sent):
    browser = signed_in(roles.AUDITOR)
    found = _read(browser, f"{MESSAGES}?status__exact=accepted")
    assert sent.subscriber.pseudonym in found
    other = _read(browser, f"{MESSAGES}?status__exact=unknown")
    assert sent.subscriber.pseudonym not in other


def test_a_list_of_messages_makes_as_many_queries_for_many_as_for_few(signed_in, people, launched):
    browser = signed_in(roles.AUDITOR)
    people(new_york(2))
    launched()
    few = queries(lambda: _read(browser, MESSAGES))
    people(new_york(30)[2:])
    launched()
    assert queries(lambda: _read(browser, MESSAGES)) == few


# --- replies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER, roles.AUDITOR])
def test_replies_are_read_with_their_number_masked(signed_in, sender, role):
    reply = write("When do you open?")
    browser = signed_in(role)
    page = _read(browser, _page(reply))
    assert "When do you open?" in page
    shown = page + _read(browser, REPLIES)
    assert reply.masked_number in shown
    assert NEW_YORK[1:] not in re.sub(r"[\s().-]", "", shown)


@pytest.mark.parametrize("role", [roles.CAMPAIGN_AUTHOR, roles.ADMINISTRATOR])
def test_replies_are_not_everyones_to_read(signed_in, sender, role):
    reply, browser = write("hi"), signed_in(role)
    assert browser.get(REPLIES).status_code == 403
    assert browser.get(_page(reply)).status_code == 403


def test_nobody_changes_a_reply(signed_in, sender):
    reply, browser = write("STOP"), signed_in(roles.PRIVACY_OFFICER)
    assert browser.post(_page(reply), {"intent": "start"}).status_code == 403
    assert Reply.objects.get().intent == "stop"


def test_what_a_person_wrote_is_shown_as_text_and_not_as_a_page(signed_in, sender):
    reply = write("<script>alert(1)</script>")
    answer = signed_in(roles.AUDITOR).get(_page(reply)).content.decode()
    assert "<script>alert" not in answer
    assert "&lt;script&gt;alert" in answer


def test_a_list_of_replies_makes_as_many_queries_for_many_as_for_few(signed_in, sender):
    browser = signed_in(roles.AUDITOR)
    write("hi", number=NEW_YORK)
    few = queries(lambda: _read(browser, REPLIES))
    for number in new_york(9):
        write("hi", number=number)
    assert queries(lambda: _read(browser, REPLIES)) == few


# --- receipts ----------------------------------------------------------------------------------


def test_an_auditor_reads_receipts(signed_in, sent):
    attempt = sent.attempts.get()
    receipts.keep(attempt=attempt.pk.hex, provider_id="SM1", status="sent", code="", at=AT)
    assert "sent" in _read(signed_in(roles.AUDITOR), RECEIPTS)
    assert signed_in(roles.CAMPAIGN_AUTHOR).get(RECEIPTS).status_code == 403


# --- senders -----------------------------------------------------------------------------------


@pytest.fixture
def administrator(signed_in):
    return signed_in(roles.ADMINISTRATOR)


def _run(browser, action, *senders):
    """Ticks senders and runs an action on them; what the operator is told."""
    ticked = [sender.pk for sender in senders]
    answer = browser.post(SENDERS, {"action": action, "_selected_action": ticked})
    return answer.status_code, [str(told) for told in get_messages(answer.wsgi_request)]


def test_an_administrator_registers_a_sender_that_is_not_verified_yet(administrator):
    posted = {"address": "+12125550101", "gateway": "twilio", "countries": "US CA"}
    assert administrator.post(f"{SENDERS}add/", posted).status_code == 302
    registered = Sender.objects.get()
    assert (registered.address, registered.countries) == ("+12125550101", "US CA")
    assert registered.verified_at is None
    assert Entry.objects.get(verb="sender.registered").actor.startswith("operator:")


@pytest.mark.parametrize("countries", ["USA", "US, CA", "us", ""])
def test_countries_that_are_none_are_told_beside_the_field(administrator, countries):
    posted = {"address": "+12125550101", "gateway": "twilio", "countries": countries}
    answer = administrator.post(f"{SENDERS}add/", posted)
    assert answer.status_code == 200
    assert "countries" in answer.context["adminform"].form.errors
    assert not Sender.objects.exists()


@pytest.mark.parametrize("variable", ["TELNYX_API_KEY", "TELNYX_PUBLIC_KEY"])
def test_a_gateway_without_credentials_is_told_beside_the_field(administrator, settings, variable):
    posted = {"address": "+12125550101", "gateway": "telnyx", "countries": "US"}
    setattr(settings, variable, "")
    answer = administrator.post(f"{SENDERS}add/", posted)
    assert "no credentials" in str(answer.context["adminform"].form.errors["gateway"])
    assert not Sender.objects.exists()
    setattr(settings, variable, "something")
    assert administrator.post(f"{SENDERS}add/", posted).status_code == 302
    assert Sender.objects.get().gateway == "telnyx"


def test_a_sender_of_a_gateway_without_credentials_is_registered_by_nobody(db, settings):
    settings.TELNYX_API_KEY = settings.TELNYX_PUBLIC_KEY = ""
    with pytest.raises(ValidationError, match="no credentials"):
        senders.register(
            address="+12125550101", gateway=Sender.Gateway.TELNYX, countries="US",
            by="command", at=AT,
        )  # fmt: skip
    assert not Sender.objects.exists()


def test_a_sender_whose_credentials_went_is_verified_no_more(administrator, sender, settings):
    Sender.objects.update(gateway="telnyx", verified_at=None)
    settings.TELNYX_API_KEY = ""
    _status, told = _run(administrator, "verify", sender)
    sender.refresh_from_db()
    assert sender.verified_at is None
    assert "no credentials" in " ".join(told)


def test_an_administrator_verifies_and_retires_a_sender(administrator, sender):
    for action, verified_at in [("retire", None), ("verify", AT)]:
        status, _told = _run(administrator, action, sender)
        sender.refresh_from_db()
        assert (status, sender.verified_at) == (302, verified_at)
    verbs = Entry.objects.filter(subject=f"sender:{sender.pk}").values_list("verb", flat=True)
    assert list(verbs.order_by("id")) == ["sender.retired", "sender.verified"]


@pytest.mark.parametrize("role", [roles.CAMPAIGN_AUTHOR, roles.CAMPAIGN_APPROVER, roles.AUDITOR])
def test_who_only_sees_senders_verifies_none(signed_in, sender, role):
    browser = signed_in(role)
    Sender.objects.update(verified_at=None)
    assert "+12125550100" in _read(browser, SENDERS)
    _run(browser, "verify", sender)
    sender.refresh_from_db()
    assert sender.verified_at is None
    assert browser.post(f"{SENDERS}add/", {"address": "+12125550101"}).status_code == 403


# --- what nobody can tell ----------------------------------------------------------------------


@pytest.fixture
def unknown(sent):
    Message.objects.filter(pk=sent.pk).update(status="unknown", reason="Nobody can tell (reset).")
    return sent


def _judge(browser, message, **fields):
    return browser.post(reverse("admin:campaigns_message_judge", args=[message.pk]), fields)


def test_an_approver_says_what_became_of_a_message(signed_in, unknown):
    browser = signed_in(roles.CAMPAIGN_APPROVER)
    assert "Say what became of it" in _read(browser, _page(unknown))
    assert "never sent again" in _read(browser, _page(unknown).replace("change/", "judge/"))
    answer = _judge(browser, unknown, arrived="yes", note="It stands in their log.")
    assert answer["Location"].endswith("?status__exact=unknown")
    unknown.refresh_from_db()
    assert unknown.status == "accepted"


@pytest.mark.parametrize(
    "fields", [{}, {"arrived": "yes"}, {"arrived": "maybe", "note": "x"}, {"note": "x"}]
)
def test_a_word_needs_an_answer_and_what_it_rests_on(signed_in, unknown, fields):
    answer = _judge(signed_in(roles.CAMPAIGN_APPROVER), unknown, **fields)
    assert answer.context["form"].errors
    unknown.refresh_from_db()
    assert unknown.status == "unknown"


@pytest.mark.parametrize("role", [roles.CAMPAIGN_AUTHOR, roles.AUDITOR, roles.PRIVACY_OFFICER])
def test_not_everyone_says_what_became_of_a_message(signed_in, unknown, role):
    browser = signed_in(role)
    assert _judge(browser, unknown, arrived="yes", note="x").status_code == 403
    assert "Say what became of it" not in _read(browser, _page(unknown))

"""People join by texting a word: at once, from their own telephone, and to that purpose only."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from audit.models import Entry
from campaigns.models import Message, Reply, Sender
from consent import purposes
from consent.models import Consent, Method, Notice, Purpose, Subscriber, Suppression
from tests.campaigns.conftest import LONDON, NEW_YORK, fenced, withdraw, write
from tests.conftest import AT, WORDINGS

NIGHT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)  # three in the morning in New York
SOON, LATER = AT + timedelta(minutes=1), AT + timedelta(minutes=2)
Channel = Suppression.Channel


def _posted(purpose, *, language="en", wording=WORDINGS["current"], shown_from=None):
    """A poster that calls to text the purpose's word."""
    return purposes.publish(
        purpose=purpose,
        channel=Notice.Channel.KEYWORD,
        language=language,
        wording=wording,
        shown_from=shown_from or datetime(2025, 1, 1, tzinfo=UTC),
        by="command",
        at=AT,
    )


@pytest.fixture(autouse=True)
def offers(purpose, sender):
    """A purpose that people join by OFFERS; the wording on the poster is each test's own."""
    purpose.keywords = "OFFERS"
    purpose.save()
    sender.purposes.set([purpose])
    return purpose


@pytest.fixture
def poster(offers):
    return _posted(offers)


@pytest.fixture
def events(db):
    """A second purpose with a word and a poster of its own."""
    purpose = purposes.define(
        code="events",
        name="Events",
        promise="Sales on special evenings.",
        frequency=1,
        period=Purpose.Period.WEEK,
        double_opt_in=True,
        keywords="EVENTS",
        by="command",
        at=AT,
    )
    _posted(purpose)
    return purpose


def _texts():
    return list(Message.objects.filter(campaign=None).order_by("pk").values_list("body", flat=True))


def _open():
    return set(Consent.objects.open().values_list("purpose__code", flat=True))


def _permitted(at=LATER):
    return set(Consent.objects.permitting(at).values_list("purpose__code", flat=True))


# --- joining -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["OFFERS", "offers", "Offers!", "join offers", "JOIN", " join "])
def test_a_word_opts_in_and_is_asked_to_confirm(poster, text):
    reply = write(text)
    consent = Consent.objects.get()
    assert (consent.method, consent.notice, consent.given_at) == (Method.KEYWORD, poster, AT)
    assert json.loads(consent.evidence)["reply"] == str(reply.pk)
    assert consent.subscriber.number == NEW_YORK
    assert _texts() == [
        "Harbor Coffee: reply YES to get Offers, up to 6/month. Msg & data rates may apply."
        f" Reply HELP for help, STOP to cancel. Or open {{confirm {consent.pk.hex}}}"
    ]


def test_the_source_names_the_word(poster):
    write("offers")
    assert Consent.objects.get().source == "word OFFERS"


def test_nobody_is_messaged_before_they_confirm_what_they_joined(poster):
    write("OFFERS")
    assert _permitted() == set()
    fenced()
    write("YES", at=SOON)
    assert _permitted() == {"offers"}


def test_who_joins_what_asks_for_no_confirmation_is_welcomed(poster, offers):
    Purpose.objects.update(double_opt_in=False)
    write("OFFERS")
    assert _texts() == [
        "Harbor Coffee: you will get Offers, up to 6/month. Msg & data rates may apply."
        " Reply HELP for help, STOP to cancel."
    ]
    assert _permitted() == {"offers"}


def test_the_text_says_how_old_one_must_be(poster):
    Purpose.objects.update(least_age=21)
    write("OFFERS")
    [asked] = _texts()
    assert "up to 6/month, if you are 21 or older. Msg" in asked


def test_who_joins_what_has_an_age_and_no_confirmation_reads_the_age_too(poster, offers):
    Purpose.objects.update(least_age=21, double_opt_in=False)
    write("OFFERS")
    [welcome] = _texts()
    assert "21" in welcome


def test_who_joins_by_a_foreign_poster_is_asked_in_its_language(offers):
    Purpose.objects.update(languages="es en")
    _posted(offers, language="es")
    write("OFFERS")
    [asked] = _texts()
    assert asked.startswith("Harbor Coffee: responda SI para recibir Offers, hasta 6/mes.")
    assert Subscriber.objects.get().language == "es"


@pytest.mark.parametrize("number", ["12345", "not a number"])
def test_what_is_no_telephone_joins_nothing(poster, number):
    write("OFFERS", number=number)
    assert not Consent.objects.exists()


def test_a_join_told_twice_is_one(poster):
    write("OFFERS", sid="SM1")
    write("OFFERS", sid="SM1", at=SOON)
    assert (Reply.objects.count(), Consent.objects.count(), len(_texts())) == (1, 1, 1)


def test_the_trail_tells_of_the_opt_in_and_holds_no_number(poster):
    write("OFFERS")
    assert Entry.objects.get(verb="consent.opened").facts["method"] == "keyword"
    assert NEW_YORK[2:] not in " ".join(str(row) for row in Entry.objects.values_list())


# --- only what a wording calls for -------------------------------------------------------------


def test_without_a_poster_on_record_a_word_joins_nothing_and_is_helped():
    write("OFFERS")
    assert not Consent.objects.exists()
    assert not Subscriber.objects.exists()
    [helped] = _texts()
    assert "Help: harbor.example/help" in helped


def test_a_wording_of_a_web_page_is_no_poster(notice):
    write("OFFERS")
    assert not Consent.objects.exists()


def test_a_poster_that_leaves_out_what_is_essential_joins_nothing(offers):
    _posted(offers, wording=WORDINGS["before_2025"])
    write("OFFERS")
    assert not Consent.objects.exists()


def test_a_poster_joins_nothing_before_it_is_shown(offers):
    _posted(offers, shown_from=SOON)
    write("OFFERS")
    assert not Consent.objects.exists()
    write("OFFERS", at=LATER)
    assert _open() == {"offers"}


def test_a_word_that_is_no_purposes_own_joins_nothing(poster):
    write("SALE")
    assert not Consent.objects.exists()
    assert _texts() == []


def test_join_alone_is_not_enough_where_two_may_be_meant(poster, events):
    write("JOIN")
    assert not Consent.objects.exists()
    assert "Help:" in _texts()[0]
    write("EVENTS")
    assert _open() == {"events"}


# --- and stopping ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("STOP OFFERS", "stop"),
        ("OFFERS. STOP", "stop"),
        ("unsubscribe offers", "stop"),
        ("cancel offers", "likely_stop"),
        ("please stop offers", "stop"),
    ],
)
def test_a_stop_is_no_join_whatever_word_stands_beside_it(poster, text, intent):
    assert write(text).intent == intent
    assert not Consent.objects.exists()


def test_a_stop_beside_a_purposes_word_refuses_everything(person, poster):
    someone = person()
    write("STOP OFFERS")
    assert not someone.consents.open().exists()
    assert Suppression.objects.standing().get().purpose is None


def test_a_join_after_a_stop_is_a_new_opt_in(person, poster):
    person()
    write("STOP")
    write("OFFERS", at=SOON)
    assert not Suppression.objects.standing().exists()
    assert _open() == {"offers"}
    fenced(SOON)
    write("YES", at=LATER)
    assert _permitted() == {"offers"}
    assert Entry.objects.get(verb="refusal.lifted").facts == {"lifted": 1}


def test_a_join_after_a_stop_brings_nothing_else_back(person, poster, events):
    person()
    write("EVENTS")
    fenced()
    write("YES", at=AT)
    write("STOP", at=SOON)
    write("OFFERS", at=LATER)
    assert _open() == {"offers"}


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.PAGE, Channel.STAFF, Channel.FORM])
@pytest.mark.parametrize("everything", [True, False])
def test_a_join_lifts_what_the_person_refused(person, poster, offers, channel, everything):
    someone = person()
    withdraw(someone, channel=channel, purpose=None if everything else offers)
    write("OFFERS", at=SOON)
    assert not Suppression.objects.standing().exists()
    assert len(_texts()) == 1


def test_a_join_does_not_lift_what_the_provider_refuses(person, poster):
    someone = person()
    withdraw(someone, channel=Channel.PROVIDER)
    write("OFFERS", at=SOON)
    assert Suppression.objects.standing().get().channel == Channel.PROVIDER
    assert _open() == set()
    assert _texts() == []


def test_a_join_lifts_no_refusal_of_another_purpose(person, poster, events):
    someone = person()
    withdraw(someone, purpose=events)
    write("OFFERS", at=SOON)
    assert Suppression.objects.standing().get().purpose == events


def test_a_join_lifts_nobody_elses_refusal(person, poster):
    withdraw(person(LONDON))
    write("OFFERS", at=SOON)
    assert Suppression.objects.standing().exists()


# --- the answer --------------------------------------------------------------------------------


def test_the_answer_leaves_at_once_and_at_any_hour(poster):
    write("OFFERS", at=NIGHT)
    [attempt] = fenced(NIGHT)
    assert attempt.message.answer.body.startswith("Harbor Coffee: reply YES")
    assert attempt.found["allowed_by"] == "the person's own opt-in"


def test_the_answer_leaves_from_the_sender_that_was_written_to(poster, offers):
    other = Sender.objects.create(address="+12125550101", verified_at=AT)
    write("OFFERS", to=other.address)
    [attempt] = fenced()
    assert attempt.sender == other


def test_a_second_join_is_not_asked_again(poster):
    write("OFFERS")
    fenced()
    write("JOIN", at=SOON)
    write("offers", at=LATER)
    assert len(_texts()) == 1
    assert Consent.objects.count() == 1


def test_who_is_subscribed_and_joins_again_keeps_what_they_have(person, poster):
    someone = person()
    write("OFFERS")
    assert _texts() == []
    assert someone.consents.get().method == Method.WEB_FORM
    assert _permitted() == {"offers"}


def test_who_was_brought_unconfirmed_and_joins_is_not_left_without_a_word(person, poster):
    """They wrote to us themselves: they are asked to confirm, or are confirmed by it."""
    person(confirmed=False)
    write("OFFERS")
    assert len(_texts()) == 1

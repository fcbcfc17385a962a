"""What staff see of people, and how they find one and record an opt-out."""

import logging
from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import roles
from audit.models import Detail, Entry, Operator
from config.encryption import blind_index, ring
from consent.models import Consent, OptOutRequest, Purpose, Subscriber, Suppression
from tests.conftest import Clock, Enrol
from tests.consent.conftest import ADA, BOB, Draft, Enrolling, Permitted, Withdraw

PEOPLE = "/admin/consent/subscriber/"
FIND = f"{PEOPLE}find/"
REFUSALS = "/admin/consent/suppression/"
MASKED = "+1 ••• ••• ••23"
SPELLINGS = ["+12125550123", "(212) 555-0123", "212.555.0123", " 1 212 555 0123 "]
SEE = [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER, roles.AUDITOR]
OPT_OUT = [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER]
Browser = Callable[..., Client]

pytestmark = pytest.mark.usefixtures("clock")


def page_of(person: Subscriber) -> str:
    return f"{PEOPLE}{person.pk}/change/"


CALL = {"channel": "phone", "received_at": "2026-11-24 12:00"}


def opt_out_of(person: Subscriber) -> str:
    return f"{PEOPLE}{person.pk}/opt-out/"


@pytest.fixture
def clerk(signed_in: Browser) -> Client:
    """The browser of a subscriber manager."""
    return signed_in(roles.SUBSCRIBER_MANAGER)


@pytest.fixture
def crowd(enrol: Enrolling, draft: Draft, at: datetime) -> Callable[[range], None]:
    """Enrols many people at once."""

    def enrolled(numbers: range) -> None:
        enrol(*(draft(f"+121255501{n:02}", first_name="Ada", confirmed_at=at) for n in numbers))

    return enrolled


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The places of all values that were decrypted."""
    places: set[str] = set()
    decrypt = ring.decrypt

    def noted(token: ring.Token, *, place: str) -> str:
        places.add(place)
        return decrypt(token, place=place)

    monkeypatch.setattr(ring, "decrypt", noted)
    return places


def texts(client: Client, *paths: str) -> str:
    return "".join(client.get(path).content.decode() for path in paths)


# --- the list and a person's page --------------------------------------------------------------


def test_the_list_shows_pseudonyms_masked_numbers_and_what_is_permitted(
    clerk: Client, person: Enrol
) -> None:
    ada, bob = person(first_name="Ada"), person(BOB, confirmed=False)
    shown = texts(clerk, PEOPLE)
    assert ada.pseudonym in shown
    assert bob.pseudonym in shown
    assert MASKED in shown
    assert shown.count("Offers") == 1
    assert not [secret for secret in ("5550123", "Ada") if secret in shown]


def test_a_persons_page_shows_their_consents_and_no_number(clerk: Client, person: Enrol) -> None:
    ada = person(first_name="Ada", source="till 3", evidence="from 203.0.113.7")
    shown = texts(clerk, page_of(ada))
    assert MASKED in shown
    assert "till 3" in shown
    secrets = ("5550123", "555-0123", "Ada", "203.0.113.7", ada.number_index)
    assert not [secret for secret in secrets if secret in shown]


def test_the_pages_of_thirty_people_cost_as_many_statements_as_of_three(
    clerk: Client, crowd: Callable[[range], None]
) -> None:
    clerk.get(PEOPLE)  # what is asked once and then remembered
    costs = []
    for numbers in (range(3), range(3, 30)):
        crowd(numbers)
        with CaptureQueriesContext(connection) as statements:
            shown = texts(clerk, PEOPLE)
        assert shown.count("••• ••• ••") == numbers.stop
        costs.append(len(statements))
    assert costs[0] == costs[1]


def test_only_the_numbers_of_the_page_that_is_shown_are_decrypted(
    clerk: Client, crowd: Callable[[range], None], opened: set[str]
) -> None:
    crowd(range(53))
    opened.clear()
    for page, count in ((1, 50), (2, 3)):
        texts(clerk, f"{PEOPLE}?p={page}")
        assert len(opened) == count
        assert all(place.startswith("consent_subscriber.number:") for place in opened)
        opened.clear()


def test_a_persons_page_decrypts_their_number_only(
    clerk: Client, person: Enrol, opened: set[str]
) -> None:
    person(BOB, first_name="Bob")
    ada = person(first_name="Ada", evidence="seen")
    opened.clear()
    clerk.get(page_of(ada))
    assert opened == {f"consent_subscriber.number:{ada.pk}"}


@pytest.mark.parametrize("act", ["add/", "{pk}/change/", "{pk}/delete/"])
@pytest.mark.parametrize("role", SEE)
def test_nobody_adds_changes_or_deletes_a_person(
    signed_in: Browser, person: Enrol, role: str, act: str
) -> None:
    ada = person()
    answer = signed_in(role).post(PEOPLE + act.format(pk=ada.pk), {"language": "de", "post": "yes"})
    assert answer.status_code == 403
    assert Subscriber.objects.get().language == "en"


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_some_roles_see_people(signed_in: Browser, person: Enrol, role: str) -> None:
    client, ada = signed_in(role), person()
    allowed = 200 if role in SEE else 403
    for path in (PEOPLE, page_of(ada), FIND):
        assert client.get(path).status_code == allowed


def test_a_stranger_is_sent_to_the_sign_in(client: Client, person: Enrol) -> None:
    ada = person()
    for path in (PEOPLE, page_of(ada), FIND, opt_out_of(ada)):
        answer = client.get(path, follow=True)
        assert answer.redirect_chain[-1][0].startswith("/sign-in/")
    client.post(opt_out_of(ada), {**CALL, "note": "called"})
    assert not Suppression.objects.exists()


# --- finding a person --------------------------------------------------------------------------


@pytest.mark.parametrize("sought", SPELLINGS)
def test_a_person_is_found_by_number_however_it_is_written(
    clerk: Client, person: Enrol, sought: str
) -> None:
    ada, _bob = person(), person(BOB)
    answer = clerk.post(FIND, {"country": "us", "sought": sought})
    assert (answer.status_code, answer["Location"]) == (302, page_of(ada))


def test_a_number_without_a_plus_is_of_the_country_that_is_given(
    clerk: Client, person: Enrol
) -> None:
    briton = person("+447700900123")
    answer = clerk.post(FIND, {"country": "GB", "sought": "07700 900123"})
    assert answer["Location"] == page_of(briton)


@pytest.mark.parametrize("spell", [str, str.lower, " {} ".format])
def test_a_person_is_found_by_pseudonym(
    clerk: Client, person: Enrol, spell: Callable[[str], str]
) -> None:
    ada = person()
    answer = clerk.post(FIND, {"country": "US", "sought": spell(ada.pseudonym)})
    assert answer["Location"] == page_of(ada)


@pytest.mark.parametrize("sought", ["+12125550199", "P-22222222", "nobody", "1.2E+10", "x" * 100])
def test_that_nobody_was_found_is_said_in_words(clerk: Client, person: Enrol, sought: str) -> None:
    person()
    answer = clerk.post(FIND, {"country": "US", "sought": sought})
    assert answer.status_code == 200
    assert "Nobody on record has this number or pseudonym." in answer.content.decode()


def test_looking_for_someone_is_no_get(clerk: Client, person: Enrol) -> None:
    person()
    answer = clerk.get(FIND, {"country": "US", "sought": ADA})
    assert answer.status_code == 200
    assert 'method="post"' in answer.content.decode()


def test_finding_asks_for_no_more_than_the_index(
    clerk: Client, person: Enrol, opened: set[str]
) -> None:
    person()
    opened.clear()
    with CaptureQueriesContext(connection) as statements:
        clerk.post(FIND, {"country": "US", "sought": ADA})
    assert not {place for place in opened if "consent_" in place}
    assert not [query for query in statements.captured_queries if "5550123" in query["sql"]]


@pytest.mark.parametrize("number", [ADA, "+12125550199", "(212) 555-0199"])
def test_a_number_that_is_sought_stands_nowhere(
    clerk: Client, person: Enrol, caplog: pytest.LogCaptureFixture, number: str
) -> None:
    person()
    with caplog.at_level(logging.DEBUG):
        answer = clerk.post(FIND, {"country": "US", "sought": number}, follow=True)
    addresses = [address for address, _status in answer.redirect_chain]
    sessions = [session.get_decoded() for session in Session.objects.order_by("pk")]
    lines = [record.getMessage() for record in caplog.records]
    entries = list(Entry.objects.order_by("pk").values())
    told = f"{addresses} {answer.request} {sessions} {lines} {entries} {answer.content.decode()}"
    end = number[-8:]
    assert end.replace("-", "") not in told
    assert end not in told


# --- recording an opt-out ----------------------------------------------------------------------


def test_the_page_of_an_opt_out_says_what_it_does_and_does_nothing_yet(
    clerk: Client, person: Enrol, permitted: Permitted
) -> None:
    ada = person()
    shown = texts(clerk, opt_out_of(ada))
    assert f"{ada} will get no more messages" in shown
    assert permitted()


def test_an_opt_out_is_recorded_with_its_note(
    clerk: Client, person: Enrol, permitted: Permitted, operators: Callable[..., Operator]
) -> None:
    ada = person()
    answer = clerk.post(opt_out_of(ada), {**CALL, "note": "Ada called on Monday"}, follow=True)
    assert answer.redirect_chain == [(page_of(ada), 302)]
    assert "no more messages, from now on" in answer.content.decode()
    assert not permitted()
    refusal = Suppression.objects.get()
    assert (refusal.channel, refusal.reason) == (
        Suppression.Channel.STAFF,
        "told to staff by telephone call",
    )
    assert Entry.objects.filter(verb="consent.withdrawn", subject=f"subscriber:{ada.pk}").exists()
    entry = Entry.objects.get(verb="opt_out.told")
    assert entry.actor == f"operator:{operators(roles.SUBSCRIBER_MANAGER).pk}"
    assert OptOutRequest.objects.get().number_index == ada.number_index
    assert Detail.objects.get(entry=entry).text == "Ada called on Monday"
    assert "Ada called" not in answer.content.decode()


def test_the_note_is_encrypted(clerk: Client, person: Enrol) -> None:
    clerk.post(opt_out_of(person()), {**CALL, "note": "Ada called on Monday"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM audit_detail")
        [(stored,)] = cursor.fetchall()
    assert stored[8:].startswith(".gAAAA")


@pytest.mark.parametrize("note", ["", "   ", "x" * 501])
def test_an_opt_out_needs_a_note_of_some_length(
    clerk: Client, person: Enrol, permitted: Permitted, note: str
) -> None:
    answer = clerk.post(opt_out_of(person()), {**CALL, "note": note})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert permitted()


def test_an_opt_out_is_dated_by_the_business_clock(
    clerk: Client, person: Enrol, clock: Clock, at: datetime
) -> None:
    clerk.post(opt_out_of(person()), {**CALL, "note": "called"})
    assert Consent.objects.get().withdrawn_at == clock.at == at


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_some_roles_record_an_opt_out(
    signed_in: Browser, person: Enrol, permitted: Permitted, role: str
) -> None:
    client, ada = signed_in(role), person()
    answer = client.post(opt_out_of(ada), {**CALL, "note": "called"})
    assert answer.status_code == (302 if role in OPT_OUT else 403)
    assert permitted() == (role not in OPT_OUT)


@pytest.mark.parametrize("role", SEE)
def test_the_way_to_an_opt_out_is_shown_to_those_who_may_go_it(
    signed_in: Browser, person: Enrol, role: str
) -> None:
    ada = person()
    assert (opt_out_of(ada) in texts(signed_in(role), page_of(ada))) == (role in OPT_OUT)


def test_nobodys_opt_out_cannot_be_recorded(clerk: Client, person: Enrol) -> None:
    path = f"{PEOPLE}{'0' * 8}-0000-4000-8000-{'0' * 12}/opt-out/"
    assert clerk.post(path, {**CALL, "note": "called"}).status_code in (403, 404)
    assert not Suppression.objects.exists()


# --- refusals ----------------------------------------------------------------------------------


def test_refusals_are_listed_without_a_trace_of_the_number(
    clerk: Client, withdraw: Withdraw, news: Purpose
) -> None:
    withdraw(channel=Suppression.Channel.STAFF, reason="told to staff", purpose=news)
    shown = texts(clerk, REFUSALS)
    assert "told to staff" in shown
    assert "News" in shown
    assert not [secret for secret in ("••", blind_index.of(ADA)) if secret in shown]


def test_the_page_of_thirty_refusals_costs_as_many_statements_as_of_three(
    clerk: Client, withdraw: Withdraw, news: Purpose
) -> None:
    clerk.get(REFUSALS)
    costs = []
    for numbers in (range(3), range(3, 30)):
        for number in numbers:
            withdraw(f"+121255501{number:02}", purpose=news)
        with CaptureQueriesContext(connection) as statements:
            clerk.get(REFUSALS)
        costs.append(len(statements))
    assert costs[0] == costs[1]


@pytest.mark.parametrize("act", ["add/", "{pk}/change/", "{pk}/delete/"])
def test_nobody_adds_changes_or_lifts_a_refusal_by_hand(
    clerk: Client, withdraw: Withdraw, act: str
) -> None:
    withdraw()
    path = REFUSALS + act.format(pk=Suppression.objects.get().pk)
    assert clerk.post(path, {"lifted_at": "2026-01-01", "post": "yes"}).status_code == 403
    assert Suppression.objects.standing().count() == 1

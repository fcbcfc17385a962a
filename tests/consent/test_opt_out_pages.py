"""The pages on which staff keep opt-outs they were told, and see which of them are overdue."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import roles
from audit.models import Entry, Operator
from config.encryption import blind_index
from consent import numbers, opt_outs
from consent.models import OptOutRequest, Purpose, StopScope, Suppression
from tests.conftest import AT, Clock, Enrol
from tests.consent.conftest import ADA, BOB, Permitted

LIST, SCOPES = "/admin/consent/optoutrequest/", "/admin/consent/stopscope/"
ADD = f"{LIST}add/"
SAID = "Ada called: no more texts."
TYPED = {
    "channel": "phone",
    "received_at_0": "2026-11-23",
    "received_at_1": "09:30",
    "country": "us",
    "number": "(212) 555-0123",
    "purpose": "",
    "note": SAID,
}
SEE = [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER, roles.AUDITOR]
RECORD = [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER]
DAY = timedelta(days=1)
Browser = Callable[..., Client]
Told = Callable[..., OptOutRequest]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def clerk(signed_in: Browser) -> Client:
    return signed_in(roles.SUBSCRIBER_MANAGER)


@pytest.fixture
def told(operators: Callable[..., Operator]) -> Told:
    """An opt-out on record, so many days old; in effect if it has a number."""
    by = operators(roles.PRIVACY_OFFICER)

    def recorded(days: int = 0, *, number: str = "", **more: Any) -> OptOutRequest:
        usual = {"channel": OptOutRequest.Channel.LETTER, "note": SAID, "purpose": None}
        parsed = numbers.parse(number) if number else None
        times = {"received_at": AT - days * DAY, "at": AT - days * DAY}
        return opt_outs.record(number=parsed, by=by, **{**usual, **times, **more})

    return recorded


def page_of(request: OptOutRequest) -> str:
    return f"{LIST}{request.pk}/change/"


def honour_of(request: OptOutRequest) -> str:
    return f"{LIST}{request.pk}/honour/"


def errors(answer: Any) -> dict[str, str]:
    """What stands beside each field."""
    assert answer.status_code == 200
    form = answer.context.get("adminform") or answer.context["form"]
    return {name: " ".join(said) for name, said in form.errors.items()}


def words(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


# --- recording one -----------------------------------------------------------------------------


def test_an_opt_out_with_its_number_takes_effect_at_once(
    clerk: Client, person: Enrol, permitted: Permitted, operators: Callable[..., Operator]
) -> None:
    person()
    answer = clerk.post(ADD, TYPED)
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    assert not permitted()
    request = OptOutRequest.objects.get()
    assert (request.channel, request.note, request.recorded_at) == ("phone", SAID, AT)
    assert request.received_at == datetime.fromisoformat("2026-11-23T09:30Z")
    assert request.recorded_by == operators(roles.SUBSCRIBER_MANAGER)
    assert request.honoured_at == AT


def test_an_opt_out_without_a_number_is_kept_and_the_clerk_is_told_the_day(clerk: Client) -> None:
    shown = clerk.post(ADD, {**TYPED, "number": ""}, follow=True).content.decode()
    assert "nothing is stopped yet. Find it out before 09 December 2026." in shown
    assert list(OptOutRequest.objects.waiting()) == [OptOutRequest.objects.get()]
    assert not Suppression.objects.exists()


def test_an_opt_out_of_one_purpose_is_of_that_purpose(
    clerk: Client, person: Enrol, permitted: Permitted, news: Purpose
) -> None:
    person()
    clerk.post(ADD, {**TYPED, "purpose": news.pk})
    assert Suppression.objects.get().purpose == news
    assert permitted()


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("channel", {"channel": ""}),
        ("channel", {"channel": "pigeon"}),
        ("received_at", {"received_at_0": ""}),
        ("received_at", {"received_at_0": "23.11.2026"}),
        ("received_at", {"received_at_1": "half past"}),
        ("received_at", {"received_at_0": "2026-11-25"}),
        ("received_at", {"received_at_0": "2026-11-24", "received_at_1": "18:00:01"}),
        ("country", {"country": "USA"}),
        ("number", {"number": "911"}),
        ("number", {"number": "nobody"}),
        ("number", {"number": "1" * 101}),
        ("purpose", {"purpose": "999"}),
        ("note", {"note": ""}),
        ("note", {"note": "   "}),
        ("note", {"note": "x" * 501}),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_kept(
    clerk: Client, field: str, changes: dict[str, str]
) -> None:
    assert set(errors(clerk.post(ADD, {**TYPED, **changes}))) == {field}
    assert not OptOutRequest.objects.exists()
    assert not Suppression.objects.exists()


def test_a_form_with_everything_wrong_says_it_all_at_once(clerk: Client) -> None:
    wrong = dict.fromkeys(TYPED, "\x00")
    assert {"channel", "received_at", "country", "number", "note"} <= set(
        errors(clerk.post(ADD, wrong))
    )
    assert clerk.post(ADD, {}).status_code == 200
    assert not OptOutRequest.objects.exists()


def test_a_time_long_ago_is_no_fault_of_ours(clerk: Client) -> None:
    answer = clerk.post(ADD, {**TYPED, "received_at_0": "0001-01-01", "received_at_1": "00:00"})
    assert answer.status_code in (200, 302)


def test_a_number_without_a_plus_is_of_the_country_that_is_given(clerk: Client) -> None:
    clerk.post(ADD, {**TYPED, "country": "gb", "number": "07700 900123"})
    assert Suppression.objects.get().number_index == blind_index.of("+447700900123")


# --- the list ----------------------------------------------------------------------------------


def test_the_list_says_of_each_where_it_stands(clerk: Client, told: Told) -> None:
    told(30)
    told(1)
    told(2, number=ADA)
    late = told(40)
    opt_outs.honour(request=late, number=numbers.parse(BOB), by="command", at=AT)  # type: ignore[arg-type]
    shown = words(clerk, LIST)
    for standing in ("OVERDUE: no number yet", "waits for its number", "in effect, but late"):
        assert shown.count(standing) >= 1, standing
    assert shown.count("OVERDUE") == 1


@pytest.mark.parametrize(
    ("standing", "days"),
    [("overdue", {30, 20}), ("waiting", {30, 20, 1}), ("honoured", {2}), ("", {30, 20, 1, 2})],
)
def test_the_list_is_filtered_by_where_they_stand(
    clerk: Client, told: Told, standing: str, days: set[int]
) -> None:
    for age in (30, 20, 1):
        told(age)
    told(2, number=ADA)
    answer = clerk.get(LIST, {"standing": standing} if standing else {})
    rows = answer.context["cl"].result_list
    assert {(AT - row.received_at).days for row in rows} == days


def test_what_is_due_first_stands_first(clerk: Client, told: Told) -> None:
    told(50, number=ADA)
    later, first = told(1), told(30)
    rows = list(clerk.get(LIST).context["cl"].result_list)
    waiting = [row for row in rows if row.honoured_at is None]
    assert waiting == [first, later]
    assert rows[:2] == waiting


def test_an_opt_out_becomes_overdue_as_time_goes_by(
    clerk: Client, told: Told, clock: Clock
) -> None:
    request = told()
    clock.at = request.due_by
    assert "OVERDUE" not in words(clerk, LIST)
    clock.at = request.due_by + timedelta(seconds=1)
    assert "OVERDUE" in words(clerk, LIST)


def test_the_list_of_thirty_costs_as_many_statements_as_of_three(
    clerk: Client, told: Told, news: Purpose
) -> None:
    clerk.get(LIST)
    costs = []
    for ages in (range(3), range(3, 30)):
        for age in ages:
            told(age, purpose=news)
        with CaptureQueriesContext(connection) as statements:
            clerk.get(LIST)
        costs.append(len(statements))
    assert costs[0] == costs[1]


def test_the_list_shows_no_note_and_the_page_of_one_shows_its_own(
    clerk: Client, told: Told
) -> None:
    request = told()
    assert SAID not in words(clerk, LIST)
    assert SAID in words(clerk, page_of(request))


@pytest.mark.parametrize(
    "lookup", ["number_index__startswith=a", "note=x", "recorded_by__password__startswith=m"]
)
def test_no_column_is_read_through_an_address(clerk: Client, told: Told, lookup: str) -> None:
    told(number=ADA)
    assert clerk.get(f"{LIST}?{lookup}").status_code in (302, 400)


# --- the number is known now -------------------------------------------------------------------


def test_its_page_leads_to_honouring_it_while_it_waits(clerk: Client, told: Told) -> None:
    waiting, done = told(), told(number=ADA)
    assert honour_of(waiting) in words(clerk, page_of(waiting))
    assert honour_of(done) not in words(clerk, page_of(done))


def test_it_takes_effect_with_the_number_that_was_found(
    clerk: Client, told: Told, person: Enrol, permitted: Permitted
) -> None:
    person()
    request = told()
    assert permitted()
    answer = clerk.post(
        honour_of(request), {"country": "us", "number": "212 555 0123"}, follow=True
    )
    assert answer.redirect_chain == [(page_of(request), 302)]
    assert "The opt-out is in effect, from now on." in answer.content.decode()
    assert not permitted()


@pytest.mark.parametrize("number", ["", "911", "nobody", "1" * 101, "\x00"])
def test_what_is_no_number_is_refused_beside_the_field(
    clerk: Client, told: Told, number: str
) -> None:
    request = told()
    answer = clerk.post(honour_of(request), {"country": "us", "number": number})
    assert set(errors(answer)) == {"number"}
    assert not Suppression.objects.exists()


def test_it_takes_effect_once_and_says_so(clerk: Client, told: Told) -> None:
    request = told(number=ADA)
    answer = clerk.post(honour_of(request), {"country": "us", "number": BOB}, follow=True)
    assert "This opt-out has taken effect already." in answer.content.decode()
    assert Suppression.objects.get().number_index == blind_index.of(ADA)


def test_looking_puts_nothing_into_effect(clerk: Client, told: Told) -> None:
    request = told()
    assert clerk.get(honour_of(request), {"number": ADA}).status_code == 200
    assert not Suppression.objects.exists()


def test_the_page_does_not_promise_more_than_the_person_asked_for(
    clerk: Client, told: Told, news: Purpose
) -> None:
    assert "nothing more is sent" in words(clerk, honour_of(told()))
    shown = words(clerk, honour_of(told(purpose=news)))
    assert "nothing more of News is sent" in shown


def test_what_does_not_exist_cannot_be_honoured(clerk: Client) -> None:
    path = f"{LIST}{'0' * 8}-0000-4000-8000-{'0' * 12}/honour/"
    assert clerk.post(path, {"country": "us", "number": ADA}).status_code in (403, 404)
    assert not Suppression.objects.exists()


# --- a number stands nowhere -------------------------------------------------------------------


def test_a_number_that_was_typed_in_is_shown_and_told_nowhere(
    clerk: Client, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    request = told()
    with caplog.at_level(logging.DEBUG):
        answers = [
            clerk.post(ADD, {**TYPED, "note": ""}),
            clerk.post(ADD, TYPED, follow=True),
            clerk.post(honour_of(request), {"country": "USA", "number": ADA}),
            clerk.post(honour_of(request), {"country": "us", "number": ADA}, follow=True),
        ]
    pages = [answer.content.decode() for answer in answers]
    addresses = [getattr(answer, "redirect_chain", []) for answer in answers]
    sessions = [session.get_decoded() for session in Session.objects.order_by("pk")]
    lines = [record.getMessage() for record in caplog.records]
    entries = list(Entry.objects.order_by("pk").values())
    told_anywhere = f"{pages} {addresses} {sessions} {lines} {entries}"
    assert not [trace for trace in ("555-0123", "5550123") if trace in told_anywhere]
    assert OptOutRequest.objects.waiting().count() == 0


# --- who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", roles.ROLES)
def test_only_some_roles_see_and_fewer_record(signed_in: Browser, told: Told, role: str) -> None:
    client, request = signed_in(role), told()
    see, record = role in SEE, role in RECORD
    for path in (LIST, page_of(request)):
        assert client.get(path).status_code == (200 if see else 403)
    for path in (ADD, honour_of(request)):
        assert client.get(path).status_code == (200 if record else 403)
    assert client.post(ADD, TYPED).status_code == (302 if record else 403)
    answer = client.post(honour_of(request), {"country": "us", "number": BOB})
    assert answer.status_code == (302 if record else 403)
    assert Suppression.objects.count() == (2 if record else 0)
    assert (ADD in words(client, LIST) if see else False) == record


@pytest.mark.parametrize("act", ["change/", "delete/"])
def test_nobody_changes_or_deletes_one(clerk: Client, told: Told, act: str) -> None:
    request = told()
    answer = clerk.post(f"{LIST}{request.pk}/{act}", {**TYPED, "note": "changed", "post": "yes"})
    assert answer.status_code == 403
    assert OptOutRequest.objects.get().note == SAID


def test_a_stranger_is_sent_to_the_sign_in(client: Client, told: Told) -> None:
    request = told()
    for path in (LIST, ADD, page_of(request), honour_of(request)):
        assert client.get(path, follow=True).redirect_chain[-1][0].startswith("/sign-in/")
        client.post(path, {**TYPED, "number": ADA})
    assert not Suppression.objects.exists()


# --- what a STOP covers ------------------------------------------------------------------------

FROM = {"effective_from_0": "2026-11-25", "effective_from_1": "00:00"}


@pytest.mark.parametrize("role", SEE)
def test_the_privacy_officer_says_what_a_stop_covers(signed_in: Browser, role: str) -> None:
    client, may = signed_in(role), role == roles.PRIVACY_OFFICER
    answer = client.post(f"{SCOPES}add/", {"scope": "ask", **FROM})
    assert answer.status_code == (302 if may else 403)
    assert StopScope.of(AT) == StopScope.Scope.EVERYTHING
    expected = StopScope.Scope.ASK if may else StopScope.Scope.EVERYTHING
    assert StopScope.of(AT + DAY) == expected


@pytest.mark.parametrize(
    "typed",
    [
        {"scope": "ask", "effective_from_0": "2026-11-23", "effective_from_1": "00:00"},
        {"scope": "nothing", **FROM},
        {"scope": "ask"},
        {},
    ],
)
def test_a_scope_that_cannot_be_is_refused_beside_the_field(
    signed_in: Browser, typed: dict[str, str]
) -> None:
    answer = signed_in(roles.PRIVACY_OFFICER).post(f"{SCOPES}add/", typed)
    assert errors(answer)
    assert not StopScope.objects.exists()


def test_two_scopes_at_one_time_are_refused_beside_the_field(signed_in: Browser) -> None:
    client = signed_in(roles.PRIVACY_OFFICER)
    _first, second = [client.post(f"{SCOPES}add/", {"scope": "ask", **FROM}) for _time in range(2)]
    assert set(errors(second)) <= {"effective_from", "__all__"}
    assert errors(second)
    assert StopScope.objects.count() == 1

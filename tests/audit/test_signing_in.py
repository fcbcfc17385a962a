"""A password and then a code let an operator in; nothing less does, and guessing gets nowhere."""

import time
from base64 import b32encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.conf import LazySettings
from django.contrib import admin
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from audit import operators as staff
from audit import roles, signing_in, trail
from audit.models import FREE_TRIES, PATIENCE, STEP, Authenticator, Entry, Operator, wait_after
from tests.conftest import PASSWORD, Clock, enrolled

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 18, 0, 10, tzinfo=UTC)
Browser = Callable[..., Any]  # a client, whose answers have an address and a context
Page = Any  # an answer of the test client, which has a context


@pytest.fixture
def ada(operators: Callable[..., Operator]) -> Operator:
    return operators(roles.AUDITOR, name="ada")


@pytest.fixture
def device(ada: Operator) -> Authenticator:
    return enrolled(ada)


@pytest.fixture
def still() -> Iterator[time_machine.Traveller]:
    """The real time stands still, for codes and sessions."""
    with time_machine.travel(NOW, tick=False) as machine:
        yield machine


def code_of(device: Authenticator, *, steps: int = 0) -> str:
    totp = device.code()
    totp.time = time.time() + steps * STEP
    return f"{totp.token():06}"


def wrong(device: Authenticator) -> str:
    near = {code_of(device, steps=steps) for steps in range(-3, 4)}
    return next(code for code in ("111111", "222222", "333333") if code not in near)


def give_password(
    client: Client, password: str = PASSWORD, *, name: str = "ada", to: str = ""
) -> Page:
    address = reverse("sign_in") + (f"?next={quote(to)}" if to else "")
    return client.post(address, {"username": name, "password": password})


def give_code(client: Client, code: str) -> Page:
    return client.post(reverse("sign_in_code"), {"code": code})


def is_in(client: Client) -> bool:
    answer = client.get(reverse("admin:index"))
    assert answer.status_code in (200, 302)
    return bool(answer.status_code == 200)


def led_to(client: Client, address: str) -> str:
    """Where one ends up who asks for `address`."""
    chain: list[tuple[str, int]] = client.get(address, follow=True).redirect_chain
    return chain[-1][0] if chain else address


def told() -> list[str]:
    """What the trail says of signing in, the setting up left out."""
    ours = Entry.objects.order_by("id").values_list("verb", flat=True)
    return [verb for verb in ours if verb not in {"operator.engaged", "operator.enrolled"}]


# --- first the password, then the code


def test_a_password_and_then_a_code_let_an_operator_in(device: Authenticator) -> None:
    client = Client()
    assert give_password(client).url == reverse("sign_in_code")
    assert not is_in(client)
    assert give_code(client, code_of(device)).url == reverse("admin:index")
    assert is_in(client)


def test_after_the_password_alone_nobody_is_signed_in(device: Authenticator) -> None:
    client = Client()
    give_password(client)
    assert "_auth_user_id" not in client.session
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for page in (f"{name}_changelist", f"{name}_add"):
            assert led_to(client, reverse(page)).startswith(reverse("sign_in")), page
    assert led_to(client, reverse("change_password")).startswith(reverse("sign_in"))


def test_a_session_with_a_password_only_opens_nothing(ada: Operator) -> None:
    client = Client()
    client.force_login(ada)
    assert not is_in(client)


@pytest.mark.parametrize("page", ["sign_in_code", "sign_in_enrol"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_second_step_needs_the_first(page: str, method: str, device: Authenticator) -> None:
    answer = getattr(Client(), method)(reverse(page), {"code": code_of(device)})
    assert (answer.status_code, answer.url) == (302, reverse("sign_in"))


def test_the_stock_sign_in_page_leads_to_ours() -> None:
    answer = Client().post(reverse("admin:login"), {"username": "ada", "password": PASSWORD})
    assert answer.headers["Location"].startswith(reverse("sign_in"))


@pytest.mark.parametrize(("seconds", "still_half"), [(9 * 60 + 59, True), (10 * 60 + 1, False)])
def test_half_a_sign_in_lasts_ten_minutes(
    seconds: int, still_half: bool, device: Authenticator, still: time_machine.Traveller
) -> None:
    client = Client()
    give_password(client)
    still.shift(seconds)
    assert (client.get(reverse("sign_in_code")).status_code == 200) == still_half
    give_code(client, code_of(device))
    assert is_in(client) == still_half


def test_whoever_is_switched_off_between_the_steps_stays_out(device: Authenticator) -> None:
    client = Client()
    give_password(client)
    Operator.objects.update(is_active=False)
    assert give_code(client, code_of(device)).url == reverse("sign_in")
    assert not is_in(client)
    assert told() == []


def test_whoever_is_switched_off_is_out_at_once(signed_in: Browser) -> None:
    client = signed_in(roles.AUDITOR)
    assert is_in(client)
    Operator.objects.update(is_active=False)
    assert not is_in(client)


def test_deleting_the_authenticator_ends_the_session(signed_in: Browser) -> None:
    client = signed_in(roles.AUDITOR)
    Authenticator.objects.all().delete()
    assert not is_in(client)


def test_an_authenticator_no_longer_confirmed_ends_the_session(signed_in: Browser) -> None:
    client = signed_in(roles.AUDITOR)
    Authenticator.objects.update(confirmed=False)
    assert not is_in(client)


def test_the_session_ends_an_hour_after_the_last_click(
    device: Authenticator, still: time_machine.Traveller
) -> None:
    client = Client()
    give_password(client)
    give_code(client, code_of(device))
    for _click in range(2):
        still.shift(timedelta(minutes=59))
        assert is_in(client)
    still.shift(timedelta(minutes=61))
    assert not is_in(client)


def test_signing_out_ends_the_session(signed_in: Browser) -> None:
    client = signed_in(roles.AUDITOR)
    key = client.session.session_key
    assert client.get(reverse("sign_out")).status_code == 405
    assert is_in(client)
    assert client.post(reverse("sign_out")).url == reverse("sign_in")
    assert not is_in(client)
    assert not Session.objects.filter(session_key=key).exists()


def test_each_step_takes_a_new_session(device: Authenticator) -> None:
    client = Client()
    client.session.save()
    keys = [client.session.session_key]
    give_password(client)
    keys.append(client.session.session_key)
    give_code(client, code_of(device))
    keys.append(client.session.session_key)
    assert len(set(keys)) == 3
    assert signing_in.HALF not in client.session
    assert list(Session.objects.values_list("session_key", flat=True)) == keys[2:]


# --- where one goes then


@pytest.mark.parametrize("wanted", ["/admin/audit/entry/", "/admin/audit/entry/?q=campaign:1"])
def test_one_goes_where_one_wanted_to(wanted: str, device: Authenticator) -> None:
    client = Client()
    asked: Page = client.get(wanted, follow=True)
    assert asked.context["next"] == wanted
    give_password(client, to=wanted)
    assert give_code(client, code_of(device)).url == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "https:evil.example",
        "\x08//evil.example",
    ],
)
def test_nobody_is_sent_elsewhere(wanted: str, device: Authenticator) -> None:
    client = Client()
    assert give_password(client, to=wanted).url == reverse("sign_in_code")
    assert give_code(client, code_of(device)).url == reverse("admin:index")


@pytest.mark.parametrize("page", ["sign_in", "sign_in_code", "sign_in_enrol", "sign_out"])
def test_a_form_from_elsewhere_is_refused(page: str, device: Authenticator) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post(reverse(page), {"username": "ada", "password": PASSWORD, "code": "1"})
    assert answer.status_code == 403
    assert client.session.get(signing_in.HALF) is None


def test_no_page_of_signing_in_is_kept_by_the_browser(device: Authenticator) -> None:
    client = Client()
    pages = [client.get(reverse("sign_in"))]
    give_password(client)
    pages.append(client.get(reverse("sign_in_code")))
    assert all("no-store" in page.headers["Cache-Control"] for page in pages)


# --- what a refusal gives away


class CountingHasher(MD5PasswordHasher):
    """Counts how often a password is hashed, which is what takes time."""

    hashed = 0

    def encode(self, *args: Any, **kwargs: Any) -> str:
        type(self).hashed += 1
        return super().encode(*args, **kwargs)


REFUSED = {
    "a wrong password": {"password": "not the right sentence"},
    "an unknown name": {"name": "grace"},
    "a locked operator": {"locked": True},
    "an inactive operator": {"inactive": True},
}


@pytest.fixture(params=list(REFUSED.values()), ids=list(REFUSED))
def refused(request: pytest.FixtureRequest, device: Authenticator) -> Callable[[], Page]:
    """One way of being refused at the first step, ready to be tried."""
    case = dict(request.param)
    if case.pop("locked", False):
        Operator.objects.update(locked_until=datetime(2100, 1, 1, tzinfo=UTC))
    if case.pop("inactive", False):
        Operator.objects.update(is_active=False)
    return lambda: give_password(Client(), **case)


def test_a_refused_password_does_not_say_what_was_wrong(refused: Callable[[], Page]) -> None:
    page = refused()
    assert page.status_code == 200
    assert page.context["form"].errors == {
        "__all__": ["The user name or the password is not right, or you have tried too often."]
    }


def test_a_refused_password_takes_as_long_whatever_was_wrong(
    refused: Callable[[], Page], settings: LazySettings
) -> None:
    settings.PASSWORD_HASHERS = ["tests.audit.test_signing_in.CountingHasher"]
    CountingHasher.hashed = 0
    refused()
    assert CountingHasher.hashed == 1


def test_a_password_refused_is_shown_nowhere(device: Authenticator) -> None:
    page = give_password(Client(), "a sentence of mine")
    assert b"a sentence of mine" not in page.content


@pytest.mark.parametrize("why", ["wrong", "used", "locked", "not a code"])
def test_a_refused_code_does_not_say_what_was_wrong(why: str, device: Authenticator) -> None:
    codes = {"wrong": wrong(device), "not a code": "abcdef"}
    if why == "used":
        assert device.verify_token(code_of(device))
    if why == "locked":
        Authenticator.objects.update(locked_until=datetime(2100, 1, 1, tzinfo=UTC))
    client = Client()
    give_password(client)
    page = give_code(client, codes.get(why) or code_of(device))
    assert page.context["form"].errors == {
        "code": [
            "This code does not fit, was used already, or you have tried too often. "
            "Wait for the next one."
        ]
    }


# --- guessing


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (FREE_TRIES - 1, 0), (5, 32), (6, 64), (9, 512), (10, 900), (30, 900), (10**9, 900)],
)
def test_waits_double_and_never_exceed_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    assert wait_after(failures) == timedelta(seconds=seconds)


@given(st.integers(0, 10**6))
def test_no_wait_is_longer_than_patience_or_shorter_than_the_one_before(failures: int) -> None:
    assert timedelta() <= wait_after(failures) <= wait_after(failures + 1) <= PATIENCE
    assert timedelta(minutes=15) == PATIENCE


def test_after_a_few_wrong_passwords_even_the_right_one_must_wait(
    device: Authenticator, clock: Clock
) -> None:
    for _try in range(FREE_TRIES):
        give_password(Client(), "not the right sentence")
    assert give_password(Client()).status_code == 200
    clock.at += wait_after(FREE_TRIES) - timedelta(seconds=1)
    assert give_password(Client()).status_code == 200
    clock.at += timedelta(seconds=1)
    assert give_password(Client()).status_code == 302


def test_each_wrong_password_after_that_doubles_the_wait(ada: Operator, clock: Clock) -> None:
    waits = []
    for _try in range(FREE_TRIES + 6):
        give_password(Client(), "not the right sentence")
        ada.refresh_from_db()
        waits.append(ada.locked_until - clock.at if ada.locked_until else timedelta())
        clock.at = ada.locked_until or clock.at
    assert [wait.total_seconds() for wait in waits] == [0] * 4 + [32, 64, 128, 256, 512, 900, 900]


def test_a_try_while_waiting_does_not_lengthen_the_wait(ada: Operator, clock: Clock) -> None:
    for _try in range(FREE_TRIES + 10):
        give_password(Client(), "not the right sentence")
    ada.refresh_from_db()
    assert ada.locked_until == clock.at + wait_after(FREE_TRIES)


def test_a_right_password_clears_the_count(ada: Operator, clock: Clock) -> None:
    for _try in range(FREE_TRIES - 1):
        give_password(Client(), "not the right sentence")
    give_password(Client())
    ada.refresh_from_db()
    assert (ada.failures, ada.locked_until) == (0, None)


def test_after_a_few_wrong_codes_even_the_right_one_must_wait(
    device: Authenticator, still: time_machine.Traveller
) -> None:
    for _try in range(FREE_TRIES):
        client = Client()  # another browser is no way round it
        give_password(client)
        give_code(client, wrong(device))
    assert give_code(client, code_of(device)).status_code == 200
    still.shift(wait_after(FREE_TRIES) - timedelta(seconds=1))
    assert give_code(client, code_of(device)).status_code == 200
    still.shift(1)
    assert give_code(client, code_of(device)).status_code == 302


def test_a_right_code_clears_the_count(device: Authenticator) -> None:
    for _try in range(FREE_TRIES - 1):
        device.verify_token(wrong(device))
    assert device.verify_token(code_of(device))
    device.refresh_from_db()
    assert (device.failures, device.locked_until) == (0, None)


def test_wrong_codes_never_lock_for_longer_than_patience(
    device: Authenticator, still: time_machine.Traveller
) -> None:
    for _try in range(30):
        device.verify_token(wrong(device))
        device.refresh_from_db()
        still.move_to(device.locked_until or NOW)
    device.verify_token(wrong(device))
    device.refresh_from_db()
    assert device.failures == 31
    assert device.locked_until == datetime.fromtimestamp(time.time(), UTC) + PATIENCE


# --- codes


@pytest.mark.parametrize(
    ("steps", "passes"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_the_present_code_passes_and_so_do_its_neighbours(
    steps: int, passes: bool, device: Authenticator, still: time_machine.Traveller
) -> None:
    client = Client()
    give_password(client)
    give_code(client, code_of(device, steps=steps))
    assert is_in(client) == passes


def test_a_code_may_be_typed_as_the_app_shows_it(device: Authenticator) -> None:
    client = Client()
    give_password(client)
    code = code_of(device)
    assert give_code(client, f" {code[:3]} {code[3:]} ").status_code == 302


@pytest.mark.parametrize("spent", [-1, 0, 1])
def test_no_code_passes_that_is_not_newer_than_the_last_one(
    spent: int, device: Authenticator, still: time_machine.Traveller
) -> None:
    assert device.verify_token(code_of(device, steps=spent))
    for steps in range(-1, 2):
        fresh = Authenticator.objects.get(pk=device.pk)
        assert fresh.verify_token(code_of(device, steps=steps)) == (steps > spent)
        Authenticator.objects.update(last_step=device.last_step)


@pytest.mark.parametrize("typed", ["", "abcdef", "١٢٣٤٥٦", "-1", "12345²", "1e5", "0x10"])
def test_what_is_no_number_is_no_code(typed: str, device: Authenticator) -> None:
    assert not device.verify_token(typed)


@pytest.mark.django_db(transaction=True)
def test_one_code_sent_twice_at_once_lets_one_in(device: Authenticator) -> None:
    code, together = code_of(device), Barrier(2)

    def attempt(_number: int) -> bool:
        with closing(connection):
            together.wait(30)
            at = datetime.now(UTC)
            return signing_in.check_code(operator=device.user, code=code, at=at) is not None

    with ThreadPoolExecutor(2) as browsers:
        assert sorted(browsers.map(attempt, range(2))) == [False, True]


def test_a_code_of_someone_else_does_not_pass(
    device: Authenticator, operators: Callable[..., Operator]
) -> None:
    other = enrolled(operators(roles.AUDITOR, name="grace"))
    client = Client()
    give_password(client)
    assert give_code(client, code_of(other)).status_code == 200


# --- setting up


def test_a_new_operator_is_shown_a_secret_and_enrols_with_a_code_of_it(ada: Operator) -> None:
    client = Client()
    assert give_password(client).url == reverse("sign_in_enrol")
    page = client.get(reverse("sign_in_enrol"))
    [device] = Authenticator.objects.all()
    secret = b32encode(bytes.fromhex(device.secret)).decode()
    assert page.context["secret"].replace(" ", "") == secret
    assert page.content.count(b"<svg") == 1
    assert "no-store" in page.headers["Cache-Control"]
    answer = client.post(reverse("sign_in_enrol"), {"code": code_of(device)})
    assert answer.status_code == 302
    assert is_in(client)


def test_an_authenticator_not_confirmed_lets_nobody_in(ada: Operator) -> None:
    drafted = staff.draft_authenticator(ada)
    client = Client()
    give_password(client)
    assert give_code(client, code_of(drafted)).status_code == 200
    assert not is_in(client)


def test_a_wrong_code_does_not_enrol_and_shows_the_same_secret(ada: Operator) -> None:
    client = Client()
    give_password(client)
    before = client.get(reverse("sign_in_enrol")).context["secret"]
    [device] = Authenticator.objects.all()
    after = client.post(reverse("sign_in_enrol"), {"code": wrong(device)}).context["secret"]
    assert before == after
    assert not Authenticator.objects.filter(confirmed=True).exists()
    assert not is_in(client)


def test_a_secret_is_shown_to_nobody_who_has_a_second_factor(device: Authenticator) -> None:
    client = Client()
    give_password(client)
    answers: list[Page] = [
        client.get(reverse("sign_in_enrol")),
        client.post(reverse("sign_in_enrol"), {"code": code_of(device)}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.url) == (302, reverse("sign_in_code"))
    assert Authenticator.objects.count() == 1


def test_after_a_reset_a_new_secret_is_shown_and_the_old_one_is_worthless(
    device: Authenticator, ada: Operator, at: datetime
) -> None:
    old = device.secret
    staff.reset_authenticator(operator=ada, by="command", at=at)
    client = Client()
    assert give_password(client).url == reverse("sign_in_enrol")
    client.get(reverse("sign_in_enrol"))
    assert Authenticator.objects.get().secret != old
    device.pk = None  # the app still shows codes of the old secret
    client.post(reverse("sign_in_enrol"), {"code": code_of(device)})
    assert not is_in(client)


def test_a_secret_is_kept_encrypted(device: Authenticator) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM audit_authenticator")
        [(kept,)] = cursor.fetchall()
    assert device.secret not in kept


# --- the trail


def test_signing_in_and_being_refused_is_told(device: Authenticator, ada: Operator) -> None:
    client = Client()
    give_password(client, "not the right sentence")
    give_password(client)
    give_code(client, wrong(device))
    give_code(client, code_of(device))
    assert told() == ["operator.password_refused", "operator.code_refused", "operator.signed_in"]
    for entry in Entry.objects.exclude(verb="operator.engaged"):
        assert entry.subject == f"operator:{ada.pk}"


def test_a_refusal_is_told_of_the_web_and_a_sign_in_of_the_operator(
    device: Authenticator, ada: Operator
) -> None:
    client = Client()
    give_password(client, "not the right sentence")
    give_password(client)
    give_code(client, code_of(device))
    actors = dict(Entry.objects.values_list("verb", "actor"))
    assert actors["operator.password_refused"] == "web"
    assert actors["operator.signed_in"] == f"operator:{ada.pk}"


def test_what_is_told_of_signing_in_names_nobody(device: Authenticator) -> None:
    client = Client()
    for name in ("ada", "grace", "+12125550123"):
        give_password(client, "not the right sentence", name=name)
    give_password(client)
    give_code(client, wrong(device))
    give_code(client, code_of(device))
    for entry in Entry.objects.all():
        content = trail.canonical({**trail.content_of(entry), "uid": ""}).decode()
        assert not [word for word in ("ada", "grace", "5550123", "sentence") if word in content]

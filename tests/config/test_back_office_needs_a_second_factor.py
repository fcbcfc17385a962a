"""No page of the back office opens without a password and a code: tried at every address."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse

from audit import operators as staff
from audit import roles
from audit.models import Authenticator, Entry, Operator
from tests.conftest import AT, PASSWORD, enrolled

# What anyone may ask for, and why; every other address is closed.
PUBLIC = {
    "/": "leads to the back office, which asks for a sign-in",
    "/sign-in/": "the first step",
    "/sign-in/code/": "the second step; sends back whoever has not taken the first",
    "/sign-in/enrol/": "as above, for an operator who has no second factor yet",
    "/sign-out/": "ends a session",
    "/admin/login/": "leads to the first step",
    "/join/launch/1/": "an opt-in page, for whoever wants to opt in",
    "/yes/1/": "opened by a link that we signed; confirms one opt-in",
    "/my/1/": "opened by a link that we signed; shows a person what they agreed to",
    "/api/v1/": "says that nothing is here",
    "/api/v1/1": "as above, at every address of the API that means nothing",
    "/api/v1/openapi.json": "how to call the API, and nobody's data",
    "/api/v1/consents": "opened by the key of an integration",
    "/api/v1/withdrawals": "opened by the key of an integration",
    "/api/v1/status": "opened by the key of an integration",
    "/webhooks/twilio/receipt": "opened by Twilio's signature",
    "/webhooks/twilio/inbound": "opened by Twilio's signature",
    "/webhooks/telnyx/receipt": "opened by Telnyx's signature",
    "/webhooks/telnyx/inbound": "opened by Telnyx's signature",
}
VALUES = {
    "int": "1",
    "slug": "launch",
    "str": "1",
    "path": "1",
    "uuid": "6f0f62ae-53f1-4b2c-9f0e-0d3c4f1f2a11",
}
UNKNOWN_PAGE = "nowhere-to-be-found"  # for the admin's address that catches every other one
Visitor = Callable[[], Client]


def _filled(route: str) -> str:
    """A route or a pattern with a value in every gap."""
    route = route.replace("(?P<url>.*)", UNKNOWN_PAGE)
    route = re.sub(r"\(\?P<\w+>(\w+)(?:\|\w+)*\)", r"\1", route)
    route = re.sub(r"<(?:(\w+):)?\w+>", lambda gap: VALUES[gap[1] or "str"], route)
    return route.strip("^$").removesuffix("$")


def _walk(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        address = prefix + _filled(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, address)
        else:
            yield address, pattern


ADDRESSES = dict(_walk(get_resolver()))
CLOSED = sorted(set(ADDRESSES) - set(PUBLIC))


@pytest.fixture
def operator(db: None) -> Operator:
    """Someone with every role and a second factor: nothing but the code is missing."""
    everything = staff.engage(
        username="everyone", password=PASSWORD, roles=list(roles.ROLES), by="command", at=AT
    )
    enrolled(everything)
    return everything


def _nobody(operator: Operator) -> Client:
    return Client()


def _after_the_password(operator: Operator) -> Client:
    client = Client()
    answer = client.post(reverse("sign_in"), {"username": operator.username, "password": PASSWORD})
    assert answer.headers["Location"] == reverse("sign_in_code")
    return client


def _without_a_code(operator: Operator) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def _naming(device: Authenticator, operator: Operator) -> Client:
    client = _without_a_code(operator)
    session = client.session
    session["otp_device_id"] = device.persistent_id
    session.save()
    return client


def _with_an_unconfirmed_device(operator: Operator) -> Client:
    return _naming(staff.draft_authenticator(operator), operator)


def _with_somebody_elses_device(operator: Operator) -> Client:
    other = staff.engage(username="other", password=PASSWORD, roles=[], by="command", at=AT)
    return _naming(enrolled(other), operator)


def _after_dismissal(operator: Operator) -> Client:
    client = _naming(enrolled(operator), operator)
    Operator.objects.filter(pk=operator.pk).update(is_active=False)
    return client


VISITORS = [
    _nobody,
    _after_the_password,
    _without_a_code,
    _with_an_unconfirmed_device,
    _with_somebody_elses_device,
    _after_dismissal,
]


def _is_shut(answer: HttpResponse) -> bool:
    """Forbidden, or sent to the sign-in, at once or by way of another closed page."""
    if answer.status_code != 302:
        return answer.status_code == 403
    leads_to = answer.headers["Location"].partition("?")[0]
    return leads_to in {reverse("admin:login"), reverse("sign_in"), reverse("admin:index")}


def test_the_walk_finds_every_address_and_each_leads_to_its_own_view() -> None:
    assert len(ADDRESSES) == sum(1 for _found in _walk(get_resolver()))
    for address, pattern in ADDRESSES.items():
        assert resolve(address).func is pattern.callback, address
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        assert reverse(name) in CLOSED


def test_every_public_address_exists() -> None:
    assert set(PUBLIC) - set(ADDRESSES) == set()


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("visitor", VISITORS)
def test_every_other_address_is_shut(visitor, method, operator) -> None:
    client = visitor(operator)
    told = Entry.objects.count()
    answers = {address: client.generic(method, address) for address in CLOSED}
    assert {a: r.status_code for a, r in answers.items() if not _is_shut(r)} == {}
    assert Entry.objects.count() == told


@pytest.mark.parametrize("page", ["/", "/admin/", "/admin/login/"])
@pytest.mark.parametrize("visitor", VISITORS)
def test_every_way_to_the_back_office_ends_at_the_sign_in(visitor, page, operator) -> None:
    end = visitor(operator).get(page, follow=True)
    assert (end.request["PATH_INFO"], end.status_code) == (reverse("sign_in"), 200)


def test_the_second_step_is_closed_to_whoever_has_not_taken_the_first(db) -> None:
    for name in ("sign_in_code", "sign_in_enrol"):
        answer = Client().get(reverse(name))
        assert (answer.status_code, answer.headers["Location"]) == (302, reverse("sign_in"))


def test_a_password_alone_shows_no_secret_of_an_enrolled_operator(operator) -> None:
    answer = _after_the_password(operator).get(reverse("sign_in_enrol"))
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("sign_in_code"))


@pytest.mark.parametrize("gateway", ["twilio", "telnyx"])
@pytest.mark.parametrize("call", ["receipt", "inbound"])
def test_a_provider_without_a_signature_is_refused(db, gateway, call) -> None:
    told = Entry.objects.count()
    address = reverse(f"{gateway}_{call}")
    assert Client().post(address, {"From": "+12125550123"}).status_code == 403
    assert Entry.objects.count() == told


def test_with_password_and_code_the_same_addresses_open(signed_in) -> None:
    """Without this the tests above would pass if every page were broken."""
    browser = signed_in(roles.AUDITOR)
    for name in ("audit_entry", "consent_subscriber", "campaigns_campaign"):
        assert browser.get(reverse(f"admin:{name}_changelist")).status_code == 200

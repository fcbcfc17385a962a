"""A new operator enrols a second factor, and from then on needs it."""

import base64

import pytest

from tests.browser.conftest import NEWCOMER
from tests.browser.journey import Journey, code_of
from tests.conftest import PASSWORD
from tests.faults import scene

pytestmark = [pytest.mark.browser, pytest.mark.stack]


def give_password(journey: Journey, password: str = PASSWORD) -> None:
    journey.go("/admin/")
    journey.fill(username=scene.username(NEWCOMER), password=password)
    journey.press("Go on")


def secret_on(journey: Journey) -> str:
    """The secret as the page shows it to those who cannot scan, in hexadecimal."""
    journey.page.get_by_text("I cannot scan it").click()
    shown = journey.page.locator("details code").inner_text().replace(" ", "")
    return base64.b32decode(shown + "=" * (-len(shown) % 8)).hex()


def enrol(journey: Journey) -> tuple[str, str]:
    """Scan, type the code, and be in; the secret and the code."""
    give_password(journey)
    secret = secret_on(journey)
    journey.look("enrolment")
    assert journey.page.get_by_role("img", name="QR code").locator("svg path").count()
    code = code_of(secret)
    journey.fill(code=code)
    journey.press("Finish and sign in")
    journey.page.wait_for_url("**/admin/")
    return secret, code


def test_signing_in_takes_a_password_and_a_code(journey: Journey) -> None:
    give_password(journey, "a sentence that is not the password")
    journey.look("wrong password")
    assert "The user name or the password is not right" in journey.text()

    secret, used = enrol(journey)
    journey.look("back office")
    assert "Operators" in journey.page.locator("#content").inner_text()
    journey.press("Sign out")
    journey.page.wait_for_url("**/sign-in/")
    journey.look("signed out")

    give_password(journey)
    journey.go("/admin/")
    assert "/sign-in/" in journey.page.url, "a password alone opened the back office"
    give_password(journey)
    journey.fill(code=used)
    journey.press("Sign in")
    journey.look("used code")
    assert "This code does not fit, was used already" in journey.text()
    journey.fill(code=code_of(secret, steps_later=1))
    journey.press("Sign in")
    journey.page.wait_for_url("**/admin/")

"""A browser at the running product, which complains of what a person would not see."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import sync_playwright

from audit import roles
from tests.browser.journey import Journey
from tests.faults import scene
from tests.faults.conftest import beside, business
from tests.services import Stack

__all__ = ["beside", "business"]

NEWCOMER = roles.ADMINISTRATOR  # who has never signed in
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def secrets(business: scene.Business) -> dict[str, str]:
    """Someone in every role; the secrets of the second factors, by role."""
    present = {roles.CAMPAIGN_AUTHOR: business.author, roles.CAMPAIGN_APPROVER: business.approver}
    staff = {role: present.get(role) or scene.engage(role) for role in roles.ROLES}
    staff.pop(NEWCOMER)
    return {role: scene.give_authenticator(operator).secret for role, operator in staff.items()}


@pytest.fixture
def journey(
    chromium: str, stack: Stack, secrets: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[Journey]:
    """A browser; at the end its console held no error and no address of ours a number.

    While it is open the models cannot be used: playwright runs a loop on this thread.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        journey = Journey(stack, browser, name=request.node.name, secrets=secrets)
        yield journey
        browser.close()
    journey.check()

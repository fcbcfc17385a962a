"""A person with a telephone and no JavaScript opts in, confirms, gets a text, and stops it."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, ViewportSize

from campaigns.models import Campaign
from tests.browser.journey import NUMBER, Journey
from tests.faults import scene
from tests.services import Stack

pytestmark = [pytest.mark.browser, pytest.mark.stack]

PHONE: ViewportSize = {"width": 390, "height": 844}
ME, OTHER = scene.fiction(scene.NEW_YORK, each=2)
FIRST = "Harbor Coffee: every filter coffee is half price until Friday. Reply STOP to cancel."
SECOND = "Harbor Coffee: the winter roast is in. Reply STOP to cancel."
WIDER_THAN_THE_PHONE = "document.documentElement.scrollWidth > window.innerWidth"


@pytest.fixture(autouse=True)
def campaigns(business: scene.Business) -> dict[str, int]:
    """Two that wait to be launched, to whoever wants them by then; one person already does."""
    business.sender.purposes.set([business.purpose])
    scene.enrol(business, [OTHER])
    return {text: scene.approved(business, text=text).pk for text in (FIRST, SECOND)}


@pytest.fixture
def phone(journey: Journey) -> Iterator[Page]:
    """The browser of a telephone, in which the journey goes on; it complains as the other does."""
    complaints: list[str] = []
    addresses: list[str] = []
    browser = journey.page.context.browser
    assert browser
    window = browser.new_context(
        viewport=PHONE, is_mobile=True, has_touch=True, java_script_enabled=False, locale="en-US"
    )
    window.set_default_timeout(15_000)
    window.on("request", lambda request: addresses.append(unquote(request.url)))
    journey.page = page = window.new_page()
    page.on("console", lambda said: complaints.append(said.text))
    yield page
    window.close()
    assert [said for said in complaints if "422" not in said] == []
    assert [address for address in addresses if NUMBER.search(address)] == []


def look(journey: Journey, what: str) -> None:
    """As the journey looks, and nothing is cut off at the side of the small screen."""
    journey.look(what)
    assert not journey.page.evaluate(WIDER_THAN_THE_PHONE), what


def got(stack: Stack, number: str = ME) -> list[dict[str, Any]]:
    """What the provider took for one phone, in its order."""
    return [message for message in scene.provider_messages(stack) if message["to"] == number]


def wait_for(stack: Stack, count: int) -> str:
    """The newest text, once there are so many."""
    stack.wait_until(lambda: len(got(stack)) >= count)
    assert len(got(stack)) == count
    return str(got(stack)[-1]["body"])


def reply(stack: Stack, text: str) -> None:
    told = {"from": ME, "to": scene.HARBOR, "body": text}
    assert stack.ask("/sandbox/replies", told)["status"] == 200


def launch(stack: Stack, campaign: int) -> None:
    stack.python(
        "from audit import clock; from campaigns import dispatch; "
        "from campaigns.models import Campaign; "
        f"one = Campaign.objects.get(pk={campaign}); "
        "dispatch.launch(campaign=one, by='worker', at=clock.now())"
    )


def status(stack: Stack, campaign: int) -> str:
    one = f"Campaign.objects.get(pk={campaign})"
    return stack.python(f"from campaigns.models import Campaign; print({one}.status)")


def opt_in(journey: Journey) -> None:
    """The box is forgotten first."""
    journey.go("/join/offers/en/")
    look(journey, "wording")
    assert "Consent is not a condition of purchase." in journey.text()
    box = journey.page.get_by_role("checkbox")
    assert not box.is_checked()
    journey.fill(number="(212) 555-0100")
    journey.press("Sign me up")
    look(journey, "forgotten box")
    assert "Tick the box if you want these messages." in journey.text()
    journey.page.get_by_role("checkbox").check()
    journey.press("Sign me up")
    look(journey, "signed up")
    assert "Look at your phone" in journey.text()


def look_at_the_links(journey: Journey, asked: str) -> None:
    """The page that confirms is only looked at; the page that stops is asked for by HELP."""
    found = re.search(r"https?://\S+/yes/\S+", asked)
    assert found
    journey.page.goto(found[0])
    look(journey, "confirm")
    assert "Do you want Coffee offers?" in journey.text()


def look_at_the_preferences(journey: Journey, helped: str) -> str:
    found = re.search(r"https?://\S+/my/\S+", helped)
    assert found
    journey.page.goto(found[0])
    look(journey, "preferences")
    assert "Stop Coffee offers" in journey.text()
    return found[0]


def test_a_person_opts_in_on_the_phone(
    journey: Journey, phone: Page, campaigns: dict[str, int]
) -> None:
    stack = journey.stack
    opt_in(journey)
    asked = wait_for(stack, 1)
    assert asked.startswith("Harbor Coffee: reply YES to get Coffee offers, up to 6/month.")
    look_at_the_links(journey, asked)

    reply(stack, "Yes!")
    assert "you will get Coffee offers" in wait_for(stack, 2)
    reply(stack, "HELP")
    mine = look_at_the_preferences(journey, wait_for(stack, 3))

    launch(stack, campaigns[FIRST])
    assert wait_for(stack, 4) == FIRST
    reply(stack, "please stop texting me")
    assert "you are unsubscribed" in wait_for(stack, 5)
    journey.page.goto(mine)
    look(journey, "stopped")
    assert "You get no messages from us." in journey.text()

    launch(stack, campaigns[SECOND])
    stack.wait_until(lambda: scene.received(stack, SECOND)[OTHER] == 1)
    stack.wait_until(lambda: status(stack, campaigns[SECOND]) == Campaign.Status.FINISHED)
    assert scene.received(stack, SECOND) == {OTHER: 1}
    assert len(got(stack)) == 5

"""A campaign as its people see it: written, approved by another, sent, answered with STOP."""

import pytest

from audit import roles
from tests.browser.journey import Journey
from tests.conftest import AT
from tests.faults import scene

pytestmark = [pytest.mark.browser, pytest.mark.stack]

STAYS, STOPS = scene.fiction(scene.NEW_YORK, each=2)
FIRST = "Harbor Coffee: every filter coffee is half price until Friday. Reply STOP to cancel."
SECOND = "Harbor Coffee: the winter roast is in. Reply STOP to cancel."


@pytest.fixture(autouse=True)
def _two_people(business: scene.Business) -> None:
    scene.enrol(business, [STAYS, STOPS])


def draft(journey: Journey, name: str, text: str, *, starts: str = "17:00:00") -> None:
    journey.sit_down_as(roles.CAMPAIGN_AUTHOR)
    journey.go("/admin/campaigns/campaign/add/")
    journey.fill(name=name, text=text)
    journey.page.get_by_label("Purpose").select_option(label="Coffee offers")
    journey.page.get_by_label("Sender").select_option(label=scene.HARBOR)
    date = AT.strftime("%Y-%m-%d")
    journey.fill(starts_at_0=date, starts_at_1=starts, deadline_0=date, deadline_1="23:00:00")
    journey.look("draft")
    journey.press("Save")
    journey.follow(name)


def have_checked(journey: Journey) -> None:
    journey.press("Have it checked")
    journey.look("checked")
    assert "Nothing stands against it." in journey.text()
    assert not journey.page.get_by_role("button", name="Approve").count()


def approve_and_launch(journey: Journey, name: str, audience: str) -> None:
    journey.sit_down_as(roles.CAMPAIGN_APPROVER)
    journey.go("/admin/campaigns/campaign/")
    journey.follow(name)
    assert audience in journey.text()
    journey.press("Approve")
    journey.look("approved")
    journey.press("Launch")
    journey.page.locator("#standing-now th", has_text="delivered").wait_for(timeout=45_000)
    journey.look("delivered")


def counts(journey: Journey) -> dict[str, str]:
    table = journey.page.locator("table.report").first
    names, figures = table.locator("th").all_inner_texts(), table.locator("td").all_inner_texts()
    return {name.lower(): figure for name, figure in zip(names, figures, strict=True)}


def answer_stop(journey: Journey) -> None:
    """On the page of the sandbox's phones, which is no page of ours."""
    phones = journey.page.context.new_page()
    phones.goto(f"{journey.stack.env['TWILIO_BASE_URL']}/phones/{STOPS}")
    phones.get_by_label("Text").fill("STOP")
    phones.get_by_role("button", name="Send").click()
    phones.get_by_text("arrived").wait_for()
    journey.keep_picture(phones, "phone")
    phones.close()


def check_withdrawal(journey: Journey) -> None:
    journey.sit_down_as(roles.SUBSCRIBER_MANAGER)
    journey.go("/admin/consent/subscriber/find/")
    journey.fill(sought=STOPS)
    journey.press("Find")
    journey.look("withdrawn")
    assert journey.page.locator(".field-standing .readonly").inner_text() == "–"
    assert "Nov" in journey.page.locator(".field-withdrawn_at p").first.inner_text()


def test_a_campaign_from_draft_to_receipt(journey: Journey) -> None:
    draft(journey, "Half-price week", FIRST)
    have_checked(journey)
    approve_and_launch(journey, "Half-price week", "2 people of its audience may be messaged")
    journey.page.locator("#standing-now .status", has_text="finished").wait_for(timeout=45_000)
    assert counts(journey) == {"delivered": "2", "in all": "2"}

    answer_stop(journey)
    check_withdrawal(journey)

    draft(journey, "Winter roast", SECOND)
    have_checked(journey)
    approve_and_launch(journey, "Winter roast", "1 person of its audience may be messaged")
    assert scene.received(journey.stack, FIRST) == {STAYS: 1, STOPS: 1}
    assert scene.received(journey.stack, SECOND) == {STAYS: 1}

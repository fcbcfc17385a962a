"""Somebody in Orlando gets nothing before Florida's morning, and the page says why."""

import re
from datetime import UTC, datetime

import pytest

from audit import roles
from tests.browser.journey import Journey
from tests.browser.test_a_campaign_from_draft_to_receipt import counts, draft, have_checked
from tests.faults import scene

# A quarter past eight in New York and Orlando; but 689 may be in the west of Florida as well.
MORNING = datetime(2026, 11, 24, 13, 15, tzinfo=UTC)
OFFSET = str((MORNING - datetime.now(UTC)).total_seconds())
NEW_YORK, ORLANDO = scene.fiction("212", "689", each=1)
TEXT = "Harbor Coffee: every filter coffee is half price until Friday. Reply STOP to cancel."

pytestmark = [pytest.mark.browser, pytest.mark.stack(DEMO_CLOCK_OFFSET=OFFSET)]


@pytest.fixture(autouse=True)
def _two_people(business: scene.Business) -> None:
    scene.enrol(business, [NEW_YORK, ORLANDO])


def dry_run(journey: Journey) -> None:
    journey.press("Dry run")
    journey.look("dry run")
    assert "2 people would get the message" in journey.text()
    journey.page.go_back()


def launch(journey: Journey) -> None:
    journey.sit_down_as(roles.CAMPAIGN_APPROVER)
    journey.go("/admin/campaigns/campaign/")
    journey.follow("Half-price week")
    journey.press("Approve")
    journey.press("Launch")
    journey.page.locator("#standing-now th", has_text="delivered").wait_for(timeout=45_000)


def test_somebody_in_orlando_waits_for_floridas_morning(journey: Journey) -> None:
    draft(journey, "Half-price week", TEXT, starts="13:00:00")
    dry_run(journey)
    have_checked(journey)
    launch(journey)
    assert counts(journey) == {"waiting": "1", "delivered": "1", "in all": "2"}
    held = "All that wait are held until Tue 24 Nov, 14:00 at least"
    assert held in journey.text()
    journey.look("held")
    assert scene.received(journey.stack, TEXT) == {NEW_YORK: 1}

    journey.go("/admin/campaigns/message/?status__exact=waiting")
    journey.click(journey.page.locator("#result_list tbody th a"))
    journey.look("the message of somebody in Orlando")
    said = journey.page.locator(".field-rules_at_launch").inner_text()
    assert re.search(r"It is 07:\d\d on Tuesday in America/Chicago; US-FL allows 08:00 to", said)

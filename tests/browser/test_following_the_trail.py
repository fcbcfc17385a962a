"""An auditor, by keyboard at first, reads the trail, follows one subject, and has it verified."""

import pytest
from playwright.sync_api import expect

from audit import roles
from tests.browser.journey import Journey
from tests.conftest import PASSWORD
from tests.faults import scene
from tests.services import Stack

pytestmark = [pytest.mark.browser, pytest.mark.stack]


@pytest.fixture(autouse=True)
def _a_campaign(beside: Stack, business: scene.Business) -> None:
    scene.enrol(business, scene.fiction(scene.NEW_YORK, each=3))
    scene.launch(business)
    assert beside.manage("seal_trail").returncode == 0


def sign_in_by_keyboard(journey: Journey) -> None:
    """The first field has the focus; Tab and Enter do the rest."""
    keys = journey.page.keyboard
    journey.go("/admin/audit/entry/")
    expect(journey.page.locator("#id_username")).to_be_focused()
    keys.type(scene.username(roles.AUDITOR))
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    journey.page.wait_for_url("**/sign-in/code/")
    journey.look("code")
    expect(journey.page.locator("#id_code")).to_be_focused()
    keys.type(journey.code(roles.AUDITOR))
    keys.press("Enter")
    journey.page.wait_for_url("**/admin/audit/entry/")


def verbs(journey: Journey) -> set[str]:
    return set(journey.page.locator("#result_list .field-verb").all_inner_texts())


def test_following_the_trail(journey: Journey) -> None:
    sign_in_by_keyboard(journey)
    journey.look("trail")
    assert verbs(journey) > {"campaign.drafted", "operator.engaged", "consent.opened"}

    journey.follow("campaign.approved")
    journey.look("filtered")
    assert verbs(journey) == {"campaign.approved"}
    assert "campaign-approver" in journey.page.locator("#result_list").inner_text()

    journey.click(journey.page.locator("#result_list .field-about a").first)
    journey.look("subject")
    steps = ["drafted", "checked", "approved", "sending", "enrolled"]
    assert verbs(journey) >= {f"campaign.{step}" for step in steps}
    assert all(verb.startswith("campaign.") for verb in verbs(journey))

    journey.click(journey.page.locator("#result_list tbody th a").first)
    journey.look("entry")
    journey.go("/admin/audit/entry/")
    journey.follow("Verify the trail")
    journey.press("Verify now")
    journey.look("verified")
    assert "The trail is whole" in journey.text()

"""Somebody adds a stricter rule and stops sending somewhere in an emergency, also on a phone."""

import pytest
from playwright.sync_api import ViewportSize

from audit import roles
from tests.browser.journey import Journey
from tests.browser.test_signing_in import enrol

pytestmark = [pytest.mark.browser, pytest.mark.stack]

HOURS = "/admin/campaigns/ownrule/"
NARROW: ViewportSize = {"width": 390, "height": 844}
CUT_OFF = """[...document.querySelectorAll('.quiet, .quiet *')]
    .filter(one => one.checkVisibility())
    .filter(one => one.getBoundingClientRect().right > window.innerWidth)
    .map(one => one.outerHTML.slice(0, 200))"""


def test_an_emergency_is_stopped_at_once_and_lifted_again(journey: Journey) -> None:
    journey.sit_down_as(roles.PRIVACY_OFFICER)
    journey.go(HOURS)
    journey.look("all places")
    journey.follow("Stop sending: Louisiana")
    journey.fill(reason="The governor declared an emergency.")
    journey.look("why to stop")
    journey.press("Stop sending there")
    assert "Emergency stop in force for Louisiana since" in journey.text()
    journey.look("stopped")
    journey.press("Lift the stop for Louisiana")
    assert "Lifted." in journey.page.locator("#main").inner_text()
    assert "Emergency stop in force" not in journey.text()


def test_a_stricter_rule_is_refused_in_words_then_added_and_fits_a_phone(journey: Journey) -> None:
    enrol(journey)
    journey.go(HOURS)
    journey.follow("Add a stricter rule for Florida")
    journey.fill(weekday_until="22:00", reason="Complaints about late texts.")
    journey.press("Save")
    assert "this one would change nothing" in journey.text()
    journey.look("refused")
    journey.fill(weekday_until="18:30")
    journey.page.get_by_label("Sunday: closed all day").check()
    journey.press("Save")
    assert "08:00 to 20:00" in journey.text()
    assert "00:00 to 18:30" in journey.text()
    journey.go(f"{HOURS}?place=US-FL")
    journey.look("one state")
    journey.page.set_viewport_size(NARROW)
    journey.page.reload()
    journey.look("one state on a phone")
    assert journey.page.evaluate(CUT_OFF) == []
    journey.go(f"{HOURS}add/")
    journey.look("adding on a phone")

"""A subscriber manager brings the four sample lists and records an opt-out; an erasure holds."""

import csv
import re
from datetime import UTC, datetime

import pytest

from audit import roles
from consent import purposes
from consent.admission import SUPPRESSED
from tests.browser.journey import Journey
from tests.conftest import AT, WORDINGS
from tests.consent.test_lists import DATA, FATES
from tests.faults import scene

pytestmark = [pytest.mark.browser, pytest.mark.stack]

SHOP, OPT_OUTS = "shop_customers.csv", "provider_optouts.csv"
Report = dict[tuple[str, str], int]


@pytest.fixture(autouse=True)
def older_wording(business: scene.Business) -> None:
    """What was shown before 2025 is on record beside what is shown today, as in the demo."""
    purposes.publish(
        purpose=business.purpose,
        language="en",
        wording=WORDINGS["before_2025"],
        shown_from=datetime(2020, 1, 1, tzinfo=UTC),
        by="command",
        at=AT,
    )


def confirmed_numbers() -> list[str]:
    """People whom the shop knows once, and nobody else, as having confirmed today's wording."""
    with (DATA / SHOP).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    others = "".join((DATA / name).read_text(encoding="latin-1") for name in FATES if name != SHOP)
    elsewhere = re.sub(r"[ ().-]", "", others)
    phones = [row["Phone"] for row in rows]
    return [
        row["Phone"]
        for row in rows
        if row["SMS Consent Level"] == "confirmed_opt_in"
        and row["SMS Consent Updated At"].startswith("2025")
        and row["Phone"].startswith("+1")
        and phones.count(row["Phone"]) == 1
        and row["Phone"].removeprefix("+1") not in elsewhere
    ]


def bring(journey: Journey, name: str) -> Report:
    """One file, as a clerk brings it; returns what its page says became of the rows."""
    journey.go("/admin/consent/listimport/add/")
    journey.fill(label=name.partition(".")[0])
    if name == OPT_OUTS:
        journey.page.get_by_label("Kind").select_option(label="people who opted out")
    else:
        journey.page.get_by_label("Purpose").select_option(label="Coffee offers")
    journey.page.get_by_label("File (CSV or Excel)").set_input_files(DATA / name)
    journey.look(f"{name} to bring")
    journey.press("Save")
    journey.look(f"{name} columns")
    journey.press("Read and try out")
    journey.page.get_by_role("heading", name="Nothing is taken in yet").wait_for()
    foreseen = report(journey)
    journey.look(f"{name} tried out")
    journey.press("Take the list in")
    journey.page.get_by_role("heading", name="What became of the rows").wait_for()
    journey.look(f"{name} taken in")
    assert report(journey) == foreseen
    return foreseen


def report(journey: Journey) -> Report:
    lines = journey.page.locator("table.report").first.locator("tbody tr").all_inner_texts()
    told = [line.split("\t") for line in lines]
    return {(fate, reason.strip("–")): int(count) for count, fate, reason in told}


def find(journey: Journey, number: str) -> None:
    journey.go("/admin/consent/subscriber/")
    journey.follow("Find by number or pseudonym")
    journey.fill(sought=number)
    journey.press("Find")


def standing(journey: Journey) -> str:
    return journey.page.locator(".field-standing .readonly").inner_text()


def record_an_opt_out(journey: Journey, number: str) -> None:
    find(journey, number)
    journey.look("person")
    assert standing(journey) == "Coffee offers"
    assert number not in journey.text()
    journey.follow("Record an opt-out")
    journey.look("opt-out")
    journey.page.get_by_label("How it came").select_option(label="telephone call")
    journey.fill(note="Rang us on Tuesday and asked for no more messages.")
    journey.press("Record the opt-out")
    journey.look("person after the opt-out")
    assert "This person gets no more messages" in journey.text()
    assert standing(journey) == "–"


def erase(journey: Journey, number: str) -> None:
    journey.sit_down_as(roles.PRIVACY_OFFICER)
    find(journey, number)
    journey.follow("Erase this person")
    journey.look("erasure to confirm")
    journey.press("Erase this person")
    journey.look("person after the erasure")
    assert "This person is erased." in journey.text()
    journey.sit_down_as(roles.SUBSCRIBER_MANAGER)


def test_bringing_all_four_lists(journey: Journey) -> None:
    journey.sit_down_as(roles.SUBSCRIBER_MANAGER)
    for name, fates in FATES.items():
        assert bring(journey, name) == fates, name

    find(journey, "+1 212 555 0199")
    journey.look("nobody found")
    assert "Nobody on record has this number" in journey.text()

    stops, leaves, *_others = confirmed_numbers()
    record_an_opt_out(journey, stops)
    erase(journey, leaves)

    again = bring(journey, SHOP)
    assert not [fate for fate, _reason in again if fate == "accepted"]
    assert again["suppressed", SUPPRESSED.reason] == 2
    find(journey, leaves)
    assert "Nobody on record has this number" in journey.text()

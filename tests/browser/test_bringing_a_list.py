"""A subscriber manager brings a list, sees what became of every row, and records an opt-out."""

import csv

import pytest

from audit import roles
from tests.browser.journey import Journey
from tests.services import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.stack]

LIST = ROOT / "tests" / "data" / "shop_customers.csv"


def rows() -> list[dict[str, str]]:
    with LIST.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def a_confirmed_number() -> str:
    """Someone whom the list knows once, as having confirmed under the wording on record."""
    phones = [row["Phone"] for row in rows()]
    return next(
        row["Phone"]
        for row in rows()
        if row["SMS Consent Level"] == "confirmed_opt_in"
        and row["SMS Consent Updated At"].startswith("2025")
        and row["Phone"].startswith("+1")
        and phones.count(row["Phone"]) == 1
    )


def bring_list(journey: Journey) -> None:
    journey.go("/admin/consent/listimport/add/")
    journey.fill(label="Shop export of November")
    journey.page.get_by_label("Purpose").select_option(label="Coffee offers")
    journey.page.get_by_label("File (CSV or Excel)").set_input_files(LIST)
    journey.look("list to bring")
    journey.press("Save")
    journey.look("columns")
    journey.press("Read and try out")
    journey.page.get_by_role("heading", name="Nothing is taken in yet").wait_for()
    journey.look("tried out")
    journey.press("Take the list in")


def check_report(journey: Journey) -> None:
    """Every row of the file met one fate, and whatever was not simply accepted says why."""
    journey.page.get_by_role("heading", name="What became of the rows").wait_for()
    journey.look("report")
    table = journey.page.locator("table.report").first.locator("tbody tr")
    report = [cells.split("\t") for cells in table.all_inner_texts()]
    assert sum(int(count) for count, _fate, _why in report) == len(rows())
    assert {fate for _count, fate, _why in report} == {"accepted", "refused"}
    assert all(why.strip("–") for _count, fate, why in report if fate != "accepted")


def find(journey: Journey, number: str) -> None:
    journey.go("/admin/consent/subscriber/")
    journey.follow("Find by number or pseudonym")
    journey.fill(sought=number)
    journey.press("Find")


def standing(journey: Journey) -> str:
    return journey.page.locator(".field-standing .readonly").inner_text()


def test_bringing_a_list(journey: Journey) -> None:
    journey.sit_down_as(roles.SUBSCRIBER_MANAGER)
    bring_list(journey)
    check_report(journey)

    find(journey, "+1 212 555 0199")
    journey.look("nobody found")
    assert "Nobody on record has this number" in journey.text()
    number = a_confirmed_number()
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

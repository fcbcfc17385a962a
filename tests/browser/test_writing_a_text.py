"""An author writes a text: the page counts and replaces as the product does."""

from collections.abc import Iterator
from itertools import product
from typing import Literal

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from audit import roles
from campaigns.text import LIMITS, MergeFieldError, measure, parts, render, simplified
from tests.browser.journey import Journey

pytestmark = [pytest.mark.browser, pytest.mark.stack]

ADD = "/admin/campaigns/campaign/add/"
NARROW: ViewportSize = {"width": 390, "height": 844}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

# What of the field and its preview reaches over the side of the screen.
CUT_OFF = """[...document.querySelectorAll('.compose, .compose *')]
    .filter(one => one.getBoundingClientRect().right > window.innerWidth)
    .map(one => one.outerHTML)"""

FIELD = "Hello {first_name|there}, coffee is half price."
BOUNDARIES = [
    *(letter * times for letter, times in product("aé", (1, 159, 160, 161, 306, 307, 459, 460))),
    *(letter * times for letter, times in product("ê漢", (1, 69, 70, 71, 134, 135, 201, 202))),
    *("€" * times for times in (1, 80, 81, 153, 154)),
    *("😀" * times for times in (1, 35, 36, 66, 67, 68)),
    *("a" * before + pair + "a" * 153 for before, pair in product((151, 152, 153), "€{|")),
    *("ê" * before + pair + "ê" * 66 for before, pair in product((65, 66, 67), "😀🏳𝐒")),
]
TEXTS = [
    *BOUNDARIES,
    "",
    "Two\nlines\n\n[with] ~ every \\ sign of ^ the | extension €",
    "“Café” – ça va… 😀 Sale 🎉! ł ß œ",
    "Cafe\u0301 n\u0303 x\u0301 \u0301",
    "👩\u200d👩\u200d👧 Family day! 🏳️\u200d🌈 1️⃣, ❤️.",
    "No\u00a0break,\u2009thin, zero\u200bwidth\u00ad\ufeff, \ttab",
    "𝗦𝗔𝗟𝗘 Ⓢ ﬁn № Ⅷ ｗｉｄｅ Ǻ ấ \u212b \u2126 \u212a",
    "It’s 20° and 漢 has “no equivalent” ½ 5¹ йц и\u0301",
    "…" * 70,
    "😀",
    "\n😀 at a line's start\n😀\n and alone",
    "{first_name|😀} keeps its fallback, {first_name| 😀} too",
    FIELD,
    "{first_name|you} — {first_name|œuf}: {first_name|\u200d}",
    "{last_name|x} {first_name} {first_name|} {first_name|a|b} { } stays as it is",
    "a" * 146 + "{first_name|there you are}",
]
CURLY = "“Harbor Coffee”: it’s half price… Reply STOP to cancel 😀"


@pytest.fixture
def page(journey: Journey) -> Page:
    """Where an author writes a new campaign."""
    journey.sit_down_as(roles.CAMPAIGN_AUTHOR)
    journey.go(ADD)
    return journey.page


def row(page: Page) -> Locator:
    """The first text with what stands around it; its translations are written in like fields."""
    return page.locator(".form-row.field-text")


def field(page: Page) -> Locator:
    return row(page).locator("textarea")


def counted(page: Page) -> str:
    return row(page).locator(".count").inner_text()


def count(text: str) -> str:
    """What the page should say of a text that has no merge field."""
    size = measure(text)
    alone, joined = LIMITS[size.encoding]
    room = alone if size.segments < 2 else joined * size.segments
    noun = "segment" if size.segments == 1 else "segments"
    return f"{size.encoding} · {size.units} of {room} units · {size.segments} {noun}"


def filled(template: str) -> str:
    """As the page fills a template: what cannot be filled in is shown as it stands."""
    try:
        return render(template, {})
    except MergeFieldError:
        return template


def replaced(page: Page) -> str:
    """What the text is once its button was pressed, if it has one."""
    button = row(page).get_by_role("button", name="Replace them")
    if button.count():
        button.click()
    return field(page).input_value()


def drawn(page: Page) -> str:
    """The text in the bubble, with a bar before each further segment."""
    read = "bubble => [...bubble.children].map(run => (run.localName === 'i' ? '│' : '')"
    return str(
        row(page)
        .locator(".bubble")
        .evaluate(f"{read} + (run.localName === 'i' ? '' : run.textContent)).join('')")
    )


def check_every_text(page: Page) -> None:
    assert len(set(TEXTS)) >= 60
    for text in TEXTS:
        field(page).fill(text)
        shown = filled(text)
        assert counted(page) == count(shown), text
        assert drawn(page) == "│".join(parts(shown)), text
        assert replaced(page) == simplified(text), text


def check_that_a_replacement_can_be_undone(page: Page) -> None:
    field(page).fill(CURLY)
    assert replaced(page) == '"Harbor Coffee": it\'s half price... Reply STOP to cancel'
    assert counted(page).startswith("GSM-7 · ")
    page.keyboard.press("Control+z")
    assert field(page).input_value() == CURLY
    assert counted(page).startswith("UCS-2 · ")


def check_a_name(page: Page) -> None:
    """Of another length, of another encoding, and none."""
    field(page).fill(FIELD)
    for name in ("Bartholomew", "Zoë", " Ana \u00a0 Maria ", ""):
        row(page).get_by_label("Try a first name").fill(name)
        assert counted(page) == count(render(FIELD, {"first_name": name}))
        assert not row(page).get_by_role("button", name="Replace them").count()
    field(page).fill("Without a field")
    expect(row(page).get_by_label("Try a first name")).to_be_hidden()


def check_that_the_count_is_read_out_after_a_pause(page: Page) -> None:
    spoken = row(page).locator("[aria-live=polite]")
    field(page).fill("")
    expect(spoken).to_have_text(count(""))
    field(page).press_sequentially("Coffee", delay=20)
    assert spoken.inner_text() == count("")
    expect(spoken).to_have_text(count("Coffee"))


def look_in_both_themes(journey: Journey) -> None:
    for text, look in (
        (f"{CURLY} {FIELD} {FIELD}", "odd"),
        (f"{FIELD} " * 5, "long"),
        ("", "empty"),
    ):
        journey.fill(text=text)
        for theme in THEMES:
            journey.page.emulate_media(color_scheme=theme)
            journey.look(f"{look} {theme} {journey.page.evaluate('innerWidth')}")
        assert journey.page.evaluate(CUT_OFF) == []


def test_the_page_counts_and_replaces_as_the_product_does(journey: Journey, page: Page) -> None:
    check_every_text(page)
    check_that_a_replacement_can_be_undone(page)
    check_a_name(page)
    check_that_the_count_is_read_out_after_a_pause(page)
    look_in_both_themes(journey)
    page.set_viewport_size(NARROW)
    look_in_both_themes(journey)


@pytest.fixture
def without_scripts(journey: Journey) -> Iterator[Page]:
    browser = journey.page.context.browser
    assert browser
    window = browser.new_context(java_script_enabled=False, locale="en-US")
    journey.page = window.new_page()
    yield journey.page
    window.close()


def test_without_scripts_there_is_a_plain_field(journey: Journey, without_scripts: Page) -> None:
    journey.sign_in(roles.CAMPAIGN_AUTHOR)
    journey.go(ADD)
    journey.fill(text=FIELD)
    journey.press("Save")
    assert "Please correct the errors below." in journey.text()
    assert field(without_scripts).input_value() == FIELD

"""The page of quiet hours: every rule with its source, rules of our own, and the emergency stop."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import time_machine
from django.contrib.messages import get_messages
from django.urls import reverse

from audit import roles
from audit.models import Entry
from campaigns import emergency, hours
from campaigns.models import OwnRule, Stop
from campaigns.quiet_hours import WHOLE_DAY
from tests.campaigns.conftest import queries
from tests.conftest import AT

PAGE = "/admin/campaigns/ownrule/"
ADD, STOP = f"{PAGE}add/", f"{PAGE}stop/"
READERS = [
    *(roles.CAMPAIGN_AUTHOR, roles.CAMPAIGN_APPROVER, roles.AUDITOR),
    *(roles.PRIVACY_OFFICER, roles.ADMINISTRATOR),
]
STOPPING = [roles.CAMPAIGN_APPROVER, roles.PRIVACY_OFFICER, roles.ADMINISTRATOR]
LIFTING = [roles.PRIVACY_OFFICER, roles.ADMINISTRATOR]


@pytest.fixture(autouse=True)
def _business_time(clock):
    """Pages read the clock; it stands at AT."""


@pytest.fixture
def administrator(signed_in):
    return signed_in(roles.ADMINISTRATOR)


@pytest.fixture
def own_rule(operators):
    return hours.add(
        jurisdiction="US-FL",
        hours=[None, WHOLE_DAY, WHOLE_DAY],
        reason="Complaints about weekdays.",
        by=operators(roles.ADMINISTRATOR),
        at=AT - timedelta(days=2),
    )


@pytest.fixture
def stop(operators):
    return emergency.stop(
        jurisdiction="US-LA",
        reason="The governor declared an emergency.",
        by=operators(roles.PRIVACY_OFFICER),
        at=AT - timedelta(hours=1),
    )


def _read(browser, address=PAGE):
    answer = browser.get(address)
    assert answer.status_code == 200, answer.status_code
    return unescape(answer.content.decode())


def _rows(page):
    """What the page says of each place, by its name."""
    bodies = re.findall(r"<tbody.*?</tbody>", page, re.DOTALL)
    plain = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).strip() for body in bodies]
    names = [re.search(r'<th scope="row">\s*([^<]+?)\s*<', body)[1] for body in bodies]
    return dict(zip(names, plain, strict=True))


def _form(**changes):
    usual = {
        "jurisdiction": "US-FL",
        "weekday_until": "18:30",
        "sunday_closed": "on",
        "reason": "Complaints.",
    }
    return {**usual, **changes}


def _errors(answer):
    assert answer.status_code == 200, "it was taken"
    context = answer.context_data
    form = context["adminform"].form if "adminform" in context else context["form"]
    return {name: " ".join(texts) for name, texts in form.errors.items()}


def _later():
    """When the code that was given at the sign-in is no longer fresh."""
    return time_machine.travel(datetime.now(UTC) + timedelta(minutes=6), tick=False)


def _said(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


# --- what is shown -----------------------------------------------------------------------------


def test_every_row_is_shown_with_its_hours_source_and_confidence(administrator):
    rows = _rows(_read(administrator))
    assert set(rows) >= {"United States", "Florida", "France", "Everywhere", "Every other country"}
    assert len(rows) == len(hours.shipped().rules) + 1
    texas = rows["Texas"]
    assert "09:00 to 21:00 09:00 to 21:00 12:00 to 21:00 as other days" in texas
    assert "Tex. Bus. & Com. Code ch. 301-305" in texas
    assert texas.endswith("high")
    assert "texts included since SB 140" in texas
    alabama = rows["Alabama"]
    assert "08:00 to 20:00 08:00 to 20:00 closed closed –" in alabama
    assert "as other days 3 Fla. Stat." in rows["Florida"]


def test_the_page_says_what_low_confidence_means(administrator):
    page = _read(administrator)
    assert "A row of low confidence may close more" in page
    assert "never open anything" in page
    assert re.findall(r'class="kind doubt">(\w+)<', page).count("unverified") == 4


def test_an_own_rule_stands_beneath_its_place_with_reason_and_who(signed_in, own_rule):
    florida = _rows(_read(signed_in(roles.AUDITOR)))["Florida"]
    assert "Own rule 1" in florida
    assert "closed – – – – Complaints about weekdays." in florida
    assert "since Nov. 22, 2026" in florida
    assert "added by administrator" in florida


def test_a_rule_to_come_is_shown_as_such(administrator, operators):
    hours.add(
        jurisdiction="PL", hours=[None] * 3, reason="A holiday season.",
        in_force_from=AT + timedelta(days=3), by=operators(roles.ADMINISTRATOR), at=AT,
    )  # fmt: skip
    poland = _rows(_read(administrator))["Poland"]
    assert "from Nov. 27, 2026" in poland
    assert "the row for every other country holds" in poland


def test_a_stop_is_told_on_top_and_marks_its_place(signed_in, stop):
    page = _read(signed_in(roles.CAMPAIGN_AUTHOR))
    assert "Emergency stop in force for Louisiana since Nov. 24, 2026" in page
    assert "By privacy-officer: The governor declared an emergency." in page
    rows = _rows(page)
    assert "stopped" in rows["Louisiana"]
    assert "stopped" not in rows["Texas"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("US-FL", {"Everywhere", "United States", "Florida"}),
        ("FR", {"Everywhere", "France"}),
        ("rest", {"Everywhere", "Every other country"}),
        ("<b>", {"Everywhere"}),
    ],
)
def test_the_page_shows_what_holds_in_one_place(administrator, wanted, names):
    assert set(_rows(_read(administrator, f"{PAGE}?place={wanted}"))) == names


def test_the_page_of_a_country_shows_its_states(administrator):
    rows = _rows(_read(administrator, f"{PAGE}?place=US"))
    assert {"Everywhere", "United States", "Texas", "Puerto Rico"} <= set(rows)
    assert "France" not in rows


def test_the_page_takes_few_queries_however_many_rules_there_are(administrator, operators):
    def one_more():
        hours.add(
            jurisdiction="FR", hours=[None] * 3, reason="x", at=AT,
            by=operators(roles.ADMINISTRATOR),
        )  # fmt: skip

    one_more()
    few = queries(lambda: _read(administrator))
    for _each in range(3):
        one_more()
    assert queries(lambda: _read(administrator)) == few


# --- who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", roles.ROLES)
def test_who_sees_which_buttons(signed_in, own_rule, stop, role):
    browser = signed_in(role)
    if role not in READERS:
        assert browser.get(PAGE).status_code == 403
        return
    page = _read(browser)
    assert ("Add a stricter rule" in page) == (role == roles.ADMINISTRATOR)
    assert ("End this rule" in page) == (role == roles.ADMINISTRATOR)
    assert ("Stop sending there" in page) == (role in STOPPING)
    assert ("Lift the stop" in page) == (role in LIFTING)


@pytest.mark.parametrize("role", roles.ROLES)
def test_nobody_acts_without_the_permission_by_knowing_the_address(signed_in, own_rule, stop, role):
    browser = signed_in(role)
    asked = {
        ADD: role == roles.ADMINISTRATOR,
        STOP: role in STOPPING,
        reverse("admin:campaigns_ownrule_end", args=[own_rule.pk]): role == roles.ADMINISTRATOR,
        reverse("admin:campaigns_ownrule_lift", args=[stop.pk]): role in LIFTING,
    }
    for address, may in asked.items():
        assert (browser.post(address).status_code != 403) == may, address


def test_nobody_edits_or_deletes_a_rule(administrator, own_rule):
    page = f"{PAGE}{own_rule.pk}/"
    assert "Complaints about weekdays." in _read(administrator, f"{page}change/")
    assert administrator.post(f"{page}change/", {"reason": "x"}).status_code == 403
    assert administrator.post(f"{page}delete/", {"post": "yes"}).status_code == 403


# --- adding and ending a rule ------------------------------------------------------------------


def test_an_administrator_adds_a_rule(administrator, operators):
    answer = administrator.post(ADD, _form(daily_cap="2", closed_on_holidays="on"))
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    rule = OwnRule.objects.get()
    assert (rule.jurisdiction, rule.by) == ("US-FL", operators(roles.ADMINISTRATOR))
    assert (rule.weekday_start, rule.weekday_end) == (0, 18 * 60 + 30)
    assert (rule.saturday_start, rule.saturday_end) == (0, 24 * 60)
    assert (rule.sunday_start, rule.sunday_end) == (None, None)
    assert (rule.daily_cap, rule.closed_on_holidays) == (2, True)
    assert (rule.in_force_from, rule.reason) == (AT, "Complaints.")


def test_a_rule_may_run_until_midnight_and_begin_later(administrator):
    later = {"in_force_from_0": "2026-12-01", "in_force_from_1": "08:00"}
    form = _form(weekday_from="11:00", weekday_until="00:00", **later)
    assert administrator.post(ADD, form).status_code == 302
    rule = OwnRule.objects.get()
    assert (rule.weekday_start, rule.weekday_end) == (11 * 60, 24 * 60)
    assert f"{rule.in_force_from:%Y-%m-%d %H}" == "2026-12-01 08"


def test_the_place_is_filled_in_where_one_came_from(administrator):
    assert '<option value="US-FL" selected>Florida</option>' in _read(
        administrator, f"{ADD}?jurisdiction=US-FL"
    )


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"weekday_from": "19:00"}, "weekday_until", "must be later than the start"),
        ({"sunday_from": "10:00"}, "sunday_from", "Say either"),
        ({"weekday_until": "soon"}, "weekday_until", "Enter a valid time"),
        ({"weekday_until": "22:00", "sunday_closed": ""}, "jurisdiction", "change nothing"),
        ({"jurisdiction": "US-STRICTEST"}, "jurisdiction", "not one of the available"),
        ({"jurisdiction": ""}, "jurisdiction", "required"),
        ({"reason": ""}, "reason", "required"),
        ({"reason": "Call +1 212 555 0123"}, "reason", "Leave out telephone numbers"),
        ({"daily_cap": "0"}, "daily_cap", "greater than or equal to 1"),
        (
            {"in_force_from_0": "2026-11-01", "in_force_from_1": "08:00"},
            "in_force_from",
            "a time that is over",
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_beside_its_field(
    administrator, changes, place, words
):
    errors = _errors(administrator.post(ADD, _form(**changes)))
    assert words in errors[place]
    assert not OwnRule.objects.exists()


def test_ending_a_rule_asks_for_a_code_since_it_allows_more(administrator, own_rule):
    end = reverse("admin:campaigns_ownrule_end", args=[own_rule.pk])
    assert administrator.get(end).status_code == 405
    with _later():
        assert "asks who you are once more" in administrator.post(end).content.decode()
    assert OwnRule.objects.not_ended().exists()


def test_an_administrator_ends_a_rule_once(administrator, own_rule, operators):
    end = reverse("admin:campaigns_ownrule_end", args=[own_rule.pk])
    assert _said(administrator.post(end)) == ["The rule holds no more. The shipped rules stay."]
    own_rule.refresh_from_db()
    assert (own_rule.ended_at, own_rule.ended_by) == (AT, operators(roles.ADMINISTRATOR))
    assert "Own rule 1" not in _read(administrator)
    assert "Somebody did that before you." in _said(administrator.post(end))
    assert Entry.objects.filter(verb="own_rule.ended").count() == 1


# --- stopping and lifting ----------------------------------------------------------------------


@pytest.mark.parametrize("role", STOPPING)
def test_stopping_takes_a_reason_and_no_code(signed_in, operators, role):
    browser = signed_in(role)
    with _later():
        answer = browser.post(STOP, {"jurisdiction": "US-LA", "reason": "An emergency."})
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    stop = Stop.objects.get()
    assert (stop.jurisdiction, stop.at, stop.by) == ("US-LA", AT, operators(role))
    assert stop.reason == "An emergency."


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"reason": " "}, "reason", "required"),
        ({"reason": "ada@example.org"}, "reason", "Leave out telephone numbers"),
        ({"jurisdiction": "US-LA"}, "jurisdiction", "stopped there already"),
        ({"jurisdiction": "XX"}, "jurisdiction", "not one of the available"),
    ],
)
def test_a_stop_that_makes_no_sense_is_refused_beside_its_field(
    administrator, stop, changes, place, words
):
    errors = _errors(administrator.post(STOP, {"jurisdiction": "FR", "reason": "x", **changes}))
    assert words in errors[place]
    assert Stop.objects.count() == 1


def test_lifting_asks_for_a_code_since_it_allows_more(administrator, stop):
    lift = reverse("admin:campaigns_ownrule_lift", args=[stop.pk])
    assert administrator.get(lift).status_code == 405
    with _later():
        assert "asks who you are once more" in administrator.post(lift).content.decode()
    assert Stop.objects.standing().exists()


@pytest.mark.parametrize("role", LIFTING)
def test_a_stop_is_lifted_once(signed_in, stop, operators, role):
    browser, lift = signed_in(role), reverse("admin:campaigns_ownrule_lift", args=[stop.pk])
    [said] = _said(browser.post(lift))
    assert said.startswith("Lifted.")
    stop.refresh_from_db()
    assert (stop.lifted_at, stop.lifted_by) == (AT, operators(role))
    assert "Emergency stop in force" not in _read(browser)
    assert "Somebody did that before you." in _said(browser.post(lift))


# --- on the pages of campaigns -----------------------------------------------------------------


def test_campaign_and_dry_run_say_where_messages_wait(signed_in, compose, stop):
    browser, campaign = signed_in(roles.CAMPAIGN_APPROVER), compose()
    told = "Emergency stop in force for Louisiana since"
    assert told in _read(browser, f"/admin/campaigns/campaign/{campaign.pk}/change/")
    assert told in _read(browser, f"/admin/campaigns/campaign/{campaign.pk}/standing/")
    dry_run = browser.post(f"/admin/campaigns/campaign/{campaign.pk}/dry-run/")
    assert told in dry_run.content.decode()


def test_without_a_stop_no_page_speaks_of_one(signed_in, compose):
    browser, campaign = signed_in(roles.CAMPAIGN_APPROVER), compose()
    assert "Emergency stop" not in _read(browser, PAGE)
    assert "Emergency stop" not in _read(
        browser, f"/admin/campaigns/campaign/{campaign.pk}/change/"
    )

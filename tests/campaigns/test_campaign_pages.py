"""A campaign is drafted, approved, launched and halted in the admin, or refused in words."""

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.urls import reverse

from audit import roles
from audit.models import Entry
from campaigns.models import Campaign, Message, Sender
from tests.campaigns.conftest import GUAM, NEW_YORK, TEXT, fenced, new_york, queries
from tests.conftest import AT

Status = Campaign.Status
ADD = "/admin/campaigns/campaign/add/"
LIST = "/admin/campaigns/campaign/"
ALL_ACTS = {"check", "approve", "launch", "pause", "resume", "cancel"}


@pytest.fixture(autouse=True)
def _business_time(clock):
    """Pages read the clock; it stands at AT."""


@pytest.fixture
def author(signed_in):
    return signed_in(roles.CAMPAIGN_AUTHOR)


@pytest.fixture
def approver(signed_in):
    return signed_in(roles.CAMPAIGN_APPROVER)


@pytest.fixture
def form(purpose, sender):
    """What an author fills in; `changes` replace the usual."""

    def filled(**changes):
        usual = {
            "name": "Kettle",
            "purpose": purpose.pk,
            "sender": sender.pk,
            "text": TEXT,
            "starts_at": AT,
            "deadline": AT + timedelta(hours=6),
        }
        return _split({**usual, **changes})

    return filled


def _split(fields):
    """Dates and times stand in two boxes."""
    posted = {name: value for name, value in fields.items() if not isinstance(value, datetime)}
    for name, value in fields.items():
        if isinstance(value, datetime):
            posted |= {f"{name}_0": f"{value:%Y-%m-%d}", f"{name}_1": f"{value:%H:%M:%S}"}
    return posted


def _page(campaign):
    return reverse("admin:campaigns_campaign_change", args=[campaign.pk])


def _press(browser, campaign, name):
    """Presses a button; what the operator is told."""
    act = reverse("admin:campaigns_campaign_act", args=[campaign.pk, name])
    answer = browser.post(act)
    assert answer.status_code == 302, answer.status_code
    campaign.refresh_from_db()
    return [str(message) for message in get_messages(answer.wsgi_request)]


def _read(browser, address):
    answer = browser.get(address)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def _buttons(browser, campaign):
    return set(re.findall(r'id="act-(\w+)"', _read(browser, _page(campaign))))


# --- from the draft to the launch --------------------------------------------------------------


def test_an_author_drafts_a_campaign(author, form, operators):
    assert author.post(ADD, form()).status_code == 302
    campaign = Campaign.objects.get()
    by = operators(roles.CAMPAIGN_AUTHOR)
    assert (campaign.author, campaign.edited_by, campaign.edited_at) == (by, by, AT)
    assert (campaign.status, campaign.text, campaign.starts_at) == (Status.DRAFT, TEXT, AT)
    assert campaign.deadline == AT + timedelta(hours=6)
    assert Entry.objects.get(verb="campaign.drafted").actor == f"operator:{by.pk}"


def test_an_author_has_a_campaign_checked(author, compose):
    campaign = compose(to="draft")
    assert _press(author, campaign, "check") == ["Nothing stands against it."]
    assert campaign.status == Status.CHECKED


def test_an_approver_approves_and_launches_by_two_buttons(approver, compose, people):
    people(new_york(3))
    campaign = compose(to="checked")
    assert _press(approver, campaign, "approve") == ["Approved as it stands now."]
    assert "campaign-approver" in _read(approver, _page(campaign))
    assert _press(approver, campaign, "launch") == ["Launched, or scheduled for its start."]
    assert campaign.status == Status.SENDING
    assert campaign.messages.count() == 3


def test_a_campaign_whose_start_has_not_come_is_scheduled(approver, compose):
    campaign = compose(starts_at=AT + timedelta(hours=1))
    _press(approver, campaign, "launch")
    assert (campaign.status, campaign.scheduled_at) == (Status.SCHEDULED, AT)
    assert not campaign.messages.exists()


def test_an_approver_pauses_resumes_and_cancels(approver, launched, person):
    person()
    campaign = launched()
    seen = []
    for button in ("pause", "resume", "cancel"):
        _press(approver, campaign, button)
        seen.append(campaign.status)
    assert seen == [Status.PAUSED, Status.SENDING, Status.CANCELLED]
    assert campaign.messages.get().status == Message.Status.CANCELLED


def test_an_author_edits_what_was_approved_and_the_approval_is_gone(author, compose, form):
    campaign = compose()
    assert author.post(_page(campaign), form(text=TEXT + "!")).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.status, campaign.text) == (Status.DRAFT, TEXT + "!")
    assert campaign.standing_approval is None
    edited = Entry.objects.get(verb="campaign.edited")
    assert edited.facts["fields"] == ["text"]


# --- refusals in words -------------------------------------------------------------------------


def test_a_check_that_finds_something_says_it(author, compose):
    campaign = compose(to="draft", text="Hello")
    [told] = _press(author, campaign, "check")
    assert "does not name the business (Harbor Coffee)" in told
    assert "does not say how to stop" in told
    assert campaign.status == Status.DRAFT


def test_who_wrote_it_cannot_approve_it_whatever_roles_they_hold(signed_in, operators, compose):
    writer = operators(roles.CAMPAIGN_AUTHOR)
    writer.groups.add(Group.objects.get_or_create(name=roles.CAMPAIGN_APPROVER)[0])
    campaign = compose(to="checked")
    [told] = _press(signed_in(roles.CAMPAIGN_AUTHOR), campaign, "approve")
    assert told == "A campaign is approved by someone who did not write or edit it."
    assert (campaign.status, campaign.approvals.count()) == (Status.CHECKED, 0)


def test_a_button_that_comes_too_late_is_told_where_the_campaign_stands(approver, launched):
    [told] = _press(approver, launched(), "launch")
    assert told == (
        "A campaign that is sending cannot become sending."
        " Load the page again to see where it stands."
    )


@pytest.mark.parametrize(("before", "button"), [("paused", "launch"), ("approved", "resume")])
def test_a_button_that_does_not_fit_the_campaign_is_refused_and_never_fails(
    approver, compose, before, button
):
    campaign = compose()
    if before == "paused":
        _press(approver, campaign, "launch")
        _press(approver, campaign, "pause")
    [*_before, told] = _press(approver, campaign, button)
    assert "cannot become sending" in told
    assert campaign.status == before


@pytest.mark.parametrize(
    ("field", "change", "words"),
    [
        ("deadline", {"deadline": AT}, "The deadline must be after the start."),
        ("deadline", {"deadline": AT - timedelta(days=1)}, "The deadline must be after the start."),
        ("starts_at", {"starts_at_0": "24.11.2026"}, "Enter a valid date."),
        ("starts_at", {"starts_at_1": "25:00"}, "Enter a valid time."),
        ("deadline", {"deadline_0": ""}, "This field is required."),
        ("text", {"text": ""}, "This field is required."),
    ],
)
def test_a_wrong_field_is_told_beside_it(author, form, field, change, words):
    answer = author.post(ADD, {**form(), **_split(change)})
    assert answer.status_code == 200
    errors = answer.context["adminform"].form.errors
    assert any(words in error for error in errors.get(field, [])), errors
    assert words in unescape(answer.content.decode())
    assert not Campaign.objects.exists()


def test_a_change_with_wrong_dates_changes_nothing(author, compose, form):
    campaign = compose()
    answer = author.post(_page(campaign), form(deadline=AT - timedelta(hours=1)))
    assert answer.status_code == 200
    assert "The deadline must be after the start." in unescape(answer.content.decode())
    campaign.refresh_from_db()
    assert campaign.status == Status.APPROVED


# --- who sees and may do what ------------------------------------------------------------------

BUTTONS = {
    Status.DRAFT: {"check", "cancel"},
    Status.CHECKED: {"approve", "cancel"},
    Status.APPROVED: {"launch", "cancel"},
    Status.SCHEDULED: {"cancel"},
    Status.SENDING: {"pause", "cancel"},
    Status.PAUSED: {"resume", "cancel"},
    Status.FINISHED: set(),
    Status.CANCELLED: set(),
}
MAY = {
    roles.CAMPAIGN_AUTHOR: {"check"},
    roles.CAMPAIGN_APPROVER: {"approve", "launch", "pause", "resume", "cancel"},
    roles.AUDITOR: set(),
}


@pytest.mark.parametrize("role", MAY)
def test_a_page_shows_the_buttons_that_role_and_status_allow(signed_in, compose, role):
    campaign, browser = compose(), signed_in(role)
    stamps = ["checked", "scheduled", "launched", "paused", "finished", "cancelled"]
    for status, buttons in BUTTONS.items():
        Campaign.objects.update(status=status, **{f"{stamp}_at": AT for stamp in stamps})
        assert _buttons(browser, campaign) == buttons & MAY[role], status


@pytest.mark.parametrize(
    ("role", "act"), [(role, act) for role, may in MAY.items() for act in sorted(ALL_ACTS - may)]
)
def test_who_may_not_press_a_button_is_refused_without_it(signed_in, compose, role, act):
    campaign = compose()
    browser = signed_in(role)
    entries = Entry.objects.count()
    answer = browser.post(reverse("admin:campaigns_campaign_act", args=[campaign.pk, act]))
    assert answer.status_code == 403
    campaign.refresh_from_db()
    assert (campaign.status, Entry.objects.count()) == (Status.APPROVED, entries)


@pytest.mark.parametrize("role", [roles.SUBSCRIBER_MANAGER, roles.ADMINISTRATOR])
def test_campaigns_are_not_everyones_to_see(signed_in, compose, role):
    campaign, browser = compose(), signed_in(role)
    assert browser.get(LIST).status_code == 403
    assert browser.get(_page(campaign)).status_code == 403


def test_an_auditor_sees_everything_and_changes_nothing(signed_in, compose, form):
    campaign, browser = compose(), signed_in(roles.AUDITOR)
    assert TEXT in _read(browser, _page(campaign))
    assert browser.post(_page(campaign), form(name="Mine")).status_code == 403
    assert browser.get(ADD).status_code == 403
    campaign.refresh_from_db()
    assert campaign.name == "Kettle"


@pytest.mark.parametrize("verb", ["add", "change"])
def test_an_approver_writes_nothing(approver, compose, form, verb):
    campaign = compose()
    address = ADD if verb == "add" else _page(campaign)
    assert approver.post(address, form(name="Mine")).status_code == 403
    assert list(Campaign.objects.values_list("name", flat=True)) == ["Kettle"]


def test_nobody_deletes_a_campaign(author, approver, compose):
    campaign = compose(to="draft")
    delete = reverse("admin:campaigns_campaign_delete", args=[campaign.pk])
    for browser in (author, approver):
        assert browser.post(delete, {"post": "yes"}).status_code == 403
    assert Campaign.objects.exists()


def test_what_is_being_sent_cannot_be_edited_on_its_page(author, launched, form):
    campaign = launched()
    assert author.post(_page(campaign), form(name="Late")).status_code == 403
    assert 'name="text"' not in _read(author, _page(campaign))


def test_a_link_presses_no_button(approver, compose):
    campaign = compose()
    act = reverse("admin:campaigns_campaign_act", args=[campaign.pk, "launch"])
    assert approver.get(act).status_code == 405
    campaign.refresh_from_db()
    assert campaign.status == Status.APPROVED


@pytest.mark.parametrize("where", [(0, "launch"), (None, "explode")])
def test_a_button_or_campaign_that_does_not_exist_is_refused(approver, compose, where):
    campaign = compose()
    pk, act = where
    address = reverse("admin:campaigns_campaign_act", args=[campaign.pk if pk is None else pk, act])
    assert approver.post(address).status_code == 403


def test_who_is_not_signed_in_presses_no_button(client, compose):
    campaign = compose()
    act = reverse("admin:campaigns_campaign_act", args=[campaign.pk, "launch"])
    answer = client.post(act)
    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/admin/login/")
    campaign.refresh_from_db()
    assert campaign.status == Status.APPROVED


# --- what the pages show -----------------------------------------------------------------------


def test_before_the_launch_a_page_says_how_many_may_be_messaged(author, compose, people, person):
    people(new_york(2))
    person(GUAM, confirmed=False)
    page = _read(author, _page(compose(to="draft")))
    assert "2 people may be messaged for this purpose now." in page


def test_after_the_launch_a_page_counts_by_status_and_reason(approver, launched, people):
    people([*new_york(3), GUAM])
    campaign = launched(deadline=AT + timedelta(hours=2))
    fenced()
    page = _read(approver, _page(campaign))
    figures = re.findall(r'<td class="figure">(\d+)</td>', page)
    assert sorted(figures) == sorted(["1", "3", "4", "1"])
    assert "There is no permitted hour before the deadline." in page
    assert "may be messaged for this purpose now" not in page


def test_a_page_says_how_a_text_will_be_billed(author, compose):
    long = TEXT + " Until Friday every filter coffee is half the price in all of our shops." * 2
    assert re.search(r"2 segments \(GSM-7, \d+ units\)", _read(author, _page(compose(text=long))))


def test_the_list_shows_where_each_campaign_stands(author, launched, people):
    people(new_york(3))
    campaign = launched()
    Message.objects.filter(pk__in=[fenced()[0].message_id]).update(status="refused")
    page = _read(author, LIST)
    assert "2 / 3" in page
    assert str(campaign) in page


def test_a_list_makes_as_many_queries_for_many_as_for_few(author, compose, people):
    people(new_york(2))
    compose()
    few = queries(lambda: _read(author, LIST))
    for number in range(9):
        compose(name=f"Kettle {number}", sender=_another_sender(number))
    assert queries(lambda: _read(author, LIST)) == few


def _another_sender(number):
    return Sender.objects.create(address=f"+1646555010{number}", verified_at=AT)


def test_a_page_makes_as_many_queries_for_many_people_as_for_few(approver, launched, people):
    people(new_york(2))
    few = launched()
    of_few = queries(lambda: _read(approver, _page(few)))
    people(new_york(30)[2:])
    many = launched()
    assert queries(lambda: _read(approver, _page(many))) == of_few


def test_no_number_stands_on_the_pages_of_a_campaign(approver, launched, person):
    person(NEW_YORK)
    campaign = launched()
    fenced()
    assert NEW_YORK[1:] not in _read(approver, _page(campaign)) + _read(approver, LIST)

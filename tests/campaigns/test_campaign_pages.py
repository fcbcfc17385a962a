"""A campaign is drafted, approved, launched and halted in the admin, or refused in words."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.urls import reverse

from audit import roles
from audit.models import Entry
from campaigns import dispatch
from campaigns.models import Campaign, Message, Sender, Tally
from tests.campaigns.conftest import GUAM, NEW_YORK, TEXT, fenced, new_york, queries, stand
from tests.conftest import AT, enrolled

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
    return set(re.findall(r'form="act-(\w+)"', _read(browser, _page(campaign))))


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
    assert "does not name the business" in told
    assert "names no way out" in told
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
    browser = signed_in(role)
    for status, buttons in BUTTONS.items():
        campaign = stand(compose(), status)
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
    assert "2 people of its audience may be messaged now." in page


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
    _read(approver, _page(few))
    of_few = queries(lambda: _read(approver, _page(few)))
    people(new_york(30)[2:])
    many = launched()
    assert queries(lambda: _read(approver, _page(many))) == of_few


def test_no_number_stands_on_the_pages_of_a_campaign(approver, launched, person):
    person(NEW_YORK)
    campaign = launched()
    fenced()
    assert NEW_YORK[1:] not in _read(approver, _page(campaign)) + _read(approver, LIST)


# --- dry run, copy, count ----------------------------------------------------------------------


def _post(browser, name, campaign, **fields):
    return browser.post(reverse(f"admin:campaigns_campaign_{name}", args=[campaign.pk]), fields)


def test_a_dry_run_is_told_in_words(author, compose, people, person):
    people([*new_york(2), GUAM])
    person("+12125550177", confirmed=False)
    answer = _post(author, "dry_run", compose(to="draft", deadline=AT + timedelta(hours=1)))
    page = unescape(answer.content.decode())
    assert "2 people would get the message" in page
    assert "There is no permitted hour before the deadline." in page
    assert "Never confirmed the opt-in." in page
    assert not Message.objects.exists()


def test_what_was_launched_has_no_dry_run(author, launched, person):
    person()
    campaign = launched()
    answer = _post(author, "dry_run", campaign)
    assert (answer.status_code, answer["Location"]) == (302, _page(campaign))
    assert "its page counts what became of it" in _read(author, _page(campaign))
    assert campaign.openings.exists()


def test_a_copy_is_a_draft_of_whoever_asked(author, approver, launched, operators):
    campaign = launched()
    answer = _post(author, "clone", campaign)
    copy = Campaign.objects.exclude(pk=campaign.pk).get()
    assert answer["Location"] == _page(copy)
    assert (copy.status, copy.author) == (Status.DRAFT, operators(roles.CAMPAIGN_AUTHOR))
    assert _post(approver, "clone", campaign).status_code == 403


def test_filters_are_counted_while_they_are_typed_in(author, form, people, person):
    people(new_york(2))
    person(GUAM, language="es")
    url = reverse("admin:campaigns_campaign_count")
    counts = [
        author.post(url, form(**filters)).json()["people"]
        for filters in ({}, {"countries": "US"}, {"languages": "es"}, {"countries": "us"})
    ]
    assert counts == [3, 3, 1, None]
    assert author.post(url, form(purpose="")).json() == {"people": None}


def test_filters_are_kept_and_shown_as_they_were_typed(author, approver, form):
    typed = {"countries": "US CA", "states": "NY", "opted_in_from": "2026-01-02", "trial": "on"}
    author.post(ADD, form(**typed, replied_within="30", text_es="Harbor Coffee: hola. STOP."))
    campaign = Campaign.objects.get()
    assert campaign.audience == {
        "countries": ["US", "CA"],
        "states": ["NY"],
        "opted_in_from": "2026-01-02",
        "replied_within": 30,
    }
    assert (campaign.trial, list(campaign.translations)) == (True, ["es"])
    page = _read(author, _page(campaign))
    assert 'value="US CA"' in page
    assert "Harbor Coffee: hola." in page
    told = _read(approver, _page(campaign))
    for line in ("Countries: US, CA", "Wrote to us within 30 days", "only people with the label"):
        assert line in told, line


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("countries", "USA"),
        ("states", "ny"),
        ("languages", "xx"),
        ("labels", "99"),
        ("opted_in_from", "soon"),
        ("replied_within", "0"),
        ("not_messaged_for", "x"),
        ("segment_limit", "-1"),
    ],
)
def test_a_wrong_filter_is_told_beside_it(author, form, field, typed):
    answer = author.post(ADD, form(**{field: typed}))
    assert set(answer.context["adminform"].form.errors) == {field}
    assert not Campaign.objects.exists()


def test_days_in_the_wrong_order_are_told(author, form):
    answer = author.post(ADD, form(opted_in_from="2026-05-02", opted_in_until="2026-05-01"))
    assert set(answer.context["adminform"].form.errors) == {"opted_in_until"}


# --- the code, once more -----------------------------------------------------------------------


def _stale(browser):
    session = browser.session
    session["code_given_at"] = 0
    session.save()


@pytest.mark.parametrize("act", ["launch", "pause", "resume", "cancel"])
def test_what_acts_at_once_asks_for_a_code_once_more(approver, compose, act):
    campaign = stand(compose(), {"launch": "approved", "resume": "paused"}.get(act, "sending"))
    before = campaign.status
    _stale(approver)
    answer = approver.post(reverse("admin:campaigns_campaign_act", args=[campaign.pk, act]))
    assert "asks who you are once more" in answer.content.decode()
    campaign.refresh_from_db()
    assert campaign.status == before


def test_with_a_right_code_the_act_follows_at_once(approver, compose, operators):
    campaign = compose()
    _stale(approver)
    device = enrolled(operators(roles.CAMPAIGN_APPROVER))
    answer = _post_act(approver, campaign, code=f"{device.code().token():06}")
    assert answer.status_code == 302
    campaign.refresh_from_db()
    assert campaign.status == Status.SENDING


def _post_act(browser, campaign, **fields):
    return browser.post(
        reverse("admin:campaigns_campaign_act", args=[campaign.pk, "launch"]), fields
    )


@pytest.mark.parametrize("code", ["000000", "", "x", "1" * 40])
def test_with_a_wrong_code_nothing_follows(approver, compose, code):
    campaign = compose()
    _stale(approver)
    answer = _post_act(approver, campaign, code=code)
    assert answer.context["form"].errors["code"]
    campaign.refresh_from_db()
    assert campaign.status == Status.APPROVED


def test_five_minutes_after_a_code_it_is_asked_for_again(approver, compose):
    campaign = compose()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5, seconds=2), tick=False):
        assert _post_act(approver, campaign).status_code == 200


# --- what was found in the text ----------------------------------------------------------------

SICK = "Harbor Coffee: your test results are ready, come by. Reply STOP to cancel."


def test_a_page_shows_what_was_found_and_where(author, compose):
    page = _read(author, _page(compose(to="draft", text="Hi 4242 4242 4242 4242!!! STOP")))
    assert "Blocks the approval" in page
    assert "<mark>4242 4242 4242 4242</mark>" in page
    assert "Hint" in page


def test_a_privacy_officer_overrides_what_a_list_of_words_found(signed_in, author, compose):
    campaign = compose(to="draft", text=SICK)
    [told] = _press(author, campaign, "check")
    officer = signed_in(roles.PRIVACY_OFFICER)
    assert "Why this is none" in _read(officer, _page(campaign))
    _post(officer, "override", campaign, code="health", reason="They are coffee tests.")
    assert _press(author, campaign, "check")[-1] == "Nothing stands against it."
    entry = Entry.objects.get(verb="campaign.overridden")
    assert entry.facts["code"] == "health"
    assert entry.detail.text == "They are coffee tests."


def test_an_override_is_of_one_text(signed_in, author, compose, operators):
    campaign = compose(to="draft", text=SICK)
    officer = signed_in(roles.PRIVACY_OFFICER)
    _post(officer, "override", campaign, code="health", reason="Coffee.")
    by = operators(roles.CAMPAIGN_AUTHOR)
    dispatch.edit(campaign=campaign, by=by, at=AT, text=SICK.replace("come by", "come"))
    [told] = _press(author, campaign, "check")
    assert campaign.status == Status.DRAFT


@pytest.mark.parametrize("code", ["card", "brand", "", "health"])
def test_what_no_list_of_words_found_is_overridden_by_nobody(signed_in, compose, code):
    campaign = compose(to="draft", text="Hi 4242 4242 4242 4242 STOP")
    officer = signed_in(roles.PRIVACY_OFFICER)
    _post(officer, "override", campaign, code=code, reason="I say so.")
    assert not campaign.overrides.exists()


def test_an_override_needs_a_reason_and_the_role(signed_in, author, compose):
    campaign = compose(to="draft", text=SICK)
    _post(signed_in(roles.PRIVACY_OFFICER), "override", campaign, code="health", reason=" ")
    assert _post(author, "override", campaign, code="health", reason="x").status_code == 403
    assert not campaign.overrides.exists()


# --- while it is being sent --------------------------------------------------------------------


def _standing(browser, campaign):
    return _read(browser, reverse("admin:campaigns_campaign_standing", args=[campaign.pk]))


def test_the_standing_tells_counts_pace_and_what_may_be_done(approver, launched, people):
    people(new_york(4))
    campaign = launched()
    Tally.objects.create(campaign=campaign, at=AT, handed_over=60)
    told = _standing(approver, campaign)
    assert "<html" not in told
    for words in ("sending", "2.0 messages a second.", "What is due now will be done by 18:00"):
        assert words in told, words
    assert 'form="act-pause"' in told
    assert f'data-live="{reverse("admin:campaigns_campaign_standing", args=[campaign.pk])}"' in (
        _read(approver, _page(campaign))
    )


def test_the_standing_says_why_a_campaign_was_stopped(approver, launched):
    campaign = launched()
    dispatch.pause(campaign=campaign, by="worker", at=AT, reason="2 people opted out, of 9.")
    assert "<b>paused</b>: 2 people opted out, of 9." in _standing(approver, campaign)


def test_the_standing_is_not_everyones_to_see(signed_in, launched):
    url = reverse("admin:campaigns_campaign_standing", args=[launched().pk])
    assert signed_in(roles.SUBSCRIBER_MANAGER).get(url).status_code == 403

"""A campaign lives by the steps of its table, each taken by the right person, each told."""

from datetime import timedelta, timezone

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from audit import operators as staff
from audit import roles
from audit.models import Entry
from campaigns import dispatch
from campaigns.dispatch import StepRefused
from campaigns.models import Campaign, Message, Sender
from consent.models import Purpose
from tests.campaigns.conftest import (
    AUSTRALIA,
    NEW_YORK,
    STAMPS,
    TEXT,
    WAY_TO,
    fenced,
    stand,
    verbs,
)
from tests.conftest import AT, PASSWORD

Status = Campaign.Status
# Every step there is, written a second time: what may follow what.
LIFE = {
    "draft": {"checked", "cancelled"},
    "checked": {"draft", "approved", "cancelled"},
    "approved": {"draft", "scheduled", "sending", "cancelled"},
    "scheduled": {"draft", "approved", "sending", "cancelled"},
    "sending": {"paused", "cancelled", "finished"},
    "paused": {"sending", "cancelled"},
    "finished": set(),
    "cancelled": set(),
}
# How an operator asks for a status; to be sent, a campaign is launched or resumed.
VERBS = {
    "checked": [dispatch.check],
    "approved": [dispatch.approve],
    "scheduled": [dispatch.schedule],
    "sending": [dispatch.launch, dispatch.resume],
    "paused": [dispatch.pause],
    "cancelled": [dispatch.cancel],
}
VERB_OF = {("paused", "sending"): dispatch.resume}
BY_ITSELF = ("scheduled", "approved")  # what starts too late is held; no operator asks for that
ASKED = [
    (before, after, verb)
    for before in LIFE
    for after, verbs_ in VERBS.items()
    for verb in verbs_
    if after not in LIFE[before]
    or VERB_OF.get((before, after), verbs_[0]) is not verb
    or (before, after) == BY_ITSELF
]


@pytest.fixture
def standing(compose):
    """An approved campaign put into any status, with every timestamp."""
    return lambda status: stand(compose(), status)


@pytest.fixture
def approver(operators):
    return operators(roles.CAMPAIGN_APPROVER)


@pytest.fixture
def author(operators):
    return operators(roles.CAMPAIGN_AUTHOR)


# --- the table ---------------------------------------------------------------------------------


def test_the_table_of_steps_is_the_one_written_here():
    assert {str(before): set(after) for before, after in Campaign.STEPS.items()} == LIFE


@pytest.mark.parametrize(("before", "after", "verb"), ASKED)
def test_a_step_that_is_not_in_the_table_is_refused_in_words(
    standing, approver, before, after, verb
):
    campaign = standing(before)
    entries = Entry.objects.count()
    with pytest.raises(StepRefused, match="A campaign that is .+ cannot become"):
        verb(campaign=campaign, by=approver, at=AT)
    campaign.refresh_from_db()
    assert (campaign.status, Entry.objects.count()) == (before, entries)


@pytest.mark.parametrize(
    ("before", "verb", "after"),
    [
        (before, VERB_OF.get((before, after), VERBS[after][0]), after)
        for before, following in LIFE.items()
        for after in sorted(following & VERBS.keys())
        if (before, after) != BY_ITSELF
    ],
)
def test_a_step_that_is_in_the_table_is_taken_and_told(standing, approver, before, verb, after):
    campaign = standing(before)
    verb(campaign=campaign, by=approver, at=AT)
    campaign.refresh_from_db()
    assert campaign.status == after
    told = Entry.objects.filter(subject=f"campaign:{campaign.pk}", verb=f"campaign.{after}")
    assert told.latest("id").actor == f"operator:{approver.pk}"


def test_finishing_does_nothing_to_a_campaign_that_is_not_being_sent(standing):
    for before in set(LIFE) - {"sending"}:
        campaign = standing(before)
        dispatch.finish(campaign=campaign, by="worker", at=AT)
        campaign.refresh_from_db()
        assert campaign.status == before


# --- drafting and checking ---------------------------------------------------------------------


@pytest.mark.parametrize("deadline", [AT, AT - timedelta(hours=1)])
def test_a_deadline_that_is_not_after_the_start_is_refused_in_words(compose, deadline):
    with pytest.raises(ValidationError, match="The deadline must be after the start"):
        compose(to="draft", deadline=deadline)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Harbor Coffee: {surname|you}, hi. Reply STOP to cancel.", "This is no merge field."),
        (
            "Harbor Coffee: {first_name}, hi. Reply STOP to cancel.",
            "Say what stands here",
        ),
        ("Harbor Coffee: hi}. Reply STOP to cancel.", "This brace belongs to no merge field."),
        ("Hi {first_name|you}. Reply STOP to cancel.", "does not name the business"),
        ("Harbor Coffee: hi. Reply to cancel.", "names no way out"),
    ],
)
def test_a_check_says_what_is_wrong_with_a_text(compose, author, text, finding):
    campaign = compose(to="draft", text=text)
    with pytest.raises(ValidationError) as refusal:
        dispatch.check(campaign=campaign, by=author, at=AT)
    [message] = refusal.value.messages
    assert finding in message
    campaign.refresh_from_db()
    assert campaign.status == Status.DRAFT


def test_a_check_says_everything_that_is_wrong_at_once(compose, author, sender):
    Sender.objects.update(verified_at=None)
    sender.refresh_from_db()
    campaign = compose(to="draft", text="Hi {surname|you}", sender=sender)
    with pytest.raises(ValidationError) as refusal:
        dispatch.check(campaign=campaign, by=author, at=AT)
    assert len(refusal.value.messages) == 4
    assert "The sender has not been verified." in refusal.value.messages


def test_a_text_that_names_the_business_in_other_letters_passes(compose):
    assert compose(to="checked", text="HARBOR COFFEE: hi. Reply STOP.").checked_at == AT


# --- the second person -------------------------------------------------------------------------


def _edit(campaign, by, **changes):
    dispatch.edit(campaign=campaign, by=by, at=AT, **changes)


def test_the_author_cannot_approve(compose, author):
    campaign = compose(to="checked")
    with pytest.raises(StepRefused, match="someone who did not write or edit it"):
        dispatch.approve(campaign=campaign, by=author, at=AT)
    assert not campaign.approvals.exists()


def test_the_last_editor_cannot_approve_although_someone_else_wrote_it(compose, approver):
    campaign = compose(to="draft")
    _edit(campaign, approver, name="Better")
    dispatch.check(campaign=campaign, by=approver, at=AT)
    with pytest.raises(StepRefused, match="someone who did not write or edit it"):
        dispatch.approve(campaign=campaign, by=approver, at=AT)


def test_the_author_cannot_approve_what_another_person_edited(compose, author, approver):
    campaign = compose(to="draft")
    _edit(campaign, approver, text=TEXT + " Bye")
    dispatch.check(campaign=campaign, by=approver, at=AT)
    with pytest.raises(StepRefused, match="someone who did not write or edit it"):
        dispatch.approve(campaign=campaign, by=author, at=AT)


def test_an_approval_counts_no_longer_once_its_giver_edited_the_campaign(compose, approver):
    campaign = compose()
    assert campaign.standing_approval.by == approver
    _edit(campaign, approver, text="Harbor Coffee: other words. Reply STOP to cancel.")
    _edit(campaign, approver, text=TEXT)
    dispatch.check(campaign=campaign, by=approver, at=AT)
    assert campaign.approvals.filter(content_hash=campaign.content_hash).exists()
    assert campaign.standing_approval is None


def test_an_edit_voids_the_approval_visibly(compose, author):
    campaign = compose()
    _edit(campaign, author, text=TEXT + " Bye")
    campaign.refresh_from_db()
    assert (campaign.status, campaign.standing_approval) == (Status.DRAFT, None)
    edited = Entry.objects.get(verb="campaign.edited")
    assert edited.facts["fields"] == ["text"]


def test_a_persons_word_for_one_content_is_kept_once(compose, author, approver):
    campaign = compose()
    for name in ("Kettles", "Kettle"):
        _edit(campaign, author, name=name)
    dispatch.check(campaign=campaign, by=author, at=AT)
    dispatch.approve(campaign=campaign, by=approver, at=AT)
    assert campaign.approvals.count() == 1


# --- an approval is of exactly this content ----------------------------------------------------


def _other_purpose():
    return Purpose.objects.create(
        code="news", name="News", promise="News.", frequency=1, period=Purpose.Period.WEEK
    ).pk


def _other_sender():
    return Sender.objects.create(address="+12125550101", verified_at=AT).pk


CONTENT = {
    "text": lambda: TEXT + "!",
    "purpose_id": _other_purpose,
    "sender_id": _other_sender,
    "starts_at": lambda: AT - timedelta(minutes=1),
    "deadline": lambda: AT + timedelta(hours=7),
}


@pytest.mark.parametrize("field", CONTENT)
@pytest.mark.parametrize(
    ("before", "verb"),
    [
        ("approved", dispatch.launch),
        ("approved", dispatch.schedule),
        ("scheduled", dispatch.launch),
    ],
)
def test_nothing_is_released_whose_content_is_not_what_was_approved(
    standing, approver, field, before, verb
):
    campaign = standing(before)
    Campaign.objects.filter(pk=campaign.pk).update(**{field: CONTENT[field]()})
    with pytest.raises(StepRefused, match="No second person has approved"):
        verb(campaign=campaign, by=approver, at=AT)
    assert not campaign.messages.exists()


def test_a_content_is_the_same_in_whatever_zone_its_times_were_typed(compose):
    campaign = compose()
    approved = campaign.content_hash
    for field in ("starts_at", "deadline"):
        elsewhere = getattr(campaign, field).astimezone(timezone(timedelta(hours=-5)))
        setattr(campaign, field, elsewhere)
    assert campaign.content_hash == approved


# --- keeping time ------------------------------------------------------------------------------


@pytest.fixture
def scheduled(compose, person):
    person()
    return compose(to="scheduled", starts_at=AT + timedelta(hours=1))


@pytest.mark.parametrize(
    ("late", "status"),
    [
        (timedelta(seconds=-1), Status.SCHEDULED),
        (timedelta(0), Status.SENDING),
        (timedelta(hours=1), Status.SENDING),
        (timedelta(hours=1, seconds=1), Status.APPROVED),
    ],
)
def test_a_scheduled_campaign_starts_at_its_time_or_not_by_itself(scheduled, late, status):
    dispatch.keep_time(at=scheduled.starts_at + late)
    scheduled.refresh_from_db()
    assert scheduled.status == status
    assert scheduled.messages.count() == (status == Status.SENDING)


def test_a_campaign_that_was_held_says_so_and_can_be_launched_by_a_person(scheduled, approver):
    late = scheduled.starts_at + timedelta(hours=2)
    dispatch.keep_time(at=late)
    held = Entry.objects.get(verb="campaign.held")
    assert (held.actor, held.facts["reason"]) == ("worker", "more than an hour late")
    assert dispatch.launch(campaign=scheduled, by=approver, at=late) == 1


def test_keeping_time_twice_launches_once(scheduled):
    for _beat in range(2):
        dispatch.keep_time(at=scheduled.starts_at)
    assert verbs(f"campaign:{scheduled.pk}").count("campaign.enrolled") == 1


def test_a_campaign_is_finished_when_nothing_of_it_is_undecided(launched, person):
    person()
    campaign = launched()
    held = {"claim": "0" * 32, "lease_until": AT, "fenced_at": AT}
    for status in ("waiting", "calling", "unknown"):
        campaign.messages.update(status=status, **held)
        dispatch.keep_time(at=AT)
        campaign.refresh_from_db()
        assert (campaign.status == Status.FINISHED) is (status == "unknown")
    assert Entry.objects.get(verb="campaign.finished").facts["unknown"] == 1


def test_a_campaign_without_an_audience_finishes_at_once(launched):
    campaign = launched()
    dispatch.keep_time(at=AT)
    campaign.refresh_from_db()
    assert campaign.finished_at == AT


# --- halting -----------------------------------------------------------------------------------


def test_cancelling_ends_what_waits_and_counts_it(launched, person, approver):
    person(NEW_YORK)
    person(AUSTRALIA)  # blocked from the start
    campaign = launched()
    assert dispatch.cancel(campaign=campaign, by=approver, at=AT) == 1
    cancelled = campaign.messages.get(subscriber__area__country="US")
    assert (cancelled.status, cancelled.settled_at) == (Message.Status.CANCELLED, AT)
    assert campaign.messages.get(subscriber__area__country="AU").status == Message.Status.BLOCKED


def test_cancelling_leaves_what_a_worker_holds_to_the_worker(launched, person, approver):
    person()
    campaign = launched()
    fenced()
    assert dispatch.cancel(campaign=campaign, by=approver, at=AT) == 0
    assert campaign.messages.get().status == Message.Status.CALLING


@pytest.mark.parametrize("status", sorted(set(LIFE) - Campaign.EDITABLE))
def test_what_was_launched_cannot_be_edited(standing, author, status):
    campaign = standing(status)
    with pytest.raises(StepRefused, match="cannot be changed any more"):
        _edit(campaign, author, name="Late")
    campaign.refresh_from_db()
    assert campaign.name == "Kettle"


def test_what_can_be_edited_is_what_may_become_a_draft():
    assert {"draft"} | {s for s, after in LIFE.items() if "draft" in after} == Campaign.EDITABLE


# --- what the database refuses -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "status"), [(stamp, status) for stamp, all_ in STAMPS.items() for status in all_]
)
def test_the_database_refuses_a_status_without_its_timestamp(standing, stamp, status):
    *before, _last = ["approved", *WAY_TO[status]] if WAY_TO[status] else ["checked", "approved"]
    campaign = Campaign.objects.filter(pk=standing(before[-1]).pk)
    said = f"_campaign_without_{stamp}|not rewritten once it was launched"
    with pytest.raises(IntegrityError, match=said), transaction.atomic():
        campaign.update(status=status, **{stamp: None})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (before, after)
        for before in LIFE
        for after in LIFE
        if after not in LIFE[before] and after != before
    ],
)
def test_the_database_refuses_a_step_that_is_not_in_the_table(standing, before, after):
    campaign = Campaign.objects.filter(pk=standing(before).pk)
    with pytest.raises(IntegrityError, match="takes no such step"), transaction.atomic():
        campaign.update(status=after)


@pytest.mark.parametrize("before", ["sending", "paused", "finished"])
@pytest.mark.parametrize(
    "change",
    [
        {"text": "Other words."},
        {"translations": {"es": "Otras palabras."}},
        {"audience": {"countries": ["GB"]}},
        {"trial": True},
        {"counted": 9},
        {"segment_limit": 9},
        {"starts_at": AT - timedelta(days=1)},
        {"deadline": AT + timedelta(days=1)},
    ],
)
def test_the_database_refuses_to_rewrite_what_was_launched(standing, before, change):
    campaign = Campaign.objects.filter(pk=standing(before).pk)
    with pytest.raises(IntegrityError, match="not rewritten"), transaction.atomic():
        campaign.update(**change)


def test_the_database_lets_a_campaign_begin_as_a_draft_only(compose):
    campaign = compose()
    campaign.pk = None
    with pytest.raises(IntegrityError, match="begins as a draft"), transaction.atomic():
        campaign.save(force_insert=True)


def test_every_status_but_draft_has_a_timestamp():
    assert set().union(*STAMPS.values()) == set(LIFE) - {"draft"}


def test_the_database_refuses_a_campaign_that_ends_before_it_starts(compose):
    campaign = Campaign.objects.filter(pk=compose().pk)
    with pytest.raises(IntegrityError, match="no_campaign_ends_before_it_starts"):
        campaign.update(deadline=AT)


# --- the account of it -------------------------------------------------------------------------


def test_every_step_leaves_its_entry_in_order(compose, approver):
    campaign = compose(to="scheduled")
    dispatch.launch(campaign=campaign, by="worker", at=AT)
    dispatch.pause(campaign=campaign, by="gateway", at=AT, reason="too many refusals")
    dispatch.resume(campaign=campaign, by=approver, at=AT)
    dispatch.finish(campaign=campaign, by="worker", at=AT)
    steps = "drafted checked approved scheduled sending enrolled paused sending finished"
    assert verbs(f"campaign:{campaign.pk}") == [f"campaign.{step}" for step in steps.split()]
    assert Entry.objects.get(verb="campaign.paused").facts["reason"] == "too many refusals"


def test_both_roles_do_not_make_two_people_of_one(compose):
    both = [roles.CAMPAIGN_AUTHOR, roles.CAMPAIGN_APPROVER]
    alone = staff.engage(username="alone", password=PASSWORD, roles=both, by="command", at=AT)
    campaign = compose(to="draft")
    _edit(campaign, alone, name="Mine")
    dispatch.check(campaign=campaign, by=alone, at=AT)
    with pytest.raises(StepRefused):
        dispatch.approve(campaign=campaign, by=alone, at=AT)

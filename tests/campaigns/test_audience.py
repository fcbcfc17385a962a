"""Who a campaign is for: every filter lets some pass, and a dry run foresees what a launch does."""

from collections import Counter
from datetime import date, timedelta

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from audit import roles
from campaigns import audience, dispatch, enrolment, verdicts
from campaigns.audience import EVERYONE, GUESTS, Audience
from campaigns.dispatch import StepRefused
from campaigns.models import Message, Opening, Sender
from consent.models import Consent, Label, Subscriber, Suppression
from tests.campaigns.conftest import (
    FLORIDA,
    GUAM,
    LONDON,
    NEW_YORK,
    new_york,
    queries,
    withdraw,
    write,
)
from tests.conftest import AT

pytestmark = pytest.mark.django_db
Status = Message.Status
DAY = timedelta(days=1)


@pytest.fixture
def messaged(compose):
    """The people whom a campaign with these filters would be sent to."""

    def reached(wanted=EVERYONE, **more):
        campaign = compose(audience=wanted, **more)
        return set(
            Subscriber.objects.filter(pk__in=audience.permitted(campaign, AT).values("subscriber"))
        )

    return reached


def label(name, *people):
    Label.objects.get_or_create(name=name)[0].people.add(*people)


# --- filters -----------------------------------------------------------------------------------


def test_without_filters_it_is_for_everyone_permitted(person, messaged):
    ada, _gone = person(), withdraw(person(FLORIDA))
    assert messaged() == {ada}


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        (Audience(countries=("GB",)), {LONDON}),
        (Audience(countries=("GB", "US")), {LONDON, NEW_YORK, FLORIDA}),
        (Audience(states=("FL",)), {FLORIDA}),
        (Audience(states=("FL", "NY")), {FLORIDA, NEW_YORK}),
        (Audience(countries=("GB",), states=("FL",)), set()),
        (Audience(languages=("es",)), {FLORIDA}),
    ],
)
def test_people_are_chosen_by_where_they_are_and_what_they_speak(person, messaged, wanted, reached):
    people = {
        number: person(number, language="es" if number == FLORIDA else "en")
        for number in (NEW_YORK, FLORIDA, LONDON)
    }
    assert messaged(wanted) == {people[number] for number in reached}


def test_someone_who_may_be_in_two_states_counts_for_both(person, messaged):
    anywhere = person(NEW_YORK, region="CA")
    for state in ("NY", "CA"):
        assert messaged(Audience(states=(state,))) == {anywhere}


def test_people_are_chosen_by_label(person, messaged):
    ada, bob = person(), person(FLORIDA)
    label("regulars", ada)
    label("staff", ada, bob)
    assert messaged(Audience(labels=("regulars",))) == {ada}
    assert messaged(Audience(labels=("regulars", "staff"))) == {ada, bob}
    assert messaged(Audience(labels=("nobody",))) == set()


def test_a_trial_goes_to_guests_only(person, messaged):
    ada, bob = person(), person(FLORIDA)
    label(GUESTS, ada)
    label("regulars", bob)
    assert messaged(trial=True) == {ada}
    assert messaged(Audience(labels=("regulars",)), trial=True) == set()


def test_days_of_the_opt_in_count_where_the_business_is(person, messaged, settings):
    settings.TIME_ZONE = "America/New_York"
    late = person(given_at=AT.replace(day=11, hour=3))  # still the 10th in New York
    assert messaged(Audience(opted_in_until=date(2026, 11, 10))) == {late}
    assert messaged(Audience(opted_in_from=date(2026, 11, 11))) == set()
    assert messaged(Audience(opted_in_from=date(2026, 11, 10))) == {late}


def test_people_are_chosen_by_when_they_last_wrote(person, messaged):
    ada = person()
    person(FLORIDA)
    write("When do you open?", at=AT - 3 * DAY)
    assert messaged(Audience(replied_within=3)) == {ada}
    assert messaged(Audience(replied_within=2)) == set()


def test_people_are_chosen_by_how_long_nothing_was_sent_to_them(person, launched, messaged):
    person()
    sent = launched().messages.get()
    held = {"claim": "0" * 32, "lease_until": AT}
    Message.objects.filter(pk=sent.pk).update(status="unknown", fenced_at=AT - 3 * DAY, **held)
    bob = person(FLORIDA)
    assert len(messaged(Audience(not_messaged_for=3))) == 2
    assert messaged(Audience(not_messaged_for=4)) == {bob}


SOME = st.lists(st.text("ABC", min_size=2, max_size=2), max_size=3).map(tuple)
DAYS = st.none() | st.dates()
COUNTS = st.none() | st.integers(0, 999)


@given(
    st.builds(
        Audience,
        countries=SOME,
        states=SOME,
        languages=SOME,
        labels=SOME,
        opted_in_from=DAYS,
        opted_in_until=DAYS,
        replied_within=COUNTS,
        not_messaged_for=COUNTS,
    )
)
def test_an_audience_is_read_as_it_was_kept(wanted):
    assert Audience.of(wanted.as_json()) == wanted


# --- the dry run -------------------------------------------------------------------------------


@pytest.fixture
def crowd(person, sender):
    """Somebody for every reason there is, and two who get the message."""
    Sender.objects.update(countries="US")
    sender.refresh_from_db()
    numbers = iter(new_york(9))
    refused, gone, unconfirmed = (person(next(numbers), confirmed=n < 2) for n in range(3))
    withdraw(refused)
    Consent.objects.filter(subscriber=gone).update(withdrawn_at=AT - DAY)
    expired = person(next(numbers))
    Consent.objects.filter(subscriber=expired).update(expires_at=AT)
    return {
        "messaged": [person(next(numbers), first_name="Ada"), person(next(numbers))],
        audience.SUPPRESSED: [refused],
        audience.NO_CONSENT: [gone],
        audience.UNCONFIRMED: [unconfirmed],
        audience.EXPIRED: [expired],
        verdicts.SENDER: [person(LONDON)],
        enrolment.NO_OPENING: [person(GUAM)],
    }


def test_a_dry_run_tells_every_reason_once_and_writes_nothing(crowd, compose):
    campaign = compose(deadline=AT + timedelta(hours=3))
    foreseen = enrolment.foresee(campaign, AT)
    assert (foreseen.messaged, foreseen.without_name, foreseen.permitted) == (2, 1, 4)
    assert foreseen.blocked == {verdicts.SENDER: 1, enrolment.NO_OPENING: 1}
    assert foreseen.left_out == {
        audience.SUPPRESSED: 1,
        audience.NO_CONSENT: 1,
        audience.UNCONFIRMED: 1,
        audience.EXPIRED: 1,
    }
    assert not Opening.objects.exists()
    assert not Message.objects.exists()


def test_a_launch_does_what_the_dry_run_foresaw(crowd, compose):
    campaign = compose(deadline=AT + timedelta(hours=3))
    foreseen = enrolment.foresee(campaign, AT)
    dispatch.launch(campaign=campaign, by="worker", at=AT)
    fates = Counter(campaign.messages.values_list("status", "reason"))
    assert fates.pop((Status.WAITING, "")) == foreseen.messaged
    assert {reason: n for (_status, reason), n in fates.items()} == foreseen.blocked
    assert {status for status, _reason in fates} == {Status.BLOCKED}


def test_those_whom_the_filters_do_not_name_are_in_no_count(crowd, compose):
    foreseen = enrolment.foresee(compose(audience=Audience(countries=("GB",))), AT)
    assert (foreseen.messaged, foreseen.blocked, foreseen.left_out) == (0, {verdicts.SENDER: 1}, {})


def test_somebody_erased_is_nobody_to_be_counted(person, compose, operators):
    someone = person()
    Suppression.objects.create(
        number_index=someone.number_index, channel="staff", reason="test", at=AT
    )
    Consent.objects.update(withdrawn_at=AT)
    assert enrolment.foresee(compose(), AT).left_out == {audience.SUPPRESSED: 1}


def handed_over(message, ago):
    held = {"claim": "0" * 32, "lease_until": AT}
    Message.objects.filter(pk=message.pk).update(status="unknown", fenced_at=AT - ago, **held)


@pytest.mark.parametrize(("ago", "blocked"), [(29 * DAY, True), (30 * DAY, False)])
def test_who_got_as_many_as_were_promised_is_blocked_at_once(
    person, launched, purpose, ago, blocked
):
    type(purpose).objects.update(frequency=1)
    purpose.refresh_from_db()
    person()
    handed_over(launched().messages.get(), ago)
    message = launched().messages.get()
    assert message.reason == (verdicts.CAP_OF_PURPOSE if blocked else "")


def test_the_law_of_the_place_caps_a_day(person, launched):
    person(FLORIDA)  # three a day
    for _campaign in range(3):
        handed_over(launched().messages.get(), DAY - timedelta(seconds=1))
    assert launched().messages.get().reason == verdicts.CAP_OF_DAY


def test_the_business_caps_a_day_itself(person, launched, settings):
    settings.BUSINESS_DAILY_CAP = 1
    person()
    handed_over(launched().messages.get(), timedelta(hours=1))
    assert launched().messages.get().reason == verdicts.CAP_OF_BUSINESS


def test_a_dry_run_costs_as_many_queries_for_many_as_for_few(people, compose):
    campaign = compose()
    people(new_york(2))
    enrolment.foresee(campaign, AT)
    few = queries(lambda: enrolment.foresee(campaign, AT))
    people(new_york(40))
    assert queries(lambda: enrolment.foresee(campaign, AT)) == few


# --- what was approved -------------------------------------------------------------------------


def test_an_approval_is_for_as_many_as_were_counted(people, compose, operators):
    people(new_york(3))
    campaign = compose()
    assert campaign.counted == 3
    approver = operators(roles.CAMPAIGN_APPROVER)
    type(campaign).objects.update(counted=4)
    with pytest.raises(StepRefused, match="No second person"):
        dispatch.launch(campaign=campaign, by=approver, at=AT)


def test_an_audience_that_has_grown_by_a_crowd_is_not_what_was_approved(
    people, compose, monkeypatch
):
    monkeypatch.setattr(dispatch, "NEWCOMERS", 1)
    people(new_york(2))
    campaign = compose()
    people(new_york(3))
    assert dispatch.launch(campaign=campaign, by="worker", at=AT) == 3
    later = compose()
    people(new_york(5))
    with pytest.raises(StepRefused, match="has grown from 3 to 5"):
        dispatch.launch(campaign=later, by="worker", at=AT)
    later.refresh_from_db()
    assert (later.status, later.messages.count()) == ("approved", 0)


def test_a_campaign_keeps_within_its_segments(people, compose, monkeypatch):
    people(new_york(2))
    campaign = compose(segment_limit=2)
    people(new_york(3))
    with pytest.raises(StepRefused, match="up to 3 segments; the limit of the campaign is 2"):
        dispatch.launch(campaign=campaign, by="worker", at=AT)


def test_a_clone_is_a_draft_of_ones_own(compose, operators, person):
    person()
    campaign = compose(audience=Audience(states=("NY",)), trial=True, segment_limit=7)
    other = operators(roles.CAMPAIGN_AUTHOR, name="carla")
    copy = dispatch.clone(campaign=campaign, by=other, at=AT)
    assert (copy.status, copy.author, copy.counted) == ("draft", other, None)
    for field in ("text", "purpose", "sender", "audience", "trial", "segment_limit"):
        assert getattr(copy, field) == getattr(campaign, field), field
    assert copy.deadline - copy.starts_at == campaign.deadline - campaign.starts_at


# --- languages ---------------------------------------------------------------------------------


def test_everyone_gets_the_text_in_their_language_where_there_is_one(person, compose):
    spanish, german = person(language="es"), person(FLORIDA, language="de")
    campaign = compose(translations={"es": "Harbor Coffee: hola. STOP para cancelar."})
    texts = [campaign.text_in(campaign.version_for(who.language)) for who in (spanish, german)]
    assert texts == [campaign.translations["es"], campaign.text]


def test_a_check_measures_the_longest_name_that_there_is(person, compose):
    text = "Harbor Coffee: hi {first_name|you}. Reply STOP to cancel." + "." * 110
    person(first_name="Ada")
    assert compose(text=text).most_segments == 1
    person(FLORIDA, first_name="Chloé-Annabel")
    assert compose(text=text).most_segments == 2
    person(new_york(2)[1], first_name="Ярослава")
    assert compose(text=text).most_segments == 3


def test_a_check_refuses_what_would_cost_more_than_its_limit(people, compose):
    people(new_york(3))
    with pytest.raises(ValidationError, match="up to 3 segments; the limit"):
        compose(to="checked", segment_limit=2)
    assert compose(to="checked", segment_limit=3).counted == 3

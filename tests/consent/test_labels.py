"""Labels group people for campaigns; they are given in bulk, told to the trail, and name nobody."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from audit import roles
from audit.models import Entry
from consent import labels
from consent.models import Label, Subscriber
from tests.conftest import AT, Enrol
from tests.consent.conftest import ADA, BOB

LIST, ADD = "/admin/consent/subscriber/", "/admin/consent/label/add/"
Browser = Callable[..., Client]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def regulars(db: None) -> Label:
    return labels.define(name="regulars", by="command", at=AT)


@pytest.fixture
def clerk(signed_in: Browser) -> Client:
    return signed_in(roles.SUBSCRIBER_MANAGER)


def give(label: Label, *people: Subscriber) -> int:
    chosen = Subscriber.objects.filter(pk__in=[person.pk for person in people])
    return labels.give(label=label, people=chosen, by="command", at=AT)


def test_a_label_is_given_once_to_each_and_taken_again(person: Enrol, regulars: Label) -> None:
    ada, bob = person(ADA), person(BOB)
    assert (give(regulars, ada), give(regulars, ada, bob)) == (1, 1)
    assert set(regulars.people.all()) == {ada, bob}
    only_ada = Subscriber.objects.filter(pk=ada.pk)
    assert labels.take(label=regulars, people=only_ada, by="command", at=AT) == 1
    assert set(regulars.people.all()) == {bob}


def test_the_trail_tells_how_many_and_names_nobody(person: Enrol, regulars: Label) -> None:
    give(regulars, person(ADA), person(BOB))
    given = Entry.objects.get(verb="label.given")
    assert (given.subject, given.facts) == (f"label:{regulars.pk}", {"people": 2})


@pytest.mark.parametrize("name", ["+1 212 555 0123", "ada@example.com"])
def test_a_label_that_may_be_somebodys_is_refused(clerk: Client, name: str) -> None:
    with pytest.raises(ValidationError, match="names a group"):
        labels.define(name=name, by="command", at=AT)
    answer = clerk.post(ADD, {"name": name})
    assert "names a group" in answer.content.decode()
    assert not Label.objects.exists()


@pytest.mark.parametrize("name", ["", "x" * 41, "regulars"])
def test_a_name_that_cannot_be_is_told_beside_the_field(
    clerk: Client, regulars: Label, name: str
) -> None:
    assert set(clerk.post(ADD, {"name": name}).context["adminform"].errors) == {"name"}
    assert Label.objects.count() == 1


def test_a_clerk_labels_those_whom_they_ticked(
    clerk: Client, person: Enrol, regulars: Label
) -> None:
    ada, _bob = person(ADA), person(BOB)
    act = {"action": "give_label", "_selected_action": [str(ada.pk)], "label": regulars.pk}
    assert "1 person has it now." in clerk.post(LIST, act, follow=True).content.decode()
    assert list(regulars.people.all()) == [ada]
    assert "regulars" in clerk.get(f"{LIST}{ada.pk}/change/").content.decode()
    clerk.post(LIST, {**act, "action": "take_label"})
    assert not regulars.people.exists()


@pytest.mark.parametrize(
    ("label", "said"),
    [("", "Choose a label beside the act."), ("x", "No action"), ("999", "No action")],
)
def test_an_act_without_a_label_says_so(
    clerk: Client, person: Enrol, label: str, said: str
) -> None:
    act = {"action": "give_label", "_selected_action": [str(person(ADA).pk)], "label": label}
    assert said in clerk.post(LIST, act, follow=True).content.decode()


@pytest.mark.parametrize("role", [roles.PRIVACY_OFFICER, roles.AUDITOR])
def test_who_may_only_look_gives_no_label(
    signed_in: Browser, person: Enrol, regulars: Label, role: str
) -> None:
    client, ada = signed_in(role), person(ADA)
    act = {"action": "give_label", "_selected_action": [str(ada.pk)], "label": regulars.pk}
    client.post(LIST, act)
    assert client.post(ADD, {"name": "more"}).status_code == 403
    assert not regulars.people.exists()

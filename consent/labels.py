"""Gives people labels and takes them: words of the business for groups, such as “regulars”."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from audit import trail
from audit.trail import Actor
from consent.models import Label, Subscriber

NOT_A_PERSON = "A label names a group, not a person or a number."
AT_ONCE = 5_000  # rows a statement


@transaction.atomic
def define(*, name: str, by: Actor, at: datetime) -> Label:
    """A label by this name. Raises ValidationError, also for one that looks like a number."""
    if trail.looks_personal(name):
        raise ValidationError({"name": NOT_A_PERSON})
    label = Label(name=name)
    label.full_clean()
    label.save()
    _tell("label.defined", label, by, at, name=name)
    return label


@transaction.atomic
def give(*, label: Label, people: QuerySet[Subscriber], by: Actor, at: datetime) -> int:
    """Give a label to people; returns how many did not have it. No number of them is read."""
    given = Subscriber.labels.through.objects
    without = people.exclude(labels=label).order_by("pk").values_list("pk", flat=True)
    rows = [given.model(subscriber_id=pk, label=label) for pk in without.prefetch_related(None)]
    given.bulk_create(rows, batch_size=AT_ONCE, ignore_conflicts=True)
    _tell("label.given", label, by, at, people=len(rows))
    return len(rows)


@transaction.atomic
def take(*, label: Label, people: QuerySet[Subscriber], by: Actor, at: datetime) -> int:
    """Take a label from people; returns how many had it."""
    held = Subscriber.labels.through.objects.filter(label=label)
    taken, _by_model = held.filter(subscriber__in=people.order_by().values("pk")).delete()
    _tell("label.taken", label, by, at, people=taken)
    return taken


def _tell(verb: str, label: Label, by: Actor, at: datetime, **facts: str | int) -> None:
    trail.record(verb=verb, subject=f"label:{label.pk}", by=by, at=at, facts=facts)

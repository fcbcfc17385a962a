"""Erases a person everywhere: what they wrote to us goes with them."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from audit.trail import Actor
from campaigns.models import Message, Reply
from consent import erasure
from consent.models import Subscriber

ERASED = "The person was erased before it could be answered."


@transaction.atomic
def erase(*, person: Subscriber, by: Actor, at: datetime) -> None:
    """Forget who a person was, in one transaction; see `consent.erasure.erase`.

    Their replies stay as events without number and text, on their pseudonym's page.
    """
    before = person.number_index
    erasure.erase(person=person, by=by, at=at)
    replies = Reply.objects.filter(number_index=before)
    _let_nothing_leave(replies, at)
    erasure.forget_details(*(f"reply:{pk}" for pk in replies.values_list("pk", flat=True)))
    replies.update(number="", text="", number_index=person.number_index)


def _let_nothing_leave(replies: QuerySet[Reply], at: datetime) -> None:
    """Answers that wait have nobody to go to; what a worker holds already is let go.

    Passed over and not waited for: that worker may be waiting for the person, whom we hold.
    """
    waiting = Message.objects.filter(reply__in=replies, status=Message.Status.WAITING)
    ours = waiting.order_by("pk").select_for_update(skip_locked=True, of=("self",))
    Message.objects.filter(pk__in=list(ours.values_list("pk", flat=True))).update(
        status=Message.Status.BLOCKED, reason=ERASED, settled_at=at
    )

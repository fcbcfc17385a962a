"""Erases a person everywhere: what they wrote to us goes with them."""

from datetime import datetime

from django.db import transaction

from audit.trail import Actor
from campaigns.models import Reply
from consent import erasure
from consent.models import Subscriber


@transaction.atomic
def erase(*, person: Subscriber, by: Actor, at: datetime) -> None:
    """Forget who a person was, in one transaction; see `consent.erasure.erase`.

    Their replies stay as events without number and text, on their pseudonym's page.
    """
    before = person.number_index
    erasure.erase(person=person, by=by, at=at)
    replies = Reply.objects.filter(number_index=before)
    erasure.forget_details(*(f"reply:{pk}" for pk in replies.values_list("pk", flat=True)))
    replies.update(number="", text="", number_index=person.number_index)

"""Erases a person: what identifies them goes, the refusal and the proofs stay.

GDPR Art. 17(1), with 17(3)(b) and (e) and 21(3): the mark that somebody refused outlives them as a
keyed hash, and every proof still verifies, since the trail holds nothing personal but commitments.
"""

import secrets
from datetime import datetime

from django.db import transaction

from audit import trail
from audit.models import Detail
from audit.trail import Actor
from consent import ledger
from consent.models import OptOutRequest, Scan, Subscriber, Suppression


@transaction.atomic
def erase(*, person: Subscriber, by: Actor, at: datetime) -> None:
    """Stop everything for this person, then forget who they are.

    Their row stays as a pseudonym, so that counts and proofs do. Its blind index is replaced by a
    random one: the number, should a list bring it again, is a stranger's and refused.
    """
    ledger.hold([person.number_index])
    ledger.withdraw(
        number_index=person.number_index,
        channel=Suppression.Channel.STAFF,
        reason="erased at the person's wish",
        by=by,
        at=at,
    )
    _forget_evidence(person)
    index = person.number_index
    told = OptOutRequest.objects.filter(number_index=index)
    told.update(note="")
    told_in = [f"opt_out:{pk}" for pk in told.values_list("pk", flat=True)]
    person.number, person.first_name = "", ""
    person.number_index = secrets.token_hex(32)
    person.save(update_fields=["number", "first_name", "number_index"])
    forget_details(f"subscriber:{person.pk}", f"index:{index[:16]}", *told_in)
    trail.record(verb="person.erased", subject=f"subscriber:{person.pk}", by=by, at=at)


def _forget_evidence(person: Subscriber) -> None:
    ours = person.consents.all()
    ours.update(evidence="", confirmed_with="")
    Scan.objects.filter(consent__in=ours).update(content="")


def forget_details(*subjects: str) -> None:
    """Erase what entries about these subjects said of a person; their leaves and proofs stay."""
    Detail.objects.filter(entry__subject__in=subjects).delete()

"""Registers what messages come from, and says that it was verified with the provider."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from audit import trail
from audit.trail import Actor
from campaigns.models import Sender
from consent import numbers
from consent.models import Purpose
from consent.numbers import NumberRefused, Reason


@transaction.atomic
def register(
    *,
    address: str,
    gateway: Sender.Gateway,
    countries: str,
    by: Actor,
    at: datetime,
    purposes: Iterable[Purpose] = (),
    segments_per_second: int | None = 100,
    stands_in_for: Sender | None = None,
) -> Sender:
    """A sender that may not be used before it is verified. Raises ValidationError.

    The confirmations of opt-ins to its `purposes` leave from it. It `stands_in_for` a sender of
    another gateway where that one's certainly did not take a message of a campaign.
    """
    sender = Sender(
        address=address_of(address),
        gateway=gateway,
        countries=countries.upper(),
        segments_per_second=segments_per_second,
        stands_in_for=stands_in_for,
    )
    sender.full_clean()
    sender.save()
    sender.purposes.set(purposes)
    _tell("sender.registered", sender, by, at)
    return sender


@transaction.atomic
def verify(*, sender: Sender, by: Actor, at: datetime) -> None:
    """Note that the provider has this sender registered for us; from now on it may be used.

    Raises ValidationError if we have no account with its gateway.
    """
    sender.clean()
    sender.verified_at = at
    sender.save(update_fields=["verified_at"])
    _tell("sender.verified", sender, by, at)


@transaction.atomic
def retire(*, sender: Sender, by: Actor, at: datetime) -> None:
    """Take the verification back: nothing leaves from this sender any more."""
    sender.verified_at = None
    sender.save(update_fields=["verified_at"])
    _tell("sender.retired", sender, by, at)


def address_of(written: str) -> str:
    """A number in E.164, however it was written; short codes and names as they are."""
    try:
        return numbers.parse(written).e164
    except NumberRefused as refusal:
        if refusal.reason == Reason.TOLL_FREE:  # no recipient, but a usual sender
            return "+1" + "".join(sign for sign in written if sign.isdigit())[-10:]
        return written.strip()


def _tell(verb: str, sender: Sender, by: Actor, at: datetime) -> None:
    facts = {
        "gateway": sender.gateway,
        "countries": sender.countries,
        "segments_per_second": sender.segments_per_second,
        "stands_in_for": sender.stands_in_for_id,
    }
    trail.record(verb=verb, subject=f"sender:{sender.pk}", by=by, at=at, facts=facts)

"""How often a stranger may do something: counted by keyed hashes, never by what they stand for."""

import hashlib
import hmac
import ipaddress
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from consent.models import Allowance, ApiCall

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEPT = timedelta(days=2)


@transaction.atomic
def allows(what: str, of: str, *, most: int, per: timedelta, at: datetime) -> bool:
    """Count one more of `what` by `of` (an address, a number); whether it is not one too many."""
    since = datetime.fromtimestamp(at.timestamp() // per.total_seconds() * per.total_seconds(), UTC)
    key = hmac.digest(settings.SECRET_KEY.encode(), f"{what}:{of}".encode(), hashlib.sha256).hex()
    allowance, _new = Allowance.objects.get_or_create(key=key, since=since)
    Allowance.objects.filter(pk=allowance.pk).update(count=F("count") + 1)
    allowance.refresh_from_db()
    return allowance.count <= most


def forget(*, before: datetime) -> int:
    """Drop what was counted, and what was answered to other systems, before that time."""
    answered, _by_model = ApiCall.objects.filter(at__lt=before).delete()
    counted, _by_model = Allowance.objects.filter(since__lt=before).delete()
    return answered + counted


def address_of(request: HttpRequest) -> str:
    """Where a request comes from: what our own proxy says, if there is one; never the client."""
    told = request.headers.get("X-Forwarded-For", "") if settings.BEHIND_TLS_PROXY else ""
    return told.rpartition(",")[2].strip() or str(request.META.get("REMOTE_ADDR", ""))


def network_of(address: str) -> str:
    """What one client holds: an IPv4 address, or a network of 64 bits of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))

"""Signing in: a password first, a code second, and nothing in between counts as signed in."""

from datetime import datetime, timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from audit import trail
from audit.models import Authenticator, Operator

HALF = "half_signed_in"
HALF_LASTS = timedelta(minutes=10)
CODE_AT = "code_given_at"
FRESH = timedelta(minutes=5)


class Refused(Exception):
    """The password or code does not fit, or it is too early to try again."""


def check_password(*, username: str, password: str, at: datetime) -> Operator:
    """The operator of this name and password. Raises Refused, never saying which was wrong."""
    operator = _checked(username, password, at)
    if operator is None:
        raise Refused("The user name or the password is not right, or you have tried too often.")
    return operator


@transaction.atomic
def _checked(username: str, password: str, at: datetime) -> Operator | None:
    operator = Operator.objects.select_for_update().filter(username=username).first()
    if operator is None or operator.is_locked(at) or not operator.is_active:
        make_password(password)  # takes as long as a check, so that names cannot be guessed
        return None
    if operator.check_password(password):
        operator.passed()
        return operator
    operator.missed(at)
    _tell("operator.password_refused", operator, at)
    return None


@transaction.atomic
def check_code(
    *, operator: Operator, code: str, at: datetime, draft: bool = False
) -> Authenticator | None:
    """The authenticator whose present code this is; None if there is none, or it is too early."""
    devices = Authenticator.objects.select_for_update().filter(user=operator, confirmed=not draft)
    device = devices.first()
    if device is None:
        return None
    if device.verify_token(code):
        return device
    _tell("operator.code_refused", operator, at)
    return None


def _tell(verb: str, operator: Operator, at: datetime) -> None:
    trail.record(verb=verb, subject=f"operator:{operator.pk}", by="web", at=at)


@transaction.atomic
def tell_signed_in(operator: Operator, at: datetime) -> None:
    trail.record(verb="operator.signed_in", subject=f"operator:{operator.pk}", by=operator, at=at)


def remember_code(request: HttpRequest) -> None:
    """Keep in the session that a right code was given now."""
    request.session[CODE_AT] = timezone.now().timestamp()


def is_fresh(request: HttpRequest) -> bool:
    """Whether a right code was given in this session within FRESH, by the real clock."""
    age = timezone.now().timestamp() - request.session.get(CODE_AT, 0)
    return bool(0 <= age <= FRESH.total_seconds())


def remember_half(request: HttpRequest, operator: Operator) -> None:
    """Keep in the session that the password was right; this gives access to nothing."""
    request.session.flush()
    request.session[HALF] = {"operator": operator.pk, "at": timezone.now().timestamp()}


def half_signed_in(request: HttpRequest) -> Operator | None:
    """Who gave a right password in this session not long ago, if someone did."""
    half = request.session.get(HALF)
    if not half or timezone.now().timestamp() - half["at"] > HALF_LASTS.total_seconds():
        return None
    return Operator.objects.filter(pk=half["operator"], is_active=True).first()

"""Engages operators, gives them roles, and gives or resets their second factor."""

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import Group
from django.db import transaction
from django_otp.util import random_hex

from audit import trail
from audit.models import Authenticator, Operator
from audit.roles import ROLES
from audit.trail import Actor


class UnknownRole(ValueError):
    """A role that the table of roles does not name."""


def _groups(roles: Iterable[str]) -> list[Group]:
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        raise UnknownRole(f"{', '.join(unknown)}: the roles are {', '.join(ROLES)}")
    return [Group.objects.get_or_create(name=role)[0] for role in roles]


@transaction.atomic
def engage(
    *, username: str, password: str, roles: Iterable[str], by: Actor, at: datetime
) -> Operator:
    """A new operator with these roles; the second factor is enrolled at the first sign-in.

    Raises UnknownRole.
    """
    groups = _groups(roles)
    operator = Operator(username=username, joined_at=at)
    operator.set_password(password)
    operator.full_clean(exclude=["password"])
    operator.save()
    operator.groups.set(groups)
    names = [group.name for group in groups]
    trail.record(
        verb="operator.engaged",
        subject=f"operator:{operator.pk}",
        by=by,
        at=at,
        facts={"roles": names},
    )
    return operator


@transaction.atomic
def assign(*, operator: Operator, roles: Iterable[str], by: Actor, at: datetime) -> None:
    """Give an operator exactly these roles. Raises UnknownRole."""
    groups = _groups(roles)
    operator.groups.set(groups)
    trail.record(
        verb="operator.assigned",
        subject=f"operator:{operator.pk}",
        by=by,
        at=at,
        facts={"roles": [group.name for group in groups]},
    )


def draft_authenticator(operator: Operator) -> Authenticator:
    """An authenticator that counts only once a code of it was shown; the same until then."""
    drafted = Authenticator.objects.filter(user=operator, confirmed=False).first()
    if drafted:
        return drafted
    return Authenticator.objects.create(
        user=operator, name="app", confirmed=False, secret=random_hex(20)
    )


@transaction.atomic
def confirm_authenticator(*, authenticator: Authenticator, by: Actor, at: datetime) -> None:
    """Make a drafted authenticator the operator's second factor."""
    authenticator.confirmed = True
    authenticator.save(update_fields=["confirmed"])
    trail.record(
        verb="operator.enrolled", subject=f"operator:{authenticator.user_id}", by=by, at=at
    )


@transaction.atomic
def reset_authenticator(*, operator: Operator, by: Actor, at: datetime) -> None:
    """Forget an operator's second factor, so that the next sign-in enrols a new one."""
    Authenticator.objects.filter(user=operator).delete()
    trail.record(verb="operator.reset", subject=f"operator:{operator.pk}", by=by, at=at)

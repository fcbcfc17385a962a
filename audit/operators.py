"""Engages operators, gives them roles, and gives or resets their second factor."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
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

    Raises UnknownRole, ValidationError.
    """
    groups = _groups(roles)
    operator = Operator(username=username, joined_at=at)
    operator.full_clean(exclude=["password"])
    validate_password(password, operator)
    operator.set_password(password)
    operator.save()
    operator.groups.set(groups)
    _tell("operator.engaged", operator, by, at, roles=[group.name for group in groups])
    return operator


@transaction.atomic
def revise(
    *, operator: Operator, roles: Iterable[str], may_sign_in: bool, by: Actor, at: datetime
) -> None:
    """Give an operator exactly these roles, and let them in or not.

    Nobody gives a role to themselves. Raises UnknownRole, ValidationError.
    """
    groups = _groups(roles)
    if by == operator and operator.lacks(roles):
        raise ValidationError("Another administrator has to give you a role.")
    operator.is_active = may_sign_in
    operator.save(update_fields=["is_active"])
    operator.groups.set(groups)
    facts = {"roles": [group.name for group in groups], "may_sign_in": may_sign_in}
    _tell("operator.revised", operator, by, at, **facts)


@transaction.atomic
def replace_password(*, operator: Operator, password: str, by: Actor, at: datetime) -> None:
    """Give an operator another password; it ends their other sessions. Raises ValidationError."""
    validate_password(password, operator)
    operator.set_password(password)
    operator.save(update_fields=["password"])
    _tell("operator.password_replaced", operator, by, at)


@transaction.atomic
def draft_authenticator(operator: Operator) -> Authenticator:
    """A new secret, which counts only once a code of it was shown.

    Drafts before it are forgotten: who saw one of them must not share what is enrolled later.
    """
    Authenticator.objects.filter(user=operator, confirmed=False).delete()
    return Authenticator.objects.create(
        user=operator, name="app", confirmed=False, secret=random_hex(20)
    )


@transaction.atomic
def confirm_authenticator(*, authenticator: Authenticator, by: Actor, at: datetime) -> None:
    """Make a drafted authenticator the operator's second factor."""
    authenticator.confirmed = True
    authenticator.save(update_fields=["confirmed"])
    _tell("operator.enrolled", authenticator.user, by, at)


@transaction.atomic
def reset_authenticator(*, operator: Operator, by: Actor, at: datetime) -> None:
    """Forget an operator's second factor, so that the next sign-in enrols a new one."""
    Authenticator.objects.filter(user=operator).delete()
    _tell("operator.reset", operator, by, at)


def _tell(verb: str, operator: Operator, by: Actor, at: datetime, **facts: Any) -> None:
    trail.record(verb=verb, subject=f"operator:{operator.pk}", by=by, at=at, facts=facts)

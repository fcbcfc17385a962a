"""The base of every admin page: read-only unless a class asks otherwise, acts told to the trail."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from audit import clock, trail
from audit.models import Operator


class ReadOnly(ModelAdmin):
    """Shows and changes nothing; no bulk deletion, no count of a whole table."""

    actions: Any = None
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The trail tells of it; Django's own log keeps names and is not kept safe."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """See `log_addition`."""


def acting(request: HttpRequest) -> Operator:
    """The operator behind a request; the site lets nobody else through."""
    assert isinstance(request.user, Operator)
    return request.user


def attempt(
    page: ModelAdmin, request: HttpRequest, act: Callable[[], Any], *, done: str, refusals: Any
) -> bool:
    """Do `act` and tell the operator, in words, that it was done or why it was refused."""
    try:
        act()
    except ValidationError as refusal:
        page.message_user(request, " ".join(refusal.messages), messages.ERROR)
    except refusals as refusal:
        page.message_user(request, str(refusal), messages.ERROR)
    else:
        page.message_user(request, done, messages.SUCCESS)
        return True
    return False


@transaction.atomic
def tell(request: HttpRequest, verb: str, subject: str, **facts: Any) -> None:
    """Write what an operator did on a page into the trail."""
    trail.record(verb=verb, subject=subject, by=acting(request), at=clock.now(), facts=facts)

"""The base of every admin page: read-only unless a class asks otherwise, acts told to the trail."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from audit import clock, signing_in, trail
from audit.forms import CodeForm
from audit.models import Operator

# What the stock filters and the date bar build addresses from.
PLAIN_LOOKUPS = ("exact", "isnull", "gte", "lt", "year", "month", "day", "id__exact")


WRONG_CODE = _(
    "This code does not fit, was used already, or you have tried too often. Wait for the next one."
)


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

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what a filter or the date bar of the page offers: a lookup can read a column."""
        filters: list[Any] = [name for name in (*self.list_filter, self.date_hierarchy) if name]
        own = {one.parameter_name for one in filters if not isinstance(one, str)}
        named = [one for one in filters if isinstance(one, str)]
        return lookup in own or any(
            lookup == name or lookup in {f"{name}__{plain}" for plain in PLAIN_LOOKUPS}
            for name in named
        )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """An address that asks for what no database can answer leads back to the plain list."""
        try:
            with transaction.atomic():
                page = super().changelist_view(request, extra_context)
                return page.render() if isinstance(page, TemplateResponse) else page
        except (ValueError, OverflowError, DatabaseError):
            return HttpResponseRedirect(f"{request.path}?e=1")

    def formfield_for_dbfield(self, db_field: Any, request: Any, **options: Any) -> Any:
        """Names both inputs of a date and time, which the stock widget leaves without a label."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and isinstance(field.widget, AdminSplitDateTime):
            for part, what in zip(field.widget.widgets, (_("date"), _("time")), strict=True):
                part.attrs["aria-label"] = f"{field.label}: {what}"
        return field

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The trail tells of it; Django's own log keeps names and is not kept safe."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """See `log_addition`."""


def acting(request: HttpRequest) -> Operator:
    """The operator behind a request; the site lets nobody else through."""
    assert isinstance(request.user, Operator)
    return request.user


def ask_code(page: ModelAdmin, request: HttpRequest, *, title: Any) -> HttpResponse | None:
    """The page that asks for a code before an act of weight; None if one was given just now.

    It is posted to the address of the act itself, which goes on from there.
    """
    form = CodeForm(request.POST if "code" in request.POST else None)
    if form.is_valid():
        if signing_in.check_code(operator=acting(request), at=clock.now(), **form.cleaned_data):
            signing_in.remember_code(request)
        else:
            form.add_error("code", WRONG_CODE)
    if signing_in.is_fresh(request):
        return None
    frame = {**page.admin_site.each_context(request), "opts": page.opts}
    return TemplateResponse(
        request, "admin/code_once_more.html", {**frame, "form": form, "title": title}
    )


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

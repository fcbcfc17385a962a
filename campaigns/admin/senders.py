"""The pages of the numbers that messages come from."""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from campaigns import senders
from campaigns.models import Sender


class SenderForm(forms.ModelForm):
    """A number is the same however it was written, so it is compared as it is kept."""

    def clean_address(self) -> str:
        return senders.address_of(self.cleaned_data["address"])


@admin.register(Sender)
class SenderAdmin(ReadOnly):
    form = SenderForm
    list_display = [
        "address",
        "gateway",
        "countries",
        "used_for",
        "segments_per_second",
        "stands_in_for",
        "verified_at",
    ]
    fields = ["address", "gateway", "countries", "purposes", "segments_per_second", "stands_in_for"]
    actions = ["verify", "retire"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.add_sender")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("purposes", "stands_in_for")

    @admin.display(description=_("used for"))
    def used_for(self, sender: Sender) -> str:
        return ", ".join(purpose.name for purpose in sender.purposes.all()) or "–"

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The verb has written what the sender is used for."""

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.verify_sender")

    def save_model(self, request: HttpRequest, obj: Sender, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        obj.pk = senders.register(**form.cleaned_data, by=by, at=at).pk

    @admin.action(permissions=["verify"], description=_("The provider has it registered for us"))
    def verify(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        by, at = backoffice.acting(request), clock.now()
        for sender in queryset:
            act = partial(senders.verify, sender=sender, by=by, at=at)
            done = _("%(sender)s may be used.") % {"sender": sender}
            backoffice.attempt(self, request, act, done=done, refusals=())

    @admin.action(permissions=["verify"], description=_("Use it no more"))
    def retire(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        for sender in queryset:
            senders.retire(sender=sender, by=backoffice.acting(request), at=clock.now())

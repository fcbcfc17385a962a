"""The pages of purposes and of the wordings that people are shown."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from consent import purposes
from consent.models import Notice, Purpose
from consent.wording import fingerprint


@admin.register(Purpose)
class PurposeAdmin(ReadOnly):
    list_display = ["name", "promise", "frequency", "period", "double_opt_in"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_purpose")

    def save_model(self, request: HttpRequest, obj: Purpose, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        obj.pk = purposes.define(**form.cleaned_data, by=by, at=at).pk


class NoticeForm(forms.ModelForm):
    """A wording as it is shown, to be fixed for good."""

    class Meta:
        model = Notice
        fields = ["purpose", "language", "wording", "shown_from"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        known = Notice.objects.filter(
            purpose=cleaned.get("purpose"), fingerprint=fingerprint(cleaned.get("wording", ""))
        )
        if known.exists():
            self.add_error("wording", _("This wording is on record already for this purpose."))
        return cleaned


@admin.register(Notice)
class NoticeAdmin(ReadOnly):
    form = NoticeForm
    list_display = ["purpose", "language", "number", "shown_from", "lacks"]
    fields = ["purpose", "language", "number", "wording", "fingerprint", "shown_from", "lacks"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_notice")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ["purpose", "language", "wording", "shown_from"]

    def save_model(self, request: HttpRequest, obj: Notice, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        published = purposes.publish(**form.cleaned_data, by=by, at=at)
        obj.pk = published.pk
        if published.missing:
            lacking = ", ".join(published.missing)
            said = _("This wording does not state: %s. Opt-ins that rest on it may be refused.")
            self.message_user(request, said % lacking, messages.WARNING)

    @admin.display(description=_("does not state"))
    def lacks(self, notice: Notice) -> str:
        return ", ".join(notice.missing) or "–"

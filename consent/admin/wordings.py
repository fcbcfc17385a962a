"""The pages of purposes and of the wordings that people are shown."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from consent import purposes
from consent.models import Notice, Purpose
from consent.wording import fingerprint


class PurposeForm(forms.ModelForm):
    """What messages are about, and how people join."""

    class Meta:
        model = Purpose
        fields = [
            "code",
            "name",
            "promise",
            "frequency",
            "period",
            "languages",
            "keywords",
            "least_age",
            "double_opt_in",
            "confirm_within",
        ]

    def clean_keywords(self) -> str:
        keywords: str = self.cleaned_data["keywords"]
        try:
            purposes.require_free(keywords)
        except ValidationError as taken:
            raise ValidationError(taken.messages) from None
        return keywords


@admin.register(Purpose)
class PurposeAdmin(ReadOnly):
    form = PurposeForm
    list_display = ["name", "promise", "frequency", "period", "double_opt_in", "pages"]
    fields = [*PurposeForm.Meta.fields, "pages"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else PurposeForm.Meta.fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_purpose")

    def save_model(self, request: HttpRequest, obj: Purpose, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        obj.pk = purposes.define(**form.cleaned_data, by=by, at=at).pk

    @admin.display(description=_("opt-in pages"))
    def pages(self, purpose: Purpose) -> str:
        """The public address in every language of the purpose, for whoever links to it."""
        addresses = (
            (settings.PUBLIC_URL + reverse("join", args=[purpose.code, language]),)
            for language in purpose.languages.split()
        )
        return format_html_join(" ", '<a href="{0}">{0}</a>', addresses)


class NoticeForm(forms.ModelForm):
    """A wording as it is shown, to be fixed for good."""

    class Meta:
        model = Notice
        fields = ["purpose", "channel", "language", "wording", "shown_from"]
        help_texts = {
            "shown_from": _("In the past, if people were shown it before; it is kept as it was."),
            "wording": _("Exactly as people see it. It can never be changed again."),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            self._refuse(Notice(**cleaned))
        return cleaned

    def _refuse(self, notice: Notice) -> None:
        same = {"channel": notice.channel, "fingerprint": fingerprint(notice.wording)}
        if notice.purpose.notices.filter(**same).exists():
            self.add_error("wording", _("This wording is on record already for this purpose."))
        elif notice.missing and not purposes.is_past(notice, clock.now()):
            self.add_error("wording", purposes.lacking(notice))


@admin.register(Notice)
class NoticeAdmin(ReadOnly):
    form = NoticeForm
    list_display = ["purpose", "channel", "language", "number", "shown_from", "lacks"]
    list_select_related = ["purpose"]
    fields = [*NoticeForm.Meta.fields, "number", "fingerprint", "published_at", "lacks"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_notice")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else NoticeForm.Meta.fields

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

"""The pages of other systems that may call the API, and the one that shows a key once."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock, trail
from audit.backoffice import ReadOnly
from consent import integrations
from consent.models import Integration


class IntegrationForm(forms.ModelForm):
    """Another system, and what it may tell or ask."""

    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        choices=Integration.Scope.choices,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = Integration
        fields = ["name"]
        help_texts = {"name": _("Such as: shop. It stands beside every consent it tells of.")}

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if trail.looks_personal(name):
            raise forms.ValidationError(integrations.NAMELESS)
        return name


@admin.register(Integration)
class IntegrationAdmin(ReadOnly):
    form = IntegrationForm
    list_display = ["name", "may", "created_at", "revoked_at"]
    fields = ["name", "may", "created_at", "revoked_at"]
    ordering = ["name"]
    actions = ["revoke_key"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_integration")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.revoke_integration")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ["name", "scopes"]

    @admin.display(description=_("may"))
    def may(self, integration: Integration) -> str:
        given = integration.scopes.split()
        return ", ".join(str(scope.label) for scope in Integration.Scope if scope in given)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        made, obj.key = integrations.issue(
            name=obj.name, scopes=form.cleaned_data["scopes"], by=by, at=at
        )
        obj.pk = made.pk

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """The one page that shows the key; nothing else holds it, so going back shows none."""
        frame = self.admin_site.each_context(request)
        context = {**frame, "opts": self.opts, "integration": obj, "key": obj.key}
        context["title"] = _("The key of an integration")
        template = "admin/consent/integration/key.html"
        return TemplateResponse(request, template, context, headers={"Cache-Control": "no-store"})

    @admin.action(permissions=["revoke"], description=_("Revoke the key"))
    def revoke_key(self, request: HttpRequest, queryset: QuerySet[Integration]) -> None:
        by, at = backoffice.acting(request), clock.now()
        for integration in queryset.order_by("pk"):
            integrations.revoke(integration=integration, by=by, at=at)
        self.message_user(request, _("Its key opens nothing any more."))

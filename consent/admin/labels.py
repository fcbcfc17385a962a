"""The pages of labels, and the acts that give people a label or take it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from audit import backoffice, clock, trail
from audit.backoffice import ReadOnly
from consent import labels
from consent.models import Label, Subscriber

NO_LABEL = _("Choose a label beside the act.")


class LabelForm(forms.ModelForm):
    """A word for a group of people."""

    class Meta:
        model = Label
        fields = ["name"]
        help_texts = {
            "name": _("Such as: regulars. The label “guests” is for trials of campaigns.")
        }

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if trail.looks_personal(name):
            raise forms.ValidationError(labels.NOT_A_PERSON)
        return name


@admin.register(Label)
class LabelAdmin(ReadOnly):
    form = LabelForm
    list_display = ["name", "people"]
    fields = ["name"]
    ordering = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.give_label")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(count=Count("people"))

    @admin.display(description=_("people"))
    def people(self, label: Any) -> int:
        return int(label.count)

    def save_model(self, request: HttpRequest, obj: Label, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        obj.pk = labels.define(name=form.cleaned_data["name"], by=by, at=at).pk


class LabelActionForm(ActionForm):
    """Which label, beside the list of acts."""

    label = forms.ModelChoiceField(
        required=False, queryset=Label.objects.order_by("name"), label=_("Label")
    )


class WithLabels(ReadOnly):
    """A list of people to whom a label may be given."""

    action_form = LabelActionForm
    actions = ["give_label", "take_label"]

    def has_label_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.give_label")

    @admin.action(permissions=["label"], description=_("Give them the label"))
    def give_label(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> None:
        if label := self._chosen(request):
            by, at = backoffice.acting(request), clock.now()
            count = labels.give(label=label, people=queryset, by=by, at=at)
            said = ngettext("%d person has it now.", "%d people more have it now.", count)
            self.message_user(request, said % count)

    @admin.action(permissions=["label"], description=_("Take the label from them"))
    def take_label(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> None:
        if label := self._chosen(request):
            by, at = backoffice.acting(request), clock.now()
            count = labels.take(label=label, people=queryset, by=by, at=at)
            said = ngettext("%d person has it no more.", "%d people have it no more.", count)
            self.message_user(request, said % count)

    def _chosen(self, request: HttpRequest) -> Label | None:
        chosen = request.POST.get("label", "")
        label = Label.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
        if label is None:
            self.message_user(request, NO_LABEL, messages.ERROR)
        return label

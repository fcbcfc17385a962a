"""The form in which a campaign is written: its texts, for whom it is, when, and up to what cost."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from campaigns.admin.compose import ComposeWidget
from campaigns.audience import Audience
from campaigns.models import Campaign
from consent.models import Label

LAST_YEAR = 2199
CODES = RegexValidator(r"\A[A-Z]{2}( [A-Z]{2})*\Z", _("Two capitals each, and a space: US CA."))
PLAIN = [
    *("name", "purpose", "sender", "text", "starts_at", "deadline"),
    *("trial", "segment_limit"),
]
FILTERS = [
    *("countries", "states", "languages", "labels", "opted_in_from", "opted_in_until"),
    *("replied_within", "not_messaged_for"),
]
TEXT_IN = {f"text_{code}": code for code, _name in settings.LANGUAGES}


class AudienceForm(forms.Form):
    """Filters on the people of a purpose; whoever passes all of them gets the message."""

    countries = forms.CharField(required=False, max_length=200, validators=[CODES])
    states = forms.CharField(
        required=False,
        max_length=200,
        validators=[CODES],
        help_text=_("Where the number or the address says the person may be: FL NY."),
    )
    languages = forms.MultipleChoiceField(
        required=False, choices=settings.LANGUAGES, widget=forms.CheckboxSelectMultiple
    )
    labels = forms.ModelMultipleChoiceField(
        required=False, queryset=Label.objects.order_by("name"), widget=forms.CheckboxSelectMultiple
    )
    opted_in_from = forms.DateField(
        required=False,
        label=_("Opted in on this day or later"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    opted_in_until = forms.DateField(
        required=False,
        label=_("Opted in on this day or before"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    replied_within = forms.IntegerField(
        required=False, min_value=1, max_value=3650, label=_("Wrote to us within so many days")
    )
    not_messaged_for = forms.IntegerField(
        required=False, min_value=1, max_value=3650, label=_("Got nothing for so many days")
    )

    def audience(self) -> Audience:
        """What was typed in; call it once the form is valid."""
        told = self.cleaned_data
        return Audience(
            countries=tuple(told["countries"].split()),
            states=tuple(told["states"].split()),
            languages=tuple(told["languages"]),
            labels=tuple(label.name for label in told["labels"]),
            **{name: told[name] for name in FILTERS[4:]},
        )

    @staticmethod
    def typed(audience: Audience) -> dict[str, Any]:
        """How an audience stands in the form."""
        labels = Label.objects.filter(name__in=audience.labels)
        return {
            **{name: getattr(audience, name) for name in FILTERS},
            "countries": " ".join(audience.countries),
            "states": " ".join(audience.states),
            "labels": [label.pk for label in labels],
        }


def _text(language: str) -> forms.CharField:
    label = dict(settings.LANGUAGES)[language]
    return forms.CharField(required=False, label=label, widget=ComposeWidget(attrs={"rows": 4}))


class TextsForm(forms.Form):
    """The text in every language that there are answers and pages in."""

    text_en, text_es, text_fr = _text("en"), _text("es"), _text("fr")
    text_de, text_pt = _text("de"), _text("pt")


class CampaignForm(AudienceForm, TextsForm, forms.ModelForm):
    """A campaign as its author writes it."""

    class Meta:
        model = Campaign
        fields = PLAIN
        widgets = {"text": ComposeWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance: Campaign | None = kwargs.get("instance")
        if instance is not None:
            kept = AudienceForm.typed(Audience.of(instance.audience))
            texts = {f"text_{code}": text for code, text in instance.translations.items()}
            kwargs["initial"] = {**kept, **texts, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        starts_at, deadline = cleaned.get("starts_at"), cleaned.get("deadline")
        if starts_at and deadline and deadline <= starts_at:
            self.add_error("deadline", _("The deadline must be after the start."))
        if deadline and deadline.year > LAST_YEAR:
            self.add_error("deadline", _("The deadline lies too far ahead."))
        since, until = cleaned.get("opted_in_from"), cleaned.get("opted_in_until")
        if since and until and until < since:
            self.add_error("opted_in_until", _("This day is before the first."))
        return cleaned

    def told(self) -> dict[str, Any]:
        """What the verbs are told of a campaign."""
        plain = {name: self.cleaned_data[name] for name in PLAIN}
        written = {code: self.cleaned_data.get(name) for name, code in TEXT_IN.items()}
        translations = {code: text for code, text in written.items() if text}
        return {**plain, "audience": self.audience(), "translations": translations}

    def changed(self) -> dict[str, Any]:
        """As `told`, of what was changed only."""
        of = {**dict.fromkeys(FILTERS, "audience"), **dict.fromkeys(TEXT_IN, "translations")}
        names = {of.get(name, name) for name in self.changed_data}
        return {name: value for name, value in self.told().items() if name in names}

"""The page of quiet hours: what is shipped, what the business adds, and the emergency stop."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock
from audit.backoffice import ReadOnly
from campaigns import emergency, hours
from campaigns.models import DAYS, OwnRule, Stop
from campaigns.quiet_hours import ANY_COUNTRY, DAY, FEDERAL, STRICTEST, WHOLE_DAY, Hours, Rule
from consent import places

TITLES = {"weekday": _("Monday to Friday"), "saturday": _("Saturday"), "sunday": _("Sunday")}
IN_WORDS = {
    ANY_COUNTRY: _("Every other country"),
    STRICTEST: _("A state of the US that is not known"),
}
EVERYWHERE = _("Everywhere")
EITHER = _("Say either from when until when, or that it is closed.")
BACKWARDS = _("It must be later than the start. Leave it empty if it is midnight.")
TOLD = ["jurisdiction", "closed_on_holidays", "daily_cap", "reason"]
WHY = _("Such as: the order of a court, a declared emergency. No names and no numbers of people.")


def _name(jurisdiction: str) -> str:
    return str(IN_WORDS.get(jurisdiction) or places.called(jurisdiction))


def _to_choose() -> list[Any]:
    """Every place there is, those with a row of their own first."""
    rows = hours.shipped().rules
    names = [(code, _name(code)) for code in hours.jurisdictions() if code != ANY_COUNTRY]
    states = [(code, name) for code, name in names if code.startswith("US")]
    known = [(code, name) for code, name in names if code in rows and code[:2] != FEDERAL]
    others = [(code, name) for code, name in names if code not in rows]
    return [
        ("", "–"),
        (ANY_COUNTRY, EVERYWHERE),
        (_("United States"), states),
        (_("Countries with a row of their own"), sorted(known, key=lambda one: one[1])),
        (_("Other countries"), sorted(others, key=lambda one: one[1])),
    ]


class PlaceForm(forms.Form):
    """A place, and why something is said of it."""

    jurisdiction = forms.ChoiceField(choices=_to_choose, label=_("For whom"))
    reason = forms.CharField(
        max_length=500, label=_("Why"), help_text=WHY, widget=forms.Textarea(attrs={"rows": 3})
    )


def _of(day: str, what: Any) -> Any:
    return format_lazy("{}: {}", TITLES[day], what)


def _at(day: str, edge: Any) -> forms.TimeField:
    clock_face = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    return forms.TimeField(required=False, label=_of(day, edge), widget=clock_face)


def _closed(day: str) -> forms.BooleanField:
    return forms.BooleanField(required=False, label=_of(day, _("closed all day")))


class OwnRuleForm(PlaceForm, forms.ModelForm):
    """A rule that closes more than the shipped ones do."""

    weekday_from = _at("weekday", _("from"))
    weekday_until = _at("weekday", _("until"))
    weekday_closed = _closed("weekday")
    saturday_from = _at("saturday", _("from"))
    saturday_until = _at("saturday", _("until"))
    saturday_closed = _closed("saturday")
    sunday_from = _at("sunday", _("from"))
    sunday_until = _at("sunday", _("until"))
    sunday_closed = _closed("sunday")

    class Meta:
        model = OwnRule
        fields = [*TOLD, "in_force_from"]
        help_texts = {"in_force_from": _("Empty: from now on.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "in_force_from" in self.fields:  # it is not where a rule is only shown
            self.fields["in_force_from"].required = False

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        week = [self._hours(day) for day in DAYS]
        if not self.errors:
            self._refuse_nonsense(week)
        return cleaned

    def _hours(self, day: str) -> Hours | None:
        start, end = (self.cleaned_data.get(f"{day}_{edge}") for edge in ("from", "until"))
        given = start is not None or end is not None
        if self.cleaned_data.get(f"{day}_closed"):
            if given:
                self.add_error(f"{day}_from", EITHER)
            return None
        if not given:
            return WHOLE_DAY
        said = Hours(_since_midnight(start), _since_midnight(end) or DAY)
        if said.start >= said.end:
            self.add_error(f"{day}_until", BACKWARDS)
        return said

    def _refuse_nonsense(self, week: list[Hours | None]) -> None:
        now = clock.now()
        self.told = {
            **{name: self.cleaned_data[name] for name in TOLD},
            "in_force_from": self.cleaned_data["in_force_from"] or now,
            "hours": week,
        }
        try:
            hours.require_sense(hours.drafted(**self.told), now)
        except ValidationError as refusal:
            self.add_error(None, refusal)


def _since_midnight(at: time | None) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute) if at else timedelta()


@dataclass(slots=True)
class Shown:
    """One place on the page: its shipped row, the rules of our own beneath it, and its stop."""

    jurisdiction: str
    name: str
    rule: Rule | None
    own: list[OwnRule] = field(default_factory=list)
    stop: Stop | None = None

    @property
    def can_be_named(self) -> bool:
        """The row for an unknown state is derived from the others; nobody adds to it."""
        return self.jurisdiction != STRICTEST

    @property
    def days(self) -> list[tuple[Any, Any]]:
        return _days(self.rule) if self.rule else []

    @property
    def rules_of_our_own(self) -> list[tuple[OwnRule, Rule, list[tuple[Any, Any]]]]:
        return [(own, rule := own.as_rule(), _days(rule)) for own in self.own]


def _days(rule: Rule) -> list[tuple[Any, Any]]:
    return [(TITLES[day], _in_words(each)) for day, each in zip(DAYS, rule.hours, strict=True)]


def _in_words(said: Hours | None) -> Any:
    if said is None:
        return _("closed")
    return "–" if said == WHOLE_DAY else str(said)


def _shown(own: list[OwnRule], stops: list[Stop]) -> list[Shown]:
    """Every place that something is said of: everywhere, the United States, the countries."""
    rows = dict(hours.shipped().rules)
    rest = Shown("", _name(ANY_COUNTRY), rows.pop(ANY_COUNTRY))
    named = {rule.jurisdiction for rule in own} | {stop.jurisdiction for stop in stops}
    codes = sorted({*rows, *named} - {ANY_COUNTRY}, key=_place_in_the_list)
    shown = [Shown(code, _name(code), rows.get(code)) for code in codes]
    everything = [Shown(ANY_COUNTRY, str(EVERYWHERE), None), *shown, rest]
    for one in everything:
        one.own = [rule for rule in own if rule.jurisdiction == one.jurisdiction]
        one.stop = next((stop for stop in stops if stop.jurisdiction == one.jurisdiction), None)
    return everything


def _place_in_the_list(jurisdiction: str) -> tuple[bool, bool, bool, str]:
    american = jurisdiction.startswith(FEDERAL)
    last = jurisdiction == STRICTEST
    return (not american, american and jurisdiction != FEDERAL, last, _name(jurisdiction))


def _holding_in(shown: list[Shown], wanted: str) -> Iterator[Shown]:
    """What is said of a country and its states, or of a state, and what holds everywhere."""
    country = wanted.partition("-")[0]
    for one in shown:
        of_the_rest = not one.jurisdiction and wanted == "rest"
        within = one.jurisdiction.startswith(f"{wanted}-") or one.jurisdiction == country
        if one.jurisdiction in (wanted, ANY_COUNTRY) or within or of_the_rest:
            yield one


@admin.register(OwnRule)
class OwnRuleAdmin(ReadOnly):
    form = OwnRuleForm
    fields = [
        *("jurisdiction", "hours", "closed_on_holidays", "daily_cap", "reason"),
        *("in_force_from", "by", "at", "ended_at", "ended_by"),
    ]
    fieldsets_of_a_new_one = [
        (None, {"fields": ["jurisdiction"]}),
        (
            _("When texts may be sent, in the recipient's own time"),
            {
                "fields": [(f"{day}_from", f"{day}_until", f"{day}_closed") for day in DAYS]
                + ["closed_on_holidays", "daily_cap"],
                "description": _(
                    "What you leave empty stays as the shipped rules have it. A rule can only "
                    "close more than they do, never open anything."
                ),
            },
        ),
        (_("From when, and why"), {"fields": ["in_force_from", "reason"]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.add_ownrule")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [(None, {"fields": self.fields})] if obj else self.fieldsets_of_a_new_one

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["hours"] if obj else []

    @admin.display(description=_("hours"))
    def hours(self, rule: OwnRule) -> str:
        return "; ".join(f"{day}: {said}" for day, said in _days(rule.as_rule()))

    def save_model(self, request: HttpRequest, obj: OwnRule, form: Any, change: bool) -> None:
        by, at = backoffice.acting(request), clock.now()
        told = {**form.told, "in_force_from": form.cleaned_data["in_force_from"]}
        made = hours.add(**told, by=by, at=at)
        obj.pk, obj.number = made.pk, made.number

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("stop/", own(self.stop), name="campaigns_ownrule_stop"),
            path("stop/<uuid:pk>/lift/", own(self.lift), name="campaigns_ownrule_lift"),
            path("<uuid:pk>/end/", own(self.end), name="campaigns_ownrule_end"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Every rule there is, shipped or our own, and every stop: no list of rows, one page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        own = list(OwnRule.objects.not_ended().select_related("by").order_by("number"))
        stops = list(Stop.objects.standing().select_related("by").order_by("jurisdiction"))
        shown, wanted = _shown(own, stops), request.GET.get("place", "")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Quiet hours"),
            "places": [(one.jurisdiction or "rest", one.name) for one in shown[1:]],
            "wanted": wanted,
            "shown": list(_holding_in(shown, wanted)) if wanted else shown,
            "standing": stops,
            "now": clock.now(),
            "edition": hours.in_force(clock.now()).version,
        }
        return TemplateResponse(request, "admin/campaigns/ownrule/change_list.html", context)

    def stop(self, request: HttpRequest) -> HttpResponse:
        """Stop sending somewhere; asks for no code, since it can only tighten and must be quick."""
        if not request.user.has_perm("campaigns.add_stop"):
            raise PermissionDenied
        asked = {"jurisdiction": request.GET.get("jurisdiction", "")}
        form = PlaceForm(request.POST if request.method == "POST" else None, initial=asked)
        if form.is_valid():
            try:
                made = emergency.stop(
                    **form.cleaned_data, by=backoffice.acting(request), at=clock.now()
                )
            except ValidationError as refusal:
                form.add_error(None, refusal)
            else:
                said = _("Stopped for %s. What a worker has in hand may still go; nothing more.")
                self.message_user(request, said % made.place, messages.SUCCESS)
                return self._back()
        frame = {**self.admin_site.each_context(request), "opts": self.opts}
        context = {**frame, "form": form, "title": _("Stop sending")}
        return TemplateResponse(request, "admin/campaigns/ownrule/stop.html", context)

    def lift(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Let messages go to a place again."""
        stop = Stop.objects.filter(pk=pk).first()
        if stop is None or not request.user.has_perm("campaigns.lift_stop"):
            raise PermissionDenied
        return self._loosen(
            request,
            title=_("Lift the stop"),
            act=lambda: emergency.lift(stop=stop, by=backoffice.acting(request), at=clock.now()),
            done=_("Lifted. What waits there goes within five minutes, at permitted hours."),
        )

    def end(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Let a rule of our own hold no more."""
        rule = OwnRule.objects.filter(pk=pk).first()
        if rule is None or not request.user.has_perm("campaigns.end_ownrule"):
            raise PermissionDenied
        return self._loosen(
            request,
            title=_("End this rule"),
            act=lambda: hours.end(rule=rule, by=backoffice.acting(request), at=clock.now()),
            done=_("The rule holds no more. The shipped rules stay."),
        )

    def _loosen(self, request: HttpRequest, *, title: Any, act: Any, done: Any) -> HttpResponse:
        """What allows more than before asks for a code, and is done by POST only."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if asked := backoffice.ask_code(self, request, title=title):
            return asked
        if act():
            self.message_user(request, done, messages.SUCCESS)
        else:
            self.message_user(request, _("Somebody did that before you."), messages.WARNING)
        return self._back()

    def _back(self) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:campaigns_ownrule_changelist"))

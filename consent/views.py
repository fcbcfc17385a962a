"""The public pages: opting in, confirming, and seeing and stopping what one agreed to.

No page says whether a number is known. What a link shows is shown by GET; only POST acts, since
mail and message scanners open every link they see (pitfall: link scanners press GET links).
"""

from datetime import datetime
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audit import clock
from consent import evidence, ledger, limits, links, numbers
from consent.models import Consent, Method, Notice, Purpose, Subscriber, Suppression
from consent.numbers import Number, NumberRefused
from consent.signup import sign_up

PER_ADDRESS = 20  # forms an hour from one network address
PER_NUMBER = 3  # a day; more are answered alike and change nothing

page = require_http_methods(["GET", "HEAD", "POST"])


class OptInForm(forms.Form):
    """A box to tick, and a number that is wanted only once it is ticked."""

    agreed = forms.BooleanField(required=False, label="")
    of_age = forms.BooleanField(required=False, label="")
    number = forms.CharField(
        required=False,
        max_length=40,
        label=_("Your mobile number"),
        widget=forms.TextInput(
            attrs={"type": "tel", "inputmode": "tel", "autocomplete": "tel", "class": "wide"}
        ),
    )

    def __init__(self, *args: Any, notice: Notice, country: str = "US", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.notice, self.country = notice, country
        if not notice.purpose.least_age:
            del self.fields["of_age"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        shown = self.notice.fingerprint
        if self.data.get("wording", shown) != shown:
            self.add_error("agreed", _("The words have changed since. Please read them again."))
            return cleaned
        if not cleaned.get("agreed"):
            self.add_error("agreed", _("Tick the box if you want these messages."))
            return cleaned
        if self.notice.purpose.least_age and not cleaned.get("of_age"):
            self.add_error("of_age", _("Tick the box if you are old enough."))
        try:
            self.parsed = numbers.parse(cleaned.get("number", ""), country=self.country)
        except NumberRefused as refusal:
            self.add_error("number", translation.gettext(str(refusal)))
        return cleaned


@never_cache
@page
def join(request: HttpRequest, code: str, language: str) -> HttpResponse:
    """The opt-in page of one purpose in one language."""
    purpose = get_object_or_404(Purpose, code=code)
    at = clock.now()
    if language not in purpose.languages.split():
        raise Http404
    notice = purpose.notices.shown(channel=Notice.Channel.WEB, language=language, at=at)
    if notice is None or notice.missing:
        raise Http404
    with translation.override(language):
        form = OptInForm(request.POST or None, notice=notice)
        if request.method == "POST" and not _may_try(request, at):
            return render(request, "public/too_often.html", status=429)
        if form.is_valid():
            _opt_in(request, form.parsed, notice, at)
            return render(request, "public/joined.html", {"purpose": purpose})
        promise = _promise(purpose, language)
        context = {"form": form, "purpose": purpose, "notice": notice, "promise": promise}
        return render(request, "public/join.html", context, status=422 if form.is_bound else 200)


def _promise(purpose: Purpose, language: str) -> str:
    """What will be sent, in the first language of the purpose; nobody wrote it in another."""
    return purpose.promise if language == purpose.languages.split()[0] else ""


def _may_try(request: HttpRequest, at: datetime) -> bool:
    address = limits.network_of(limits.address_of(request))
    return limits.allows("join", address, most=PER_ADDRESS, per=limits.HOUR, at=at)


def _opt_in(request: HttpRequest, number: Number, notice: Notice, at: datetime) -> None:
    """Record it, unless this number came too often today; the page says the same."""
    who = f"{notice.purpose_id}:{number.e164}"
    if limits.allows("number", who, most=PER_NUMBER, per=limits.DAY, at=at):
        sign_up(
            number=number,
            notice=notice,
            method=Method.WEB_FORM,
            source=request.path[:200],
            facts={**_seen_of(request), **_age_told(notice)},
            given_at=at,
            by="web",
            at=at,
        )


def _age_told(notice: Notice) -> dict[str, str]:
    years = notice.purpose.least_age
    return {"of_age": f"ticked: {years} or older"} if years else {}


def _seen_of(request: HttpRequest) -> dict[str, str]:
    agent = request.headers.get("User-Agent", "") or "none told"
    return {"ip_address": limits.address_of(request), "user_agent": agent}


@never_cache
@page
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """The second half of a double opt-in by link: GET shows, POST confirms."""
    consent = _of_link(links.CONFIRM, token, Consent.objects.select_related("purpose", "notice"))
    at, done = clock.now(), False
    if request.method == "POST":
        shown = evidence.written(Method.WEB_FORM, _seen_of(request))
        done = ledger.confirm(consent=consent, evidence=shown, by="web", at=at)
    ours = Consent.objects.filter(pk=consent.pk)
    waits = ours.awaiting_confirmation(at).filter(confirmed_at=None)
    stands = done or ours.permitting(at).exists()
    with translation.override(consent.notice.language):
        context = {"consent": consent, "stands": stands, "waits": waits.exists()}
        return render(request, "public/confirm.html", context)


@never_cache
@page
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """What a person agreed to, when and to which wording, with a way to stop it."""
    person = _of_link(links.PREFERENCES, token, Subscriber.objects.all())
    at, stopped = clock.now(), False
    with translation.override(person.language):
        if request.method == "POST":
            stopped = _stop(person, request.POST.get("stop", ""), at)
        ours = person.consents.select_related("purpose", "notice").order_by("-given_at")
        context = {
            "person": person,
            "open": ours.filter(pk__in=person.consents.open().unrefused()),
            "ended": ours.exclude(pk__in=person.consents.open().unrefused()),
            "refuses": Suppression.objects.against(person.number_index).exists(),
            "stopped": stopped,
        }
        return render(request, "public/preferences.html", context)


def _stop(person: Subscriber, chosen: str, at: datetime) -> bool:
    """Stop one purpose, all purposes there are, or everything; whether that was anything."""
    if chosen == "everything":
        chosen_purposes: list[Purpose | None] = [None]
    elif chosen == "all":
        ours = person.consents.open().select_related("purpose")
        chosen_purposes = [consent.purpose for consent in ours]
    else:
        chosen_purposes = [one for one in Purpose.objects.all() if one.code == chosen]
    for purpose in chosen_purposes:
        ledger.withdraw(
            number_index=person.number_index,
            purpose=purpose,
            channel=Suppression.Channel.PAGE,
            reason="stopped on the preference page",
            by="person",
            at=at,
        )
    return bool(chosen_purposes)


def _of_link(kind: str, token: str, among: Any) -> Any:
    """What a link opens; the same page for one that is wrong, too old, or of somebody gone."""
    key = links.read(kind, token)
    found = among.filter(pk=key).first() if key else None
    if found is None:
        raise Http404
    return found

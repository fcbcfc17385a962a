"""A person's page, with everything that happened, the dispute pack and erasure."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from audit import backoffice, clock
from audit.proofs import NotAsSealed
from campaigns import dispute, erasure, timeline
from campaigns.timeline import Event
from config.encryption.ring import CannotDecrypt
from consent.admin.people import SubscriberAdmin
from consent.models import Subscriber

LATEST = 200  # events of a person that are shown before all are asked for


admin.site.unregister(Subscriber)


@admin.register(Subscriber)
class PersonAdmin(SubscriberAdmin):
    """A person's page, with everything that happened and the dispute pack."""

    def get_urls(self) -> list[URLPattern]:
        pack = self.admin_site.admin_view(self.pack)
        erase = self.admin_site.admin_view(self.erase)
        return [
            path("<uuid:pk>/dispute-pack/", pack, name="consent_subscriber_pack"),
            path("<uuid:pk>/erase/", erase, name="consent_subscriber_erase"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        person, context = self.get_object(request, object_id), extra_context or {}
        if person is not None and self.has_view_permission(request, person):
            context = {**context, **_what_happened(request, person)}
        return super().change_view(request, object_id, form_url, context)

    def pack(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Make the dispute pack, and answer it as a download that no cache keeps."""
        person: Subscriber | None = self.get_object(request, str(pk))
        if person is None or not request.user.has_perm("campaigns.pack_dispute"):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        made: list[bytes] = []
        by, at = backoffice.acting(request), clock.now()
        if not backoffice.attempt(
            self,
            request,
            lambda: made.append(dispute.pack(person, by=by, at=at)),
            done=str(_("The dispute pack is made; that it was stands in the trail.")),
            refusals=(NotAsSealed, CannotDecrypt),
        ):
            return HttpResponseRedirect(reverse("admin:consent_subscriber_change", args=[pk]))
        answer = HttpResponse(made[0], content_type="application/zip")
        answer["Content-Disposition"] = f'attachment; filename="{dispute.file_name(person)}"'
        answer["Cache-Control"] = "no-store"
        return answer

    def erase(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Ask once more, then forget who this person is."""
        person: Subscriber | None = self.get_object(request, str(pk))
        if person is None or not request.user.has_perm("consent.erase_subscriber"):
            raise PermissionDenied
        if request.method == "POST":
            erasure.erase(person=person, by=backoffice.acting(request), at=clock.now())
            self.message_user(request, _("This person is erased. Nobody can write to them again."))
            return HttpResponseRedirect(reverse("admin:consent_subscriber_change", args=[pk]))
        return self._page(request, "erase.html", person=person, title=_("Erase this person"))


def _what_happened(request: HttpRequest, person: Subscriber) -> dict[str, Any]:
    """The newest events of a person, or all; what they wrote only for those who may read it."""
    events = timeline.of(person, with_texts=request.user.has_perm("campaigns.view_reply"))[::-1]
    shown = events if "all" in request.GET else events[:LATEST]
    return {
        "events": [(event, _address(request, event)) for event in shown],
        "count_of_events": len(events),
    }


def _address(request: HttpRequest, event: Event) -> str:
    """Where more stands about an event, for those who may see that page."""
    if event.target is None:
        return ""
    name, arguments = event.target
    app, model, _change = name.removeprefix("admin:").split("_")
    return reverse(name, args=arguments) if request.user.has_perm(f"{app}.view_{model}") else ""

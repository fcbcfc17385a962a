"""The back office: one admin site, closed to everyone without a verified second factor."""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

CLOSED = {"password_change", "password_change_done", "view_on_site"}


class BackOffice(AdminSite):
    """Django's admin, reachable only with a password and a code."""

    site_header = _("Volens")
    site_title = _("Volens")
    index_title = _("Back office")
    site_url = None
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        return bool(user.is_active and user.is_verified())

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The stock sign-in asks for a password only; ours asks for both."""
        query = urlencode({"next": request.GET.get("next", "")})
        return HttpResponseRedirect(f"{resolve_url('sign_in')}?{query}")

    def get_urls(self) -> list[Any]:
        """Without the stock password pages, since ours tell the trail, and a door to any row."""
        return [url for url in super().get_urls() if getattr(url, "name", None) not in CLOSED]


def frame(request: HttpRequest) -> dict[str, Any]:
    """What every page may show: the business, and the demo's clock while there is one."""
    offset = settings.DEMO_CLOCK_OFFSET
    return {
        "business": settings.BUSINESS_NAME,
        "time_zone": settings.TIME_ZONE,
        "demo_clock": timezone.now() + offset if offset else None,
    }

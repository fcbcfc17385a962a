"""The addresses."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("webhooks/", include("campaigns.urls")),  # first, since most calls are of providers
    path("", RedirectView.as_view(pattern_name="admin:index"), name="root"),
    path("", include("audit.urls")),
    path("", include("consent.urls")),
    path("admin/", admin.site.urls),
]


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What a person sees whose form was too old, or came from elsewhere."""
    return render(request, "stale_form.html", status=403)

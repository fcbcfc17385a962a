"""The public addresses of consent."""

from django.urls import path

from consent import views
from consent.api import api

urlpatterns = [
    path("api/v1/", api.urls),
    path("join/<slug:code>/<str:language>/", views.join, name="join"),
    path("yes/<str:token>/", views.confirm, name="confirm"),
    path("my/<str:token>/", views.preferences, name="preferences"),
]

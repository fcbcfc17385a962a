"""The addresses that providers call, the same ones for each gateway."""

from django.urls import path

from campaigns import webhooks
from campaigns.gateways.directory import GATEWAYS

CALLS = {"receipt": webhooks.receipt, "inbound": webhooks.inbound}

urlpatterns = [
    path(f"{gateway}/{name}", view, {"gateway": gateway}, name=f"{gateway}_{name}")
    for gateway in GATEWAYS
    for name, view in CALLS.items()
]

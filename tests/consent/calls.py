"""Calls of the API as another system makes them."""

import json
from typing import Any

from django.test import Client

from consent import integrations
from consent.models import Integration
from tests.conftest import AT

EVERYTHING = tuple(Integration.Scope.values)
FORM = {
    "number": "+1 212 555 0123",
    "purpose": "offers",
    "ip_address": "192.0.2.7",
    "user_agent": "Browser/1.0",
}


def a_key(*scopes: str, name: str = "shop") -> str:
    """The key of a new integration with these scopes, or with all."""
    _made, key = integrations.issue(name=name, scopes=scopes or EVERYTHING, by="command", at=AT)
    return key


def call(
    key: str, operation: str, told: Any = None, *, method: str = "POST", **headers: str
) -> Any:
    """The answer to one call; `told` is sent as it is if it is bytes, else as JSON."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return Client(headers={"Authorization": f"Bearer {key}", **headers}).generic(
        method, f"/api/v1/{operation}", body, "application/json"
    )


def told_once(key: str, operation: str, told: Any, *, as_: str) -> Any:
    """As `call`, with an idempotency key."""
    return call(key, operation, told, **{"Idempotency-Key": as_})

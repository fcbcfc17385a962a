"""The stack's database under this process's own ORM, and a queue server that a test may kill."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from environ import Env

from tests.faults import scene
from tests.services import Stack

HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]  # as the stack has them


@pytest.fixture
def beside(stack: Stack, django_db_blocker: Any) -> Iterator[Stack]:
    """The running product, whose database the models here read and write, too."""
    ours = connections["default"]
    name = Env.db_url_config(stack.env["DATABASE_URL"])["NAME"]
    connections["default"] = type(ours)({**ours.settings_dict, "NAME": name}, "default")
    with django_db_blocker.unblock(), override_settings(PASSWORD_HASHERS=HASHERS):
        yield stack
    connections["default"].close()
    connections["default"] = ours


@pytest.fixture
def business(beside: Stack) -> scene.Business:
    return scene.open_business()


@pytest.fixture
def own_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack starts a queue server of its own, whatever the caller's environment names."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")

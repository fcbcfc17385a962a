"""The API answers as its OpenAPI document says, whatever it is sent.

Schemathesis makes the calls from the document itself, in this process and without a network.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.consent.calls import FORM, a_key

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    ("/api/v1/consents", "POST"),
    ("/api/v1/withdrawals", "POST"),
    ("/api/v1/status", "POST"),
    ("/api/v1/status", "GET"),
]
KNOWN = {"number": FORM["number"]}
MADE_UP = ["country", "first_name", "given_at", "language", "notice", "page", "state", "wording"]
pytestmark = pytest.mark.usefixtures("clock")
bounded = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def document(settings) -> Iterator[Any]:
    """The document as served; calls leave the test's connection open, as with Django's client."""
    settings.ALLOWED_HOSTS = ["localhost", "testserver"]
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/v1/openapi.json", WSGIHandler())
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def test_the_document_tells_of_every_operation_and_needs_no_key(document) -> None:
    told = {(o.ok().path, o.ok().method.upper()) for o in document.get_all_operations()}
    assert told == set(OPERATIONS)
    document.validate()


def test_every_operation_has_a_name_of_its_own_and_takes_a_key() -> None:
    paths = Client().get("/api/v1/openapi.json").json()["paths"]
    found = [operation for methods in paths.values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in found}) == len(OPERATIONS)
    assert [operation["security"] for operation in found] == [[{"Key": []}]] * len(OPERATIONS)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_whatever_is_sent_the_answer_keeps_to_the_document(
    document, notice, path, method, mode
) -> None:
    key, strategy = a_key(), document[path][method].as_strategy(generation_mode=mode)

    @bounded
    @given(case=strategy)
    def ask(case) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        case.call_and_validate(headers=headers, checks=CHECKS)

    ask()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_with_a_number_that_can_be_the_answers_keep_to_it_too(
    document, notice, path, method
) -> None:
    """What is made up is seldom a number; here the rest is made up around one."""
    strategy = document[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE)
    key, met = a_key(), set()
    usual = FORM if path == "/api/v1/consents" else KNOWN

    @bounded
    @given(case=strategy, kept=st.sets(st.sampled_from(MADE_UP)))
    def ask(case, kept) -> None:
        made_up = case.body if isinstance(case.body, dict) else {}
        case.body = {**{name: made_up[name] for name in kept if name in made_up}, **usual}
        headers = {"Authorization": f"Bearer {key}"}
        met.add(case.call_and_validate(headers=headers, checks=CHECKS).status_code)

    ask()
    assert 200 in met

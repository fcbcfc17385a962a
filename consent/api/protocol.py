"""How the API is spoken: its keys and limits, the one form of body, and faults told in words."""

import json
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.errors import HttpError, Throttled
from ninja.errors import ValidationError as BodyFaults
from ninja.parser import Parser
from ninja.security.http import HttpAuthBase
from ninja.throttling import BaseThrottle

from audit import clock
from consent import integrations, limits
from consent.api.schemas import Asked, OptIn, OptOut
from consent.models import Integration

MINUTE = timedelta(minutes=1)
PER_MINUTE = 600  # calls of one integration
MOST_BYTES = 64 * 1024  # of a body

# --- refusals ----------------------------------------------------------------------------------


class Refused(Exception):
    """A call that is not acted on; nothing that it said stands in here."""

    def __init__(
        self,
        status: int,
        error: str,
        fields: dict[str, str] | None = None,
        wait: timedelta | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.error, self.fields, self.wait = status, error, fields or {}, wait


def _fault(status: int, error: str, fields: dict[str, str] | None = None) -> HttpResponse:
    named = [{"field": field, "error": sentence} for field, sentence in (fields or {}).items()]
    return JsonResponse({"error": error, "fields": named}, status=status)


def _until_next(span: timedelta, at: datetime) -> int:
    """Whole seconds until limits.allows counts anew."""
    return math.ceil(span.total_seconds() - at.timestamp() % span.total_seconds())


# --- who calls, and how often ------------------------------------------------------------------


class Key(HttpAuthBase):
    """The key of an integration that has a scope; a session of the back office opens nothing."""

    openapi_scheme = "bearer"
    openapi_description = "The key that an administrator was shown when the integration was made."

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Integration:
        scheme, _space, key = request.headers.get("Authorization", "").partition(" ")
        known = integrations.by_key(key.strip()) if scheme.lower() == "bearer" else None
        if known is None:
            raise Refused(401, "Send a key that is valid: Authorization: Bearer vk_….")
        if not known.may(self.scope):
            raise Refused(403, f"This key lacks the scope {self.scope}.")
        return known


class PerIntegration(BaseThrottle):
    """How many calls one integration may make a minute."""

    def allow_request(self, request: Any) -> bool:
        who = str(request.auth.pk)
        return limits.allows("api", who, most=PER_MINUTE, per=MINUTE, at=clock.now())

    def wait(self) -> float:
        return _until_next(MINUTE, clock.now())


# --- the API -----------------------------------------------------------------------------------


class Strict(Parser):
    """Reads one JSON object in UTF-8, not too large."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        charset = (request.content_params or {}).get("charset", "utf-8")
        if request.content_type != "application/json" or charset.lower() != "utf-8":
            raise Refused(415, "Send the body as application/json in UTF-8.")
        if len(request.body) > MOST_BYTES:
            raise Refused(413, TOO_LARGE)
        try:
            told = json.loads(request.body.decode(), parse_constant=_no_number)
            json.dumps(told, ensure_ascii=False).encode()  # finds halves of characters, escaped
        except (ValueError, RecursionError):
            raise Refused(400, "The body is no JSON in UTF-8.") from None
        if not isinstance(told, dict):
            raise Refused(400, "The body must be one JSON object.")
        return told


TOO_LARGE = f"The body is larger than {MOST_BYTES // 1024} KiB."


def _no_number(constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON.")


def in_words(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answers in JSON what the framework would answer in text, and takes nothing in an address."""

    @csrf_exempt
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.META.get("QUERY_STRING"):
            answer = _fault(400, "A number does not belong into an address; send it in the body.")
        else:
            answer = view(request, *args, **kwargs)
        if answer.status_code == 405:
            allowed = answer.headers["Allow"]
            answer = _fault(405, f"This address takes {allowed} only.")
            answer.headers["Allow"] = allowed
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return answered


def nowhere(request: HttpRequest, rest: str = "") -> HttpResponse:
    return _fault(404, "There is nothing at this address; see /api/v1/openapi.json.")


class Api(NinjaAPI):
    """Every address under the API's own answers in its own words."""

    @property
    def urls(self) -> Any:
        patterns, app, namespace = super().urls
        once = {str(pattern.pattern): pattern for pattern in patterns}  # not one a method
        ours = [_with_words(pattern) for pattern in once.values()]
        return [*ours, path("<path:rest>", in_words(nowhere))], app, namespace


def _with_words(pattern: Any) -> URLPattern:
    """The same address, whose view answers in our words."""
    view = pattern.callback
    if pattern.name == "api-root":  # the framework's own is an error page in HTML
        view = nowhere
    elif pattern.name == "openapi-json":
        view = require_safe(view)
    return URLPattern(pattern.pattern, in_words(view), pattern.default_args, pattern.name)


api = Api(
    title="Volens",
    version="1",
    description="Opt-ins and opt-outs that other systems tell of, and who may be messaged.",
    urls_namespace="api",
    docs_url=None,  # its page would load scripts from elsewhere
    parser=Strict(),
    throttle=[PerIntegration()],
)


@api.exception_handler(Refused)
def _refused(request: HttpRequest, refusal: Refused) -> HttpResponse:
    answer = _fault(refusal.status, refusal.error, refusal.fields)
    if refusal.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if refusal.wait:
        answer.headers["Retry-After"] = str(_until_next(refusal.wait, clock.now()))
    return answer


@api.exception_handler(Throttled)
def _throttled(request: HttpRequest, refusal: Throttled) -> HttpResponse:
    return _fault(429, f"A key may make {PER_MINUTE} calls a minute; wait a little.")


@api.exception_handler(HttpError)
def _unread(request: HttpRequest, fault: HttpError) -> HttpResponse:
    """The framework wraps what the parser raises."""
    if isinstance(fault.__cause__, Refused):
        return _refused(request, fault.__cause__)
    return _fault(fault.status_code, "The call cannot be read.")


@api.exception_handler(RequestDataTooBig)
def _too_large(request: HttpRequest, fault: RequestDataTooBig) -> HttpResponse:
    return _fault(413, TOO_LARGE)


@api.exception_handler(UnreadablePostError)
def _broken_off(request: HttpRequest, fault: UnreadablePostError) -> HttpResponse:
    return _fault(400, "The body broke off.")


WRONG = "Something in the call is missing or wrong; see fields."
SAYABLE = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")  # holds no number, so it may be told back
IDEMPOTENCY = "Idempotency-Key"
WANTED = {
    IDEMPOTENCY: "1 to 64 visible ASCII signs",
    **{
        name: field.description
        for schema in (OptIn, OptOut, Asked)
        for name, field in schema.model_fields.items()
    },
}


@api.exception_handler(BodyFaults)
def _wrong(request: HttpRequest, faults: BodyFaults) -> HttpResponse:
    if any(_is_whole(fault) for fault in faults.errors):
        return _fault(422, "A body is wanted: one JSON object.")
    return _fault(422, WRONG, {_named(fault): _sentence(fault) for fault in faults.errors})


def _is_whole(fault: dict[str, Any]) -> bool:
    """Whether the body itself is wrong, not a field of it."""
    return fault["loc"][0] == "body" and len(fault["loc"]) < 3


def _named(fault: dict[str, Any]) -> str:
    """The field a fault is about; `?` for a name that may itself be a number."""
    name = str(fault["loc"][-1])
    return name if name in WANTED or SAYABLE.fullmatch(name) else "?"


def _sentence(fault: dict[str, Any]) -> str:
    """What is wrong, never with the value: of the framework's own words none is repeated."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])  # of the validators above
    if fault["type"] == "missing":
        return "It is missing."
    if fault["type"] == "extra_forbidden":
        return "There is no such field."
    return f"It must be {WANTED[_named(fault)]}."

"""The HTTP API for the sign-up forms of other systems; docs/api.md tells them how to call it.

No answer, log line or address holds what a call said: faults are told in sentences of our own.
"""

import ipaddress
import json
import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import unquote, urlsplit

from django.core.exceptions import RequestDataTooBig, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja import Field, Header, NinjaAPI, Schema, Status
from ninja.errors import HttpError, Throttled
from ninja.errors import ValidationError as BodyFaults
from ninja.parser import Parser
from ninja.security.http import HttpAuthBase
from ninja.throttling import BaseThrottle
from pydantic import AfterValidator, BeforeValidator, ConfigDict

from audit import clock, trail
from config.encryption import blind_index
from consent import admission, integrations, ledger, limits, numbers
from consent.admission import Outcome
from consent.evidence import EvidenceMissing
from consent.integrations import Answer, KeyUsed
from consent.models import Consent, Integration, Method, Notice, Purpose, Suppression
from consent.numbers import Number, NumberRefused
from consent.signup import NoticeLacks, sign_up
from consent.wording import fingerprint

MINUTE = timedelta(minutes=1)
PER_MINUTE = 600  # calls of one integration
PER_NUMBER = 5  # opt-ins of one number a day
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


# --- what calls say ----------------------------------------------------------------------------


def _written(text: str) -> str:
    """Refuses what no form sends, and PostgreSQL does not keep: control signs."""
    if any(unicodedata.category(sign) == "Cc" for sign in text if sign not in "\t\r\n"):
        raise ValueError("It holds signs that cannot be written.")
    return text


def _instant(told: Any) -> datetime:
    """A time with its zone, in UTC; without one nobody knows which it was."""
    try:
        at = datetime.fromisoformat(told)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):  # the last beyond the years 1 and 9999
        pass
    raise ValueError("It must be a time in ISO 8601 with its zone, such as 2026-11-24T18:00:00Z.")


def _address(told: str) -> str:
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        raise ValueError("It must be an IPv4 or IPv6 address.") from None


def _page(told: str) -> str:
    """Host and path of a page; what follows, and what looks personal, is cut off."""
    try:
        page = urlsplit(told)
    except ValueError:
        page = urlsplit("")
    if page.scheme != "https" or not page.hostname:
        raise ValueError("It must be an address that begins with https://.")
    named = f"{page.hostname}{page.path}"[:200]
    return page.hostname[:200] if trail.looks_personal(unquote(named)) else named


Text = Annotated[str, AfterValidator(_written)]


class About(Schema):
    """Whose number a call is about."""

    model_config = ConfigDict(extra="forbid")

    number: Text = Field(
        max_length=numbers.MAX_CHARACTERS,
        description="a telephone number, with a plus sign or as it is written in its country",
    )
    country: str = Field(
        "US",
        pattern=r"^[A-Za-z]{2}$",
        description="the ISO code of the country in which the number was written",
    )


class OptIn(About):
    """One opt-in with its evidence."""

    purpose: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$", description="the code of a purpose")
    language: str | None = Field(
        None, pattern=r"^[a-z]{2}$", description="the language of the form, two small letters"
    )
    wording: Text | None = Field(
        None, max_length=5000, description="the exact text that the person was shown"
    )
    notice: int | None = Field(
        None, ge=1, le=1_000_000, strict=True, description="the number of the wording, from 1 on"
    )
    given_at: Annotated[datetime, BeforeValidator(_instant)] | None = Field(
        None, description="when the box was ticked, in ISO 8601 with a zone; now, if left out"
    )
    ip_address: Annotated[Text, AfterValidator(_address)] | None = Field(
        None, max_length=45, description="the network address from which the form was sent"
    )
    user_agent: Text | None = Field(
        None, max_length=1000, description="the browser by which the form was sent"
    )
    page: Annotated[Text, AfterValidator(_page)] | None = Field(
        None, max_length=2000, description="the https address of the form; its query is cut off"
    )
    first_name: Text = Field("", max_length=80, description="how the person may be addressed")
    state: str = Field(
        "", pattern=r"^([A-Za-z]{2})?$", description="the state or province of the postal address"
    )


class OptOut(About):
    """One opt-out."""

    purpose: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,50}$",
        description="the code of a purpose; everything, if left out",
    )


class Asked(About):
    """A number of which the standing is asked."""


# --- what is answered --------------------------------------------------------------------------


class FieldFault(Schema):
    field: str
    error: str


class Fault(Schema):
    error: str
    fields: list[FieldFault]


class Conflict(Fault):
    status: Literal["suppressed", "withdrawn since"]
    confirmation: None


class SignedUp(Schema):
    status: Literal["opened", "subscribed already", "confirmed"]
    confirmation: Literal["awaited", "not needed"] | None


class Stopped(Schema):
    status: Literal["stopped", "had stopped already"]


class Standing(Schema):
    may_be_messaged_for: list[str]
    suppressed: bool
    awaiting_confirmation: list[str]


STATUSES = {
    admission.OPENED: "opened",
    admission.MERGED: "subscribed already",
    admission.CONFIRMED: "confirmed",
    admission.SUPPRESSED: "suppressed",
    admission.WITHDRAWN: "withdrawn since",
}
CONFLICTS = {
    admission.SUPPRESSED: "This number refused messages; only the person can take that back.",
    admission.WITHDRAWN: "This person withdrew after the opt-in was given.",
}
FAULTS: dict[Any, Any] = {frozenset({400, 401, 403, 413, 415, 422, 429}): Fault}

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


class Call(HttpRequest):
    """A request whose key was found good."""

    auth: Integration


Once = Annotated[
    str | None,
    Header(
        None,
        alias=IDEMPOTENCY,
        pattern=r"^[!-~]{1,64}$",
        description="the same key with the same body is acted on once",
    ),
]


def _once(request: Call, key: str | None, act: Callable[[], Answer], at: datetime) -> Status:
    if key is None:
        with transaction.atomic():
            return Status(*act())
    told = integrations.fingerprint_of(f"{request.method} {request.path}", request.body)
    try:
        answer = integrations.once(
            integration=request.auth, key=key, fingerprint=told, act=act, at=at
        )
    except KeyUsed as used:
        raise Refused(422, str(used), {IDEMPOTENCY: str(used)}) from None
    return Status(*answer)


def _number(about: About) -> Number:
    try:
        return numbers.parse(about.number, country=about.country)
    except NumberRefused as refusal:
        raise Refused(422, WRONG, {"number": str(refusal)}) from None


def _purpose(code: str) -> Purpose:
    purpose = Purpose.objects.filter(code=code).first()
    if purpose is None:
        raise Refused(422, WRONG, {"purpose": "No purpose has this code."})
    return purpose


# --- opt-ins -----------------------------------------------------------------------------------


@api.post(
    "/consents",
    auth=Key(Integration.Scope.CONSENTS),
    response={200: SignedUp, 201: SignedUp, 409: Conflict, **FAULTS},
    operation_id="tell_of_an_opt_in",
    summary="Tell of an opt-in",
)
def tell_of_an_opt_in(request: Call, told: OptIn, idempotency_key: Once = None) -> Status:
    """Opens a consent and has it confirmed; 200 says that the person is subscribed already."""
    at = clock.now()
    return _once(request, idempotency_key, partial(_opt_in, request.auth, told, at), at)


def _opt_in(integration: Integration, told: OptIn, at: datetime) -> Answer:
    number, purpose = _number(told), _purpose(told.purpose)
    notice = _notice(told, purpose, told.given_at or at)
    index = blind_index.of(number.e164)
    if not limits.allows("api number", index, most=PER_NUMBER, per=limits.DAY, at=at):
        said = f"A number may opt in {PER_NUMBER} times a day."
        raise Refused(429, said, {"number": said}, wait=limits.DAY)
    outcome = _signed_up(integration, number, notice, told, at)
    answer = {"status": STATUSES[outcome], "confirmation": None}
    if outcome in CONFLICTS:
        return 409, {**answer, "error": CONFLICTS[outcome], "fields": []}
    answer["confirmation"] = _confirmation(index, purpose)
    return 201 if outcome == admission.OPENED else 200, answer


def _notice(told: OptIn, purpose: Purpose, given_at: datetime) -> Notice:
    """The wording that the person was shown: by its text, by its number, or the one of then."""
    shown = purpose.notices.filter(channel=Notice.Channel.WEB)
    language = told.language or "en"
    if told.wording is not None and told.notice is not None:
        raise Refused(422, WRONG, {"notice": "Send the wording or its number, not both."})
    if told.wording is not None:
        notice = shown.filter(fingerprint=fingerprint(told.wording)).first()
        return notice or _unknown("wording")
    if told.notice is not None:
        return shown.filter(language=language, number=told.notice).first() or _unknown("notice")
    known = Notice.objects.filter(purpose=purpose)
    notice = known.shown(channel=Notice.Channel.WEB, language=language, at=given_at)
    return notice or _unknown("language")


def _unknown(field: str) -> NoReturn:
    said = "No such wording of a web form is on record for this purpose; publish it first."
    raise Refused(422, WRONG, {field: said})


def _signed_up(
    integration: Integration, number: Number, notice: Notice, told: OptIn, at: datetime
) -> Outcome:
    try:
        return sign_up(
            number=number,
            notice=notice,
            method=Method.WEB_FORM,
            source=told.page or f"integration {integration.name}",
            facts=_facts(integration, told),
            given_at=told.given_at or at,
            by="web",
            at=at,
            language=told.language or notice.language,
            region=told.state.upper(),
            first_name=told.first_name,
        )
    except EvidenceMissing as refusal:
        raise Refused(422, str(refusal), dict.fromkeys(refusal.missing, "It is missing.")) from None
    except NoticeLacks as refusal:
        raise Refused(422, str(refusal), {"wording": str(refusal)}) from None
    except ValidationError as refusal:
        fields = {name: " ".join(said) for name, said in refusal.message_dict.items()}
        raise Refused(422, WRONG, fields) from None


def _facts(integration: Integration, told: OptIn) -> dict[str, str]:
    return {
        "ip_address": told.ip_address or "",
        "user_agent": told.user_agent or "",
        "told_by": integration.name,
    }


def _confirmation(index: str, purpose: Purpose) -> str | None:
    """Whether a person who opted in has yet to confirm; None if that is done."""
    if not purpose.double_opt_in:
        return "not needed"
    ours = purpose.consent_set.open().filter(subscriber__number_index=index)
    return "awaited" if ours.unconfirmed().exists() else None


# --- opt-outs ----------------------------------------------------------------------------------


@api.post(
    "/withdrawals",
    auth=Key(Integration.Scope.WITHDRAWALS),
    response={200: Stopped, **FAULTS},
    operation_id="tell_of_an_opt_out",
    summary="Tell of an opt-out",
)
def tell_of_an_opt_out(request: Call, told: OptOut, idempotency_key: Once = None) -> Status:
    """Stops everything, or one purpose, from now on; also for a number that never opted in."""
    at = clock.now()
    return _once(request, idempotency_key, partial(_opt_out, told, at), at)


def _opt_out(told: OptOut, at: datetime) -> Answer:
    number = _number(told)
    purpose = _purpose(told.purpose) if told.purpose else None
    new = ledger.withdraw(
        number_index=blind_index.of(number.e164),
        purpose=purpose,
        channel=Suppression.Channel.FORM,
        reason="told by another system",
        by="web",
        at=at,
    )
    return 200, {"status": "stopped" if new else "had stopped already"}


# --- standing ----------------------------------------------------------------------------------


def standing(request: Call, told: Asked) -> dict[str, Any]:
    """For what a number may be messaged now. A number goes in the body, never in the address."""
    at, index = clock.now(), blind_index.of(_number(told).e164)
    ours = Consent.objects.filter(subscriber__number_index=index).order_by("purpose__code")
    waiting = ours.awaiting_confirmation(at).unconfirmed()
    return {
        "may_be_messaged_for": list(ours.permitting(at).values_list("purpose__code", flat=True)),
        "suppressed": Suppression.objects.against(index).exists(),
        "awaiting_confirmation": list(waiting.values_list("purpose__code", flat=True)),
    }


for method, name in (("GET", "standing"), ("POST", "standing_by_post")):
    api.api_operation(  # both, since some proxies drop the body of a GET
        [method],
        "/status",
        auth=Key(Integration.Scope.STATUS),
        response={200: Standing, **FAULTS},
        operation_id=name,
        summary="Ask how a number stands",
    )(standing)

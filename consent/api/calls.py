"""The calls of the API: an opt-in is told, an opt-out is told, a standing is asked."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, NoReturn

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from ninja import Header, Status

from audit import clock
from config.encryption import blind_index
from consent import admission, integrations, ledger, limits, numbers
from consent.admission import Outcome
from consent.api.protocol import IDEMPOTENCY, WRONG, Key, Refused, api
from consent.api.schemas import (
    CONFLICTS,
    FAULTS,
    STATUSES,
    About,
    Asked,
    Conflict,
    OptIn,
    OptOut,
    SignedUp,
    Standing,
    Stopped,
)
from consent.evidence import EvidenceMissing
from consent.integrations import Answer, KeyUsed
from consent.models import Consent, Integration, Method, Notice, Purpose, Suppression
from consent.numbers import Number, NumberRefused
from consent.signup import NoticeLacks, sign_up
from consent.wording import fingerprint

PER_NUMBER = 5  # opt-ins of one number a day


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

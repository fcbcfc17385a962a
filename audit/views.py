"""The pages of signing in and out."""

from base64 import b32encode
from functools import wraps
from typing import Any, Protocol
from urllib.parse import quote

import django_otp
import segno
from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from audit import backoffice, clock, operators, signing_in
from audit.forms import CodeForm, PasswordForm
from audit.models import Authenticator, Operator

NEXT = "next"


def _safe_next(request: HttpRequest) -> str:
    wanted = request.GET.get(NEXT) or request.POST.get(NEXT) or ""
    hosts = {request.get_host()}
    if url_has_allowed_host_and_scheme(wanted, hosts, require_https=request.is_secure()):
        return wanted
    return resolve_url("admin:index")


@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    form = PasswordForm(request.POST or None)
    if form.is_valid():
        try:
            operator = signing_in.check_password(**form.cleaned_data, at=clock.now())
        except signing_in.Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return _ask_second_factor(request, operator)
    return render(request, "sign_in/password.html", {"form": form, "next": _safe_next(request)})


def _ask_second_factor(request: HttpRequest, operator: Operator) -> HttpResponse:
    wanted = _safe_next(request)
    signing_in.remember_half(request, operator)
    request.session[NEXT] = wanted
    if Authenticator.objects.filter(user=operator, confirmed=True).exists():
        return redirect("sign_in_code")
    operators.draft_authenticator(operator)
    return redirect("sign_in_enrol")


class HalfSignedInView(Protocol):
    def __call__(self, request: HttpRequest, operator: Operator) -> HttpResponse: ...


def after_password(view: HalfSignedInView) -> Any:
    """For the second step: back to the first unless a right password was given not long ago."""

    @never_cache
    @require_http_methods(["GET", "POST"])
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        operator = signing_in.half_signed_in(request)
        return view(request, operator) if operator else redirect("sign_in")

    return guarded


@after_password
def code(request: HttpRequest, operator: Operator) -> HttpResponse:
    form = CodeForm(request.POST or None)
    if form.is_valid():
        device = signing_in.check_code(operator=operator, at=clock.now(), **form.cleaned_data)
        if device:
            return _let_in(request, operator, device)
        form.add_error("code", backoffice.WRONG_CODE)
    return render(request, "sign_in/code.html", {"form": form})


@after_password
def enrol(request: HttpRequest, operator: Operator) -> HttpResponse:
    """Shows the secret once to an operator who has no second factor yet."""
    devices = {device.confirmed: device for device in Authenticator.objects.filter(user=operator)}
    if True in devices:
        return redirect("sign_in_code")
    if (drafted := devices.get(False)) is None:
        return redirect("sign_in")
    form = CodeForm(request.POST or None)
    if form.is_valid():
        device = signing_in.check_code(
            operator=operator, at=clock.now(), draft=True, **form.cleaned_data
        )
        if device:
            operators.confirm_authenticator(authenticator=device, by=operator, at=clock.now())
            return _let_in(request, operator, device)
        form.add_error("code", backoffice.WRONG_CODE)
    return render(request, "sign_in/enrol.html", {"form": form, **_shown(operator, drafted)})


def _shown(operator: Operator, drafted: Authenticator) -> dict[str, str]:
    secret = b32encode(bytes.fromhex(drafted.secret)).decode().rstrip("=")
    label = quote(f"{settings.OTP_TOTP_ISSUER}:{operator.username}")
    address = f"otpauth://totp/{label}?secret={secret}&issuer={quote(settings.OTP_TOTP_ISSUER)}"
    drawn = segno.make(address, error="m").svg_inline(scale=5, border=2, omitsize=True)
    groups = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    return {"qr": mark_safe(drawn), "secret": groups}  # noqa: S308 - drawn by segno from our text


def _let_in(request: HttpRequest, operator: Operator, device: Authenticator) -> HttpResponse:
    wanted = request.session.get(NEXT) or resolve_url("admin:index")
    request.session.flush()
    auth.login(request, operator, backend=settings.AUTHENTICATION_BACKENDS[0])
    django_otp.login(request, device)
    signing_in.remember_code(request)
    signing_in.tell_signed_in(operator, clock.now())
    return HttpResponseRedirect(wanted)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return redirect("sign_in")


def change_password(request: HttpRequest) -> HttpResponse:
    """One's own password; the address is guarded by the back office's site."""
    operator = backoffice.acting(request)
    form = PasswordChangeForm(operator, request.POST or None)
    if form.is_valid():
        password = form.cleaned_data["new_password1"]
        operators.replace_password(
            operator=operator, password=password, by=operator, at=clock.now()
        )
        auth.update_session_auth_hash(request, operator)
        messages.success(request, _("Your password is changed. Your other sessions have ended."))
        return redirect("admin:index")
    return render(request, "sign_in/new_password.html", {"form": form})

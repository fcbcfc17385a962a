"""What providers call: every call proved by its signature before anything of it is read."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseForbidden
from django.urls import resolve
from django.utils import timezone
from django.views.decorators.http import require_POST

from audit import clock
from campaigns import conversation, receipts
from campaigns.gateways.directory import GATEWAYS

Answer = Callable[[HttpRequest], HttpResponse]
View = Callable[[HttpRequest, str], HttpResponse]


def straight_to_its_view(answer: Answer) -> Answer:
    """Middleware before all that is for browsers and of no use to a provider.

    Providers make as many calls as there are messages; a session, a token against forged forms and
    headers on what a page may load took a sixth of each. Their signature guards them.
    """

    def answer_at_once(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/webhooks/"):
            return answer(request)
        view, args, kwargs = resolve(request.path_info)
        answered: HttpResponse = view(request, *args, **kwargs)
        return answered

    return answer_at_once


def signed(view: View) -> View:
    """Refuse, and write nothing, unless the call carries the signature of its gateway.

    Signatures tell the real time, whatever the business clock shows.
    """

    @require_POST
    @wraps(view)
    def guarded(request: HttpRequest, gateway: str) -> HttpResponse:
        if not GATEWAYS[gateway].is_signed(request, at=timezone.now()):
            return HttpResponseForbidden("The signature does not fit.")
        return view(request, gateway)

    return guarded


@signed
def receipt(request: HttpRequest, gateway: str) -> HttpResponse:
    try:
        told = GATEWAYS[gateway].read_receipt(request)
        if told is not None:
            receipts.keep(**told._asdict(), gateway=gateway, at=clock.now())
    except KeyError as missing:
        return HttpResponseBadRequest(f"{missing} is wanted.")
    except ValueError:
        return HttpResponseBadRequest("A known attempt is wanted.")
    return HttpResponse(status=204)


@signed
def inbound(request: HttpRequest, gateway: str) -> HttpResponse:
    try:
        written = GATEWAYS[gateway].read_inbound(request)
    except KeyError as missing:
        return HttpResponseBadRequest(f"{missing} is wanted.")
    if written is not None:
        conversation.receive(written, at=clock.now())
    content, content_type = GATEWAYS[gateway].SILENCE
    return HttpResponse(content, content_type=content_type)

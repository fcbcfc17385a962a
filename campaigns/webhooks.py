"""What providers call: every call proved by its signature before anything of it is read."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from audit import clock
from campaigns import conversation, receipts
from campaigns.gateways import twilio

NO_ANSWER = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'

View = Callable[[HttpRequest], HttpResponse]


def signed_by_twilio(view: View) -> View:
    """Refuse, and write nothing, unless the call carries Twilio's signature."""

    @csrf_exempt
    @require_POST
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        fields = [(name, value) for name in request.POST for value in request.POST.getlist(name)]
        claimed = request.headers.get("X-Twilio-Signature", "")
        if not twilio.is_signed(request.get_full_path(), fields, claimed):
            return HttpResponseForbidden("The signature does not fit.")
        return view(request)

    return guarded


@signed_by_twilio
def receipt(request: HttpRequest) -> HttpResponse:
    try:
        receipts.keep(
            attempt=request.GET["attempt"],
            provider_id=request.POST["MessageSid"],
            status=request.POST["MessageStatus"],
            code=request.POST.get("ErrorCode", ""),
            at=clock.now(),
        )
    except (KeyError, ValueError):
        return HttpResponseBadRequest("MessageSid, MessageStatus and a known attempt are wanted.")
    return HttpResponse(status=204)


@signed_by_twilio
def inbound(request: HttpRequest) -> HttpResponse:
    try:
        conversation.receive(twilio.read_inbound(request.POST), at=clock.now())
    except KeyError:
        return HttpResponseBadRequest("MessageSid, From and To are wanted.")
    return HttpResponse(NO_ANSWER, content_type="text/xml")

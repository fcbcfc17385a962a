"""A plain view that takes receipts: proved by the SDK's own validator, one UPDATE each."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from twilio.request_validator import RequestValidator

from tests.benchmarks.peers.models import Message

validator = RequestValidator(settings.TOKEN)


@csrf_exempt
@require_POST
def receipt(request: HttpRequest) -> HttpResponse:
    url = f"{settings.CALLBACK}?message={request.GET['message']}"
    if not validator.validate(url, request.POST, request.headers.get("X-Twilio-Signature", "")):
        return HttpResponseForbidden()
    told = {"status": request.POST["MessageStatus"], "provider_id": request.POST["MessageSid"]}
    Message.objects.filter(pk=request.GET["message"]).update(**told)
    return HttpResponse(status=204)


urlpatterns = [path("receipt", receipt)]

"""The addresses that providers call."""

from django.urls import path

from campaigns import webhooks

urlpatterns = [
    path("twilio/receipt", webhooks.receipt, name="twilio_receipt"),
    path("twilio/inbound", webhooks.inbound, name="twilio_inbound"),
]

"""A backend of django-post-office that sends texts through the provider's SDK."""

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from tests.benchmarks.peers.provider import client


class Texts(BaseEmailBackend):
    """Each recipient is `number@sms.invalid`: the post office knows no other address."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            client().messages.create(
                to=message.to[0].partition("@")[0],
                from_="+18885550100",
                body=str(message.body),
                validity_period=3_600,
            )
        return len(email_messages)

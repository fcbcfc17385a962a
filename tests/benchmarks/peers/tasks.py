"""One Celery task per message."""

from celery import shared_task
from django.conf import settings

from tests.benchmarks.peers import provider
from tests.benchmarks.peers.models import Message


@shared_task(name="send")
def send(message_id: int) -> None:
    """Look the message up, ask for permission, hand it over, write down what came of it."""
    message = Message.objects.select_related("person").get(pk=message_id, status="waiting")
    if not message.person.consents.filter(purpose="offers", withdrawn_at=None).exists():
        Message.objects.filter(pk=message_id).update(status="blocked")
        return
    made = provider.client().messages.create(
        to=message.person.number,
        from_="+18885550100",
        body=message.body,
        validity_period=3_600,
        status_callback=f"{settings.CALLBACK}?message={message_id}",
    )
    waiting = Message.objects.filter(pk=message_id, status="waiting")
    waiting.update(status="accepted", provider_id=made.sid)

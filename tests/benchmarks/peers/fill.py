"""Fills the peers' database: people with a consent each, and a message for each of them.

Arguments: how many, and `texts` for the peers' own table or `mail` for django-post-office's queue.
"""

import sys

import django

django.setup()

from post_office.mail import send_many  # noqa: E402 - needs the settings

from tests.benchmarks.peers.models import Consent, Message, Person  # noqa: E402 - likewise

BODY = "Harbor Coffee: new beans. Reply STOP to cancel."


def fill(count: int, kind: str) -> None:
    numbers = [f"+1212{200 + n // 10_000}{n % 10_000:04}" for n in range(count)]
    if kind == "mail":
        sender = "offers@sms.invalid"
        told = {"sender": sender, "message": BODY}
        send_many([{"recipients": [f"{one}@sms.invalid"], **told} for one in numbers])
        return
    people = Person.objects.bulk_create(Person(number=one) for one in numbers)
    Consent.objects.bulk_create(Consent(person=one, purpose="offers") for one in people)
    Message.objects.bulk_create(Message(person=one, body=BODY) for one in people)


fill(int(sys.argv[1]), sys.argv[2])

"""An administrator registers senders; what does not fit is said beside its field."""

import pytest
from django.test import Client

from audit import roles
from campaigns.models import Sender

ADD = "/admin/campaigns/sender/add/"


@pytest.fixture
def administrator(signed_in):
    return signed_in(roles.ADMINISTRATOR)


def register(client: Client, **fields):
    told = {"address": "+1 212 555 0177", "gateway": "telnyx", "countries": "US", **fields}
    return client.post(ADD, told)


def test_a_sender_is_registered_as_the_stand_in_of_another(administrator, sender):
    register(administrator, stands_in_for=sender.pk)
    assert sender.stand_in.address == "+12125550177"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"gateway": "twilio"}, "It is at the same gateway"),
        ({"address": "+1 (212) 555-0100"}, "already exists"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(administrator, sender, fields, said):
    answer = register(administrator, stands_in_for=sender.pk, **fields)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert Sender.objects.count() == 1


def test_a_gateway_without_an_account_is_refused_in_words(administrator, settings):
    settings.TELNYX_API_KEY = ""
    assert "has no credentials for this gateway" in register(administrator).content.decode()
    assert not Sender.objects.exists()

"""A worker that stood still after the fence hands nothing over: what was true may be no more."""

import time

from campaigns import delivery
from campaigns.calling import Calling
from campaigns.models import Message
from tests.campaigns.conftest import fenced, new_york
from tests.conftest import AT


def test_what_was_fenced_half_a_lease_ago_is_not_handed_over(people, launched, provider, settings):
    people(new_york(2))
    launched()
    long_ago = time.monotonic() - settings.LEASE.total_seconds()
    called = Calling(fenced(), since=long_ago).called()
    delivery.settle(called=called, at=AT)
    assert provider.truth()["accepted"] == 0
    assert set(Message.objects.values_list("status", flat=True)) == {Message.Status.WAITING}

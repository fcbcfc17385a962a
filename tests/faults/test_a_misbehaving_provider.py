"""Whatever the provider does wrong, nobody is written to twice and every doubt is on a list."""

import pytest

from campaigns.models import Message
from tests.faults import scene
from tests.services import Stack

AUDIENCE = scene.fiction(scene.NEW_YORK, scene.BOSTON, scene.CHICAGO, scene.SAN_FRANCISCO)
RATES = {
    "hang": 0.04,
    "slow": 0.04,
    "too_many": 0.06,
    "error": 0.05,
    "error_after_accept": 0.08,
    "reset": 0.05,
    "reset_after_accept": 0.08,
    "broken_json": 0.08,
    "duplicate_receipt": 0.08,
    "early_receipt": 0.08,
    "undelivered": 0.05,
    "filtered": 0.05,
}
LEAVES_IT_UNKNOWN = {"hang", "error", "reset"}
Status = Message.Status


@pytest.mark.stack(GATEWAY_TIMEOUT="1", CLAIM_SIZE="50", LEASE_SECONDS="3")
def test_a_misbehaving_provider(beside: Stack, business: scene.Business) -> None:
    scene.enrol(business, AUDIENCE)
    scene.misbehave(beside, **RATES)
    campaign = scene.launch(business)

    def an_operator_looks() -> None:
        scene.resume_if_paused(business, campaign)  # so much is filtered that it pauses by itself

    untried = campaign.messages.filter(tries=0)
    beside.wait_until(lambda: (an_operator_looks(), not untried.exists())[1])
    scene.misbehave(beside)  # a provider that went on refusing would be tried for ten minutes
    scene.await_end(beside, campaign, meanwhile=an_operator_looks)

    ours = scene.check_accounts(beside, campaign, AUDIENCE)
    met = beside.truth()["faults"]
    assert set(met) == set(RATES), "some fault was never met"
    end = {m["to"]: m["status"] for m in scene.provider_messages(beside)}
    delivered = {number for number, status in end.items() if status == "delivered"}
    assert scene.those(ours, [Status.DELIVERED]) == delivered
    assert scene.those(ours, [Status.UNDELIVERED]) == set(end) - delivered
    listed = campaign.messages.filter(status=Status.UNKNOWN).exclude(reason="")
    assert scene.those(ours, [Status.UNKNOWN]) == set(AUDIENCE) - set(end)
    assert listed.count() == sum(met[fault] for fault in LEAVES_IT_UNKNOWN)

"""Whoever ever wrote or edited a campaign does not approve it, however often others save it."""

import pytest

from audit import roles
from campaigns import dispatch
from campaigns.dispatch import StepRefused
from tests.conftest import AT


def test_an_editor_is_remembered_after_the_next_edit(approved_campaign, operators):
    author = operators(roles.CAMPAIGN_AUTHOR)
    bert = operators(roles.CAMPAIGN_APPROVER, name="bert")
    text = "Harbor Coffee: other words. Reply STOP to cancel."
    dispatch.edit(campaign=approved_campaign, text=text, by=bert, at=AT)
    dispatch.edit(campaign=approved_campaign, name="Autumn 2", by=author, at=AT)
    dispatch.check(campaign=approved_campaign, by=author, at=AT)
    with pytest.raises(StepRefused, match="someone who did not write or edit it"):
        dispatch.approve(campaign=approved_campaign, by=bert, at=AT)


def test_saving_without_a_change_changes_nothing(approved_campaign, operators):
    dispatch.edit(campaign=approved_campaign, by=operators(roles.CAMPAIGN_AUTHOR), at=AT)
    approved_campaign.refresh_from_db()
    assert approved_campaign.status == "approved"

"""Senders, campaigns and their approvals, quiet hours, replies, messages and their attempts."""

from campaigns.models.campaigns import (
    Approval,
    Campaign,
    CampaignQuerySet,
    Opening,
    Override,
    Tally,
)
from campaigns.models.hours import DAYS, OwnRule, Stop
from campaigns.models.messages import Attempt, Decision, Message, Receipt
from campaigns.models.replies import Reply
from campaigns.models.senders import Sender

__all__ = [
    "DAYS",
    "Approval",
    "Attempt",
    "Campaign",
    "CampaignQuerySet",
    "Decision",
    "Message",
    "Opening",
    "Override",
    "OwnRule",
    "Receipt",
    "Reply",
    "Sender",
    "Stop",
    "Tally",
]

"""The pages of campaigns, their messages and replies, senders, and of people's whole lives."""

from campaigns.admin import campaigns, hours, messages, people, replies, senders

__all__ = ["campaigns", "hours", "messages", "people", "replies", "senders"]

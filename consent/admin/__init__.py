"""The pages of consent in the back office."""

from consent.admin import integrations, labels, lists, opt_outs, people, wordings

__all__ = ["integrations", "labels", "lists", "opt_outs", "people", "wordings"]

"""The pages of consent in the back office."""

from consent.admin import integrations, lists, opt_outs, people, wordings

__all__ = ["integrations", "lists", "opt_outs", "people", "wordings"]

"""The pages of consent in the back office."""

from consent.admin import lists, opt_outs, people, wordings

__all__ = ["lists", "opt_outs", "people", "wordings"]

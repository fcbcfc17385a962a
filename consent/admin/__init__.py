"""The pages of consent in the back office."""

from consent.admin import lists, people, wordings

__all__ = ["lists", "people", "wordings"]

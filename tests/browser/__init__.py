"""Journeys of people through the running product, in a real browser."""

import pytest

pytest.register_assert_rewrite("tests.browser.journey")

"""Faults put to the whole product: what it promises holds all the same."""

import pytest

pytest.register_assert_rewrite("tests.faults.scene", "tests.faults.visitor")

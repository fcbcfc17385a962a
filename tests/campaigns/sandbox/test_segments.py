"""How many parts a text is billed as, against an independent count."""

import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from campaigns.sandbox import segments

LETTERS = st.sampled_from("aé€^Δ\n{")
WIDE = st.sampled_from("aé😀漢")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("漢" * 70, 1),
        ("漢" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_a_text_is_billed_by_the_part(text, parts):
    assert segments.count(text) == parts


@given(st.text(LETTERS, min_size=1, max_size=500) | st.text(WIDE, min_size=1, max_size=300))
def test_the_count_agrees_with_an_independent_one(text):
    assert segments.count(text) == len(smsutil.split(text).parts)

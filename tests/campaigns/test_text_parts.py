"""The billed segments of a text, one by one."""

import pytest
import smsutil
from hypothesis import example, given
from hypothesis import strategies as st

from campaigns.text import GSM_EXTENSION, LIMITS, measure, parts
from tests.campaigns.test_text import ESCAPE, LATIN, NARROW_AND_WIDE

TEXTS = LATIN | NARROW_AND_WIDE | st.text()


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", ()),
        ("Café", ("Café",)),
        ("a" * 160, ("a" * 160,)),
        ("a" * 161, ("a" * 153, "a" * 8)),
        ("a" * 152 + "€" + "a" * 10, ("a" * 152, "€" + "a" * 10)),
        ("ê" * 71, ("ê" * 67, "ê" * 4)),
        ("ê" * 66 + "😀" + "ê" * 3, ("ê" * 66, "😀" + "ê" * 3)),
    ],
)
def test_a_text_is_cut_where_the_next_character_no_longer_fits(text, cut):
    assert parts(text) == cut


@given(TEXTS)
@example("€" * 153)
@example("😀" * 67)
def test_the_parts_are_the_whole_text_in_as_many_segments_as_are_billed(text):
    assert "".join(parts(text)) == text
    assert len(parts(text)) == measure(text).segments
    assert all(parts(text))


@given(TEXTS)
def test_no_part_holds_more_than_a_segment_may(text):
    encoding, cut = measure(text).encoding, parts(text)
    alone, joined = LIMITS[encoding]
    for part in cut:
        assert units(part, encoding) <= (joined if len(cut) > 1 else alone)


@given(TEXTS)
def test_no_part_could_have_held_the_next_character(text):
    encoding, cut = measure(text).encoding, parts(text)
    for part, following in zip(cut, cut[1:], strict=False):
        assert units(part + following[0], encoding) > LIMITS[encoding][1]


@given(LATIN | NARROW_AND_WIDE | st.text(min_size=1).filter(lambda text: ESCAPE not in text))
@example("a" * 152 + "€" + "a" * 7)
def test_the_parts_are_those_of_smsutil_where_that_is_right(text):
    assert parts(text) == tuple(part.content for part in smsutil.split(text).parts)


def units(text, encoding):
    if encoding == "UCS-2":
        return len(text.encode("utf-16-be")) // 2
    return len(text) + sum(character in GSM_EXTENSION for character in text)

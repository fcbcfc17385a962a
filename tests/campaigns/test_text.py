"""How texts are measured in billed segments and filled in for one person."""

import pytest
import smsutil
from hypothesis import example, given
from hypothesis import strategies as st
from smsutil.codecs import GSM_CHARSET

from campaigns.text import (
    GSM,
    GSM_BASIC,
    GSM_EXTENSION,
    MergeFieldError,
    UnknownField,
    UnresolvedField,
    fields_of,
    measure,
    render,
)

ESCAPE = "\x1b"
LATIN = st.text(st.sampled_from(sorted(GSM)), min_size=1, max_size=500)
NARROW_AND_WIDE = st.text(st.sampled_from("aé€[ê漢😀🏳\u200d"), min_size=1, max_size=400)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 0),
        ("a", "GSM-7", 1, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("é" * 160, "GSM-7", 160, 1),
        ("\n\f", "GSM-7", 3, 1),
        ("ç", "UCS-2", 1, 1),
        ("ê" * 70, "UCS-2", 70, 1),
        ("ê" * 71, "UCS-2", 71, 2),
        ("ê" * 134, "UCS-2", 134, 2),
        ("ê" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("€" * 69 + "ê", "UCS-2", 70, 1),
    ],
)
def test_a_text_is_billed_by_encoding_and_length(text, encoding, units, segments):
    measured = measure(text)
    assert (measured.encoding, measured.units, measured.segments) == (encoding, units, segments)


@pytest.mark.parametrize(
    ("text", "units", "segments"),
    [
        ("a" * 152 + "€" + "a" * 152, 306, 3),
        ("a" * 151 + "€" + "a" * 153, 306, 2),
        ("€" * 153, 306, 3),
    ],
)
def test_an_escape_pair_is_never_split_over_two_segments(text, units, segments):
    assert (measure(text).units, measure(text).segments) == (units, segments)


@pytest.mark.parametrize(
    ("text", "units", "segments"),
    [
        ("ê" * 66 + "😀" + "ê" * 66, 134, 3),
        ("ê" * 65 + "😀" + "ê" * 67, 134, 2),
        ("😀" * 67, 134, 3),
    ],
)
def test_a_surrogate_pair_is_never_split_over_two_segments(text, units, segments):
    assert (measure(text).units, measure(text).segments) == (units, segments)


def test_the_characters_that_force_ucs2_are_named_once_and_in_order():
    assert measure("Café “ça va” – ça 😀").forcing == ("“", "ç", "”", "–", "😀")


def test_a_text_in_the_gsm_alphabet_forces_nothing():
    assert measure("Café à 5 €").forcing == ()


def test_a_bare_escape_character_is_no_letter_of_the_alphabet():
    assert measure(ESCAPE).forcing == (ESCAPE,)


def test_the_alphabet_has_the_size_the_standard_gives_it():
    assert (len(GSM_BASIC), len(GSM_EXTENSION)) == (127, 10)


def test_the_alphabet_is_that_of_smsutil_without_the_escape_code():
    assert set(GSM_CHARSET) - {ESCAPE} == GSM


@given(LATIN | NARROW_AND_WIDE | st.text(min_size=1).filter(lambda text: ESCAPE not in text))
@example("a" * 152 + "€" + "a" * 7)
def test_the_count_agrees_with_smsutil_where_that_is_right(text):
    measured, oracle = measure(text), smsutil.split(text)
    unit = 1 if oracle.encoding == "gsm0338" else 2
    assert measured.encoding == {1: "GSM-7", 2: "UCS-2"}[unit]
    assert measured.units == oracle.total_bytes // unit
    assert measured.segments == len(oracle.parts)


@given(st.text())
def test_units_are_what_the_encoder_of_the_encoding_writes(text):
    measured = measure(text)
    escapes = sum(character in "\f^{}\\[~]|€" for character in text)
    ucs2 = len(text.encode("utf-16-be")) // 2
    assert measured.units == (len(text) + escapes if measured.encoding == "GSM-7" else ucs2)


@given(st.text(), st.text())
def test_more_text_is_never_billed_less_in_the_same_encoding(text, more):
    if measure(text).encoding == measure(text + more).encoding:
        assert measure(text).segments <= measure(text + more).segments


@pytest.mark.parametrize(
    ("template", "values", "written"),
    [
        ("Hello {first_name|there}!", {"first_name": "Ada"}, "Hello Ada!"),
        ("Hello {first_name|there}!", {}, "Hello there!"),
        ("Hello {first_name|there}!", {"first_name": " \t\n"}, "Hello there!"),
        ("Hello {first_name|there}!", {"first_name": "\x00\u202e"}, "Hello there!"),
        ("Hello {first_name|our friend}!", {"last_name": "Byron"}, "Hello our friend!"),
        ("{first_name|You}, {first_name|you}", {"first_name": "Ada"}, "Ada, Ada"),
        ("No field | at all", {"first_name": "Ada"}, "No field | at all"),
        ("", {"first_name": "Ada"}, ""),
    ],
)
def test_a_merge_field_becomes_the_value_or_else_its_fallback(template, values, written):
    assert render(template, values) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Ada\r\nSTOP", "Ada STOP"),
        ("  Ada \u2028 Byron\t", "Ada Byron"),
        ("A\x00d\x1ba\x7f", "Ada"),
        ("a \x00 b", "a b"),
        ("\u202eadA\u2069", "adA"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("x" * 41, "x" * 40),
        ("x" * 39 + " yz", "x" * 39),
    ],
)
def test_a_value_is_cut_to_one_short_line_without_control_characters(value, written):
    assert render("{first_name|there}", {"first_name": value}) == written


@pytest.mark.parametrize(
    "value", ["{first_name|again}", "{last_name}", "}{", r"\1\g<0>", "%s {0.__class__}"]
)
def test_a_value_cannot_bring_in_a_field_of_its_own(value):
    assert render("<{first_name|there}>", {"first_name": value}) == f"<{value}>"


@pytest.mark.parametrize(
    "template",
    ["{last_name|x}", "{}", "{ first_name|x}", "{First_Name|x}", "{0}", "{first_name.upper|x}"],
)
@pytest.mark.parametrize("read", [fields_of, lambda template: render(template, {})])
def test_a_field_of_another_name_is_refused(read, template):
    with pytest.raises(UnknownField, match="There is only: first_name"):
        read(template)


@pytest.mark.parametrize(
    "template", ["{first_name}", "{first_name|}", "{first_name| }", "{first_name|a|b}"]
)
@pytest.mark.parametrize("read", [fields_of, lambda template: render(template, {})])
def test_a_field_without_one_fallback_is_refused_with_an_example(read, template):
    with pytest.raises(UnresolvedField, match=r"such as \{first_name\|there\}"):
        read(template)


@pytest.mark.parametrize(
    "template", ["Save 5 {", "} off", "{{first_name|x}}", "{first_name|x", "a {b {first_name|x}"]
)
@pytest.mark.parametrize("read", [fields_of, lambda template: render(template, {})])
def test_a_brace_outside_any_field_is_refused(read, template):
    with pytest.raises(UnresolvedField, match="outside any merge field"):
        read(template)


def test_the_fields_of_a_template_are_named_once():
    assert fields_of("{first_name|You}, dear {first_name|you}") == ("first_name",)


def test_a_template_without_braces_has_no_fields():
    assert fields_of("Save 5 | today") == ()


@given(st.text(), st.text(st.characters(exclude_characters="{}"), max_size=50))
def test_a_filled_template_is_its_plain_text_around_one_short_line(value, plain):
    written = render(plain + "{first_name|there}" + plain, {"first_name": value})
    filled = written[len(plain) : len(written) - len(plain)]
    assert written == plain + filled + plain
    assert 1 <= len(filled) <= 40
    assert filled.splitlines() == [filled.strip()]


@given(st.text(st.sampled_from("{}| abfirst_name\n")), st.dictionaries(st.text(), st.text()))
def test_a_template_that_can_be_read_can_be_filled_in_and_no_other(template, values):
    assert refused(fields_of, template) == refused(render, template, values)


@given(st.text(st.characters(exclude_characters="{}")))
def test_a_text_without_braces_is_left_as_it_is(template):
    assert render(template, {"first_name": "Ada"}) == template


def refused(read, *arguments):
    try:
        read(*arguments)
    except MergeFieldError as error:
        return str(error)
    return ""

"""What to write instead of the characters that force UCS-2."""

import json
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from campaigns.text import (
    FIELDS,
    GSM,
    GSM_BASIC,
    GSM_EXTENSION,
    INSTEAD,
    LIMITS,
    VALUE_LENGTH,
    MergeFieldError,
    Suggestion,
    fields_of,
    for_browser,
    measure,
    simplified,
    suggestions,
)

REPLACEABLE = st.sampled_from(sorted(set(INSTEAD) | GSM - set("{|}"))) | st.sampled_from(
    " .\n😀\u200b\ufe0f\u0301é"
)
HELPED = st.builds("“{}".format, st.text(REPLACEABLE, max_size=200))
ODD = st.text(REPLACEABLE | st.sampled_from("{|}漢½"), max_size=200)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("“Half price” – it’s on…", '"Half price" - it\'s on...'),
        ("«ça» ‹và› „oui‟", '"ca" \'và\' "oui"'),
        ("Œuvre, œuf, łódź, Straße, đến, Þór", "OEuvre, oeuf, lodz, Straße, den, Thor"),
        ("Ação às três — señor Ñandú", "Acao às tres - señor Ñandu"),
        ("No\u00a0break\u2009thin\u202fnarrow\ttab\u3000wide", "No break thin narrow tab wide"),
        ("zero\u200bwidth\u00adsoft\ufeff", "zerowidthsoft"),
        ("Line\u2028and paragraph\u2029", "Line\nand paragraph\n"),
        ("𝗦𝗔𝗟𝗘 Ⓐ ﬁn № Ⅷ ｗｉｄｅ", "SALE A fin No VIII wide"),
        ("→ 99¢ ®©™ 2×3 • a·b `x´ −5", "-> 99c (R)(c)TM 2x3 - a-b 'x' -5"),
        ("\u212bngström \u2126", "Ångström Ω"),
    ],
)
def test_what_stands_for_another_character(text, plain):
    assert simplified(text) == plain


@pytest.mark.parametrize(
    ("decomposed", "plain"),
    [
        ("Cafe\u0301", "Café"),
        ("man\u0303ana", "mañana"),
        ("garc\u0327on", "garcon"),
        ("x\u0301", "x"),
        ("a\u0302\u0301", "a"),
        ("A\u030a\u0301", "Å"),
    ],
)
def test_a_letter_and_its_marks_become_the_nearest_letter_of_the_alphabet(decomposed, plain):
    assert simplified(decomposed) == plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Hi 😀 there", "Hi there"),
        ("Hi😀there", "Hithere"),
        ("Hi 😀there", "Hi there"),
        ("😀 Hi 🎉!", "Hi!"),
        ("One\n✔ two 👍🏽\nthree ❤️", "One\ntwo\nthree"),
        ("👩\u200d👩\u200d👧 1️⃣ 🇺🇸 day", "1 day"),
        ("😀", ""),
    ],
)
def test_a_picture_is_left_out_with_the_space_that_would_be_too_many(text, plain):
    assert simplified(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Café à 5 €, Straße",
        "It’s 漢字",
        "“Привет”",
        "“½ off”",
        "“5¹”",
        "“20°”",
        "…" * 70,
        "“｛first_name｜x｝”",
        "{first_name|😀}",
        "{first_name| 😀}",
        "{first_name|\u0301}",
    ],
)
def test_nothing_is_suggested_where_it_would_not_help(text):
    assert suggestions(text) == ()
    assert simplified(text) == text


def test_a_suggestion_says_where_and_what():
    assert suggestions("It’s “ça” 😀!") == (
        Suggestion(2, 3, "'"),
        Suggestion(5, 6, '"'),
        Suggestion(6, 7, "c"),
        Suggestion(8, 9, '"'),
        Suggestion(9, 11, ""),
    )


@given(ODD | st.text())
def test_suggestions_applied_from_the_end_give_the_simplified_text(text):
    written = text
    for suggestion in reversed(suggestions(text)):
        written = written[: suggestion.start] + suggestion.instead + written[suggestion.end :]
    assert written == simplified(text)


@given(HELPED)
def test_a_simplified_text_forces_nothing_and_is_billed_no_more(text):
    assume(simplified(text) != text)
    assert measure(simplified(text)).encoding == "GSM-7"
    assert measure(simplified(text)).segments <= measure(text).segments


@given(HELPED)
def test_every_character_that_forces_ucs2_lies_in_a_suggestion_if_there_are_any(text):
    assume(suggestions(text))
    covered = {place for found in suggestions(text) for place in range(found.start, found.end)}
    assert {place for place, character in enumerate(text) if character not in GSM} <= covered


@given(ODD | st.text(st.sampled_from("{first_name|}| 😀“a")))
def test_a_simplified_template_has_the_fields_it_had(text):
    assert read(simplified(text)) == read(text)


@given(ODD)
def test_a_simplified_text_is_as_simple_as_it_gets(text):
    assert simplified(simplified(text)) == simplified(text)


def test_no_stand_in_makes_a_merge_field_or_forces_anything():
    assert set("".join(INSTEAD.values())) <= GSM - set("{|}")
    assert not GSM & set(INSTEAD)


@pytest.mark.parametrize(("first", "last"), [(0xC0, 0x17F), (0x1EA0, 0x1EF9)])
def test_every_accented_letter_of_a_european_or_vietnamese_word_has_a_stand_in(first, last):
    letters = [chr(code) for code in range(first, last + 1)]
    accented = {letter for letter in letters if " WITH " in unicodedata.name(letter)}
    assert accented - GSM <= set(INSTEAD)


def test_the_browser_is_given_the_same_rules():
    rules = {name: json.loads(rule) for name, rule in for_browser().items()}
    assert set(rules["gsm-basic"]) == GSM_BASIC
    assert set(rules["gsm-extension"]) == GSM_EXTENSION
    assert {c: new for new, group in rules["instead"].items() for c in group} == INSTEAD
    assert {encoding: tuple(limits) for encoding, limits in rules["limits"].items()} == LIMITS
    assert (tuple(rules["fields"]), rules["value-length"]) == (FIELDS, VALUE_LENGTH)


def read(template):
    try:
        return fields_of(template)
    except MergeFieldError as error:
        return type(error)

"""The largest size that a text takes over the people it is for."""

import weakref

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaigns import text
from campaigns.text import MergeFieldError, Worst, measure, render, worst_case

GREETING = "Hello {first_name|there}!"
NAMES = st.text(st.sampled_from("aé€[êł漢😀 \t\u200b"), max_size=45)
PEOPLE = st.lists(st.fixed_dictionaries({}, optional={"first_name": NAMES}), max_size=8)
FILLINGS = st.text(st.sampled_from("a€ê😀"), max_size=5).map(
    lambda words: f"{{first_name|{words}.}}"
)
WORDS = st.builds(
    lambda unit, times: unit * times, st.sampled_from(["a", "€", "ê", "😀"]), st.integers(0, 310)
)
TEMPLATES = st.lists(WORDS | FILLINGS, max_size=4).map("".join)


def named(*names):
    return [{"first_name": name} for name in names]


def size(measured):
    return measured.segments, measured.encoding == "UCS-2", measured.units


@given(TEMPLATES, PEOPLE)
@example("a" * 145 + "{first_name|x}" + "a" * 153, named("a" * 8, "a" * 6 + "€"))
@example("a" * 145 + "{first_name|x}" + "a" * 153, named("a" * 6 + "€", "a" * 7 + "€"))
@example("ê" * 60 + "{first_name|x}" + "ê" * 66, named("ê" * 8, "ê" * 6 + "😀"))
def test_the_worst_case_is_that_of_writing_to_each(template, people):
    each = [measure(render(template, person)) for person in people or [{}]]
    assert size(worst_case(template, people).measure) == max(map(size, each))


@pytest.mark.parametrize(
    ("names", "encoding", "units"),
    [
        (["Ada", "Bartholomew", "Li"], "GSM-7", 18),
        (["Ada", ""], "GSM-7", 12),
        (["Ada", "Zoë"], "UCS-2", 10),
        (["Bartholomew", "Zoë"], "UCS-2", 10),
        (["Charles", "[[Ada]]"], "GSM-7", 18),
        (["x" * 50], "GSM-7", 47),
        ([], "GSM-7", 12),
    ],
)
def test_the_longest_name_and_the_one_that_forces_ucs2_count(names, encoding, units):
    worst = worst_case(GREETING, named(*names)).measure
    assert (worst.encoding, worst.units, worst.segments) == (encoding, units, 1)


def test_the_worst_case_names_what_forces_ucs2():
    assert worst_case(GREETING, named("Ada", "Zoë")).measure.forcing == ("ë",)


def test_those_whose_value_is_missing_or_blank_are_counted_by_field():
    people = [*named("Ada", " \t", "", "\u200b"), {}, {"last_name": "Byron"}]
    assert worst_case(GREETING, people).missing == {"first_name": 5}


def test_a_template_without_fields_lacks_nothing():
    assert worst_case("Hello", [{}, {}]) == Worst(measure("Hello"), {})


@pytest.mark.parametrize("people", [[], named("Ada")])
def test_a_template_that_cannot_be_filled_in_is_refused(people):
    with pytest.raises(MergeFieldError):
        worst_case("Hello {first_name}", people)


def test_of_names_of_one_length_only_the_first_is_written_out(monkeypatch):
    written = []
    monkeypatch.setattr(text, "measure", lambda filled: written.append(filled) or measure(filled))
    worst_case(GREETING, named("Ada", "Eva", "Zoë", "Noé", "Joë", "", " "))
    assert written == ["Hello Ada!", "Hello Zoë!", "Hello there!"]


class Person(dict):
    """Merge values that can be watched."""

    __hash__ = object.__hash__


def test_people_are_let_go_of_once_they_are_read():
    held, most = weakref.WeakSet(), 0

    def people():
        nonlocal most
        for number in range(100):
            held.add(person := Person(first_name="Ada😀"[: 3 + number % 2] * (number % 9)))
            most = max(most, len(held))
            yield person

    worst_case(GREETING, people())
    assert 1 <= most <= 2

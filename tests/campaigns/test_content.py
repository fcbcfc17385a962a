"""What must not stand in a text, tried on a table of texts and on whatever else can be written.

The table's last texts, those noted as held out, were written when the rules stood.
"""

import csv
import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import content
from campaigns.content import Finding, Severity
from tests.services import ROOT

with (ROOT / "tests" / "data" / "content.csv").open(encoding="utf-8", newline="") as lines:
    TABLE = list(csv.DictReader(lines))
LEAST = 0.98


def find(text: str, **other: object) -> list[Finding]:
    """The findings in a text of Harbor Coffee, in English unless said otherwise."""
    usual = {
        "language": "en",
        "business": "Harbor Coffee",
        "opt_out_wanted": True,
        "domains": {"harbor.example"},
    }
    return content.findings(text, **{**usual, **other})  # type: ignore[arg-type]


def blocking(text: str, **other: object) -> set[str]:
    return {one.code for one in find(text, **other) if one.severity is Severity.BLOCKING}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _counted() -> tuple[Counter[str], Counter[str], Counter[str]]:
    """By code, how often it was found rightly, found wrongly, and missed."""
    right, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for row in TABLE:
        found, expected = blocking(row["text"], language=row["language"]), row["expected"].split()
        right.update(found & set(expected))
        wrong.update(found - set(expected))
        missed.update(set(expected) - found)
    return right, wrong, missed


def test_the_table_is_found_right_by_code_and_in_all() -> None:
    """Run with -s to see the figures."""
    right, wrong, missed = _counted()
    for code in sorted(right | wrong | missed):
        precision = _share(right[code], right[code] + wrong[code])
        recall = _share(right[code], right[code] + missed[code])
        print(f"{code:14} {right[code]:4} precision {precision:.3f} recall {recall:.3f}")
        assert min(precision, recall) >= LEAST, code
    precision = _share(right.total(), (right + wrong).total())
    recall = _share(right.total(), (right + missed).total())
    print(f"{'in all':14} {right.total():4} precision {precision:.3f} recall {recall:.3f}")
    assert min(precision, recall) >= LEAST


def test_the_table_is_large_and_nearly_half_of_it_is_harmless() -> None:
    harmless = [row for row in TABLE if not row["expected"]]
    assert len(TABLE) >= 420
    assert len(harmless) >= 0.45 * len(TABLE)
    assert len({row["text"] for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["text"][15:55])
def test_no_finding_repeats_digits_of_the_text(row) -> None:
    numbers = re.findall(r"\d{4,}", re.sub(r"[\s.-]", "", row["text"]))
    said = " ".join(one.words for one in find(row["text"], language=row["language"]))
    assert not any(number[:4] in said for number in numbers)


def test_a_text_takes_less_than_a_millisecond_without_spelling() -> None:
    """Of the processor's time, three times over for slow machines; -s shows the figure."""
    texts = [row["text"] for row in TABLE]
    find(texts[0], language="xx")
    begun = time.process_time()
    for text in texts:
        find(text, language="xx")
    taken = (time.process_time() - begun) / len(texts) * 1000
    print(f"{taken:.2f} ms a text")
    assert taken < 3


# --- any text ------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "4242 4242 4242 4242", "987-65-4320", "SSN ", "GB82 WEST 1234 5698 7654 32", "password: ",
        "{", "}", "first_name", "|", "https://", "bit.ly/", "@", "xn--", ".test", "STOP", "!!",
        "PIN is 4821", "ß", "é", "e\u0301", "\u200b", "４", "٤", "²", "K", "ﬁ", "\\", "%", "\n",
    ]
)  # fmt: skip
ANYTHING = st.one_of(PIECES, st.text(max_size=4))
TEXTS = st.one_of(st.text(max_size=200), st.lists(ANYTHING).map("".join))


@given(TEXTS, st.sampled_from(["xx", "en", "es", "fr", "ja", "pt-BR", ""]))
def test_of_any_text_the_findings_lie_in_it_and_stand_in_order(text: str, language: str) -> None:
    found = find(text, language=language)
    assert all(0 <= one.start <= one.end <= len(text) for one in found)
    assert [(one.start, one.end) for one in found] == sorted((one.start, one.end) for one in found)
    assert len(set(found)) == len(found)


@given(TEXTS)
def test_no_finding_in_any_text_repeats_four_digits_of_it(text: str) -> None:
    said = " ".join(one.words for one in find(text))
    assert not any(run in said for run in re.findall(r"(?=(\d{4}))", text))


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_name_and_any_domain_may_be_given(business: str, domain: str) -> None:
    find("Hi from harbor.example", business=business, domains={domain}, known_words={business})


@pytest.mark.parametrize(
    "piece", ["4 ", "1-", "a.", "{", "your ", "password: ", "@", "gb82 ", "//"]
)
def test_no_text_takes_long(piece: str) -> None:
    begun = time.process_time()
    find(piece * (1600 // len(piece)), language="xx")
    assert time.process_time() - begun < 1


# --- what the table does not say -----------------------------------------------------------------


def _places(text: str, code: str, **other: object) -> list[str]:
    return [text[one.start : one.end] for one in find(text, **other) if one.code == code]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("Card 4242 4242 4242 4242, exp 12/28", "card", "4242 4242 4242 4242"),
        (
            "é ４２４２\u200b ４２４２ ４２４２ ４２４２!",
            "card",
            "４２４２\u200b ４２４２ ４２４２ ４２４２",
        ),
        ("Pay to GB82 WEST 1234 5698 7654 32 today", "iban", "GB82 WEST 1234 5698 7654 32"),
        ("See https://evil.test/a?b=1 now", "domain", "https://evil.test/a?b=1"),
        ("Die Straße: Ihre Diagnose liegt vor", "health", "Ihre Diagnose"),
        ("Password: hunter2", "password", "hunter2"),
    ],
)
def test_a_finding_shows_its_place(text: str, code: str, place: str) -> None:
    assert _places(text, code) == [place]


def test_what_is_missing_has_a_place_of_no_length() -> None:
    found = {one.code: (one.start, one.end) for one in find("Hello")}
    assert found == {"brand": (0, 0), "opt_out": (5, 5)}


def test_only_health_and_finance_may_be_overridden() -> None:
    found = [one for row in TABLE for one in find(row["text"], language=row["language"])]
    assert {one.code for one in found if one.overridable} == {"health", "finance"}
    assert not {one.code for one in found if not one.overridable} & {"health", "finance"}


def test_without_a_wish_for_a_way_out_none_is_missed() -> None:
    assert blocking("Harbor Coffee: hello", opt_out_wanted=False) == set()


def test_a_way_out_in_another_language_is_known_by_its_own_words() -> None:
    assert "opt_out" not in blocking("Harbor Coffee: caffè gratis. Basta", language="it")
    assert "opt_out" in blocking("Harbor Coffee: caffè gratis", language="it")


def test_domains_that_are_not_known_are_not_checked_but_shorteners_are() -> None:
    text = "Harbor Coffee: evil.test or bit.ly/x. Reply STOP to end."
    assert blocking(text, domains=None) == {"shortener"}
    assert blocking(text, domains=()) == {"shortener", "domain"}


def test_a_domain_in_another_script_is_ours_in_either_spelling() -> None:
    text = "Harbor Coffee: https://hárbor.example, xn--hrbor-xqa.example. Reply STOP to end."
    assert blocking(text, domains={"hárbor.example"}) == set()


def test_at_least_sixty_shorteners_are_known_and_all_are_found() -> None:
    assert len(content.links.SHORTENERS) >= 60
    for host in content.links.SHORTENERS:
        assert "shortener" in blocking(f"See {host}/x")


def test_a_number_is_found_once_under_its_weightiest_name() -> None:
    text = "Harbor Coffee: bank account IBAN DE89 3704 0044 0532 0130 00. Reply STOP to end."
    assert [one.code for one in find(text) if one.severity is Severity.BLOCKING] == ["iban"]


def test_of_two_readings_of_a_number_the_weightier_counts() -> None:
    text = "Harbor Coffee: CPF or bank account 39053344705. Reply STOP to end."
    assert [one.code for one in find(text)] == ["national_id"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("See https://evil.test\\.harbor.example now. Reply STOP to end.", {"domain"}),
        ("See https://evil.test%2f.harbor.example now. Reply STOP to end.", {"domain"}),
        ("Password: required. Reply STOP to end.", set()),
        ("WE NEVER STOP ROASTING", {"opt_out"}),
        ("Lot 12-4242-4242-4242-4242 is roasted. Reply STOP to end.", set()),
    ],
)
def test_a_likeness_is_told_from_the_thing(text: str, codes: set[str]) -> None:
    assert blocking(f"HARBOR COFFEE: {text}") == codes

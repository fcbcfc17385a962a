"""What a reply asks for in free words: as labelled by people, and never at unbounded cost."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import phrases, replies
from consent.replies import LONGEST, Intent, read, says_yes

DATA = Path(__file__).parents[1] / "data"
SUPPRESSES = {Intent.STOP, Intent.LIKELY_STOP}
KEYWORDS = ("coffee", "End of Season", "STOP")


class Labelled(NamedTuple):
    text: str
    intent: Intent
    language: str


class Score(NamedTuple):
    """How often a reading is right when it says so, and how often it says so when it should."""

    precision: float
    recall: float


def labelled(name: str) -> list[Labelled]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Labelled(row["text"], Intent(row["intent"]), row["language"]) for row in rows]


REPLIES = labelled("replies.csv")
HELD_OUT = labelled("replies_held_out.csv")


def score(texts: list[Labelled], wanted: set[Intent]) -> Score:
    cells = Counter(
        (one.intent in wanted, read(one.text, keywords=["coffee"]).intent in wanted)
        for one in texts
    )
    right = cells[True, True]
    return Score(
        right / ((right + cells[False, True]) or 1), right / ((right + cells[True, False]) or 1)
    )


def show(title: str, texts: list[Labelled]) -> None:
    """Print the figures, seen with `pytest -s`."""
    print(f"\n{title}: {len(texts)} texts, precision and recall")
    for name, wanted in (("suppresses", SUPPRESSES), ("stop alone", {Intent.STOP})):
        print(f"  {name:<10} {'{:.3f} {:.3f}'.format(*score(texts, wanted))}")
    for language in sorted({one.language for one in texts}):
        own = [one for one in texts if one.language == language]
        print(f"  {language:<10} {'{:.3f} {:.3f}'.format(*score(own, SUPPRESSES))} of {len(own)}")


def intent(text: str) -> Intent:
    return read(text).intent


# --- against labels ------------------------------------------------------------------------------


def test_the_labelled_replies_are_read_as_people_would_read_them() -> None:
    show("replies.csv", REPLIES)
    suppresses, stops = score(REPLIES, SUPPRESSES), score(REPLIES, {Intent.STOP})
    assert suppresses.precision >= 0.99
    assert suppresses.recall >= 0.99
    assert stops.precision >= 0.98
    assert stops.recall >= 0.99


def test_replies_held_back_while_the_rules_were_made_are_nearly_all_heard() -> None:
    """Recall was 0.757 at first; the rules were widened once since, unseen which texts failed."""
    show("replies_held_out.csv", HELD_OUT)
    suppresses, stops = score(HELD_OUT, SUPPRESSES), score(HELD_OUT, {Intent.STOP})
    assert suppresses.precision >= 0.98
    assert suppresses.recall >= 0.9
    assert stops.precision >= 0.98
    assert stops.recall >= 0.9


@pytest.mark.parametrize(("texts", "least"), [(REPLIES, 440), (HELD_OUT, 120)])
def test_there_are_many_labelled_replies_and_half_of_them_stop_nothing(
    texts: list[Labelled], least: int
) -> None:
    assert len({one.text for one in texts}) == len(texts) >= least
    assert sum(one.intent not in SUPPRESSES for one in texts) * 2 >= len(texts)


def test_no_text_is_in_both_sets() -> None:
    assert {one.text for one in REPLIES}.isdisjoint(one.text for one in HELD_OUT)


# --- sentences -----------------------------------------------------------------------------------

CLEAR = """
    please stop texting me | take me off your list | wrong number | lose my number | no more texts
    unsubscribe me please | leave me alone | remove my number | do not contact me again
    stop sending me these | I don't want these messages anymore | help me stop these texts
    dejen de mandarme mensajes | no quiero recibir más mensajes | borren mi número
    arrêtez de m'envoyer des messages | je ne veux plus recevoir vos messages | faux numéro
    bitte keine Nachrichten mehr | falsche Nummer | lassen Sie mich in Ruhe
    parem de mandar msg | número errado | me tira da lista | Wrong # | Don't. Text. Me.
    non mandatemi più sms | laat me met rust | dajcie mi spokój | yanlış numara
    не пишите мне больше | 别再给我发短信了 | もう送らないでください | 문자 보내지 마세요
    गलत नंबर | لا ترسلوا لي رسائل
"""
UNCLEAR = """
    I think I want out | not interested | no thanks | how do I unsubscribe? | Can you cancel this?
    stop it lol | wrong person | how do I unsubscribe my wife? | start stop | I want to cancel
"""
NO_STOPS = """
    my sink won't stop leaking | don't stop | Yes, let's make them stop! | please cancel my order
    Liked “Reply STOP to cancel” | Disliked "Sale! Reply STOP to cancel" | Loved “STOP”
    Reagierte mit 👍 auf „Antworten Sie mit STOP“ | A aimé « Répondez STOP »
    Laughed at “Text STOP to quit” | Ha messo “Mi piace” a “Rispondi STOP”
    cancel my appointment for tomorrow | end of the month works | when does the sale end?
    I quit smoking | can you stop by at 5? | bus stop | non-stop flights | stop and shop
    is this the end? | quit claim deed | remove the onions | who is this?
    please don't stop sending these | don't take me off the list
    I don't want to stop getting these
    not interested in the blue one | bitte meinen Termin morgen stornieren | 取消我的订单
"""


def sentences(table: str) -> list[str]:
    return [text.strip() for text in re.split(r"[|\n]", table) if text.strip()]


@pytest.mark.parametrize("text", sentences(CLEAR))
def test_a_clear_sentence_stops(text: str) -> None:
    assert intent(text) == Intent.STOP


@pytest.mark.parametrize("text", sentences(UNCLEAR))
def test_an_unclear_sentence_may_be_a_stop(text: str) -> None:
    assert intent(text) == Intent.LIKELY_STOP


@pytest.mark.parametrize("text", sentences(NO_STOPS))
def test_a_sentence_that_only_sounds_like_a_stop_is_none(text: str) -> None:
    assert intent(text) == Intent.NONE


@pytest.mark.parametrize(
    "text", ["stop?", "STOP STOP STOP", "stooooop", "s t o p", "S.T.O.P.", "sotp"]
)
def test_a_stop_word_misspelt_repeated_or_spelled_out_is_a_stop(text: str) -> None:
    assert intent(text) == Intent.STOP


@pytest.mark.parametrize(
    "text", ["ok stop", "Hi, stop please, thanks", "baja por favor", "stop svp"]
)
def test_courtesy_around_a_stop_word_changes_nothing(text: str) -> None:
    assert intent(text) == Intent.STOP


@pytest.mark.parametrize("text", ["Who is this? Stop.", "I moved, please unsubscribe", "Hi\nSTOP"])
def test_a_clause_that_is_a_stop_word_stops(text: str) -> None:
    assert intent(text) == Intent.STOP


def test_a_stop_word_said_twice_in_a_clause_stops() -> None:
    assert intent("My husband died. Stop stop.") == Intent.STOP


def test_several_stop_words_are_one_stop() -> None:
    assert intent("STOP, END, CANCEL") == intent("quit cancel") == Intent.STOP


@pytest.mark.parametrize(
    ("text", "meant"), [("STOP COFFEE", "stop"), ("cancel coffee", "likely_stop")]
)
def test_a_stop_word_with_a_purposes_word_stops(text: str, meant: str) -> None:
    reading = read(text, keywords=KEYWORDS)
    assert (reading.intent, reading.keyword) == (meant, "coffee")
    assert read(text).intent == Intent.NONE


def test_a_clause_of_a_word_with_many_uses_may_be_a_stop() -> None:
    assert intent("cancel, the kids are ill") == Intent.LIKELY_STOP


COMPLAINTS = """
    if you don't stop I'll sue | why won't you stop | please make it stop | I can't unsubscribe
    make them stop texting me | you still did not stop | when will you stop texting me
    put an end to this | they won't stop texting me
"""


@pytest.mark.parametrize("text", sentences(COMPLAINTS))
def test_a_complaint_that_holds_a_negation_is_still_a_stop(text: str) -> None:
    assert intent(text) == Intent.STOP


@pytest.mark.parametrize(
    "text", ["No, paren de mandar mensajes", "Não, pare de me mandar mensagens", "NO. STOP."]
)
def test_a_no_before_a_stop_denies_nothing(text: str) -> None:
    assert intent(text) == Intent.STOP


@pytest.mark.parametrize("text", ["Liked “STOP to end” but stop texting me", "I said “stop”"])
def test_what_stands_beside_a_quotation_is_read(text: str) -> None:
    assert intent(text) == Intent.STOP


@pytest.mark.parametrize("other", ["START ", "HELP! ", "YES ", "join coffee, ", "don't stop. "])
def test_a_stop_wins_over_anything_else_in_the_text(other: str) -> None:
    assert read(f"{other}stop texting me", keywords=KEYWORDS).intent == Intent.STOP


# --- joining, help and yes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("JOIN", ""),
        ("Join Coffee!", "coffee"),
        ("coffee", "coffee"),
        ("END OF SEASON", KEYWORDS[1]),
    ],
)
def test_a_purposes_own_word_joins(text: str, keyword: str) -> None:
    reading = read(text, keywords=KEYWORDS)
    assert (reading.intent, reading.keyword) == (Intent.JOIN, keyword)


@pytest.mark.parametrize("text", ["coffee", "join coffee", "join us for lunch", "I love coffee"])
def test_a_word_of_no_purpose_joins_nothing(text: str) -> None:
    assert read(text, keywords=["tea"]).intent == Intent.NONE


@pytest.mark.parametrize(("word", "meant"), [("stop", "stop"), ("end", "stop"), ("help", "help")])
def test_a_purposes_word_never_overrides_one_that_stops_or_helps(word: str, meant: str) -> None:
    assert read(word, keywords=[word, word.upper()]).intent == meant


def test_a_purposes_word_that_is_nothing_joins_nobody() -> None:
    assert read("👍", keywords=["", "🛑"]).intent == Intent.NONE


@pytest.mark.parametrize("text", ["Help, my code isn't working", "help please", "Info?"])
def test_a_call_for_help_among_other_clauses_is_heard(text: str) -> None:
    assert intent(text) == Intent.HELP


@pytest.mark.parametrize(
    "text", ["YES", "y", "Yes please!", "sí", "oui", "ja", "sim", "да", "はい"]
)
def test_a_yes_alone_confirms_and_restores_nothing(text: str) -> None:
    assert says_yes(text)
    assert read(text).intent == Intent.NONE
    assert "restores nothing" in read(text).reason


@pytest.mark.parametrize("text", ["yes?", "yes stop", "yes I have a question", "ok", "", "no"])
def test_anything_but_a_yes_alone_confirms_nothing(text: str) -> None:
    assert not says_yes(text)


# --- what a clerk is told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("STOP", ""),
        ("cancelar", ""),
        ("baja", "es"),
        ("Désabonnez-moi", "fr"),
        ("退订", "zh"),
        ("lose my number", "en"),
    ],
)
def test_a_reading_tells_the_language_of_its_words(text: str, language: str) -> None:
    assert read(text).language == language


def test_the_reason_shows_our_words_and_not_the_persons() -> None:
    reading = read("Stop texting my sister Zuleika, and take her number off your list")
    assert reading.reason == "asks to stop, as in “stop texting”"


def test_no_reason_holds_a_word_that_is_not_ours() -> None:
    tables = [table for name, table in vars(phrases).items() if name.isupper()]
    words = " ".join(words for table in tables if type(table) is dict for words in table.values())
    ours = set(replies.normal(re.sub(r"[/|{}*_?^$]", " ", words)).split())
    reasons = " ".join(read(one.text).reason for one in REPLIES)
    quoted = replies.normal(" ".join(re.findall("“([^”]*)”", reasons)))
    assert set(quoted.split()) - ours == set()


# --- the tables ----------------------------------------------------------------------------------

PATTERNS = [
    (language, pattern)
    for table in (
        phrases.STOP_DESPITE_ALL,
        phrases.MAY_STOP_DESPITE_ALL,
        phrases.OTHER_MEANINGS,
        phrases.STOP_SENTENCES,
        phrases.MAY_BE_STOPS,
        phrases.TAPBACKS,
    )
    for language, patterns in table.items()
    for pattern in sentences(patterns)
]


def test_every_pattern_begins_and_ends_with_a_word() -> None:
    bare = {pattern: pattern.replace("^ ", "").replace(" $", "").split() for _, pattern in PATTERNS}
    ill = [p for p, words in bare.items() if words[0] == ".." or words[-1].endswith((".", "?"))]
    assert ill == []


def test_every_set_that_a_pattern_names_exists() -> None:
    named = {name for _, pattern in PATTERNS for name in re.findall(r"\{(\w+)\}", pattern)}
    assert named == set(phrases.SETS)


def test_every_repeat_in_a_pattern_is_bounded() -> None:
    compiled = [replies._expression(pattern, replies._script(lang)) for lang, pattern in PATTERNS]
    assert [regex for regex in compiled if re.search(r"(?<!\\)[*+](?!\+)(?<!\}\+)", regex)] == []


# --- any text ------------------------------------------------------------------------------------


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Counts the calls made inside, of functions in Python and in C."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        calls[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(before)


SNIPPETS = [
    "stop ",
    "dont ",
    "no ",
    "a",
    " ",
    "|",
    ",",
    "“",
    "不要",
    "🛑",
    "\u200b",
    "take me ",
    "_",
]
ADVERSARIAL = st.lists(st.sampled_from(SNIPPETS), min_size=1, max_size=4).map(
    lambda parts: ("".join(parts) * LONGEST)[: 2 * LONGEST]
)


@settings(deadline=None, max_examples=60)
@given(ADVERSARIAL | st.text(max_size=2 * LONGEST))
def test_any_text_is_read_in_bounded_work(text: str) -> None:
    with counted() as calls:
        read(text)
    assert calls.total() < 200_000


def test_signs_that_grow_when_they_are_made_normal_make_no_longer_text() -> None:
    assert len(replies._clauses("ﷺ" * LONGEST)) == LONGEST


def test_what_stands_behind_the_longest_text_is_not_read() -> None:
    assert intent("a" * LONGEST + " stop texting me") == Intent.NONE


WORDS = sorted(replies.PHRASES[Intent.STOP])
AROUND = st.text("!?.,;:*()[]\"'~ 🛑👍😡\u200b\u200d\u2060\ufeff\n…。！", max_size=6)
CASES: list[Callable[[str], str]] = [str.upper, str.lower, str.title, str.swapcase, str.capitalize]


@settings(deadline=None)
@given(st.sampled_from(WORDS), st.sampled_from(CASES), AROUND, AROUND, st.integers(0, 20))
def test_a_dressed_up_stop_word_stays_a_stop(
    word: str, cased: Callable[[str], str], before: str, after: str, at: int
) -> None:
    hidden = f"{word[:at]}\u200b{word[at:]}"
    assert intent(f"{before}{cased(hidden)}{after}") == Intent.STOP

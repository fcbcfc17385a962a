"""What a reply asks for by an exact word: in many languages, and however it is written."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import replies
from consent.replies import Intent

# 47 CFR 64.1200(a)(10): these revoke consent by themselves.
FEDERAL = ["stop", "quit", "end", "revoke", "opt out", "cancel", "unsubscribe"]
STOPS = {
    "English": """stop|stopall|stop all|unsubscribe|unsub|cancel|end|quit|revoke|optout|opt out
        |remove|remove me|stop it|stop pls|stop please|please stop|pls stop|stop texting
        |stop texting me|please stop texting me|stop messaging me|no more texts
        |no more messages|no more|unsubscribe me|opt me out|cancel me|dnc
        |stoptexting|stoptextingme|pleasestop|plsstop|stopplease|stop2end|unenroll|take off
        |off list|take me off|get me off|remove number|delete number|opt all out""",
    "French": "td|arrêt|arret|arrêter|arreter|stop sms|désabonner|desabonner|désinscription"
    "|desinscription|arrêtez|désabonnement|désinscrire|stop pub|stopsms|pas de sms|pas de pub",
    "Spanish": "alto|parar|baja|darse de baja|cancelar|no más|no mas|detener|darme de baja"
    "|dame de baja|dar de baja|cancelar suscripción|desuscribir|desuscribirme|no molesten"
    "|no molestar|quítame|bórrame|quítenme|bórrenme",
    "Portuguese": "pare|sair|cancelar inscrição|cancelar inscricao|remover|parem|descadastrar"
    "|descadastre|desinscrever|pare agora|para com isso|me remove|me remova|sair da lista",
    "German": "stopp|abmelden|abbestellen|aufhören|aufhoren|kündigen|abmeldung|austragen"
    "|hör auf|hört auf|hören sie auf|schluss damit|schluss",
    "Italian": "basta|fermare|disiscrivi|cancella|annulla|disiscrivimi|cancellami",
    "Dutch": "afmelden|uitschrijven|stoppen",
    "Polish": "wypisz|rezygnuję|rezygnuje|koniec|wypisz mnie",
    "Turkish": "dur|iptal|durdur|çık|ret|iptal et|abonelikten çık",
    "Russian": "стоп|отписаться|отмена|хватит|отписка|отпишите меня|не пишите|прекратите",
    "Chinese": "停止|退订|退訂|取消|取消订阅|停|取消訂閱|不要发了|别发了|请停止"
    "|回T退订|T退订|退订T|退订回T",
    "Japanese": "配信停止|解除|ストップ|やめて|停止してください|やめてください",
    "Korean": "수신거부|중지|그만|거부|그만하세요",
    "Hindi": "रोकें|रुको|बंद करो|स्टॉप|band karo|बंद करें|बंद करो ये|मत भेजो",
    "Arabic": "توقف|إلغاء|الغاء|إيقاف|ايقاف|إلغاء الاشتراك|الغاء الاشتراك|أوقف|توقفوا|كفى",
}
EVERY_STOP = [word.strip() for words in STOPS.values() for word in words.split("|")]
# Words that people also use of orders, tables and films; the sentence around them decides.
OF_MANY_USES = [*FEDERAL, "optout", "remove", "alto", "baja", "parar", "arret", "pare", "sair"]
OF_MANY_USES += [
    "aufhören",
    "kündigen",
    "basta",
    "koniec",
    "dur",
    "отмена",
    "取消",
    "解除",
    "إلغاء",
]
STARTS = ["start", "unstop", "resume", "yes start", "restart"]
HELPS = ["help", "info", "aide", "ayuda", "hilfe", "aiuto", "ajuda", "pomoc"]
STARTS += ["start again", "start texting me again", "resubscribe", "re-subscribe me"]
HELPS += ["help me", "I need help", "aidez-moi", "necesito ayuda", "ich brauche Hilfe"]
HELPS += ["помощь", "帮助", "ヘルプ", "도움말"]

WIDE = {ord(sign): ord(sign) + 0xFEE0 for sign in map(chr, range(0x21, 0x7F))}
VARIANTS: dict[str, Callable[[str], str]] = {
    "in capitals": str.upper,
    "with a capital": str.capitalize,
    "in spaces": lambda word: f"  {word}\r\n",
    "with a full stop": lambda word: f"{word}.",
    "with exclamation marks": lambda word: f"{word}!!!",
    "with an ideographic full stop": lambda word: f"{word}。",
    "with an ellipsis": lambda word: f"{word}…",
    "in quotes": lambda word: f"“{word}”",
    "in guillemets": lambda word: f"« {word} »",
    "in stars": lambda word: f"*{word}*",
    "with an emoji": lambda word: f"{word} 🛑",
    "with a flag": lambda word: f"{word} 🇺🇸",
    "with a family": lambda word: f"{word} 👨‍👩‍👧",
    "with a hand of some colour": lambda word: f"{word} ✋🏽",
    "with an emoji in colour": lambda word: f"{word} ✋\ufe0f",
    "with an emoji in text form": lambda word: f"{word} ✋\ufe0e",
    "with a stray accent": lambda word: f"{word}´",
    "between stray accents": lambda word: f"´{word}`",
    "with zero-width spaces": "\u200b".join,
    "with a byte-order mark": lambda word: f"\ufeff{word}",
    "between direction marks": lambda word: f"\u202b{word}\u202c",
    "with hard spaces": lambda word: word.replace(" ", "\u00a0"),
    "on several lines": lambda word: word.replace(" ", "\n"),
    "full width": lambda word: word.translate(WIDE),
    "decomposed": lambda word: unicodedata.normalize("NFD", word),
}

ASK_FOR_NOTHING = [
    "",
    "   ",
    "🛑",
    "yes",
    "ok",
    "thanks",
    "please cancel my order",
    "cancel my subscription to the newspaper?",
    "cancel order 4411",
    "don't stop",
    "dont stop",
    "Don’t stop!",
    "do not stop",
    "my sink won't stop leaking",
    "the bus stop is closed",
    "nonstop",
    "stopwatch",
    "weekend",
    "when does it end?",
    "the end of the month",
    "quite good",
    "remove the onions please",
    "can you help me",
    "information",
    "when do you start",
    "Liked “Harbor Coffee: new beans are in. Reply STOP to cancel.”",
    "Loved “STOP”",
    'Laughed at "Reply STOP to cancel"',
    "Disliked “… STOP …”",
    "Reacted 👍 to “Reply STOP to cancel”",
    "A aimé « STOP »",
    "stop stop stop sign is on the left",
]
PUNCTUATION = st.text(st.characters(categories=["Pc", "Pe", "Pf", "Pi", "Po", "Ps", "Zs"]))


def intent(text: str) -> Intent:
    return replies.read(text).intent


@pytest.mark.parametrize("language", STOPS)
def test_every_word_of_a_language_is_a_stop(language: str) -> None:
    words = [word.strip() for word in STOPS[language].split("|")]
    assert {word: intent(word) for word in words} == dict.fromkeys(words, Intent.STOP)


def test_the_table_of_this_file_leaves_out_no_word_of_the_product() -> None:
    assert {replies.normal(word) for word in EVERY_STOP} == replies.PHRASES[Intent.STOP]


@pytest.mark.parametrize("word", FEDERAL)
def test_the_words_of_the_federal_rule_are_stops(word: str) -> None:
    assert intent(word) == Intent.STOP


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stop_is_a_stop_however_it_is_written(variant: str) -> None:
    written = {word: VARIANTS[variant](word) for word in EVERY_STOP}
    assert [word for word, text in written.items() if intent(text) != Intent.STOP] == []


@pytest.mark.parametrize("text", ["opt-out", "Opt‑out", "OPT–OUT", "stop-all", "un-subscribe"])
def test_a_hyphen_does_not_hide_a_stop(text: str) -> None:
    assert intent(text) == Intent.STOP


@pytest.mark.parametrize("text", ["İPTAL", "IPTAL", "ÇIK", "Çık", "çik"])
def test_a_turkish_i_with_or_without_its_dot_is_an_i(text: str) -> None:
    assert intent(text) == Intent.STOP


@pytest.mark.parametrize("word", [*STARTS, "START!", " Unstop. ", "ＳＴＡＲＴ"])
def test_a_start_is_a_start(word: str) -> None:
    assert intent(word) == Intent.START


@pytest.mark.parametrize("word", [*HELPS, "HELP?", "Info!", "ＨＥＬＰ"])
def test_a_call_for_help_is_one(word: str) -> None:
    assert intent(word) == Intent.HELP


@pytest.mark.parametrize("text", ASK_FOR_NOTHING)
def test_a_text_that_only_holds_such_a_word_asks_for_nothing(text: str) -> None:
    assert intent(text) == Intent.NONE


@pytest.mark.parametrize("around", ["{} my order", "why {}", "I will never {} loving you"])
def test_a_stop_among_other_words_is_none(around: str) -> None:
    told = {word: intent(around.format(word)) for word in OF_MANY_USES}
    assert told == dict.fromkeys(OF_MANY_USES, Intent.NONE)


def test_no_phrase_asks_for_two_things() -> None:
    phrases = [phrase for one in replies.PHRASES.values() for phrase in one]
    assert len(phrases) == len(set(phrases))
    assert "" not in phrases


def test_the_reading_names_the_words_that_told_it() -> None:
    assert replies.read(" Stop, please! ").reason == "the words “stop please”"


def test_the_reading_of_anything_else_repeats_nothing_of_it() -> None:
    assert replies.read("call me on Tuesday").reason == replies.read("ok").reason


@given(st.text(st.characters()))
def test_any_text_can_be_read(text: str) -> None:
    assert replies.read(text).intent in Intent


@given(st.text())
def test_a_normal_text_is_its_own_normal_form(text: str) -> None:
    normal = replies.normal(text)
    assert replies.normal(normal) == normal


@given(st.sampled_from(EVERY_STOP), PUNCTUATION, PUNCTUATION)
def test_punctuation_around_a_stop_changes_nothing(word: str, before: str, after: str) -> None:
    assert intent(f"{before}{word}{after}") == Intent.STOP

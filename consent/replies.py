"""What a reply asks for, read from its exact words.

47 CFR 64.1200(a)(10) names the words that revoke consent by themselves; CTIA's and the carriers'
lists add some, and people use those of their own language.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Intent(StrEnum):
    STOP = "stop"
    START = "start"
    HELP = "help"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reading:
    """An intent and the words that told it."""

    intent: Intent
    reason: str


STOP_WORDS = """
stop | stopall | stop all | unsubscribe | unsub | cancel | end | quit | revoke | optout | opt out
remove | remove me | stop it | stop pls | stop please | please stop | pls stop | stop texting me
stop texting | please stop texting me | stop messaging me | no more texts | no more messages
td | arret | arreter | stop sms | désabonner | desabonner | désinscription | desinscription
alto | parar | baja | darse de baja | cancelar | no más | no mas | detener
pare | sair | cancelar inscrição | cancelar inscricao | remover
stopp | abmelden | abbestellen | aufhören | aufhoren | kündigen
basta | fermare | disiscrivi | cancella | annulla
afmelden | uitschrijven | stoppen
wypisz | rezygnuję | rezygnuje | koniec
dur | iptal | durdur | çık | ret
стоп | отписаться | отмена | хватит
停止 | 退订 | 退訂 | 取消 | 取消订阅 | 停
配信停止 | 解除 | ストップ | やめて
수신거부 | 중지 | 그만 | 거부
रोकें | रुको | बंद करो | स्टॉप
توقف | إلغاء | الغاء | إيقاف | ايقاف
"""
START_WORDS = "start | unstop | resume | yes start | restart"
HELP_WORDS = (
    "help | info | aide | ayuda | hilfe | aiuto | ajuda | pomoc | помощь | 帮助 | ヘルプ | 도움말"
)


def normal(text: str) -> str:
    """`text` in one case and one form, without accents of Latin letters, marks, emoji or signs."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("ı", "i")  # Turkish
    words = "".join(_plain(sign) for sign in folded)
    return " ".join(_without_latin_accents(words).split())


def _plain(sign: str) -> str:
    category = unicodedata.category(sign)
    if category[0] in "LM" or category == "Nd":
        return "" if sign == "\ufe0f" else sign
    return "" if category == "Cf" or sign in "'’-" else " "


def _without_latin_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    # A mark on nothing is what NFKC leaves of "´" or "‗"; the others choose the look of an emoji.
    bare = re.sub(r"(^|[a-z\s])[\u0300-\u036f\ufe0e\ufe0f\u20e3]+", r"\1", parts)
    return unicodedata.normalize("NFC", bare)


def _phrases(words: str) -> frozenset[str]:
    return frozenset(normal(phrase) for phrase in re.split(r"[|\n]", words) if phrase.strip())


PHRASES = {
    Intent.STOP: _phrases(STOP_WORDS),
    Intent.HELP: _phrases(HELP_WORDS),
    Intent.START: _phrases(START_WORDS),
}


def read(text: str) -> Reading:
    """What `text` asks for. A text that only contains such a word asks for nothing."""
    said = normal(text)
    for intent, phrases in PHRASES.items():
        if said in phrases:
            return Reading(intent, f"the words “{said}”")
    return Reading(Intent.NONE, "none of the words that ask for something")

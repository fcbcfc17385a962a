"""Prints a dispute pack for people: a PDF that shows every script and numbers its pages."""

import html
import io
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer

from campaigns.decisions import when
from campaigns.dispute.proved import Proved
from campaigns.dispute.readme import HOW_TO, PRINTED, SHOWS, unproved
from campaigns.dispute.record import Cover
from consent.models import Method

FONT = "DejaVuSans"
FONT_FILE = Path(__file__).parent.parent / "data" / "fonts" / "DejaVuSans.ttf"
MARGIN = 20 * mm
INK, SOFT, PAPER = HexColor("#14312d"), HexColor("#4d625f"), HexColor("#eef6f3")


def _style(name: str, size: float, leading: float, **looks: Any) -> ParagraphStyle:
    return ParagraphStyle(
        name, fontName=FONT, textColor=INK, fontSize=size, leading=leading, **looks
    )


STYLES = {
    style.name: style
    for style in (
        _style("title", 20, 26, spaceAfter=8),
        _style("heading", 14, 19, spaceBefore=12, spaceAfter=6, keepWithNext=1),
        _style("subject", 10.5, 14, spaceBefore=8, spaceAfter=2, keepWithNext=1),
        _style("fact", 10.5, 14, spaceBefore=8, spaceAfter=2),
        _style("line", 9, 12.5, leftIndent=10),
        _style("quote", 9, 12.5, leftIndent=14, spaceBefore=6, spaceAfter=8, backColor=PAPER),
        _style("code", 7.5, 10.5, leftIndent=14, spaceAfter=2),
    )
}


@lru_cache(maxsize=1)
def _signs() -> frozenset[int]:
    """The signs that our font has, which is registered by asking."""
    font = TTFont(FONT, str(FONT_FILE))
    pdfmetrics.registerFont(font)
    return frozenset(font.face.charToGlyph)


def _printable(text: str) -> str:
    """`text` with every sign that cannot be printed or seen by its code point: [U+4F60]."""
    return "".join(sign if _is_printable(sign) else f"[U+{ord(sign):04X}]" for sign in text)


def _is_printable(sign: str) -> bool:
    return sign == "\n" or (ord(sign) in _signs() and unicodedata.category(sign)[0] != "C")


class _Numbered(Canvas):
    """Writes "page n of m" below each page, when it is known how many there are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - reportlab calls it so
        self._kept.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]

    def save(self) -> None:
        for number, page in enumerate(self._kept, start=1):
            self.__dict__.update(page)
            self.setFont(FONT, 8)
            self.setFillColor(SOFT)
            self.drawRightString(A4[0] - MARGIN, 11 * mm, f"page {number} of {len(self._kept)}")
            super().showPage()
        super().save()


def printed(cover: Cover, proved: Proved, record: dict[str, Any]) -> bytes:
    """The PDF of a pack, from its record; the same bytes for the same record.

    A sign that the font lacks is printed as its code point.
    """
    _signs()
    paper = io.BytesIO()
    document = SimpleDocTemplate(
        paper,
        pagesize=A4,
        title=f"Dispute pack of {cover.person.pseudonym}",
        author=settings.BUSINESS_NAME,
        invariant=1,
        lang="en",
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
    )
    story = [
        *_cover(cover, proved),
        *_consents(record["consents"]),
        *_timeline(record["timeline"]),
        *_how_to(cover, proved),
    ]
    document.build(story, canvasmaker=_Numbered)
    return paper.getvalue()


def _paragraph(text: str, style: str = "line") -> Paragraph:
    shown = html.escape(_printable(text), quote=False).replace("\n", "<br/>")
    return Paragraph(shown, STYLES[style])


def _cover(cover: Cover, proved: Proved) -> Iterator[Flowable]:
    told = {
        "Business": settings.BUSINESS_NAME,
        "Person": cover.person.pseudonym,
        "Number": cover.number,
        "Made": when(cover.at),
        "Made by": str(cover.by),
        "Trail": settings.TRAIL_ORIGIN,
        "Sealed": proved.sealed,
        "Entries proved here": str(len(proved.document["entries"])),
        "Not sealed yet": str(len(proved.document["not_sealed_yet"])),
    }
    yield _paragraph("Dispute pack", "title")
    yield _paragraph("Consents, messages, replies and opt-outs of one person, with their evidence.")
    yield Spacer(0, 6 * mm)
    for name, value in told.items():
        yield _paragraph(f"{name}: {value}", "fact")
    yield PageBreak()


def _consents(consents: list[dict[str, Any]]) -> Iterator[Flowable]:
    yield _paragraph("Consents", "heading")
    if not consents:
        yield _paragraph("None is on record.")
    for consent in consents:
        yield from _consent_on_paper(consent)


def _clock(instant: str) -> str:
    """A time of the record as people read it."""
    return when(datetime.fromisoformat(instant))


def _consent_on_paper(consent: dict[str, Any]) -> Iterator[Flowable]:
    purpose, notice = consent["purpose"], consent["notice"]
    yield _paragraph(f"{purpose['name']}, given {_clock(consent['given_at'])}", "subject")
    yield _paragraph(f"What was promised: {purpose['promise']} At most {purpose['at_most']}.")
    yield _paragraph(f"Method: {Method(consent['method']).label}. Source: {consent['source']}.")
    yield _paragraph(f"Recorded: {_clock(consent['recorded_at'])}.")
    yield _paragraph(
        f"The exact wording that was shown, notice {notice['number']} in {notice['language']} "
        f"({notice['channel']}), shown from {_clock(notice['shown_from'])}:"
    )
    yield _paragraph(notice["wording"], "quote")
    yield _paragraph(f"Fingerprint of the wording: {notice['fingerprint']}")
    yield from _evidence_on_paper("Evidence", consent["evidence"])
    if consent["scan"]:
        yield _paragraph(f"SHA-256 of the scan of the form: {consent['scan']}")
    yield _paragraph(f"What this proves: {consent['can_prove']}")
    yield _paragraph(_confirmation(consent))
    yield from _evidence_on_paper("Evidence of the confirmation", consent["confirmed_with"])
    for end in ("expires", "lapsed", "withdrawn"):
        if consent[f"{end}_at"]:
            yield _paragraph(f"{end.capitalize()}: {_clock(consent[f'{end}_at'])}.")
    yield _paragraph(f"Told in entry {consent['told_in_entry'] or '(none was found)'}.")


def _confirmation(consent: dict[str, Any]) -> str:
    if consent["confirmed_at"]:
        return f"Confirmed: {_clock(consent['confirmed_at'])}. {consent['confirmed_how']}"
    wanted = consent["purpose"]["double_opt_in"]
    return "Never confirmed." if wanted else "Not confirmed; this purpose does not ask for it."


def _evidence_on_paper(title: str, evidence: dict[str, Any]) -> Iterator[Flowable]:
    for name, fact in evidence["facts"].items():
        yield _paragraph(f"{title}: {name.replace('_', ' ')}: {fact}")


def _timeline(events: list[dict[str, Any]]) -> Iterator[Flowable]:
    yield _paragraph("Timeline", "heading")
    for event in events:
        style = "subject" if event["lines"] else "fact"  # there is nothing to keep it with
        yield _paragraph(f"{_clock(event['at'])}  {event['title']}", style)
        for line in event["lines"]:
            yield _paragraph(line, "quote" if line.startswith("“") else "line")


def _how_to(cover: Cover, proved: Proved) -> Iterator[Flowable]:
    yield PageBreak()
    yield _paragraph("How to verify", "heading")
    yield from _set_out(f"{HOW_TO}\n{PRINTED}")
    yield _paragraph("What a proof shows, and what it does not", "heading")
    yield from _set_out(SHOWS)
    yield _paragraph("What is not proved", "heading")
    for sentence in unproved(cover, proved):
        yield _paragraph(sentence)


def _set_out(text: str) -> Iterator[Flowable]:
    for part in text.strip().split("\n\n"):
        code = part.startswith("    ")
        yield _paragraph(" ".join(part.split()), "code" if code else "line")
        yield Spacer(0, 2 * mm)

"""Packs all there is about one person into one file that stands in a dispute without us.

Whoever sends must show that the person agreed: 47 CFR 64.1200(f)(9) with the FCC's orders on the
burden of proof, GDPR Art. 7(1), 16 CFR 310.5. docs/dispute-packs.md describes the files.
"""

import hashlib
import html
import io
import json
import textwrap
import unicodedata
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer

from audit import checkpoints, proofs, trail, verifier
from audit.models import Entry, Operator
from audit.proofs import Batched
from campaigns import fence, timeline
from campaigns.models import Attempt, Message, Reply
from campaigns.timeline import Event, Life, Masked, when
from consent.admission import leaf_of
from consent.evidence import PROOFS
from consent.models import Consent, ListImport, Method, OptOutRequest, Subscriber, Suppression

FORMAT = "volens-dispute/1"
ENDINGS = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}


@dataclass(frozen=True, slots=True)
class Cover:
    """Who packed whose life, when, and whether the number stands in it in clear."""

    person: Subscriber
    by: Operator
    at: datetime
    reveal: bool

    @property
    def number(self) -> str:
        return (self.person.number or "") if self.reveal else self.person.masked_number


@transaction.atomic
def pack(person: Subscriber, *, by: Operator, at: datetime, reveal: bool = False) -> bytes:
    """The dispute pack of one person, as the bytes of a ZIP file; that it was made is recorded.

    The number is masked in every text unless `reveal`; then it stands in the pack as it is, with
    the scans of signed forms. What is not sealed yet is packed, named, and not proved.
    Raises NotAsSealed if the trail, or what it fixes, was changed; CannotDecrypt if a text cannot
    be read.
    """
    cover = Cover(person, by, at, reveal)
    life = timeline.life_of(person)
    proved = _proofs(life, cover)
    files = _files(life, cover, proved)
    packed = _zipped(files, at)
    trail.record(
        verb="dispute.packed",
        subject=f"subscriber:{person.pk}",
        by=by,
        at=at,
        facts={
            "sha256": hashlib.sha256(packed).hexdigest(),
            "bytes": len(packed),
            "files": {name: len(content) for name, content in files.items()},
            "proved": len(proved.document["entries"]),
            "not_sealed": len(proved.document["not_sealed_yet"]),
            "number_shown": reveal,
        },
    )
    return packed


def file_name(person: Subscriber) -> str:
    """What the pack of a person is called."""
    return f"dispute-{person.pseudonym}.zip"


def _files(life: Life, cover: Cover, proved: "Proved") -> dict[str, bytes]:
    record = record_of(life, cover, proved)
    files = {
        "dispute.pdf": _printed(life, cover, proved, record),
        "pack.json": _as_json(record),
        "proofs.json": _as_json(proved.document),
        "trail.vkey": f"{checkpoints.verifier_key()}\n".encode(),
        "verifier.py": Path(verifier.__file__).read_bytes(),
        **(_scans(life) if cover.reveal else {}),
    }
    return {**files, "README.txt": _readme(cover, proved, files).encode()}


def _as_json(content: dict[str, Any]) -> bytes:
    return f"{json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)}\n".encode()


def _scans(life: Life) -> dict[str, bytes]:
    """Pictures of signed forms; a form shows the number, so they go only where it may stand."""
    scans = [consent.scan for consent in life.consents if hasattr(consent, "scan")]
    return {
        f"scan-{scan.consent_id}.{ENDINGS[scan.kind]}": (scan.content or "").encode("latin-1")
        for scan in scans
        if scan.content
    }


def _zipped(files: dict[str, bytes], at: datetime) -> bytes:
    packed = io.BytesIO()
    moment = at.astimezone(UTC).timetuple()[:6]
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            kept = zipfile.ZipInfo(name, moment)
            kept.external_attr = 0o644 << 16
            archive.writestr(kept, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


# --- proofs ------------------------------------------------------------------------------------

LEAF = (
    *("id", "subscriber_id", "purpose_id", "notice_id", "method", "given_at", "confirmed_at"),
    *("commitment", "opened_in", "confirmed_in"),
)


@dataclass(frozen=True, slots=True)
class Proved:
    """The document of proofs, and which entry tells of each consent, confirmation and attempt."""

    document: dict[str, Any]
    told: dict[str, str]
    untold: list[str]

    @property
    def sealed(self) -> str:
        """The signed checkpoint in one line, or that there is none."""
        lines = self.document["checkpoint"].split("\n")
        return f"{lines[1]} entries, {lines[3]}" if len(lines) > 3 else "nothing was sealed yet"


def _proofs(life: Life, cover: Cover) -> Proved:
    """Every entry about the person, and their own leaves in entries that tell of many people."""
    batches = [*_batches_of_consents(life), *_batches_of_attempts(life)]
    shared = Entry.objects.filter(uid__among={batch.entry for batch in batches})
    about = [*life.entries, *shared.order_by("id"), *_entries_beside(life)]
    document = proofs.of_entries(about, with_details=True)
    if not cover.reveal:
        _hide_details(document, timeline.masking(life.person))
    sealed = {proof["content"]["uid"] for proof in document["entries"]}
    provable = [batch for batch in batches if batch.entry.hex in sealed]
    document["batched"] = proofs.of_batches(provable)
    told = {**_told_alone(life), **_told_together(batches)}
    return Proved(document, told, [name for name in _to_be_told(life) if name not in told])


def _entries_beside(life: Life) -> list[Entry]:
    """What fixes the wordings that were shown, and tells of the lapses."""
    notices = {f"notice:{consent.notice_id}" for consent in life.consents}
    lapsed = [consent for consent in life.consents if consent.lapsed_at]
    beside = Q(subject__in=notices, verb="notice.published") | Q(
        verb="consents.lapsed",
        subject__in={f"purpose:{consent.purpose_id}" for consent in lapsed},
        at__in={consent.lapsed_at for consent in lapsed},
    )
    return list(Entry.objects.filter(beside).order_by("id"))


def _hide_details(document: dict[str, Any], masked: Masked) -> None:
    """A detail cannot be masked and still match: one that spells the number out is kept back."""
    for proof in document["entries"]:
        text = proof.get("detail", {}).get("text", "")
        if masked(text) != text:
            del proof["detail"]


def _batches_of_consents(life: Life) -> Iterator[Batched]:
    told_in = {key for one in life.consents for key in (one.opened_in, one.confirmed_in) if key}
    purposes = {consent.purpose_id for consent in life.consents}
    lists = (
        ListImport.objects.filter(purpose__in=purposes) if told_in else ListImport.objects.none()
    )
    told = Entry.objects.filter(
        verb="consents.opened",
        subject__among=[f"list:{key}" for key in lists.values_list("pk", flat=True)],
    )
    ours = {consent.pk.hex for consent in life.consents}
    for entry in told.order_by("id"):
        key = uuid.UUID(entry.facts["told_in"])
        if key in told_in:
            yield from _wanted(entry, "consents", _opened_in(key), ours)
            yield from _wanted(entry, "confirmations", _confirmed_in(key), ours)


def _wanted(
    entry: Entry, fact: str, leaves: Sequence[dict[str, Any]], ours: set[str]
) -> Iterator[Batched]:
    wanted = [place for place, leaf in enumerate(leaves) if leaf["consent"] in ours]
    if wanted:
        yield Batched(entry.uid, fact, leaves, wanted)


def _opened_in(key: uuid.UUID) -> list[dict[str, Any]]:
    """The leaves of what a share of a list opened, as of then: a later confirmation is not in."""
    rows = Consent.objects.filter(opened_in=key).values(*LEAF)
    at_once = ({**row, "confirmed_at": _then(row, key)} for row in rows)
    return _in_order(at_once)


def _then(row: dict[str, Any], key: uuid.UUID) -> datetime | None:
    return row["confirmed_at"] if row["confirmed_in"] == key else None


def _confirmed_in(key: uuid.UUID) -> list[dict[str, Any]]:
    """The leaves of what a share of a list confirmed and had not opened itself."""
    return _in_order(Consent.objects.filter(confirmed_in=key).exclude(opened_in=key).values(*LEAF))


def _in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leaves in the order of `ledger.root_of`."""
    return sorted(map(leaf_of, rows), key=lambda leaf: str(leaf["consent"]))


def _batches_of_attempts(life: Life) -> Iterator[Batched]:
    attempts = list(chain.from_iterable(life.attempts.values()))
    ours, claims = {one.pk.hex for one in attempts}, {one.claim for one in attempts}
    subjects = [f"claim:{claim.hex}" for claim in claims]
    told = Entry.objects.filter(verb="messages.allowed", subject__among=subjects)
    leaves = fence.leaves_of(claims)
    for entry in told.order_by("id"):
        batch = leaves[uuid.UUID(entry.subject.removeprefix("claim:"))]
        wanted = [place for place, leaf in enumerate(batch) if leaf["attempt"] in ours]
        yield Batched(entry.uid, "decisions", batch, wanted)


def _told_together(batches: Iterable[Batched]) -> dict[str, str]:
    """Which entry tells of each leaf of ours in a batch."""
    named = {"consents": "opened", "confirmations": "confirmed", "decisions": "allowed"}
    return {
        f"{named[batch.fact]} {leaf.get('consent') or leaf.get('attempt')}": batch.entry.hex
        for batch in batches
        for leaf in (batch.leaves[place] for place in batch.wanted)
    }


def _told_alone(life: Life) -> dict[str, str]:
    """Which entry tells of each consent and confirmation that has one of its own."""
    told: dict[str, str] = {}
    for entry in life.entries:
        if entry.verb in ("consent.opened", "consent.confirmed"):
            told[f"{entry.verb.removeprefix('consent.')} {entry.facts['consent']}"] = entry.uid.hex
        elif isinstance(reopened := entry.facts.get("consents"), list):
            told |= {f"opened {consent}": entry.uid.hex for consent in reopened}
    return told


def _to_be_told(life: Life) -> list[str]:
    """Every consent and attempt: the trail must tell of each, or it cannot show it."""
    attempts = chain.from_iterable(life.attempts.values())
    return [
        *(f"opened {consent.pk.hex}" for consent in life.consents),
        *(f"allowed {attempt.pk.hex}" for attempt in attempts),
    ]


# --- the record --------------------------------------------------------------------------------


def record_of(life: Life, cover: Cover, proved: Proved) -> dict[str, Any]:
    """Everything about the person as JSON can hold it; times in UTC, the number as on the cover."""
    masked = _shown(life, cover)
    events = timeline.events_of(life, masked=masked, with_texts=True, with_notes=True)
    return {
        "format": FORMAT,
        "business": settings.BUSINESS_NAME,
        "trail": settings.TRAIL_ORIGIN,
        "made_at": trail.instant(cover.at),
        "made_by": cover.by.username,
        "person": {
            "subscriber": life.person.pk.hex,
            "pseudonym": life.person.pseudonym,
            "number": cover.number,
            "language": life.person.language,
        },
        "consents": [_consent(consent, life, proved, masked) for consent in life.consents],
        "refusals": [_refusal(refusal) for refusal in life.refusals],
        "told_to_staff": [_request(request, masked) for request in life.requests],
        "replies": [_reply(reply, masked) for reply in life.replies],
        "messages": [_message(message, life, proved, masked) for message in life.messages],
        "acts": [_act(entry, life) for entry in life.entries],
        "timeline": [_event(event) for event in events],
        "without_an_entry": proved.untold,
        "not_sealed_yet": proved.document["not_sealed_yet"],
    }


def _shown(life: Life, cover: Cover) -> Masked:
    return str if cover.reveal else timeline.masking(life.person)


def _instant(at: datetime | None) -> str | None:
    return trail.instant(at) if at else None


def _consent(consent: Consent, life: Life, proved: Proved, masked: Masked) -> dict[str, Any]:
    notice, key = consent.notice, consent.pk.hex
    confirmed = consent.confirmed_at is not None
    return {
        "consent": key,
        "purpose": {
            "code": consent.purpose.code,
            "name": consent.purpose.name,
            "promise": consent.purpose.promise,
            "at_most": f"{consent.purpose.frequency} a {consent.purpose.period}",
            "double_opt_in": consent.purpose.double_opt_in,
        },
        "notice": {
            "notice": notice.pk,
            "channel": notice.channel,
            "language": notice.language,
            "number": notice.number,
            "wording": notice.wording,
            "fingerprint": notice.fingerprint,
            "shown_from": _instant(notice.shown_from),
            "published_at": _instant(notice.published_at),
        },
        "method": consent.method,
        "source": masked(consent.source),
        "can_prove": PROOFS[consent.method].shows,
        "evidence": _evidence(consent.evidence, masked),
        "commitment": consent.commitment,
        "scan": consent.scan.fingerprint if hasattr(consent, "scan") else None,
        "given_at": _instant(consent.given_at),
        "recorded_at": _instant(consent.recorded_at),
        "told_in_entry": proved.told.get(f"opened {key}"),
        "confirmed_at": _instant(consent.confirmed_at),
        "confirmed_how": timeline.confirmed_how(consent, life) if confirmed else None,
        "confirmed_with": _evidence(consent.confirmed_with, masked),
        "confirmation_told_in_entry": proved.told.get(f"confirmed {key}"),
        "expires_at": _instant(consent.expires_at),
        "lapsed_at": _instant(consent.lapsed_at),
        "withdrawn_at": _instant(consent.withdrawn_at),
    }


def _evidence(kept: str | None, masked: Masked) -> dict[str, Any]:
    """The facts of an evidence, and its exact text where the number does not stand in it.

    The commitment in the trail is the hash of the exact text.
    """
    if not kept:
        return {"facts": {}, "text": None}
    try:
        facts = json.loads(kept)
    except ValueError:
        facts = {"told": kept}
    shown = {name: masked(str(fact)) for name, fact in facts.items() if name != "salt"}
    return {"facts": shown, "text": kept if masked(kept) == kept else None}


def _refusal(refusal: Suppression) -> dict[str, Any]:
    return {
        "of": refusal.purpose.code if refusal.purpose else "everything",
        "channel": refusal.channel,
        "reason": refusal.reason,
        "at": _instant(refusal.at),
        "lifted_at": _instant(refusal.lifted_at),
    }


def _request(request: OptOutRequest, masked: Masked) -> dict[str, Any]:
    return {
        "request": request.pk.hex,
        "of": request.purpose.code if request.purpose else "everything",
        "channel": request.channel,
        "note": masked(request.note or ""),
        "received_at": _instant(request.received_at),
        "recorded_at": _instant(request.recorded_at),
        "recorded_by": str(request.recorded_by),
        "due_by": _instant(request.due_by),
        "honoured_at": _instant(request.honoured_at),
        "late": request.was_late,
    }


def _reply(reply: Reply, masked: Masked) -> dict[str, Any]:
    return {
        "reply": reply.pk.hex,
        "provider_id": reply.provider_id,
        "to": reply.sender.address if reply.sender else None,
        "text": masked(reply.text or ""),
        "read_as": reply.intent,
        "reason": reply.reason,
        "language": reply.language,
        "received_at": _instant(reply.received_at),
        "judged_at": _instant(reply.judged_at),
        "judged_by": str(reply.judged_by) if reply.judged_by else None,
        "verdict": reply.verdict or None,
    }


def _message(message: Message, life: Life, proved: Proved, masked: Masked) -> dict[str, Any]:
    sender, campaign = timeline.sender_of(message), message.campaign
    return {
        "message": message.pk,
        "campaign": campaign.name if campaign else None,
        "purpose": campaign.purpose.code if campaign else None,
        "answers": message.reply_id.hex if message.reply_id else None,
        "confirms": message.confirms_id.hex if message.confirms_id else None,
        "consent": message.consent_id.hex if message.consent_id else None,
        "from": sender.address if sender else None,
        "text": masked(timeline.text_of(message)),
        "status": message.status,
        "reason": message.reason,
        "quiet_hours_at_launch": message.opening.decision if message.opening else None,
        "due_at": _instant(message.due_at),
        "not_after": _instant(message.not_after),
        "settled_at": _instant(message.settled_at),
        "attempts": [_attempt(one, life, proved) for one in life.attempts.get(message.pk, [])],
    }


def _attempt(attempt: Attempt, life: Life, proved: Proved) -> dict[str, Any]:
    return {
        "attempt": attempt.pk.hex,
        "number": attempt.number,
        "at": _instant(attempt.at),
        "decision": attempt.decision,
        "told_in_entry": proved.told.get(f"allowed {attempt.pk.hex}"),
        "outcome": attempt.outcome,
        "provider_id": attempt.provider_id,
        "code": attempt.code,
        "receipts": [
            {"status": one.status, "code": one.code, "received_at": _instant(one.received_at)}
            for one in life.receipts.get(attempt.pk, [])
        ],
    }


def _act(entry: Entry, life: Life) -> dict[str, Any]:
    return {
        "entry": entry.uid.hex,
        "at": _instant(entry.at),
        "actor": entry.actor,
        "name": life.name_of(entry.actor),
        "verb": entry.verb,
        "subject": entry.subject,
        "facts": entry.facts,
    }


def _event(event: Event) -> dict[str, Any]:
    told = {**asdict(event), "at": _instant(event.at), "lines": list(event.lines)}
    del told["target"]
    return told


# --- what to do with it ------------------------------------------------------------------------

VERIFY = "python -I verifier.py --proofs proofs.json --key trail.vkey"
EVIDENCE = (
    'python -c "import hashlib, json; '
    "[print(c['consent'], hashlib.sha256(c['evidence']['text'].encode()).hexdigest()) "
    "for c in json.load(open('pack.json', encoding='utf-8'))['consents'] "
    "if c['evidence']['text']]\""
)
WORDING = (
    'python -c "import hashlib, json; '
    "[print(c['notice']['notice'], hashlib.sha256(' '.join(c['notice']['wording'].split())"
    ".encode()).hexdigest()) "
    "for c in json.load(open('pack.json', encoding='utf-8'))['consents']]\""
)
CONTENTS = {
    "dispute.pdf": "the record for people: consents with their wordings, and the timeline",
    "pack.json": "the same and more, for machines",
    "proofs.json": "the entries of the trail about this person, with proofs that they were sealed",
    "trail.vkey": "the public key of the trail",
    "verifier.py": "a program that checks the proofs; it shares no code with what wrote them",
}
HOW_TO = f"""\
Unpack the files into one directory on a machine that you trust, with Python 3.11 or later and its
package "cryptography". Then:

    {VERIFY}

Exit 0 means that everything holds, 1 that something was changed (one finding per line), 2 that the
check could not be run. Compare trail.vkey with the key that the business made known elsewhere: a
key that comes with the proofs shows only that they fit each other. With signed checkpoints kept
outside the business, add --checkpoints DIRECTORY.

The evidence of an opt-in is fixed in the trail by its SHA-256. This prints it for each consent; it
must be the "evidence" of that consent in proofs.json:

    {EVIDENCE}

The wording of a notice is fixed by its SHA-256, white space evened. This prints it; it must be the
"fingerprint" in the entry "notice.published" of that notice in proofs.json:

    {WORDING}
"""
SHOWS = """\
A proof shows that an entry with exactly this content was in the trail when the checkpoint was
signed, and that nobody has changed it since. For each message that left, it shows the decision that
allowed it, written before the message was handed over.

A proof does not show that there are no other entries about this person: only the whole trail shows
that. It does not show that what an entry says was true when it was written, nor who held the
telephone; what each way of opting in can prove stands beside each consent. The time of a checkpoint
is what its signer states. What a provider reported (receipts) is kept as it came and is not sealed.
"""


PRINTED = """\
On paper, a sign that the font lacks stands as its code point, such as [U+4F60], and writing from
right to left is set sign by sign from the left; pack.json has every text as it was written.
"""


def _readme(cover: Cover, proved: Proved, files: dict[str, bytes]) -> str:
    scan = "the scan of a signed form"
    named = (
        f"{name}\n    {CONTENTS.get(name, scan)}\n    SHA-256 {hashlib.sha256(content).hexdigest()}"
        for name, content in files.items()
    )
    return "\n".join(
        [
            f"Dispute pack of {cover.person.pseudonym}, made {when(cover.at)} by {cover.by}",
            f"for {settings.BUSINESS_NAME}. Sealed in its trail: {proved.sealed}.",
            "",
            "THE FILES",
            *named,
            "",
            PRINTED,
            "HOW TO VERIFY",
            HOW_TO,
            "WHAT A PROOF SHOWS, AND WHAT IT DOES NOT",
            SHOWS,
            "WHAT IS NOT PROVED",
            *(textwrap.fill(sentence, 98) for sentence in _unproved(cover, proved)),
            "",
        ]
    )


def _unproved(cover: Cover, proved: Proved) -> Iterator[str]:
    waiting = proved.document["not_sealed_yet"]
    if proved.untold:
        yield f"No entry was found in the trail of: {', '.join(proved.untold)}."
    if waiting:
        yield (
            "These entries were written, but not sealed yet, when the pack was made. A pack made "
            f"a minute later proves them: {', '.join(waiting)}."
        )
    else:
        yield "Every entry about this person that was found is sealed, and proved here."
    if not cover.reveal:
        yield (
            "The telephone number is masked. Details of entries that spell it out, and scans of "
            "forms, are left out; the proofs hold without them."
        )


# --- on paper ----------------------------------------------------------------------------------

FONT = "DejaVuSans"
FONT_FILE = Path(__file__).parent / "data" / "fonts" / "DejaVuSans.ttf"
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
        _style("heading", 14, 19, spaceBefore=12, spaceAfter=6),
        _style("subject", 10.5, 14, spaceBefore=8, spaceAfter=2),
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


def printable(text: str) -> str:
    """`text` with every sign that cannot be printed or seen by its code point: [U+4F60]."""
    return "".join(sign if _is_printable(sign) else f"[U+{ord(sign):04X}]" for sign in text)


def _is_printable(sign: str) -> bool:
    return sign == "\n" or (ord(sign) in _signs() and unicodedata.category(sign)[0] != "C")


class Numbered(Canvas):
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


def _printed(life: Life, cover: Cover, proved: Proved, record: dict[str, Any]) -> bytes:
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
    document.build(story, canvasmaker=Numbered)
    return paper.getvalue()


def _paragraph(text: str, style: str = "line") -> Paragraph:
    shown = html.escape(printable(text), quote=False).replace("\n", "<br/>")
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
        yield _paragraph(f"{name}: {value}", "subject")
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
        yield _paragraph(f"{_clock(event['at'])}  {event['title']}", "subject")
        for line in event["lines"]:
            yield _paragraph(line, "quote" if line.startswith("“") else "line")


def _how_to(cover: Cover, proved: Proved) -> Iterator[Flowable]:
    yield PageBreak()
    yield _paragraph("How to verify", "heading")
    yield from _set_out(f"{HOW_TO}\n{PRINTED}")
    yield _paragraph("What a proof shows, and what it does not", "heading")
    yield from _set_out(SHOWS)
    yield _paragraph("What is not proved", "heading")
    for sentence in _unproved(cover, proved):
        yield _paragraph(sentence)


def _set_out(text: str) -> Iterator[Flowable]:
    for part in text.strip().split("\n\n"):
        code = part.startswith("    ")
        yield _paragraph(" ".join(part.split()), "code" if code else "line")
        yield Spacer(0, 2 * mm)

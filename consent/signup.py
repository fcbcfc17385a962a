"""Takes in what a person, a clerk or another system tells of one opt-in, with its evidence."""

import hashlib
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from audit.trail import Actor
from config.encryption import blind_index
from consent import evidence, ledger
from consent.admission import OPENED, Outcome
from consent.intake import OptIn
from consent.models import Consent, Method, Notice, Scan
from consent.numbers import Number

MOST_SCAN = 5 * 1024 * 1024  # bytes
TOO_LARGE = "The scan is larger than 5 MB. Scan it in grey, or smaller."
KINDS = {
    b"%PDF-": Scan.Kind.PDF,
    b"\x89PNG\r\n\x1a\n": Scan.Kind.PNG,
    b"\xff\xd8\xff": Scan.Kind.JPEG,
}


class NoticeLacks(ValueError):
    """A wording that is no evidence of consent to marketing; the text says what it leaves out."""


@transaction.atomic
def sign_up(
    *,
    number: Number,
    notice: Notice,
    method: Method,
    source: str,
    facts: dict[str, str],
    given_at: datetime,
    by: Actor,
    at: datetime,
    **told: Any,
) -> Outcome:
    """Record one opt-in and have it confirmed; `told` are language, region and first_name.

    `facts` is what the method demands (consent.evidence.PROOFS). Raises EvidenceMissing and
    NoticeLacks, and ValidationError for a time in the future or before the wording was shown.
    """
    if lacking := notice.missing_essentials:
        raise NoticeLacks(f"The wording does not state {' nor '.join(lacking)}.")
    if given_at > at:
        raise ValidationError({"given_at": "The opt-in cannot lie in the future."})
    if given_at < notice.shown_from:
        raise ValidationError({"given_at": "That wording was not shown yet at that time."})
    opt_in = OptIn.of(
        number,
        notice_id=notice.pk,
        method=method,
        source=source,
        given_at=given_at,
        confirmation_due_at=at,
        evidence=evidence.written(method, facts),
        **{"language": notice.language, **told},
    )
    [outcome] = ledger.enrol(opt_ins=[opt_in], purpose=notice.purpose, by=by, at=at)
    return outcome


@transaction.atomic
def sign_up_on_paper(
    *,
    scan: bytes,
    number: Number,
    notice: Notice,
    source: str,
    given_at: datetime,
    by: Actor,
    at: datetime,
    **told: Any,
) -> Outcome:
    """As `sign_up`, for a signed form of which `scan` is the picture; it is kept encrypted.

    Raises ValidationError for a scan that is none, or too large.
    """
    kind, fingerprint = _kind(scan), hashlib.sha256(scan).hexdigest()
    facts = {"scan": fingerprint}
    outcome = sign_up(
        number=number,
        notice=notice,
        method=Method.PAPER_FORM,
        source=source,
        facts=facts,
        given_at=given_at,
        by=by,
        at=at,
        **told,
    )
    if outcome == OPENED:
        consents = Consent.objects.open().filter(purpose=notice.purpose)
        Scan.objects.create(
            consent=consents.get(subscriber__number_index=blind_index.of(number.e164)),
            kind=kind,
            content=scan.decode("latin-1"),
            fingerprint=fingerprint,
            uploaded_at=at,
        )
    return outcome


def _kind(scan: bytes) -> Scan.Kind:
    """What the file is by its first bytes, whatever its name says."""
    if len(scan) > MOST_SCAN:
        raise ValidationError({"scan": TOO_LARGE})
    for beginning, kind in KINDS.items():
        if scan.startswith(beginning):
            return kind
    raise ValidationError({"scan": "The scan must be a PDF, PNG or JPEG file."})

"""Packs all there is about one person into one file that stands in a dispute without us."""

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from audit import checkpoints, proofs, trail, verifier
from audit.models import Operator
from campaigns import timeline
from campaigns.dispute.proved import Proved, proved_of
from campaigns.dispute.readme import readme_of
from campaigns.dispute.record import FORMAT, Cover, record_of
from campaigns.timeline import Life
from consent.models import Subscriber

__all__ = ["FORMAT", "file_name", "pack", "proofs"]

ENDINGS = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}


@transaction.atomic
def pack(person: Subscriber, *, by: Operator, at: datetime, reveal: bool = False) -> bytes:
    """The dispute pack of one person, as the bytes of a ZIP file; that it was made is recorded.

    The number is masked in every text unless `reveal`; then it stands in the pack as it is, with
    the scans of signed forms. What is not sealed yet is packed, named, and not proved.
    Raises NotAsSealed if the trail, or what it fixes, was changed; CannotDecrypt if a text cannot
    be read. Whoever sends must show that the person agreed: 47 CFR 64.1200(f)(9) with the FCC's
    orders on the burden of proof, GDPR Art. 7(1), 16 CFR 310.5. Files: docs/dispute-packs.md.
    """
    cover = Cover(person, by, at, reveal)
    life = timeline.life_of(person)
    proved = proved_of(life, masked=cover.masked)
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


def _files(life: Life, cover: Cover, proved: Proved) -> dict[str, bytes]:
    # The library that writes PDF is a tenth of the time in which any process starts.
    from campaigns.dispute.paper import printed  # noqa: PLC0415

    record = record_of(life, cover, proved)
    files = {
        "dispute.pdf": printed(cover, proved, record),
        "pack.json": _as_json(record),
        "proofs.json": _as_json(proved.document),
        "trail.vkey": f"{checkpoints.verifier_key()}\n".encode(),
        "verifier.py": Path(verifier.__file__).read_bytes(),
        **(_scans(life) if cover.reveal else {}),
    }
    return {**files, "README.txt": readme_of(cover, proved, files).encode()}


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

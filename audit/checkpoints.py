"""Seals the trail: takes every committed entry into the tree and signs what it hashes to.

An entry carries no chain and takes no lock when it is written. The sealer, one at a time, takes the
entries whose transactions are certainly over: on PostgreSQL those written by a transaction older
than every running one, since "id greater than the last" would skip late commits; on SQLite all,
since it has one writer.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from audit import trail, verifier
from audit.merkle import Frontier, hash_leaf
from audit.models import Checkpoint, Detail, Entry, Leaf
from config.encryption.keys import key_bytes
from config.encryption.ring import CannotDecrypt

BATCH = 2_000
LOCK = 0x566F6C656E73  # "Volens": one sealer at a time


class TrailBroken(Exception):
    """An entry is not what was written; sealing it would make the change look proper."""


def signing_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key_bytes(settings.CHECKPOINT_SEED))


def _public_bytes() -> bytes:
    return b"\x01" + signing_key().public_key().public_bytes_raw()


def _key_id() -> bytes:
    name = settings.TRAIL_ORIGIN.encode()
    return hashlib.sha256(name + b"\n" + _public_bytes()).digest()[:4]


def verifier_key() -> str:
    """The public key in C2SP's form, to be kept where the verifier runs."""
    public = base64.b64encode(_public_bytes()).decode()
    return f"{settings.TRAIL_ORIGIN}+{_key_id().hex()}+{public}"


def signed_note(*, size: int, root: bytes, at: datetime) -> str:
    """A checkpoint as a C2SP signed note over origin, size, root and time."""
    lines = [
        settings.TRAIL_ORIGIN,
        str(size),
        base64.b64encode(root).decode(),
        f"time {trail.instant(at)}",
    ]
    text = "\n".join(lines) + "\n"
    signature = base64.b64encode(_key_id() + signing_key().sign(text.encode())).decode()
    return f"{text}\n— {settings.TRAIL_ORIGIN} {signature}\n"


def horizon() -> int:
    """The first transaction that may still be running; entries of older ones are all visible."""
    if connection.vendor != "postgresql":
        newest = Entry.objects.order_by("-id").values_list("id", flat=True).first()
        return (newest or 0) + 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(cursor.fetchone()[0])


def _only_sealer() -> bool:
    """Whether this transaction may seal; SQLite has one writer anyway."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _committed(*, since: int, until: int) -> Iterator[Entry]:
    """Entries not yet in the tree whose transactions are over, in the order of their writing."""
    order = ("written", "id") if connection.vendor == "postgresql" else ("id",)
    unsealed = Entry.objects.filter(~Exists(Leaf.objects.filter(entry=OuterRef("pk"))))
    if until >= since:  # else a restored database counts its transactions anew: take all there is
        unsealed = unsealed.filter(**{f"{order[0]}__gte": since, f"{order[0]}__lt": until})
    return unsealed.order_by(*order).iterator(BATCH)


def _rederived(entry: Entry) -> bytes:
    leaf = _leaf_of(entry)
    if leaf.hex() != entry.leaf_hash:
        raise TrailBroken(
            f"entry {entry.pk} is not what was written; nothing is sealed until it is mended. "
            "Compare it with a backup and tell the auditor."
        )
    return leaf


def _leaf_of(entry: Entry) -> bytes:
    return hash_leaf(trail.canonical(trail.content_of(entry)))


@transaction.atomic
def _extend(at: datetime) -> Checkpoint | None:
    if not _only_sealer():
        return None
    last = Checkpoint.objects.order_by("-size").first()
    at = max(at, last.at) if last else at  # two clocks may differ; signed times never go back
    until = horizon()
    frontier = (
        Frontier(last.size, [bytes.fromhex(p) for p in last.frontier]) if last else Frontier()
    )
    leaves = []
    for entry in _committed(since=last.horizon if last else 0, until=until):
        leaf = _rederived(entry)
        leaves.append(Leaf(index=frontier.size, entry=entry, leaf_hash=leaf.hex()))
        frontier.append(leaf)
    if not leaves:
        return None
    Leaf.objects.bulk_create(leaves, batch_size=BATCH)
    return Checkpoint.objects.create(
        size=frontier.size,
        root=frontier.root().hex(),
        at=at,
        note=signed_note(size=frontier.size, root=frontier.root(), at=at),
        frontier=[peak.hex() for peak in frontier.peaks],
        horizon=until,
    )


def seal(*, at: datetime) -> Checkpoint | None:
    """Take every finished entry into the tree, sign a checkpoint, and carry it outside.

    Returns the new checkpoint, or None if there was nothing to seal or another sealer is at work.
    Raises TrailBroken if an entry was changed since it was written.
    """
    checkpoint = _extend(at)
    export()
    return checkpoint


def export() -> None:
    """Write the public key and every checkpoint not yet there into each of CHECKPOINT_DIRS."""
    for directory in settings.CHECKPOINT_DIRS:
        directory.mkdir(parents=True, exist_ok=True)
        _write_once(directory / "trail.vkey", verifier_key() + "\n")
        for path, note in reversed(list(_missing(directory))):
            _write_once(path, note)


def _missing(directory: Path) -> Iterator[tuple[Path, str]]:
    """Newest first, up to one that was carried there; written oldest first, so no gap can stay."""
    for size, note in Checkpoint.objects.order_by("-size").values_list("size", "note").iterator():
        path = directory / f"{size:020d}.checkpoint"
        if path.exists():
            return
        yield path, note


def _write_once(path: Path, text: str) -> None:
    """What was written is never written again."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def outside_notes() -> list[str]:
    """Every checkpoint that was carried outside, whatever the database says."""
    return [
        path.read_text(encoding="utf-8")
        for directory in settings.CHECKPOINT_DIRS
        for path in sorted(directory.glob("*.checkpoint"))
    ]


def verified(*, key: str = "") -> verifier.Report:
    """What the stand-alone verifier finds in the whole trail, and what only we can look at.

    `key` is a verifier key kept elsewhere; our own if left out. Ours to look at: that checkpoints
    stand outside at all, that no unsealed entry was changed, that personal details are as
    committed.
    """
    notes = outside_notes()
    report = verifier.verify(export_lines(), key=key or verifier_key(), checkpoints=notes)
    found = [] if notes else ["no checkpoint stands outside the database, in CHECKPOINT_DIRS"]
    found += _changed_unsealed() + _changed_details()
    return replace(report, findings=(*report.findings, *found))


def _changed_unsealed() -> list[str]:
    unsealed = Entry.objects.filter(leaf=None).order_by("pk").iterator(BATCH)
    return [
        f"entry {entry.pk} is not what was written, and nothing is sealed until it is mended"
        for entry in unsealed
        if _leaf_of(entry).hex() != entry.leaf_hash
    ]


def _changed_details() -> list[str]:
    details = Detail.objects.select_related("entry").order_by("entry_id").iterator(BATCH)
    return [
        f"the detail of entry {detail.entry_id} is not what was committed to"
        for detail in details
        if not _is_as_committed(detail)
    ]


def _is_as_committed(detail: Detail) -> bool:
    try:
        told = trail.commitment_to(detail.text, bytes.fromhex(detail.salt))
    except (CannotDecrypt, ValueError):
        return False
    return told == detail.entry.commitment


def export_lines() -> Iterator[bytes]:
    """The whole trail as lines of JSON, in tree order, with its checkpoints; constant memory."""
    yield trail.canonical({"format": "volens-trail/1", "origin": settings.TRAIL_ORIGIN}) + b"\n"
    size = 0
    for leaf in Leaf.objects.select_related("entry").order_by("index").iterator(BATCH):
        content = {"index": leaf.index, "leaf": trail.content_of(leaf.entry)}
        yield trail.canonical(content) + b"\n"
        size = leaf.index + 1
    notes = Checkpoint.objects.filter(size__lte=size)  # the sealer may have gone on meanwhile
    for note in notes.order_by("size").values_list("note", flat=True).iterator():
        yield trail.canonical({"checkpoint": note}) + b"\n"
    unsealed = max(Entry.objects.count() - size, 0)
    yield trail.canonical({"unsealed": unsealed}) + b"\n"

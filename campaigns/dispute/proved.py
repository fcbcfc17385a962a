"""Gathers what the trail tells of one person, with the proofs that it was sealed."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from django.db.models import Q

from audit import proofs
from audit.models import Entry
from audit.proofs import Batched
from campaigns import fence
from campaigns.timeline import Life, Masked
from consent.admission import leaf_of
from consent.models import Consent, ListImport

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


def proved_of(life: Life, *, masked: Masked) -> Proved:
    """Every entry about the person, and their own leaves in entries that tell of many people.

    A detail that `masked` would change is kept back: it cannot be masked and still match.
    Raises NotAsSealed if the trail, or what it fixes, was changed; CannotDecrypt if a detail
    cannot be read. Source: docs/trail-format.md, "Proofs of single entries".
    """
    batches = [*_batches_of_consents(life), *_batches_of_attempts(life)]
    shared = Entry.objects.filter(uid__among={batch.entry for batch in batches})
    about = [*life.entries, *shared.order_by("id"), *_entries_beside(life)]
    document = proofs.of_entries(about, with_details=True)
    _hide_details(document, masked)
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

"""Proves single entries of the trail, and leaves of batches, to whoever may not have the rest."""

import base64
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from audit import trail
from audit.merkle import hash_leaf, hash_node
from audit.models import Checkpoint, Detail, Entry, Leaf

FORMAT = "volens-proofs/1"
LEAVES_AT_ONCE = 2_000
BATCHES_AT_ONCE = 100

Span = tuple[int, int]  # a subtree, by its first leaf and the one after its last


class NotAsSealed(ValueError):
    """Something is not what was written or sealed, so there is no proof; the text says what."""


@dataclass(frozen=True, slots=True)
class Batched:
    """Leaves whose Merkle root stands in a fact of an entry, and the places of those to prove."""

    entry: uuid.UUID
    fact: str
    leaves: Sequence[dict[str, Any]]
    wanted: Sequence[int]


def of_entries(entries: Iterable[Entry], *, with_details: bool = False) -> dict[str, Any]:
    """A document that proves `entries` to whoever holds the public key; JSON can hold it.

    All paths lead to the newest checkpoint. The hashes of all leaves are read once, in constant
    memory. Entries not yet in the tree are named and not proved. `with_details` discloses what the
    entries say about a person, as far as it is not erased. What `of_batches` gives goes into
    "batched".
    Raises NotAsSealed if the tree, an entry or a detail is not what it was, and CannotDecrypt if
    a detail cannot be read. Source: docs/trail-format.md, RFC 6962 section 2.1.1.
    """
    asked = {entry.pk: entry for entry in entries}
    leaves = Leaf.objects.in_bulk(list(asked), field_name="entry_id")
    newest = Checkpoint.objects.order_by("-size").first()  # after the leaves, so that it has them
    paths = _paths_to(newest, [leaf.index for leaf in leaves.values()])
    details = Detail.objects.in_bulk(list(leaves), field_name="entry_id") if with_details else {}
    in_order = sorted(leaves.values(), key=lambda leaf: leaf.index)
    return {
        "format": FORMAT,
        "checkpoint": newest.note if newest else "",
        "entries": [
            {
                "content": _content(asked[leaf.entry_id], leaf),
                "leaf_index": leaf.index,
                "path": paths[leaf.index],
            }
            | _disclosed(asked[leaf.entry_id], details.get(leaf.entry_id))
            for leaf in in_order
        ],
        "batched": [],
        "not_sealed_yet": [entry.uid.hex for key, entry in asked.items() if key not in leaves],
    }


def of_batches(batches: Iterable[Batched]) -> list[dict[str, Any]]:
    """The wanted leaves of `batches`, each with its path to the root in its entry's facts.

    They prove something only beside the proof of that entry. The entry must state the number of
    leaves in a fact too: a path alone does not fix it.
    Raises NotAsSealed (a ValueError) if there is no such entry or leaf, or the entry's facts name
    another root or no such number. Source: docs/trail-format.md, RFC 6962 section 2.1.1.
    """
    rest = iter(batches)
    proved: list[dict[str, Any]] = []
    while together := list(islice(rest, BATCHES_AT_ONCE)):
        entries = Entry.objects.in_bulk([batch.entry for batch in together], field_name="uid")
        for batch in together:
            proved += _of_batch(batch, entries.get(batch.entry))
    return proved


def _of_batch(batch: Batched, entry: Entry | None) -> Iterator[dict[str, Any]]:
    count, facts = len(batch.leaves), entry.facts if entry else {}
    if not any(type(value) is int and value == count for value in facts.values()):
        raise NotAsSealed(f"no entry {batch.entry.hex} tells of a batch of {count}")
    hashes = (hash_leaf(trail.canonical(leaf)) for leaf in batch.leaves)
    paths = _paths(hashes, size=count, indexes=batch.wanted, root=facts.get(batch.fact))
    for index, path in paths.items():
        yield {
            "entry": batch.entry.hex,
            "fact": batch.fact,
            "content": batch.leaves[index],
            "index": index,
            "count": count,
            "path": path,
        }


def _content(entry: Entry, leaf: Leaf) -> dict[str, Any]:
    content = trail.content_of(entry)
    if hash_leaf(trail.canonical(content)).hex() != leaf.leaf_hash:
        raise NotAsSealed(f"entry {entry.pk} is not what was sealed")
    return content


def _disclosed(entry: Entry, detail: Detail | None) -> dict[str, Any]:
    if detail is None:
        return {}
    if trail.commitment_to(detail.text, bytes.fromhex(detail.salt)) != entry.commitment:
        raise NotAsSealed(f"the detail of entry {entry.pk} is not what was committed to")
    return {"detail": {"salt": detail.salt, "text": detail.text}}


def _paths_to(checkpoint: Checkpoint | None, indexes: Collection[int]) -> dict[int, list[str]]:
    if not indexes:
        return {}
    if checkpoint is None:
        raise NotAsSealed("there are leaves, and no checkpoint that attests them")
    attested = base64.b64encode(bytes.fromhex(checkpoint.root)).decode()
    if checkpoint.note.split("\n")[1:3] != [str(checkpoint.size), attested]:
        raise NotAsSealed(f"the checkpoint at {checkpoint.size} is not what was signed")
    hashes = _leaf_hashes(until=checkpoint.size)
    return _paths(hashes, size=checkpoint.size, indexes=indexes, root=checkpoint.root)


def _leaf_hashes(*, until: int) -> Iterator[bytes]:
    leaves = Leaf.objects.filter(index__lt=until).order_by("index")
    hashes = leaves.values_list("leaf_hash", flat=True)
    return map(bytes.fromhex, hashes.iterator(LEAVES_AT_ONCE))


def _paths(
    hashes: Iterable[bytes], *, size: int, indexes: Collection[int], root: str | None
) -> dict[int, list[str]]:
    """The path of each of `indexes` to `root`, nearest sibling first, reading `hashes` once."""
    if not all(0 <= index < size for index in indexes):
        raise NotAsSealed(f"a leaf is asked for that is not among the {size} attested")
    spans = {index: list(_siblings(index, size)) for index in indexes}
    roots = _roots_of({(0, size), *chain.from_iterable(spans.values())}, hashes)
    if (0, size) not in roots or roots[0, size].hex() != root:
        raise NotAsSealed(f"the {size} leaves do not have the root that was sealed")
    return {index: [roots[span].hex() for span in path] for index, path in spans.items()}


def _siblings(index: int, size: int) -> Iterator[Span]:
    """The subtrees beside the way from a leaf to the root; at the right edge there may be none."""
    width = 1
    while width < size:
        begin = (index // width ^ 1) * width
        if begin < size:
            yield begin, min(begin + width, size)
        width *= 2


def _roots_of(wanted: set[Span], hashes: Iterable[bytes]) -> dict[Span, bytes]:
    """The roots of the wanted subtrees, with one peak in memory for each perfect subtree."""
    roots: dict[Span, bytes] = {}
    peaks: list[tuple[int, bytes]] = []  # the first leaf and the root of each, left to right
    end = 0
    for end, node in enumerate(hashes, 1):
        begin = end - 1
        if (begin, end) in wanted:
            roots[begin, end] = node
        while peaks and begin - peaks[-1][0] == end - begin:
            begin, left = peaks.pop()
            node = hash_node(left, node)
            if (begin, end) in wanted:
                roots[begin, end] = node
        peaks.append((begin, node))
    return roots | _right_edge(peaks, end)


def _right_edge(peaks: list[tuple[int, bytes]], end: int) -> dict[Span, bytes]:
    """The roots of the subtrees that end where the tree ends, perfect or not."""
    roots: dict[Span, bytes] = {}
    node = b""
    for begin, peak in reversed(peaks):
        node = hash_node(peak, node) if node else peak
        roots[begin, end] = node
    return roots

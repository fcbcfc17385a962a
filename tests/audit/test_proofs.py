"""Single entries and leaves of batches are provable at every size, and tampering gives no proof."""

import json
import subprocess
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pymerkle
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit import checkpoints, proofs, trail, verifier
from audit.merkle import hash_leaf, inclusion_proof, root_of
from audit.models import Checkpoint, Detail, Entry, Leaf
from audit.proofs import Batched, NotAsSealed
from tests.audit.conftest import Seal, Tamper, Tell

pytestmark = pytest.mark.django_db(transaction=True)

VERIFIER = Path(verifier.__file__)


def judged(document: dict[str, Any]) -> verifier.ProofsReport:
    text = json.dumps(document).encode()
    return verifier.verify_proofs(text, key=checkpoints.verifier_key())


def run(directory: Path, document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """The verifier alone, with the document and the public key as files."""
    (directory / "key").write_text(checkpoints.verifier_key(), encoding="utf-8")
    (directory / "proofs").write_text(json.dumps(document, indent=2), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-I", "-W", "error", VERIFIER, "--proofs", "proofs", "--key", "key"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def content(number: int) -> dict[str, Any]:
    return {"attempt": f"{number:032x}", "number": 1, "decision": {"allowed_by": "é", "of": None}}


def batch_of(count: int, tell: Tell, **facts: Any) -> tuple[Entry, list[dict[str, Any]]]:
    """An entry with the root of so many leaves, told as the fence tells it."""
    leaves = [content(number) for number in range(count)]
    root = root_of(hash_leaf(trail.canonical(leaf)) for leaf in leaves).hex()
    entry = tell("messages.allowed", facts={"messages": count, "decisions": root, **facts})
    return entry, leaves


# --- entries


def test_every_entry_is_proved_at_every_size_as_another_implementation_proves_it(
    tell: Tell, seal: Seal
) -> None:
    oracle = pymerkle.InmemoryTree(algorithm="sha256")
    for size in range(1, 41):
        entry = tell(facts={"number": size}, detail="told by phone" if size % 3 else "")
        oracle.append_entry(trail.canonical(trail.content_of(entry)))
        seal()
        document = proofs.of_entries(Entry.objects.all())
        told = judged(document)
        assert (told.findings, told.entries, told.size) == ((), size, size)
        assert told.root == oracle.get_root(size).hex()
        for index, proof in enumerate(document["entries"]):
            path = oracle.prove_inclusion(index + 1, size).path[1:]
            assert (proof["leaf_index"], proof["path"]) == (index, [step.hex() for step in path])


@pytest.mark.parametrize("sizes", [[1], [2], [3], [1, 4], [2, 5, 8], [7, 9, 13, 21, 34, 40]])
def test_entries_of_several_checkpoints_are_proved_to_the_verifier_that_stands_alone(
    sizes: list[int], tell: Tell, seal: Seal, tmp_path: Path
) -> None:
    for size in sizes:
        while Entry.objects.count() < size:
            tell(detail="told by phone")
        seal()
    document = proofs.of_entries(Entry.objects.all(), with_details=True)
    done = run(tmp_path, document)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"checkpoint: {sizes[-1]} entries, root {Checkpoint.objects.latest('size').root}" in (
        done.stdout
    )
    assert f"personal details that match their commitments: {sizes[-1]}\n" in done.stdout
    assert f": {sizes[-1]} entries proved, 0 leaves of batches proved: everything holds\n" in (
        done.stdout
    )


def test_a_few_entries_are_proved_by_the_newest_checkpoint_whatever_their_order(
    tell: Tell, seal: Seal
) -> None:
    told = [tell(facts={"number": number}) for number in range(11)]
    seal()
    told += [tell(facts={"number": number}) for number in range(11, 23)]
    newest = seal()
    assert newest
    document = proofs.of_entries([told[19], told[4], told[0], told[4]])
    hashes = [bytes.fromhex(leaf.leaf_hash) for leaf in Leaf.objects.order_by("index")]
    assert document["checkpoint"] == newest.note
    assert [(e["leaf_index"], e["content"]["uid"], e["path"]) for e in document["entries"]] == [
        (n, told[n].uid.hex, [step.hex() for step in inclusion_proof(hashes, n)])
        for n in (0, 4, 19)
    ]
    assert judged(document).ok


def test_entries_not_in_the_tree_yet_are_named_and_not_proved(tell: Tell, seal: Seal) -> None:
    sealed = tell()
    seal()
    waiting = tell()
    document = proofs.of_entries([waiting, sealed])
    told = judged(document)
    assert document["not_sealed_yet"] == [waiting.uid.hex]
    assert (told.findings, told.entries, told.unsealed) == ((), 1, 1)


def test_before_the_first_checkpoint_there_is_a_document_that_proves_nothing(tell: Tell) -> None:
    document = proofs.of_entries([entry := tell()])
    assert document == {
        "format": "volens-proofs/1",
        "checkpoint": "",
        "entries": [],
        "batched": [],
        "not_sealed_yet": [entry.uid.hex],
    }
    assert not judged(document).ok


def test_without_entries_no_leaf_is_read(tell: Tell, seal: Seal) -> None:
    tell()
    newest = seal()
    assert newest
    with CaptureQueriesContext(connection) as asked:
        document = proofs.of_entries([])
    assert (document["checkpoint"], document["entries"]) == (newest.note, [])
    assert not any("audit_leaf" in query["sql"] for query in asked)


def test_proofs_cost_as_many_statements_for_many_entries_as_for_few(tell: Tell, seal: Seal) -> None:
    entries = [tell(detail="told by phone") for _ in range(30)]
    seal()
    counts = []
    for some in (entries[:2], entries):
        with CaptureQueriesContext(connection) as asked:
            proofs.of_entries(some, with_details=True)
        counts.append(len(asked))
    assert counts[0] == counts[1]


# --- details


def test_details_are_disclosed_only_when_asked_for_and_only_while_they_are_there(
    tell: Tell, seal: Seal
) -> None:
    entries = [tell(detail="told by phone"), tell(detail="by letter"), tell()]
    seal()
    Detail.objects.filter(entry=entries[1]).delete()
    hidden = proofs.of_entries(entries)
    shown = proofs.of_entries(entries, with_details=True)
    salt = Detail.objects.get().salt
    assert not any("detail" in proof for proof in hidden["entries"])
    assert [proof.get("detail") for proof in shown["entries"]] == [
        {"salt": salt, "text": "told by phone"},
        None,
        None,
    ]
    assert (judged(hidden).details, judged(shown).details) == (0, 1)
    assert judged(hidden).ok
    assert judged(shown).ok


def test_a_detail_that_is_not_what_was_committed_to_is_not_disclosed(
    tell: Tell, seal: Seal
) -> None:
    entry = tell(detail="told by phone")
    seal()
    detail = Detail.objects.get()
    detail.text = "never told"
    detail.save()
    with pytest.raises(NotAsSealed, match=f"the detail of entry {entry.pk} is not what"):
        proofs.of_entries([entry], with_details=True)
    assert judged(proofs.of_entries([entry])).ok


# --- a tree that was tampered with


TAMPERINGS = {
    "the entry": (
        "UPDATE audit_entry SET verb = 'x' WHERE verb = 'first'",
        "entry .* is not what was sealed",
    ),
    "another leaf": (
        "UPDATE audit_leaf SET leaf_hash = '{hash}' WHERE leaf_hash <> '{hash}'",
        "the 3 leaves do not have the root",
    ),
    "a leaf removed": (
        "DELETE FROM audit_leaf WHERE leaf_hash <> '{hash}'",
        "the 3 leaves do not have the root",
    ),
    "the root": (
        "UPDATE audit_checkpoint SET root = '{hash}'",
        "the checkpoint at 3 is not what was signed",
    ),
    "the size": ("UPDATE audit_checkpoint SET size = 4", "the checkpoint at 4 is not what was"),
    "the note": (
        "UPDATE audit_checkpoint SET note = 'x'",
        "the checkpoint at 3 is not what was signed",
    ),
    "the checkpoint removed": ("DELETE FROM audit_checkpoint", "no checkpoint that attests them"),
}


@pytest.mark.parametrize(("statement", "finding"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_nothing_is_proved_from_what_was_tampered_with(
    statement: str, finding: str, tell: Tell, seal: Seal, tamper: Tamper
) -> None:
    first = tell("first")
    tell()
    tell()
    seal()
    tamper(statement.format(hash=first.leaf_hash))
    with pytest.raises(NotAsSealed, match=finding):
        proofs.of_entries(Entry.objects.filter(pk=first.pk))


def test_a_leaf_beyond_the_newest_checkpoint_is_not_proved(
    tell: Tell, seal: Seal, tamper: Tamper
) -> None:
    first, *_others = [tell() for _ in range(3)]
    seal()
    last = tell()
    seal()
    tamper("DELETE FROM audit_checkpoint WHERE size = 4")
    assert judged(proofs.of_entries([first])).ok
    with pytest.raises(NotAsSealed, match="not among the 3 attested"):
        proofs.of_entries([first, last])


# --- leaves of batches


def test_every_leaf_of_a_batch_is_proved_at_every_size(tell: Tell, seal: Seal) -> None:
    batches = [(*batch_of(count, tell), range(count)) for count in range(1, 41)]
    seal()
    document = proofs.of_entries([entry for entry, _leaves, _wanted in batches])
    document["batched"] = proofs.of_batches(
        Batched(entry.uid, "decisions", leaves, wanted) for entry, leaves, wanted in batches
    )
    told = judged(document)
    assert (told.findings, told.entries, told.batched) == ((), 40, sum(range(41)))
    for proof in document["batched"]:
        hashes = [hash_leaf(trail.canonical(content(n))) for n in range(proof["count"])]
        path = inclusion_proof(hashes, proof["index"])
        assert proof["content"] == content(proof["index"])
        assert proof["path"] == [step.hex() for step in path]


def test_a_batched_leaf_is_proved_to_the_verifier_that_stands_alone(
    tell: Tell, seal: Seal, tmp_path: Path
) -> None:
    entry, leaves = batch_of(5, tell)
    seal()
    document = proofs.of_entries([entry])
    document["batched"] = proofs.of_batches([Batched(entry.uid, "decisions", leaves, [3, 0, 3])])
    assert [proof["index"] for proof in document["batched"]] == [3, 0]
    done = run(tmp_path, document)
    assert (done.returncode, done.stderr) == (0, "")
    assert ": 1 entries proved, 2 leaves of batches proved: everything holds\n" in done.stdout


def test_entries_of_batches_are_looked_up_many_at_a_time(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "BATCHES_AT_ONCE", 8)
    batches = [(*batch_of(2, tell), [1]) for _turn in range(20)]
    with CaptureQueriesContext(connection) as asked:
        proved = proofs.of_batches(Batched(e.uid, "decisions", *rest) for e, *rest in batches)
    assert (len(proved), len(asked)) == (20, 3)


BATCHES: dict[str, tuple[dict[str, Any], str]] = {
    "a leaf changed": ({"leaves": [content(0), content(9), content(2)]}, "do not have the root"),
    "leaves moved": ({"leaves": [content(1), content(0), content(2)]}, "do not have the root"),
    "a leaf removed": ({"leaves": [content(0), content(1)]}, "tells of a batch of 2"),
    "a leaf more": ({"leaves": [content(n) for n in range(4)]}, "tells of a batch of 4"),
    "no leaf": ({"leaves": []}, "tells of a batch of 0"),
    "another fact": ({"fact": "messages"}, "do not have the root"),
    "a fact that is not there": ({"fact": "verdicts"}, "do not have the root"),
    "another entry": ({"entry": uuid.UUID(int=7)}, f"no entry {7:032x} tells of a batch of 3"),
    "a leaf that is not there": ({"wanted": [0, 3]}, "not among the 3 attested"),
    "a leaf before the first": ({"wanted": [-1]}, "not among the 3 attested"),
}


@pytest.mark.parametrize(("changes", "finding"), BATCHES.values(), ids=BATCHES.keys())
def test_a_batch_that_is_not_what_its_entry_tells_of_is_refused(
    changes: dict[str, Any], finding: str, tell: Tell
) -> None:
    entry, leaves = batch_of(3, tell)
    honest = {"entry": entry.uid, "fact": "decisions", "leaves": leaves, "wanted": [1]}
    assert len(proofs.of_batches([Batched(**honest)])) == 1
    with pytest.raises(ValueError, match=finding):
        proofs.of_batches([Batched(**(honest | changes))])


def test_an_entry_that_tells_no_number_of_leaves_vouches_for_none(tell: Tell) -> None:
    entry, leaves = batch_of(1, tell, messages=True)
    with pytest.raises(NotAsSealed, match="tells of a batch of 1"):
        proofs.of_batches([Batched(entry.uid, "decisions", leaves, [0])])


def test_an_entry_of_an_open_transaction_is_not_sealed_and_not_proved(
    tell: Tell, seal: Seal, at: datetime
) -> None:
    tell()
    seal()
    with transaction.atomic():
        trail.record(verb="campaign.approved", subject="campaign:1", by="worker", at=at)
        document = proofs.of_entries(Entry.objects.order_by("id"))
    assert (len(document["entries"]), len(document["not_sealed_yet"])) == (1, 1)

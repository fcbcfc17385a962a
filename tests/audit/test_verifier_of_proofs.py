"""Every way of tampering with a document of proofs is found, and an honest document passes."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import verifier
from audit.verifier import verify_proofs
from tests.audit.test_verifier import (
    BAD_KEYS,
    KEY,
    ORIGIN,
    OTHER_KEY,
    REASON,
    SALT,
    block,
    canonical,
    digest,
    leaf_of,
    note,
    path,
    tree_root,
    vkey,
)

Document = dict[str, Any]
Tampering = Callable[[Document], object]

VERIFIER = Path(verifier.__file__)
TIME = "2026-03-01T12:00:00Z"


def hashed(content: Document) -> bytes:
    return digest(b"\x00", canonical(content))


def batch_of(first: int, count: int) -> list[Document]:
    return [{"attempt": f"{first + n:032x}", "decision": {"rules": ["é"]}} for n in range(count)]


def facts_of(batch: list[Document], **more: Any) -> Document:
    root = tree_root([hashed(content) for content in batch])
    return {"messages": len(batch), "decisions": root.hex(), **more}


BATCH, OTHER_BATCH = batch_of(0, 5), batch_of(100, 6)
LEAVES = [leaf_of(number) for number in range(13)]
LEAVES[4] = leaf_of(4, facts=facts_of(BATCH))
LEAVES[7] = leaf_of(7, facts=facts_of(OTHER_BATCH, days=4), commitment="")
NOTE = note(13, tree_root([hashed(leaf) for leaf in LEAVES]), time=TIME)
SMALLER = note(9, tree_root([hashed(leaf) for leaf in LEAVES[:9]]), time=TIME)
DETAIL = {"salt": SALT, "text": REASON}


def hexed(index: int, contents: list[Document]) -> list[str]:
    return [step.hex() for step in path(index, [hashed(content) for content in contents])]


def proof_of(index: int, leaves: list[Document] = LEAVES) -> Document:
    return {"content": leaves[index], "leaf_index": index, "path": hexed(index, leaves)}


def batched(index: int, entry: int = 4, batch: list[Document] = BATCH) -> Document:
    place = {"entry": f"{entry:032x}", "fact": "decisions", "index": index, "count": len(batch)}
    return {**place, "content": batch[index], "path": hexed(index, batch)}


def honest() -> Document:
    entries = [proof_of(index) for index in (0, 4, 7, 12)]
    entries[0]["detail"] = DETAIL
    document = {
        "format": "volens-proofs/1",
        "checkpoint": NOTE,
        "entries": entries,
        "batched": [batched(0), batched(4), batched(2, 7, OTHER_BATCH)],
        "not_sealed_yet": ["f" * 32],
    }
    return copy.deepcopy(document)


def judged(document: Document, *outside: str) -> verifier.ProofsReport:
    return verify_proofs(json.dumps(document).encode(), key=vkey(), checkpoints=outside)


def run(directory: Path, document: bytes, *options: str) -> subprocess.CompletedProcess[str]:
    """A copy of the verifier in a directory of its own, the document on standard input."""
    (directory / "alone.py").write_bytes(VERIFIER.read_bytes())
    (directory / "key").write_text(vkey(), encoding="utf-8")
    command = ["-I", "-W", "error", "alone.py", "--proofs", "-", "--key", "key", *options]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=directory,
        env={"LC_ALL": "C"},
        input=document,
        capture_output=True,
        timeout=60,
        check=False,
    )
    told = (output.decode("ascii") for output in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, *told)


# An honest document


def test_an_honest_document_holds() -> None:
    assert judged(honest()) == verifier.ProofsReport(
        key=vkey(),
        origin=ORIGIN,
        size=13,
        root=tree_root([hashed(leaf) for leaf in LEAVES]).hex(),
        time="2026-03-01T12:00:00+00:00",
        checkpoints=0,
        entries=4,
        batched=3,
        details=1,
        unsealed=1,
        findings=(),
    )


@pytest.mark.parametrize("size", range(1, 41))
def test_every_entry_is_proved_at_every_size(size: int) -> None:
    leaves = [leaf_of(number) for number in range(size)]
    document = honest() | {
        "checkpoint": note(size, tree_root([hashed(leaf) for leaf in leaves])),
        "entries": [proof_of(index, leaves) for index in range(size)],
        "batched": [],
    }
    told = judged(document)
    assert (told.findings, told.entries, told.size, told.time) == ((), size, size, "")


def test_a_document_may_be_laid_out_freely_and_stand_between_white_space() -> None:
    text = "\r\n \t" + json.dumps(honest(), indent=4, ensure_ascii=False) + "\n\n"
    assert verify_proofs(text.encode(), key=vkey()).ok


def test_a_detail_may_be_left_out_and_batches_and_entries_not_sealed_be_none() -> None:
    document = honest() | {"batched": [], "not_sealed_yet": []}
    del document["entries"][0]["detail"]
    told = judged(document)
    assert (told.findings, told.details, told.batched, told.unsealed) == ((), 0, 0, 0)


def test_the_worked_example_of_the_document_holds() -> None:
    told = verify_proofs(block("json").encode(), key=block("vkey"))
    assert (told.findings, told.entries, told.details, told.size) == ((), 1, 1, 3)


# Tampering


def replaced(*place: Any, by: Any) -> Tampering:
    """Put `by` at a place within the document, such as "entries", 1, "path"."""

    def tamper(document: Document) -> None:
        *way, last = place
        for step in way:
            document = document[step]
        document[last] = by

    return tamper


def removed(*place: Any) -> Tampering:
    def tamper(document: Document) -> None:
        *way, last = place
        for step in way:
            document = document[step]
        del document[last]

    return tamper


def joined(name: str, member: Any) -> Tampering:
    return lambda document: document[name].append(member)


def reversed_path(document: Document) -> None:
    document["entries"][1]["path"].reverse()


ROOT = tree_root([hashed(leaf) for leaf in LEAVES])
NOT_TO_THE_ROOT = "do not lead to the root"
SHAPE = "not a volens-proofs/1 document with exactly its fields"
TAMPERINGS: dict[str, tuple[Tampering, str]] = {
    # the content of an entry
    "another time": (
        replaced("entries", 1, "content", "at", by="2026-03-01T10:00:05.000000Z"),
        f"entries[1]: content and path of leaf 4 of 13 {NOT_TO_THE_ROOT}",
    ),
    "another actor": (replaced("entries", 1, "content", "actor", by="worker"), NOT_TO_THE_ROOT),
    "another verb": (replaced("entries", 1, "content", "verb", by="x"), NOT_TO_THE_ROOT),
    "another subject": (replaced("entries", 1, "content", "subject", by="x"), NOT_TO_THE_ROOT),
    "another uid": (replaced("entries", 1, "content", "uid", by="e" * 32), NOT_TO_THE_ROOT),
    "another commitment": (
        replaced("entries", 1, "content", "commitment", by=""),
        NOT_TO_THE_ROOT,
    ),
    "another fact": (
        replaced("entries", 1, "content", "facts", "messages", by=6),
        NOT_TO_THE_ROOT,
    ),
    "a fact more": (replaced("entries", 1, "content", "facts", "x", by=None), NOT_TO_THE_ROOT),
    "true for 1": (replaced("entries", 1, "content", "v", by=True), "its leaf is not of version 1"),
    "a field more": (replaced("entries", 1, "content", "x", by=1), "exactly the fields of the fo"),
    "a field less": (removed("entries", 1, "content", "verb"), "exactly the fields of the format"),
    "content of another entry": (replaced("entries", 1, "content", by=LEAVES[5]), NOT_TO_THE_ROOT),
    "content that is no object": (replaced("entries", 1, "content", by="x"), "exactly the fields"),
    "content with a lone surrogate": (
        replaced("entries", 1, "content", "verb", by="\ud800"),
        "its leaf is not text that UTF-8 can hold",
    ),
    # its place
    "another index": (replaced("entries", 1, "leaf_index", by=5), "leaf 5 of 13"),
    "an index behind the end": (
        replaced("entries", 3, "leaf_index", by=13),
        "entries[3]: there is no leaf 13 of 13",
    ),
    "an index before the start": (
        replaced("entries", 0, "leaf_index", by=-1),
        "there is no leaf -1",
    ),
    "an index that is a boolean": (
        replaced("entries", 0, "leaf_index", by=False),
        "there is no leaf False",
    ),
    "an index that is text": (replaced("entries", 0, "leaf_index", by="0"), "no leaf '0' of 13"),
    "an index that is giant": (replaced("entries", 0, "leaf_index", by=10**4000), "no leaf 1000"),
    # its path
    "a step changed": (replaced("entries", 1, "path", 0, by="0" * 64), NOT_TO_THE_ROOT),
    "a step in capitals": (
        replaced("entries", 1, "path", 0, by="A" * 64),
        "its path is not a list of SHA-256 hashes",
    ),
    "a step too short": (replaced("entries", 1, "path", 0, by="0" * 62), "not a list of SHA-256"),
    "a step that is a number": (replaced("entries", 1, "path", 0, by=0), "not a list of SHA-256"),
    "a step removed": (removed("entries", 1, "path", 0), NOT_TO_THE_ROOT),
    "a step more": (lambda d: d["entries"][1]["path"].append(ROOT.hex()), NOT_TO_THE_ROOT),
    "steps turned round": (reversed_path, NOT_TO_THE_ROOT),
    "no path": (removed("entries", 1, "path"), "entries[1]: it does not have exactly the fields"),
    "a path that is text": (replaced("entries", 1, "path", by="0" * 64), "not a list of SHA-256"),
    "a path that is an object": (
        replaced("entries", 1, "path", by={"0" * 64: 0}),
        "its path is not a list",
    ),
    # the proof of an entry as a whole
    "an entry twice": (joined("entries", proof_of(4)), f"entries[4]: it repeats uid {4:032x}"),
    "a proof that is no object": (replaced("entries", 1, by=[]), "exactly the fields of a proof"),
    "a field beside the proof": (
        replaced("entries", 1, "size", by=13),
        "exactly the fields of a proof",
    ),
    "no entry": (replaced("entries", by=[]), "nothing is proved"),
    "an entry removed whose batch stays": (
        removed("entries", 2),
        "batched[2]: its entry is not proved in this document",
    ),
    # a detail
    "another text": (replaced("entries", 0, "detail", "text", by="x"), "does not match its commit"),
    "another salt": (
        replaced("entries", 0, "detail", "salt", by="0" * 64),
        "entries[0]: its detail does not match its commitment",
    ),
    "a detail without salt": (removed("entries", 0, "detail", "salt"), "exactly a salt and a text"),
    "a detail of nothing": (replaced("entries", 0, "detail", by=None), "exactly a salt and a text"),
    "a detail to no commitment": (
        replaced("entries", 2, "detail", by=DETAIL),
        "does not match its commitment",
    ),
    # the checkpoint
    "a note of another size": (
        replaced("checkpoint", by=NOTE.replace("\n13\n", "\n14\n")),
        "the document's checkpoint: its signature is not good",
    ),
    "an older note": (replaced("checkpoint", by=SMALLER), "entries[3]: there is no leaf 12 of 9"),
    "a note whose time was changed": (
        replaced("checkpoint", by=NOTE.replace("12:00", "11:00")),
        "its signature is not good",
    ),
    "a note with a line removed": (
        replaced("checkpoint", by=NOTE.replace(f"time {TIME}\n", "")),
        "its signature is not good",
    ),
    "a note signed by another": (
        replaced("checkpoint", by=note(13, ROOT, key=OTHER_KEY)),
        "it is not signed with the key given",
    ),
    "a note of another origin": (
        replaced("checkpoint", by=note(13, ROOT, origin="other.example")),
        "it is of another origin, 'other.example'",
    ),
    "a note of an empty tree": (
        replaced("checkpoint", by=note(0, ROOT)),
        "of size 0 and attests nothing",
    ),
    "a note of another root": (replaced("checkpoint", by=note(13, b"r" * 32)), NOT_TO_THE_ROOT),
    "no note": (replaced("checkpoint", by=""), "checkpoint: it is not a signed note"),
    "a note that is nothing": (replaced("checkpoint", by=None), "its checkpoint is not text"),
    # a batched leaf
    "another decision": (
        replaced("batched", 0, "content", "decision", by={}),
        f"batched[0]: content and path of leaf 0 of 5 {NOT_TO_THE_ROOT}",
    ),
    "a leaf moved within its batch": (replaced("batched", 0, "index", by=1), NOT_TO_THE_ROOT),
    "a leaf moved to another entry": (
        replaced("batched", 0, "entry", by=f"{7:032x}"),
        NOT_TO_THE_ROOT,
    ),
    "a leaf moved to an entry without a root": (
        replaced("batched", 0, "entry", by=f"{0:032x}"),
        "its entry has no fact 'decisions' that is a root",
    ),
    "a leaf of an entry that is not there": (
        replaced("batched", 0, "entry", by="a" * 32),
        "its entry is not proved in this document",
    ),
    "a leaf of an entry not sealed": (
        replaced("batched", 0, "entry", by="f" * 32),
        "its entry is not proved in this document",
    ),
    "a leaf of no entry": (replaced("batched", 0, "entry", by=[]), "its entry is not proved"),
    "another fact named": (
        replaced("batched", 0, "fact", by="messages"),
        "its entry has no fact 'messages' that is a root",
    ),
    "a fact that is some other text": (
        lambda d: d["batched"][0].update(entry=f"{0:032x}", fact="channel"),
        "its entry has no fact 'channel' that is a root",
    ),
    "a fact that is not there": (replaced("batched", 0, "fact", by="x"), "no fact 'x' that is a"),
    "a fact that is a list": (replaced("batched", 0, "fact", by=[]), "has no fact [] that is a"),
    "a larger count that fits the path": (
        replaced("batched", 0, "count", by=8),
        "batched[0]: its entry does not tell of a batch of 8",
    ),
    "a count that fits no path": (replaced("batched", 0, "count", by=4), NOT_TO_THE_ROOT),
    "a count that is a boolean": (
        lambda d: d["batched"][0].update(index=0, count=True),
        "there is no leaf 0 of True",
    ),
    "a step of its path changed": (
        replaced("batched", 0, "path", 1, by="0" * 64),
        NOT_TO_THE_ROOT,
    ),
    "its path removed": (replaced("batched", 0, "path", by=[]), NOT_TO_THE_ROOT),
    "a batched leaf twice": (joined("batched", batched(4)), "batched[3]: it repeats leaf 4 of its"),
    "content of a list": (replaced("batched", 0, "content", by=[]), "its content is not an object"),
    "a batched field more": (replaced("batched", 0, "x", by=1), "fields of a batched leaf"),
    "a batched field less": (removed("batched", 0, "count"), "fields of a batched leaf"),
    "a batched leaf of nothing": (replaced("batched", 0, by=None), "fields of a batched leaf"),
    # entries not sealed
    "proved and not sealed": (
        joined("not_sealed_yet", f"{4:032x}"),
        f"not_sealed_yet[1]: uid {4:032x} is proved above, or named twice",
    ),
    "not sealed twice": (joined("not_sealed_yet", "f" * 32), "is proved above, or named twice"),
    "not sealed and no uid": (joined("not_sealed_yet", "x"), "it is not a uid of 32"),
    "not sealed and no text": (joined("not_sealed_yet", {}), "it is not a uid of 32"),
    # the document
    "another format": (replaced("format", by="volens-proofs/2"), SHAPE),
    "a format that is a list": (replaced("format", by=[]), SHAPE),
    "a member more": (replaced("x", by=1), SHAPE),
    "a member less": (removed("batched"), SHAPE),
    "entries that are an object": (replaced("entries", by={}), "its entries is not a list"),
    "batched that is text": (replaced("batched", by="x"), "its batched is not a list"),
    "not sealed that is a number": (replaced("not_sealed_yet", by=0), "its not_sealed_yet is not"),
}


@pytest.mark.parametrize(("tamper", "finding"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_is_found_by_the_verifier_that_stands_alone(
    tamper: Tampering, finding: str, tmp_path: Path
) -> None:
    document = honest()
    tamper(document)
    done = run(tmp_path, json.dumps(document).encode())
    assert (done.returncode, done.stderr) == (1, "")
    assert finding in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 200
    assert "NOT GOOD" in done.stdout.splitlines()[-1]


TEXT = json.dumps(honest()).encode()
BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not readable JSON"),
    "no JSON": (b"{", "not readable JSON"),
    "cut": (TEXT[:-1], "not readable JSON"),
    "not UTF-8": (TEXT.replace(b"operator", b"\xffperator"), "not UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + TEXT, "not readable JSON"),
    "UTF-16": (TEXT.decode().encode("utf-16"), "not UTF-8"),
    "a list": (b"[" + TEXT + b"]", "not one JSON object"),
    "two documents": (TEXT + b"\n" + TEXT, "not one JSON object"),
    "a member twice": (TEXT[:-1] + b',"batched":[]}', "the same key twice"),
    "a member twice within": (TEXT.replace(b'"v": 1', b'"v": 1, "v": 1', 1), "the same key twice"),
    "a key twice, escaped": (TEXT.replace(b'"v": 1', rb'"v":1,"\u0076":1', 1), "the same key twi"),
    "NaN": (TEXT.replace(b'"leaf_index": 4', b'"leaf_index": NaN'), "the number 'NaN' is not an"),
    "infinity": (TEXT.replace(b'"count": 5', b'"count": Infinity'), "is not an integer"),
    "a float": (TEXT.replace(b'"leaf_index": 4', b'"leaf_index": 4.0'), "'4.0' is not an integer"),
    "an exponent": (TEXT.replace(b'"count": 5', b'"count": 5e0'), "'5e0' is not an integer"),
    "deep": (b'{"format":' + b"[" * 200_000, "not readable JSON"),
    "a giant number": (TEXT.replace(b'"count": 5', b'"count": ' + b"9" * 5000), "not readable"),
}


@pytest.mark.parametrize(("text", "finding"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_document_is_one_sentence_and_no_traceback(
    text: bytes, finding: str, tmp_path: Path
) -> None:
    assert text != TEXT
    done = run(tmp_path, text)
    first, *_rest = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    assert first.startswith("the document: ")
    assert finding in first
    assert done.stdout.endswith(
        "\ncheckpoint: none that is genuine\n"
        "'': 0 entries proved, 0 leaves of batches proved: NOT GOOD, 1 findings\n"
    )


def test_a_deep_document_that_closes_is_no_traceback() -> None:
    document = honest()
    text = json.dumps(document).replace('"rules"', '"deep": ' + "[" * 900 + "]" * 900 + ', "rules"')
    assert not verify_proofs(text.encode(), key=vkey()).ok


def test_a_document_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "LONGEST_PROOFS", len(TEXT) - 1)
    told = verify_proofs(TEXT, key=vkey())
    assert told.findings == (f"the document: longer than {len(TEXT) - 1} bytes",)


def test_findings_are_capped_and_the_rest_counted() -> None:
    told = judged(honest() | {"entries": [None] * 150, "batched": []})
    assert told.findings[-1] == "and 51 more findings"


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_no_changed_byte_stays_hidden(place: int, difference: int) -> None:
    text = bytearray(TEXT)
    text[place] ^= difference
    told = verify_proofs(bytes(text), key=vkey())
    assert told.ok == (signed_part(bytes(text)) == signed_part(TEXT))
    assert all(finding.isascii() and finding.isprintable() for finding in told.findings)


def signed_part(text: bytes) -> object:
    """All that a document says but the uids not sealed, which nobody signs."""
    try:
        document = json.loads(text.decode())
        unsealed = {int(uid, 16) < 1 << 128 and len(uid) for uid in document["not_sealed_yet"]}
        lower = all(uid == uid.lower() for uid in document["not_sealed_yet"])
        return document | {"not_sealed_yet": (unsealed, lower)}
    except (ValueError, KeyError, TypeError):
        return None


def places_in(value: Any, *way: Any) -> Iterator[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in members:
        yield (*way, key)
        if isinstance(member, dict | list):
            yield from places_in(member, *way, key)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.sampled_from(list(places_in(honest()))), VALUES)
def test_no_value_makes_the_verifier_stumble(place: tuple[Any, ...], value: Any) -> None:
    document = honest()
    replaced(*place, by=value)(document)
    told = judged(document)
    assert told.ok == (not told.findings)
    assert not told.ok or document["entries"] == honest()["entries"]
    assert all(finding.isascii() and finding.isprintable() for finding in told.findings)


@pytest.mark.parametrize(("text", "finding"), BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_key_that_cannot_be_read_is_refused(text: str, finding: str) -> None:
    with pytest.raises(ValueError, match=finding):
        verify_proofs(TEXT, key=text)


@pytest.mark.parametrize("key", [vkey(OTHER_KEY), vkey(KEY, "other.example")])
def test_a_document_is_not_proved_by_another_key(key: str) -> None:
    told = verify_proofs(TEXT, key=key)
    assert told.findings == ("the document's checkpoint: it is not signed with the key given",)
    assert (told.entries, told.size) == (0, 0)


# Batches


def lone_batch(batch: list[Document], *proved: Document, **facts: Any) -> Document:
    leaf = leaf_of(4, facts=facts_of(batch) | facts)
    return honest() | {
        "checkpoint": note(1, hashed(leaf)),
        "entries": [{"content": leaf, "leaf_index": 0, "path": []}],
        "batched": list(proved),
    }


@pytest.mark.parametrize("count", range(1, 18))
def test_every_leaf_of_a_batch_is_proved_in_its_place_and_in_no_other(count: int) -> None:
    batch = batch_of(0, count)
    assert judged(lone_batch(batch, *(batched(n, 4, batch) for n in range(count)))).ok
    for index in range(count):
        proof = batched(index, 4, batch)
        held = [
            place
            for place in range(count)
            if judged(lone_batch(batch, proof | {"index": place})).ok
        ]
        assert held == [index]


def test_index_and_count_that_only_together_fit_the_path_are_found() -> None:
    moved = batched(2, 4, BATCH[:3]) | {"index": 1, "count": 2}
    told = judged(lone_batch(BATCH[:3], moved))
    assert told.findings == ("batched[0]: its entry does not tell of a batch of 2",)


def test_a_batch_has_one_count_even_if_its_entry_tells_of_two() -> None:
    told = judged(lone_batch(BATCH, batched(0), batched(1) | {"count": 8}, planned=8))
    assert told.findings == ("batched[1]: its batch has another count in an earlier proof",)


def test_a_number_told_as_true_is_no_count() -> None:
    told = judged(lone_batch(BATCH[:1], batched(0, 4, BATCH[:1]), messages=True))
    assert told.findings == ("batched[0]: its entry does not tell of a batch of 1",)


# Checkpoints kept outside


def test_a_checkpoint_outside_that_says_the_same_is_counted() -> None:
    told = judged(honest(), NOTE, SMALLER, note(13, ROOT))
    assert (told.findings, told.checkpoints) == ((), 2)


CONTRADICTIONS = {
    "another root": (note(13, b"r" * 32), "there are two histories"),
    "later and smaller": (note(9, b"r" * 32, time="2026-03-02T00:00:00Z"), "a trail never shrinks"),
    "earlier and larger": (note(99, ROOT, time="2026-02-01T00:00:00Z"), "a trail never shrinks"),
    "another origin": (note(13, ROOT, origin="other"), "it is of another origin"),
    "not signed": (NOTE.partition("\n\n")[0], "it is not a signed note"),
}


@pytest.mark.parametrize(("text", "finding"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_checkpoint_outside_that_contradicts_is_found(text: str, finding: str) -> None:
    told = judged(honest(), text)
    [only] = told.findings
    assert finding in only
    assert told.checkpoints == 0


# The command


def test_the_command_says_what_it_proved_against_what(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "13.checkpoint").write_text(NOTE, encoding="utf-8")
    done = run(tmp_path, TEXT, "--checkpoints", "kept")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"public key: '{vkey()}'\n"
        f"checkpoint: 13 entries, root {ROOT.hex()}\n"
        "time of the checkpoint, as its signer states it: 2026-03-01T12:00:00+00:00\n"
        "checkpoints kept outside that say the same: 1\n"
        "personal details that match their commitments: 1\n"
        "not yet sealed: 1\n"
        "'volens.example/trail': 4 entries proved, 3 leaves of batches proved: everything holds\n"
    )


def test_the_command_reads_a_file_and_prints_its_report_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text(vkey(), encoding="utf-8")
    (tmp_path / "proofs.json").write_bytes(TEXT)
    asked = [str(tmp_path / "proofs.json"), "--proofs", "--key", str(tmp_path / "key"), "--json"]
    assert verifier.main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["entries"], told["batched"], told["size"]) == (True, 4, 3, 13)
    assert (told["key"], told["findings"]) == (vkey(), [])


def test_entries_not_sealed_are_an_error_only_on_request(tmp_path: Path) -> None:
    done = run(tmp_path, TEXT, "--require-sealed")
    assert done.returncode == 1
    assert done.stdout.startswith("1 entries are not yet sealed\n")


def test_a_directory_without_checkpoints_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    done = run(tmp_path, TEXT, "--checkpoints", "kept")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        1,
        "'kept': it holds no *.checkpoint file",
    )


@pytest.mark.parametrize("missing", ["--key", "--checkpoints"])
def test_a_path_that_does_not_exist_is_bad_usage(tmp_path: Path, missing: str) -> None:
    done = run(tmp_path, TEXT, missing, "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cannot verify: ")


def test_a_document_of_proofs_is_no_trail_and_a_trail_is_no_document_of_proofs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text(vkey(), encoding="utf-8")
    (tmp_path / "proofs.json").write_bytes(TEXT)
    assert verifier.main([str(tmp_path / "proofs.json"), "--key", str(tmp_path / "key")]) == 1
    assert "line 1: not the header of a volens-trail/1 trail" in capsys.readouterr().out
    header = canonical({"format": "volens-trail/1", "origin": ORIGIN}) + b"\n"
    assert SHAPE in run(tmp_path, header).stdout

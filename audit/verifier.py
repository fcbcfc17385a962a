"""Checks an exported audit trail against signed checkpoints, alone: no database, no Django.

Run it isolated, so that nothing beside it can stand in for the standard library:

    python -I verifier.py TRAIL.jsonl --key KEYFILE --checkpoints DIR
    python -I verifier.py --proofs PROOFS.json --key KEYFILE --checkpoints DIR

The formats are described in docs/trail-format.md. Each line of a trail is read once; a leaf hash
and the uid of every entry go to temporary files, so a trail from a pipe is checked like one from a
disk, whatever the order in which checkpoints turn up. Memory holds the checkpoints, at most some
tens of megabytes of buffers, and one bucket of uids at a time. A document of proofs of single
entries, which is read whole, needs no trail beside it.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, BinaryIO, NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "volens-trail/1"
TEXT_FIELDS = ("uid", "at", "actor", "verb", "subject", "commitment")
LEAF_FIELDS = {"v", "facts", *TEXT_FIELDS}
ENTRY_FIELDS = {"index", "leaf"}
DETAIL_FIELDS = {"salt", "text"}

PROOFS_FORMAT = "volens-proofs/1"
PROOFS_FIELDS = {"format", "checkpoint", "entries", "batched", "not_sealed_yet"}
PROOF_FIELDS = {"content", "leaf_index", "path"}
BATCHED_FIELDS = {"entry", "fact", "content", "index", "count", "path"}

LONGEST_LINE = 1 << 20  # bytes, line end included
LONGEST_PROOFS = 1 << 27  # bytes
LONGEST_NOTE = 1 << 16  # characters
MOST_SIGNATURES = 100
MOST_FINDINGS = 100
MOST_ENTRIES = 1 << 63

HASH_LENGTH = 32
NO_HASH = bytes(HASH_LENGTH)  # stands for a leaf that has no canonical form
KEY_ID_LENGTH = 4
SIGNATURE_MARK = "\u2014 "  # an em dash and a space
ED25519 = b"\x01"
UID_BUCKETS = 64
SPOOLED_IN_MEMORY = 1 << 19  # bytes of a temporary file that need no disk
UID_RECORD = struct.Struct(">16sQ")
BLOCK = UID_RECORD.size * HASH_LENGTH * 1024  # holds a whole number of either record

CUT = "its tail was cut off, or an old copy put in its place"
CHANGED = "changed, moved, removed, inserted or re-written"

_UID = "[0-9a-f]{32}"
_DIGEST = "[0-9a-f]{64}"
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
_TEXT = r'"[^"\\\x00-\x1f]*+"'  # a string without escapes
_VALUE = rf"(?:{_TEXT}|0|-?[1-9][0-9]{{0,17}}|true|false|null)"
_FACTS = rf"(?:{_TEXT}:{_VALUE}(?:,{_TEXT}:{_VALUE})*+)?+"
_match_plain_entry = re.compile(
    r'\{"index":([0-9]{1,19}),"leaf":'
    rf'(\{{"actor":{_TEXT},"at":"({_INSTANT})","commitment":"(?:{_DIGEST})?",'
    rf'"facts":\{{({_FACTS})\}},"subject":{_TEXT},"uid":"({_UID})","v":1,"verb":{_TEXT}\}})\}}'
).fullmatch
_fact_keys = re.compile(rf'"([^"]*+)":{_VALUE}').findall
_is_uid = re.compile(_UID).fullmatch
_is_digest = re.compile(_DIGEST).fullmatch
_is_instant = re.compile(_INSTANT).fullmatch
_is_size = re.compile(r"0|[1-9][0-9]{0,18}").fullmatch
_is_key_name = re.compile(r"[^\s+]+").fullmatch
_has_control = re.compile(r"[\x00-\x09\x0b-\x1f]").search


class MalformedError(ValueError):
    """Something in a trail or a checkpoint breaks the format; the text says what."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification came to."""

    origin: str  # as the trail's header claims it; "" when there is no readable header
    entries: int  # entries read
    sealed: int  # how many of the first entries the newest matching checkpoint attests
    checkpoints: int  # sizes at which a genuine checkpoint matches the trail
    unsealed: int  # entries after those sealed, and those the trail declares as not yet sealed
    findings: tuple[str, ...]  # what is wrong, one sentence each

    @property
    def ok(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class ProofsReport:
    """What the verification of a document of proofs came to."""

    key: str  # the public key, as it was given
    origin: str = ""  # of the document's checkpoint; "" when that is not genuine
    size: int = 0  # how many entries that checkpoint attests
    root: str = ""  # their root, in hexadecimal
    time: str = ""  # when it was signed, as the signer says; "" when it does not say
    checkpoints: int = 0  # checkpoints kept outside that have this size and this root
    entries: int = 0  # entries proved to be among those attested
    batched: int = 0  # leaves of batches proved to be under a root in the facts of such an entry
    details: int = 0  # personal details shown that such entries committed to
    unsealed: int = 0  # entries that the document names as not yet sealed, so not proved
    findings: tuple[str, ...] = ()  # what is wrong, one sentence each

    @property
    def ok(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of the key that signs checkpoints."""

    name: str
    key_id: bytes
    public: Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A statement with a good signature: this origin had this root at this size."""

    where: str  # where the statement was found
    origin: str
    size: int
    root: bytes
    time: datetime | None


def verify(lines: Iterable[bytes], *, key: str, checkpoints: Iterable[str]) -> Report:
    """Check a trail against the checkpoints in it and those kept elsewhere.

    `lines` are the trail's lines, with or without line ends; `key` is the vkey text;
    `checkpoints` are signed notes kept outside the database, read before the first line.
    Raises MalformedError (a ValueError) when the key is unreadable, and OSError when temporary
    files cannot be written; whatever the trail and the checkpoints contain ends up in the report.
    Source: docs/trail-format.md, RFC 6962 section 2.1, C2SP tlog-checkpoint and signed-note.
    """
    notes = ((f"outside checkpoint {n}", text) for n, text in enumerate(checkpoints, 1))
    return _verify(lines, key=read_key(key), notes=notes)


def verify_proofs(document: bytes, *, key: str, checkpoints: Iterable[str] = ()) -> ProofsReport:
    """Check a document that proves single entries without the trail they are from.

    `document` is the JSON in UTF-8; `key` is the vkey text; `checkpoints` are signed notes kept
    outside the database, which must not contradict the one in the document.
    Raises MalformedError (a ValueError) when the key is unreadable; whatever the document and the
    checkpoints contain ends up in the report. Source: docs/trail-format.md, RFC 9162 section 2.1.3.
    """
    notes = ((f"outside checkpoint {n}", text) for n, text in enumerate(checkpoints, 1))
    return _verify_proofs(document, key=read_key(key), notes=notes)


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether `leaf_hash` is entry `index` (from 0) of the tree of `size` entries with `root`.

    An empty tree includes nothing: size 0 is refused. Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size or not _are_hashes(leaf_hash, root, *proof):
        return False
    place, last, node = index, size - 1, leaf_hash
    for sibling in proof:
        if not last:
            return False
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            place, last = _climb_to_left_sibling(place, last)
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    return not last and node == root


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether the tree of `new_size` entries only appends to the tree of `old_size`.

    Anything is consistent with an empty tree, which proves nothing: old_size 0 is refused.
    Source: RFC 9162 section 2.1.4.2.
    """
    if not 0 < old_size <= new_size or not _are_hashes(old_root, new_root, *proof):
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    path = [old_root, *proof] if _is_power_of_two(old_size) else list(proof)
    return bool(path) and _roots_of_path(old_size, new_size, path) == (old_root, new_root)


def _roots_of_path(old_size: int, new_size: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if not last:
            return None
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            place, last = _climb_to_left_sibling(place, last)
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return None if last else (old, new)


def _climb_to_left_sibling(place: int, last: int) -> tuple[int, int]:
    """Skip the levels at which the right edge of the tree has no sibling."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _is_power_of_two(size: int) -> bool:
    return not size & (size - 1)


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_LENGTH for value in values)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots_at(leaf_hashes: Iterable[bytes], sizes: set[int]) -> dict[int, bytes]:
    """Give the root of the tree at each of `sizes` that the leaves reach (RFC 6962 section 2.1)."""
    roots: dict[int, bytes] = {}
    frontier: list[bytes] = []  # roots of the complete subtrees, largest first
    sha256 = hashlib.sha256
    for size, node in enumerate(leaf_hashes, 1):
        carry = size
        while not carry & 1:
            node = sha256(b"\x01" + frontier.pop() + node).digest()
            carry >>= 1
        frontier.append(node)
        if size in sizes:
            roots[size] = _root_of(frontier)
    return roots


def _root_of(frontier: list[bytes]) -> bytes:
    root = frontier[-1]
    for subtree in reversed(frontier[:-1]):
        root = node_hash(subtree, root)
    return root


def read_key(vkey: str) -> VerifierKey:
    """Read a public key in the form `<name>+<key id>+<base64>`; raises MalformedError.

    Source: C2SP signed-note, "Verifier keys".
    """
    name, _, rest = vkey.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    if not _is_key_name(name):
        raise MalformedError("the key is not of the form <name>+<key id>+<base64>")
    raw = _from_base64(encoded, "the key")
    if len(raw) != len(ED25519) + HASH_LENGTH or raw[:1] != ED25519:
        raise MalformedError("the key is not an Ed25519 public key")
    derived = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:KEY_ID_LENGTH]
    if key_id != derived.hex():
        raise MalformedError("the key's id does not belong to its name and public key")
    return VerifierKey(name, derived, Ed25519PublicKey.from_public_bytes(raw[1:]))


def read_checkpoint(note: str, *, key: VerifierKey, where: str) -> Checkpoint:
    """Read a signed checkpoint, its signature first; `where` names it in findings.

    Raises MalformedError unless `key` signed it and its text has the form of a checkpoint.
    Signatures of other keys beside it are left aside. Source: C2SP signed-note, tlog-checkpoint.
    """
    if len(note) > LONGEST_NOTE:
        raise MalformedError("it is too long for a checkpoint")
    body, gap, signatures = note.rpartition("\n\n")
    if not gap or not signatures.endswith("\n") or _has_control(note):
        raise MalformedError("it is not a signed note")
    _require_signature(body + "\n", signatures, key)
    return _read_body(body, where)


def _require_signature(text: str, signatures: str, key: VerifierKey) -> None:
    lines = signatures.removesuffix("\n").split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise MalformedError("it carries too many signatures")
    signed = [_read_signature(line) for line in lines]
    ours = [raw for name, key_id, raw in signed if (name, key_id) == (key.name, key.key_id)]
    if not ours:
        raise MalformedError("it is not signed with the key given")
    for signature in ours:
        try:
            key.public.verify(signature, text.encode())
        except (InvalidSignature, UnicodeEncodeError):
            raise MalformedError("its signature is not good") from None


def _read_signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(SIGNATURE_MARK).partition(" ")
    if not line.startswith(SIGNATURE_MARK) or not _is_key_name(name):
        raise MalformedError("a signature line has the wrong form")
    raw = _from_base64(encoded, "a signature")
    if len(raw) <= KEY_ID_LENGTH:
        raise MalformedError("a signature is too short")
    return name, raw[:KEY_ID_LENGTH], raw[KEY_ID_LENGTH:]


def _read_body(body: str, where: str) -> Checkpoint:
    lines = body.split("\n")
    if len(lines) < 3 or "" in lines:
        raise MalformedError("it lacks its origin, its size or its root")
    origin, size, encoded, *extensions = lines
    if not _is_size(size):
        raise MalformedError(f"its size {_shown(size)} is not a decimal number in the plain form")
    root = _from_base64(encoded, "its root")
    if len(root) != HASH_LENGTH:
        raise MalformedError("its root is not a SHA-256 hash")
    return Checkpoint(where, origin, int(size), root, _time_among(extensions))


def _time_among(extensions: list[str]) -> datetime | None:
    """Read the `time` line; one that cannot be read is as good as absent, like other extensions."""
    for line in extensions:
        if line.startswith("time "):
            try:
                time = datetime.fromisoformat(line.removeprefix("time "))
            except ValueError:
                return None
            return time if time.tzinfo else None
    return None


def _from_base64(encoded: str, what: str) -> bytes:
    """Decode base64 in its one canonical spelling, so that a statement has one form only."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise MalformedError(f"{what} is not base64") from None
    if base64.b64encode(raw).decode() != encoded:
        raise MalformedError(f"{what} is not base64 in its canonical form")
    return raw


def _shown(value: object) -> str:
    """Show a hostile value on one line of printable ASCII."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("a JSON object has the same key twice")
    return members


def _refuse_number(text: str) -> NoReturn:
    raise MalformedError(f"the number {_shown(text)} is not an integer")


_decode = json.JSONDecoder(
    object_pairs_hook=_distinct_keys, parse_float=_refuse_number, parse_constant=_refuse_number
).raw_decode
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def _text_of(line: bytes, longest: int = LONGEST_LINE) -> str:
    if len(line) > longest:
        raise MalformedError(f"longer than {longest} bytes")
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise MalformedError("not UTF-8") from None


def _object_in(text: str) -> dict[str, Any]:
    try:
        members, end = _decode(text)
    except MalformedError:
        raise
    except (ValueError, RecursionError):
        raise MalformedError("not readable JSON") from None
    if type(members) is not dict or end != len(text):
        raise MalformedError("not one JSON object")
    return members


def _canonical_form(leaf: Any) -> str:
    try:
        return _encode(leaf)
    except (ValueError, RecursionError):
        raise MalformedError("its leaf has no canonical JSON") from None


def _leaf_hash(canonical: str) -> bytes:
    try:
        return hashlib.sha256(b"\x00" + canonical.encode()).digest()
    except UnicodeEncodeError:
        raise MalformedError("its leaf is not text that UTF-8 can hold") from None


def _check_leaf(leaf: Any) -> None:
    if type(leaf) is not dict or leaf.keys() != LEAF_FIELDS:
        raise MalformedError("its leaf does not have exactly the fields of the format")
    if type(leaf["v"]) is not int or leaf["v"] != 1:
        raise MalformedError("its leaf is not of version 1")
    if type(leaf["facts"]) is not dict:
        raise MalformedError("its facts are not an object")
    for name in TEXT_FIELDS:
        if type(leaf[name]) is not str:
            raise MalformedError(f"its {name} is not text")
    if not _is_uid(leaf["uid"]):
        raise MalformedError("its uid is not 32 hexadecimal digits")
    if leaf["commitment"] and not _is_digest(leaf["commitment"]):
        raise MalformedError("its commitment is not 64 hexadecimal digits")
    if not _is_instant(leaf["at"]) or not _is_date(leaf["at"]):
        raise MalformedError("its time is not a date in UTC with microseconds")


def _is_date(instant: str) -> bool:
    try:
        datetime.fromisoformat(instant)
    except ValueError:
        return False
    return True


def _check_detail(detail: Any, commitment: str) -> None:
    if type(detail) is not dict or detail.keys() != DETAIL_FIELDS:
        raise MalformedError("its detail does not have exactly a salt and a text")
    salt, text = detail["salt"], detail["text"]
    if type(salt) is not str or type(text) is not str or not _is_digest(salt):
        raise MalformedError("its detail has a malformed salt or text")
    try:
        opened = hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()
    except UnicodeEncodeError:
        raise MalformedError("its detail is not text that UTF-8 can hold") from None
    if opened != commitment:
        raise MalformedError("its detail does not match its commitment")


class _Findings:
    """What is wrong, in order; a cap keeps a hostile trail from filling the memory."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._dropped = 0

    def add(self, text: str) -> None:
        if len(self._kept) < MOST_FINDINGS:
            self._kept.append(text)
        else:
            self._dropped += 1

    def told(self) -> tuple[str, ...]:
        more = [f"and {self._dropped} more findings"] if self._dropped else []
        return (*self._kept, *more)


def _temporary_file(files: ExitStack) -> IO[bytes]:
    return files.enter_context(tempfile.SpooledTemporaryFile(max_size=SPOOLED_IN_MEMORY))


class _Uids:
    """The uids seen, in temporary files by a hash nobody can foresee, to find those used twice."""

    def __init__(self, files: ExitStack) -> None:
        self._buckets = [_temporary_file(files) for _ in range(UID_BUCKETS)]

    def add(self, uid: str, index: int) -> None:
        record = UID_RECORD.pack(bytes.fromhex(uid), index)
        self._buckets[hash(uid) % UID_BUCKETS].write(record)

    def repeated(self) -> Iterator[tuple[str, int, int]]:
        """Give each repeated uid with the entry that had it first and the one that repeats it."""
        for bucket in self._buckets:
            first: dict[bytes, int] = {}
            for record in _records(bucket, UID_RECORD.size):
                uid, index = UID_RECORD.unpack(record)
                if first.setdefault(uid, index) != index:
                    yield uid.hex(), first[uid], index


def _records(file: IO[bytes], length: int) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK):
        for start in range(0, len(block), length):
            yield block[start : start + length]


class _Reading:
    """One pass over the lines of a trail, and what it gathers for the checks that follow."""

    def __init__(self, key: VerifierKey, findings: _Findings) -> None:
        self._key = key
        self._findings = findings
        self._files = ExitStack()
        self.lines = 0
        self._next_index = 0
        self._closing = ""  # the kind of line that ended the entries
        self.origin = ""
        self.entries = 0
        self.declared_unsealed = 0
        self.checkpoints: list[Checkpoint] = []

    def __enter__(self) -> Self:
        self._leaves = _temporary_file(self._files)
        self._uids = _Uids(self._files)
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def take(self, line: bytes) -> None:
        self.lines += 1
        try:
            text = _text_of(line)
            if not self._take_plain_entry(text):
                self._take_members(_object_in(text))
        except MalformedError as wrong:
            self._findings.add(f"line {self.lines}: {wrong}")

    def _take_plain_entry(self, text: str) -> bool:
        """Take the usual line at a third of the cost: an entry in place and in canonical form.

        Any other line is left to the long way, which judges it and says what is wrong with it.
        """
        plain, position = _match_plain_entry(text), self.entries
        if not plain or not self.origin or self._closing or self._next_index != position:
            return False
        index, leaf, at, facts, uid = plain.groups()
        keys = _fact_keys(facts)
        if index != str(position) or keys != sorted(set(keys)) or not _is_date(at):
            return False
        self.entries = self._next_index = position + 1
        self._leaves.write(_leaf_hash(leaf))
        self._uids.add(uid, position)
        return True

    def _take_members(self, members: dict[str, Any]) -> None:
        if self.lines == 1:
            self._take_header(members)
        elif "leaf" in members:
            self._take_entry(members)
        else:
            self._take_closing(members)

    def _take_header(self, members: dict[str, Any]) -> None:
        origin = members.get("origin")
        if members.keys() != {"format", "origin"} or members["format"] != FORMAT:
            raise MalformedError(f"not the header of a {FORMAT} trail")
        if type(origin) is not str or not origin:
            raise MalformedError("the header names no origin")
        self.origin = origin

    def _take_entry(self, members: dict[str, Any]) -> None:
        position, leaf = self.entries, members["leaf"]
        self.entries += 1
        try:
            self._keep_hash(leaf)
            self._check_place(members)
            _check_leaf(leaf)
            self._uids.add(leaf["uid"], position)
            if "detail" in members:
                _check_detail(members["detail"], leaf["commitment"])
        except MalformedError as wrong:
            raise MalformedError(f"entry {position}: {wrong}") from None

    def _keep_hash(self, leaf: Any) -> None:
        """Keep one hash for each entry, whatever its leaf, so that those after it stay in place."""
        digest = NO_HASH
        try:
            digest = _leaf_hash(_canonical_form(leaf))
        finally:
            self._leaves.write(digest)

    def _check_place(self, members: dict[str, Any]) -> None:
        index, expected = members.get("index"), self._next_index
        if members.keys() - {"detail"} != ENTRY_FIELDS:
            raise MalformedError("it does not have exactly an index and a leaf")
        if type(index) is not int or not 0 <= index < MOST_ENTRIES:
            raise MalformedError(f"its index {_shown(index)} is not a place in a trail")
        self._next_index = index + 1
        if self._closing:
            raise MalformedError(f"it stands after a line with {self._closing}")
        if index != expected:
            order = "removed or moved" if index > expected else "repeated or moved"
            raise MalformedError(f"it carries index {index}, not {expected}: {order}")

    def _take_closing(self, members: dict[str, Any]) -> None:
        if self._closing == "unsealed":
            raise MalformedError("it stands after the line that ends the trail")
        match members:
            case {"checkpoint": str(note)} if len(members) == 1:
                self._closing = "checkpoint"
                where = f"checkpoint in line {self.lines}"
                self.checkpoints.extend(_opened([(where, note)], self._key, self._findings))
            case {"unsealed": int(count)} if len(members) == 1 and type(count) is int:
                if not 0 <= count < MOST_ENTRIES:
                    raise MalformedError("an impossible count of unsealed entries")
                self._closing = "unsealed"
                self.declared_unsealed = count
            case _:
                raise MalformedError("neither an entry, a checkpoint nor a count of unsealed ones")

    def leaf_hashes(self) -> Iterator[bytes]:
        return _records(self._leaves, HASH_LENGTH)

    def find_repeated_uids(self) -> None:
        for uid, first, again in self._uids.repeated():
            self._findings.add(f"entry {again}: it repeats uid {uid} of entry {first}")


def _verify(
    lines: Iterable[bytes], *, key: VerifierKey, notes: Iterable[tuple[str, str]]
) -> Report:
    findings = _Findings()
    outside = list(_opened(notes, key, findings))
    with _Reading(key, findings) as reading:
        for line in lines:
            reading.take(line)
        if not reading.lines:
            findings.add("the trail is empty")
        reading.find_repeated_uids()
        inside = list(_of_origin(reading.checkpoints, reading.origin, findings))
        genuine = [*inside, *_of_origin(outside, reading.origin, findings)]
        roots = roots_at(reading.leaf_hashes(), {checkpoint.size for checkpoint in genuine})
    matching = _find_mismatches(genuine, roots, reading.entries, findings)
    _find_forks(genuine, findings)
    _find_shrinking(inside, "the trail", findings)
    _find_shrinking(_in_time_order(genuine), "time", findings)
    sealed = max(matching, default=0)
    if not sealed:
        findings.add("nothing attests this trail: no genuine checkpoint matches it")
    unsealed = reading.entries - sealed + reading.declared_unsealed
    return Report(reading.origin, reading.entries, sealed, len(matching), unsealed, findings.told())


def _opened(
    notes: Iterable[tuple[str, str]], key: VerifierKey, findings: _Findings
) -> Iterator[Checkpoint]:
    for where, note in notes:
        try:
            yield read_checkpoint(note, key=key, where=where)
        except MalformedError as wrong:
            findings.add(f"{where}: {wrong}")


def _of_origin(
    checkpoints: Iterable[Checkpoint], origin: str, findings: _Findings
) -> Iterator[Checkpoint]:
    """Sort out the checkpoints that can be evidence: of this origin, and of at least one entry."""
    for checkpoint in checkpoints:
        if checkpoint.origin != origin:
            theirs = _shown(checkpoint.origin)
            findings.add(f"{checkpoint.where}: it is of another origin, {theirs}")
        elif not checkpoint.size:
            findings.add(f"{checkpoint.where}: it is of size 0 and attests nothing")
        else:
            yield checkpoint


def _find_mismatches(
    checkpoints: Iterable[Checkpoint], roots: dict[int, bytes], entries: int, findings: _Findings
) -> set[int]:
    """Compare each checkpoint with the trail's own root; give the sizes at which they agree."""
    agreed: set[int] = set()
    intact = 0
    for checkpoint in sorted(checkpoints, key=lambda c: (c.size, c.root == roots.get(c.size))):
        size, where = checkpoint.size, checkpoint.where
        if size > entries:
            findings.add(f"{where}: it attests {size} entries but the trail holds {entries}: {CUT}")
        elif roots[size] != checkpoint.root:
            findings.add(f"{where}: entries {intact} to {size - 1} are not those sealed: {CHANGED}")
        else:
            agreed.add(size)
            intact = size
    return agreed


def _find_forks(checkpoints: Iterable[Checkpoint], findings: _Findings) -> None:
    first: dict[int, Checkpoint] = {}
    for checkpoint in checkpoints:
        other = first.setdefault(checkpoint.size, checkpoint)
        if other.root != checkpoint.root:
            findings.add(
                f"{checkpoint.where}: its root differs from that of {other.where}, "
                f"though both attest {checkpoint.size} entries: there are two histories"
            )


def _find_shrinking(checkpoints: Iterable[Checkpoint], order: str, findings: _Findings) -> None:
    for earlier, later in pairwise(checkpoints):
        if later.size < earlier.size:
            findings.add(
                f"{later.where}: its size {later.size} is below the {earlier.size} "
                f"of {earlier.where}, which comes before it in {order}: a trail never shrinks"
            )


def _in_time_order(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    timed = [(c.time, c.size, c) for c in checkpoints if c.time]
    return [checkpoint for *_, checkpoint in sorted(timed, key=itemgetter(0, 1))]


class _Proofs:
    """One pass over a document of proofs, and what it proves under its checkpoint."""

    def __init__(self, checkpoint: Checkpoint, findings: _Findings) -> None:
        self._checkpoint = checkpoint
        self._findings = findings
        self._entries: dict[str, dict[str, Any]] = {}  # the facts of each entry proved, by its uid
        self._batched: set[tuple[str, str, int]] = set()  # leaves proved: entry, fact and index
        self._counts: dict[tuple[str, str], int] = {}  # of leaves in a batch: entry and fact
        self._details = 0
        self._unsealed: set[str] = set()

    def take(self, members: dict[str, Any]) -> None:
        self._take_each("entries", members, self._take_entry)
        self._take_each("batched", members, self._take_batched)
        self._take_each("not_sealed_yet", members, self._take_unsealed)
        if not self._entries:
            self._findings.add("nothing is proved: the document holds no entry with a good proof")

    def _take_each(self, name: str, members: dict[str, Any], take: Callable[[Any], None]) -> None:
        for position, member in enumerate(members[name]):
            try:
                take(member)
            except MalformedError as wrong:
                self._findings.add(f"{name}[{position}]: {wrong}")

    def _take_entry(self, proof: Any) -> None:
        if type(proof) is not dict or proof.keys() - {"detail"} != PROOF_FIELDS:
            raise MalformedError("it does not have exactly the fields of a proof")
        leaf, attested = proof["content"], self._checkpoint
        _check_leaf(leaf)
        if leaf["uid"] in self._entries:
            raise MalformedError(f"it repeats uid {leaf['uid']}")
        _check_path(leaf, proof["leaf_index"], attested.size, proof["path"], attested.root)
        if "detail" in proof:
            _check_detail(proof["detail"], leaf["commitment"])
            self._details += 1
        self._entries[leaf["uid"]] = leaf["facts"]

    def _take_batched(self, proof: Any) -> None:
        if type(proof) is not dict or proof.keys() != BATCHED_FIELDS:
            raise MalformedError("it does not have exactly the fields of a batched leaf")
        uid, fact, index, count = (proof[name] for name in ("entry", "fact", "index", "count"))
        facts = self._entries.get(uid) if type(uid) is str else None
        if facts is None:
            raise MalformedError("its entry is not proved in this document")
        _check_path(proof["content"], index, count, proof["path"], _root_among(facts, fact))
        if not any(type(value) is int and value == count for value in facts.values()):
            raise MalformedError(f"its entry does not tell of a batch of {_shown(count)}")
        if self._counts.setdefault((uid, fact), count) != count:
            raise MalformedError("its batch has another count in an earlier proof")
        if (uid, fact, index) in self._batched:
            raise MalformedError(f"it repeats leaf {_shown(index)} of its batch")
        self._batched.add((uid, fact, index))

    def _take_unsealed(self, uid: Any) -> None:
        if type(uid) is not str or not _is_uid(uid):
            raise MalformedError("it is not a uid of 32 hexadecimal digits")
        if uid in self._entries or uid in self._unsealed:
            raise MalformedError(f"uid {uid} is proved above, or named twice")
        self._unsealed.add(uid)

    def told(self, report: ProofsReport, outside: Iterable[Checkpoint]) -> ProofsReport:
        size, root, time = self._checkpoint.size, self._checkpoint.root, self._checkpoint.time
        return replace(
            report,
            origin=self._checkpoint.origin,
            size=size,
            root=root.hex(),
            time=time.isoformat() if time else "",
            checkpoints=sum((other.size, other.root) == (size, root) for other in outside),
            entries=len(self._entries),
            batched=len(self._batched),
            details=self._details,
            unsealed=len(self._unsealed),
        )


def _root_among(facts: dict[str, Any], fact: Any) -> bytes:
    root = facts.get(fact) if type(fact) is str else None
    if type(root) is not str or not _is_digest(root):
        raise MalformedError(f"its entry has no fact {_shown(fact)} that is a root")
    return bytes.fromhex(root)


def _check_path(leaf: Any, index: Any, size: Any, path: Any, root: bytes) -> None:
    if type(leaf) is not dict:
        raise MalformedError("its content is not an object")
    place = f"leaf {_shown(index)} of {_shown(size)}"
    if type(index) is not int or type(size) is not int or not 0 <= index < size:
        raise MalformedError(f"there is no {place}")
    if type(path) is not list or not all(type(step) is str and _is_digest(step) for step in path):
        raise MalformedError("its path is not a list of SHA-256 hashes in hexadecimal")
    digest = _leaf_hash(_canonical_form(leaf))
    if not verify_inclusion(digest, index, size, [bytes.fromhex(step) for step in path], root):
        raise MalformedError(f"content and path of {place} do not lead to the root")


def _proofs_in(document: bytes) -> dict[str, Any]:
    members = _object_in(_text_of(document, LONGEST_PROOFS).strip(" \t\r\n"))
    if members.get("format") != PROOFS_FORMAT or members.keys() != PROOFS_FIELDS:
        raise MalformedError(f"not a {PROOFS_FORMAT} document with exactly its fields")
    if type(members["checkpoint"]) is not str:
        raise MalformedError("its checkpoint is not text")
    for name in ("entries", "batched", "not_sealed_yet"):
        if type(members[name]) is not list:
            raise MalformedError(f"its {name} is not a list")
    return members


def _verify_proofs(
    document: bytes, *, key: VerifierKey, notes: Iterable[tuple[str, str]]
) -> ProofsReport:
    findings = _Findings()
    report = ProofsReport(_as_vkey(key))
    outside = list(_of_origin(_opened(notes, key, findings), key.name, findings))
    try:
        members = _proofs_in(document)
    except MalformedError as wrong:
        findings.add(f"the document: {wrong}")
        return replace(report, findings=findings.told())
    inside = _opened([("the document's checkpoint", members["checkpoint"])], key, findings)
    for checkpoint in _of_origin(inside, key.name, findings):
        _find_forks([checkpoint, *outside], findings)
        _find_shrinking(_in_time_order([checkpoint, *outside]), "time", findings)
        proofs = _Proofs(checkpoint, findings)
        proofs.take(members)
        report = proofs.told(report, outside)
    return replace(report, findings=findings.told())


def _as_vkey(key: VerifierKey) -> str:
    public = base64.b64encode(ED25519 + key.public.public_bytes_raw()).decode()
    return f"{key.name}+{key.key_id.hex()}+{public}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify as a command: 0 when everything holds, 1 when something is wrong, 2 for bad usage."""
    asked = _parser().parse_args(arguments)
    try:
        report = _verify_files(asked)
    except (OSError, ValueError) as problem:
        print(f"cannot verify: {_shown(str(problem))}", file=sys.stderr)
        return 2
    if asked.require_sealed and report.unsealed:
        report = _with_findings(report, [f"{report.unsealed} entries are not yet sealed"])
    print(_as_json(report) if asked.json else _as_text(report))
    return 0 if report.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check an audit trail against its checkpoints.")
    parser.add_argument("trail", metavar="TRAIL", help="the exported trail, - for standard input")
    parser.add_argument("--key", metavar="KEYFILE", required=True, help="file with the public key")
    parser.add_argument(
        "--checkpoints",
        metavar="DIR",
        action="append",
        default=[],
        help="directory with *.checkpoint files kept outside the database; may be repeated",
    )
    parser.add_argument(
        "--proofs", action="store_true", help="TRAIL is a document of proofs of single entries"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--require-sealed", action="store_true", help="entries not yet sealed are an error"
    )
    return parser


def _verify_files(asked: argparse.Namespace) -> Report | ProofsReport:
    key = read_key(Path(asked.key).read_text(encoding="utf-8"))
    remarks: list[str] = []
    notes = [note for name in asked.checkpoints for note in _notes_in(Path(name), remarks)]
    verify_stream = _verify_proofs_in if asked.proofs else _verify_trail_in
    if asked.trail == "-":
        report = verify_stream(sys.stdin.buffer, key, notes)
    else:
        with Path(asked.trail).open("rb") as stream:
            report = verify_stream(stream, key, notes)
    return _with_findings(report, remarks)


def _verify_trail_in(
    stream: BinaryIO, key: VerifierKey, notes: list[tuple[str, str]]
) -> Report | ProofsReport:
    return _verify(_lines_of(stream), key=key, notes=notes)


def _verify_proofs_in(
    stream: BinaryIO, key: VerifierKey, notes: list[tuple[str, str]]
) -> Report | ProofsReport:
    return _verify_proofs(stream.read(LONGEST_PROOFS + 1), key=key, notes=notes)


def _notes_in(directory: Path, remarks: list[str]) -> Iterator[tuple[str, str]]:
    """Read the checkpoints of a directory; a file that cannot be one becomes a remark."""
    paths = sorted(path for path in directory.iterdir() if path.suffix == ".checkpoint")
    if not paths:
        remarks.append(f"{_shown(str(directory))}: it holds no *.checkpoint file")
    for path in paths:
        where = f"{_shown(path.name)} in {_shown(str(directory))}"
        try:
            yield where, _note_in(path)
        except MalformedError as wrong:
            remarks.append(f"{where}: {wrong}")


def _note_in(path: Path) -> str:
    if not path.is_file():
        raise MalformedError("it is not a file")
    with path.open("rb") as file:
        content = file.read(4 * LONGEST_NOTE + 1)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise MalformedError("it is not UTF-8") from None


def _lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Read line by line, of a line that is too long only as much as shows that it is."""
    while line := stream.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE + 1)


def _with_findings(report: Report | ProofsReport, more: Iterable[str]) -> Report | ProofsReport:
    return replace(report, findings=(*report.findings, *more))


def _as_json(report: Report | ProofsReport) -> str:
    return json.dumps({"ok": report.ok, **asdict(report)}, indent=2)


def _as_text(report: Report | ProofsReport) -> str:
    verdict = "everything holds" if report.ok else f"NOT GOOD, {len(report.findings)} findings"
    waiting = [f"not yet sealed: {report.unsealed}"] if report.unsealed else []
    if isinstance(report, ProofsReport):
        summary, told = _proofs_summary(report), _proofs_told(report)
    else:
        summary, told = _trail_summary(report), []
    return "\n".join([*report.findings, *told, *waiting, f"{summary}: {verdict}"])


def _trail_summary(report: Report) -> str:
    counts = f"{report.entries} entries, {report.sealed} sealed, {report.checkpoints} checkpoints"
    return f"{_shown(report.origin)}: {counts} match"


def _proofs_told(report: ProofsReport) -> list[str]:
    """What was proved against what, for someone who compares it with what they hold."""
    key = f"public key: {ascii(report.key)}"
    if not report.size:
        return [key, "checkpoint: none that is genuine"]
    return [
        key,
        f"checkpoint: {report.size} entries, root {report.root}",
        f"time of the checkpoint, as its signer states it: {report.time or 'none'}",
        f"checkpoints kept outside that say the same: {report.checkpoints}",
        f"personal details that match their commitments: {report.details}",
    ]


def _proofs_summary(report: ProofsReport) -> str:
    counts = f"{report.entries} entries proved, {report.batched} leaves of batches proved"
    return f"{_shown(report.origin)}: {counts}"


if __name__ == "__main__":
    sys.exit(main())

"""Every way of tampering with an exported trail is found, and an honest trail passes."""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pymerkle
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import verifier
from audit.verifier import verify, verify_consistency, verify_inclusion

ORIGIN = "volens.example/trail"
KEY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
SALT = "5a" * 32
REASON = "Kündigung am Telefon"
Leaf = dict[str, Any]
Lines = list[bytes]


def canonical(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_of(number: int, **changes: Any) -> Leaf:
    """Give an entry's leaf; one in three has nested facts, which take the long way of reading."""
    nested = {"tags": ["é", True]} if number % 3 == 2 else {}
    return {
        "v": 1,
        "uid": f"{number:032x}",
        "at": f"2026-03-01T10:00:{number % 60:02d}.000000Z",
        "actor": "operator:7",
        "verb": "consent.withdrawn",
        "subject": f"subscriber:{number}",
        "facts": {"channel": "sms", "count": number, "open": None} | nested,
        "commitment": digest(bytes.fromhex(SALT), REASON.encode()).hex(),
    } | changes


def tree_root(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return digest(b"\x01", tree_root(hashes[:split]), tree_root(hashes[split:]))


def root_of(leaves: Sequence[Leaf]) -> bytes:
    return tree_root([digest(b"\x00", canonical(leaf)) for leaf in leaves])


def key_id(key: Ed25519PrivateKey, name: str) -> bytes:
    return digest(name.encode(), b"\n\x01", key.public_key().public_bytes_raw())[:4]


def vkey(key: Ed25519PrivateKey = KEY, name: str = ORIGIN) -> str:
    public = base64.b64encode(b"\x01" + key.public_key().public_bytes_raw()).decode()
    return f"{name}+{key_id(key, name).hex()}+{public}"


def signed(text: str, key: Ed25519PrivateKey = KEY, name: str = ORIGIN) -> str:
    raw = key_id(key, name) + key.sign(text.encode())
    return f"{text}\n\u2014 {name} {base64.b64encode(raw).decode()}\n"


def note(size: object, root: bytes, *, time: str = "", origin: str = ORIGIN, **signing: Any) -> str:
    extension = f"time {time}\n" if time else ""
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n{extension}"
    return signed(body, **signing)


def note_of(leaves: Sequence[Leaf], **options: Any) -> str:
    return note(len(leaves), root_of(leaves), **options)


def header(**changes: str) -> bytes:
    return canonical({"format": "volens-trail/1", "origin": ORIGIN} | changes)


def entry(index: int, leaf: Leaf, **detail: Any) -> bytes:
    return canonical({"index": index, "leaf": leaf} | detail)


def body_of(leaves: Sequence[Leaf]) -> Lines:
    return [header(), *(entry(index, leaf) for index, leaf in enumerate(leaves))]


def checkpoint(text: object) -> bytes:
    return canonical({"checkpoint": text})


LEAVES = [leaf_of(number) for number in range(12)]
SEALS = [checkpoint(note_of(LEAVES[:size])) for size in (5, 8, 12)]
HONEST = [*body_of(LEAVES), *SEALS]
FIRST_ENTRY = 1  # the line of entry 0, after the header


def report_of(lines: Sequence[bytes], *outside: str) -> verifier.Report:
    return verify(lines, key=vkey(), checkpoints=outside)


def assert_found(report: verifier.Report, *fragments: str) -> None:
    assert not report.ok
    told = "\n".join(report.findings)
    for fragment in fragments:
        assert fragment in told


# An honest trail


def test_an_honest_trail_holds() -> None:
    report = report_of(HONEST, note_of(LEAVES[:8]), note_of(LEAVES[:3]))
    assert report.findings == ()
    assert report.ok
    assert (report.entries, report.sealed, report.checkpoints, report.unsealed) == (12, 12, 4, 0)


def test_lines_may_keep_their_line_ends() -> None:
    assert report_of([line + b"\n" for line in HONEST]).ok


def test_keys_of_a_line_may_stand_in_any_order() -> None:
    loose = json.dumps({"leaf": LEAVES[0], "index": 0}).encode()
    assert report_of([header(), loose, checkpoint(note_of(LEAVES[:1]))]).ok


def test_entries_after_the_newest_checkpoint_are_counted_and_no_error() -> None:
    report = report_of([*body_of(LEAVES), *SEALS[:2], canonical({"unsealed": 3})])
    assert report.ok
    assert (report.sealed, report.unsealed) == (8, 7)


def test_disclosed_detail_matches_its_commitment_and_erased_detail_is_fine() -> None:
    lines = list(HONEST)
    lines[FIRST_ENTRY] = entry(0, LEAVES[0], detail={"salt": SALT, "text": REASON})
    assert report_of(lines).ok


def test_signatures_of_witnesses_and_unknown_extensions_are_left_aside() -> None:
    body = f"{ORIGIN}\n12\n{base64.b64encode(root_of(LEAVES)).decode()}\ntime of day\nwhatever\n"
    witnessed = signed(body) + signed(body, OTHER_KEY, "witness.example").rpartition("\n\n")[2]
    assert report_of(body_of(LEAVES), witnessed).ok


def test_a_re_issued_checkpoint_of_one_size_and_one_root_is_no_error() -> None:
    again = note_of(LEAVES, time="2026-03-02T00:00:00Z")
    assert report_of(HONEST, again, note_of(LEAVES, time="2026-03-01T00:00:00Z")).ok


def test_a_time_without_its_offset_orders_nothing() -> None:
    early = note_of(LEAVES, time="2026-03-01T00:00:00")
    late = note_of(LEAVES[:5], time="2026-03-02T00:00:00Z")
    assert report_of(HONEST, late, early, note_of(LEAVES[:8], time="yesterday")).ok


def test_the_largest_time_goes_with_the_largest_size() -> None:
    early = note_of(LEAVES[:5], time="2026-03-01T23:00:00-05:00")
    late = note_of(LEAVES[:8], time="2026-03-02T05:00:00Z")
    assert report_of(HONEST, late, early).ok


# The document of the format


DOCUMENT = (Path(__file__).parents[2] / "docs" / "trail-format.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return DOCUMENT.partition(f"```{language}\n")[2].partition("```")[0]


def test_the_worked_example_of_the_document_holds() -> None:
    lines = block("jsonl").encode().splitlines()
    report = verify(lines, key=block("vkey"), checkpoints=[])
    assert (report.findings, report.sealed, report.unsealed) == ((), 3, 0)


def test_the_hashes_in_the_document_are_those_of_its_example() -> None:
    leaves = [json.loads(line)["leaf"] for line in block("jsonl").splitlines()[1:4]]
    hashes = [digest(b"\x00", canonical(leaf)) for leaf in leaves]
    for told in (*hashes, tree_root(hashes[:2]), tree_root(hashes)):
        assert f"`{told.hex()}`" in DOCUMENT


# Tampering with the entries


def changed(**changes: Any) -> Callable[[Lines], Lines]:
    def tamper(lines: Lines) -> Lines:
        lines[FIRST_ENTRY + 6] = entry(6, leaf_of(6, **changes))
        return lines

    return tamper


def reindexed(order: Sequence[int]) -> Callable[[Lines], Lines]:
    return lambda lines: [*body_of([LEAVES[n] for n in order]), *SEALS]


def with_line(position: int, line: bytes) -> Callable[[Lines], Lines]:
    return lambda lines: [*lines[:position], line, *lines[position + 1 :]]


def without(position: int) -> Callable[[Lines], Lines]:
    return lambda lines: [*lines[:position], *lines[position + 1 :]]


INTACT_TO_5 = "entries 5 to 7 are not those sealed"
TAMPERINGS: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "another time": (changed(at="2026-03-01T10:00:07.000000Z"), INTACT_TO_5),
    "another actor": (changed(actor="operator:8"), INTACT_TO_5),
    "another verb": (changed(verb="consent.given"), INTACT_TO_5),
    "another subject": (changed(subject="subscriber:9"), INTACT_TO_5),
    "another fact": (changed(facts={}), INTACT_TO_5),
    "another commitment": (changed(commitment=""), INTACT_TO_5),
    "another uid": (changed(uid="f" * 32), INTACT_TO_5),
    "entries moved": (lambda s: [*s[:7], s[8], s[7], *s[9:]], "entry 6: it carries index 7, not 6"),
    "entries moved and renumbered": (reindexed([0, 1, 2, 3, 4, 6, 5, *range(7, 12)]), INTACT_TO_5),
    "entry removed": (without(7), "entry 6: it carries index 7, not 6: removed or moved"),
    "entry removed and renumbered": (reindexed([0, *range(2, 12)]), "entries 0 to 4 are not"),
    "entry inserted": (
        lambda s: [*body_of([*LEAVES[:6], leaf_of(99), *LEAVES[6:]]), *SEALS],
        INTACT_TO_5,
    ),
    "entry repeated": (lambda s: [*s[:7], s[6], *s[7:]], "entry 6: it carries index 5, not 6"),
    "index skipped": (with_line(12, entry(12, LEAVES[11])), "entry 11: it carries index 12"),
    "one index changed": (
        with_line(3, entry(5, LEAVES[2])),
        "entry 3: it carries index 3, not 6: repeated or moved",
    ),
    "header removed": (without(0), "line 1: not the header"),
    "entry after the seals": (lambda s: [*s, entry(12, leaf_of(12))], "after a line with"),
    "line after the end": (
        lambda s: [*s, canonical({"unsealed": 0}), SEALS[-1]],
        "after the line that ends the trail",
    ),
    "cut line": (lambda s: [*s[:-1], s[-1][:-9]], "line 16: not readable JSON"),
}


@pytest.mark.parametrize(("tamper", "finding"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_with_the_entries_is_found(
    tamper: Callable[[Lines], Lines], finding: str
) -> None:
    assert_found(report_of(tamper(list(HONEST))), finding)


@pytest.mark.parametrize("loose", [False, True])
def test_a_uid_used_twice_is_found_even_when_it_was_sealed(loose: bool) -> None:
    facts: dict[str, Any] = {"nested": []} if loose else {}
    leaves = [leaf_of(n, facts=facts) for n in range(4)] + [leaf_of(1, facts=facts, verb="x")]
    report = report_of(body_of(leaves), note_of(leaves))
    assert report.findings == (f"entry 4: it repeats uid {1:032x} of entry 1",)


@pytest.mark.parametrize(
    "detail",
    [{"salt": SALT, "text": "other"}, {"salt": "00" * 32, "text": REASON}],
)
def test_detail_that_does_not_match_its_commitment_is_found(detail: dict[str, str]) -> None:
    lines = with_line(FIRST_ENTRY + 2, entry(2, LEAVES[2], detail=detail))(HONEST)
    assert report_of(lines).findings == (
        "line 4: entry 2: its detail does not match its commitment",
    )


def test_detail_beside_an_empty_commitment_is_found() -> None:
    leaves = [leaf_of(0, commitment="")]
    lines = [header(), entry(0, leaves[0], detail={"salt": SALT, "text": REASON})]
    assert_found(report_of(lines, note_of(leaves)), "does not match its commitment")


# History against checkpoints kept elsewhere


def test_a_cut_tail_is_found_by_a_checkpoint_from_outside() -> None:
    cut = [*body_of(LEAVES[:8]), *SEALS[:2]]
    assert report_of(cut).ok
    assert_found(report_of(cut, note_of(LEAVES)), "attests 12 entries but the trail holds 8")


def test_an_old_backup_continued_with_new_entries_is_found() -> None:
    fork = [*LEAVES[:8], *(leaf_of(number) for number in range(50, 60))]
    lines = [*body_of(fork), *SEALS[:2], checkpoint(note_of(fork))]
    assert report_of(lines).ok
    assert_found(report_of(lines, note_of(LEAVES)), "entries 8 to 11 are not those sealed")


def test_a_history_written_anew_under_another_key_is_found() -> None:
    forged = [leaf_of(number, actor="operator:1") for number in range(12)]
    lines = [*body_of(forged), checkpoint(note_of(forged, key=OTHER_KEY))]
    assert_found(report_of(lines), "line 14: it is not signed with the key given", "nothing atte")


def test_two_checkpoints_of_one_size_with_different_roots_are_found() -> None:
    report = report_of(HONEST, note(12, b"r" * 32), note_of(LEAVES))
    assert_found(report, "outside checkpoint 1: its root differs", "two histories")
    assert_found(report, "outside checkpoint 1: entries 8 to 11 are not those sealed")
    assert report.sealed == 12


def test_forked_checkpoints_are_found_beyond_the_end_of_the_trail() -> None:
    report = report_of(HONEST, note(99, b"r" * 32), note(99, b"s" * 32))
    assert_found(report, "both attest 99 entries")


def test_checkpoints_that_shrink_along_the_trail_are_found() -> None:
    report = report_of([*body_of(LEAVES), SEALS[0], SEALS[2], SEALS[1]])
    assert_found(report, "its size 8 is below the 12 of checkpoint in line 15", "in the trail")


def test_checkpoints_that_shrink_in_time_are_found() -> None:
    early = note_of(LEAVES, time="2026-03-01T00:00:00+00:00")
    late = note_of(LEAVES[:8], time="2026-03-01T00:00:01+00:00")
    report = report_of(HONEST, late, early)
    assert_found(report, "outside checkpoint 1: its size 8 is below the 12", "in time")


@pytest.mark.parametrize("lines", [HONEST[:13], [header()], []], ids=["entries", "header", "none"])
def test_a_trail_without_checkpoints_is_attested_by_nothing(lines: Lines) -> None:
    assert_found(report_of(lines), "nothing attests this trail")


def test_a_checkpoint_of_size_0_is_no_evidence() -> None:
    empty = note(0, digest())
    assert_found(report_of([header()], empty), "of size 0 and attests nothing", "nothing attests t")
    assert_found(report_of(HONEST, empty), "of size 0 and attests nothing")


def test_a_checkpoint_of_another_origin_is_found() -> None:
    report = report_of(HONEST, note_of(LEAVES, origin="other.example\u202e"))
    assert_found(report, r"another origin, 'other.example\u202e'")


def test_a_trail_under_another_origin_is_found() -> None:
    lines = [header(origin="other.example"), *HONEST[1:]]
    assert_found(report_of(lines), "of another origin", "nothing attests this trail")


# Malformed checkpoints


GOOD = note_of(LEAVES)
ROOT = base64.b64encode(root_of(LEAVES)).decode()
BAD_NOTES = {
    "no signature": (f"{ORIGIN}\n12\n{ROOT}\n", "not a signed note"),
    "empty": ("", "not a signed note"),
    "size changed after signing": (GOOD.replace("\n12\n", "\n11\n"), "signature is not good"),
    "cut signature": (GOOD[:-9] + "\n", "signature is not good"),
    "cut in base64": (GOOD[:-6] + "\n", "a signature is not base64"),
    "cut line end": (GOOD[:-1], "not a signed note"),
    "junk for a signature": (
        signed("x\n").rsplit(" ", 1)[0] + " !!\n",
        "a signature is not base64",
    ),
    "short signature": (GOOD.rsplit(" ", 1)[0] + " YWJj\n", "signature is too short"),
    "hyphen for a dash": (GOOD.replace("\u2014", "-"), "wrong form"),
    "control character": (signed(f"{ORIGIN}\n12\n{ROOT}\n\x07\n"), "not a signed note"),
    "our key id under another name": (
        GOOD.replace(f"\u2014 {ORIGIN}", "\u2014 other"),
        "not signed with the key given",
    ),
    "witness with an impossible name": (GOOD + "\u2014 a+b YWJjZGU=\n", "wrong form"),
    "carriage returns": (GOOD.replace("\n", "\r\n"), "not a signed note"),
    "key of another name": (note_of(LEAVES, name="other"), "not signed with the key given"),
    "key of the same name": (note_of(LEAVES, key=OTHER_KEY), "not signed with the key given"),
    "two signatures, one bad": (
        GOOD + signed("x\n").rpartition("\n\n")[2],
        "signature is not good",
    ),
    "too many signatures": (GOOD + GOOD.rpartition("\n\n")[2] * 100, "too many signatures"),
    "too long": (GOOD + "x" * 70_000, "too long"),
    "lone surrogate": (GOOD.replace(ORIGIN, "\ud800", 1), "signature is not good"),
    "two lines only": (signed(f"{ORIGIN}\n12\n"), "lacks its origin"),
    "blank extension": (signed(f"{ORIGIN}\n12\n{ROOT}\n\nx\n"), "lacks its origin"),
    "negative size": (note(-1, b"r" * 32), "not a decimal number"),
    "leading zero": (note("012", root_of(LEAVES)), "not a decimal number"),
    "plus sign": (note("+12", root_of(LEAVES)), "not a decimal number"),
    "foreign digits": (note("\u0661\u0662", root_of(LEAVES)), "not a decimal number"),
    "endless size": (note("9" * 5000, b"r" * 32), "not a decimal number"),
    "huge size": (note("9" * 19, b"r" * 32), "attests 9999999999999999999 entries"),
    "short root": (note(12, b"r" * 31), "not a SHA-256 hash"),
    "root of junk": (signed(f"{ORIGIN}\n12\n****\n"), "its root is not base64"),
    "loose base64": (
        signed(f"{ORIGIN}\n12\n{ROOT[:-2]}{chr(ord(ROOT[-2]) + 1)}=\n"),
        "canonical form",
    ),
}


@pytest.mark.parametrize(("text", "finding"), BAD_NOTES.values(), ids=BAD_NOTES.keys())
def test_a_bad_checkpoint_is_found_beside_good_ones(text: str, finding: str) -> None:
    report = report_of(HONEST, text)
    assert_found(report, "outside checkpoint 1: ", finding)
    assert report.sealed == 12


PUBLIC = KEY.public_key().public_bytes_raw()
OTHER_TYPE = (
    digest(b"n\n\x02", PUBLIC)[:4].hex() + "+" + base64.b64encode(b"\x02" + PUBLIC).decode()
)
BAD_KEYS = {
    "empty": ("", "not of the form"),
    "name only": ("name", "the key is not"),
    "junk": ("a+b+c", "the key is not base64"),
    "no name": (vkey(name=""), "not of the form"),
    "name with a space": (vkey(name="a b"), "not of the form"),
    "cut": (vkey()[:-4], "not an Ed25519 public key"),
    "two keys": (vkey() + "\n" + vkey(OTHER_KEY), "the key is not base64"),
    "renamed": (vkey().replace("volens", "v0lens"), "id does not belong"),
    "another type": (f"n+{OTHER_TYPE}", "not an Ed25519 public key"),
}


@pytest.mark.parametrize(("text", "finding"), BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_key_that_cannot_be_read_is_refused(text: str, finding: str) -> None:
    with pytest.raises(ValueError, match=finding):
        verify([], key=text, checkpoints=[])


# Hostile lines


def leaf_text(**changes: Any) -> bytes:
    return b'{"index":12,"leaf":' + canonical(leaf_of(12, **changes)) + b"}"


HOSTILE = {
    "not JSON": (b"{", "not readable JSON"),
    "blank": (b"", "not readable JSON"),
    "not UTF-8": (b'{"index":"\xff"}', "not UTF-8"),
    "UTF-16": (header().decode().encode("utf-16"), "not UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + header(), "not readable JSON"),
    "a list": (b"[]", "not one JSON object"),
    "two objects": (b"{} {}", "not one JSON object"),
    "deep nesting": (b'{"leaf":' + b"[" * 200_000, "not readable JSON"),
    "deep but closed": (b'{"leaf":' + b"[" * 900 + b"]" * 900 + b"}", ""),
    "giant": (b'{"leaf":"' + b"x" * (1 << 20) + b'"}', "longer than 1048576 bytes"),
    "giant integer": (b'{"index":' + b"9" * 5000 + b',"leaf":{}}', "not readable JSON"),
    "giant fact": (leaf_text(facts={"n": 7}).replace(b"7}", b"7" * 5000 + b"}"), "not readable"),
    "huge index": (b'{"index":' + b"9" * 4300 + b',"leaf":{}}', "is not a place in a trail"),
    "huge count": (b'{"unsealed":' + b"9" * 4300 + b"}", "an impossible count"),
    "negative count": (b'{"unsealed":-1}', "an impossible count"),
    "count that is no number": (b'{"unsealed":true}', "neither an entry"),
    "negative index": (b'{"index":-1,"leaf":{}}', "is not a place in a trail"),
    "index that is a boolean": (b'{"index":true,"leaf":{}}', "is not a place in a trail"),
    "index in a float": (b'{"index":12.0,"leaf":{}}', "the number '12.0' is not an integer"),
    "NaN": (b'{"index":NaN,"leaf":{}}', "the number 'NaN' is not an integer"),
    "infinity": (b'{"index":-Infinity}', "is not an integer"),
    "exponent": (b'{"index":1e1}', "is not an integer"),
    "key used twice": (leaf_text()[:-1] + b',"index":12}', "the same key twice"),
    "key used twice within": (leaf_text(facts={"zz": 1}).replace(b'"zz"', b'"a":1,"a"'), "twice"),
    "key used twice, escaped": (
        leaf_text(facts={}).replace(b"{}", rb'{"a":1,"\u0061":2}'),
        "twice",
    ),
    "unknown key": (leaf_text()[:-1] + b',"x":1}', "exactly an index and a leaf"),
    "no index": (b'{"leaf":{}}', "exactly an index and a leaf"),
    "leaf that is text": (b'{"index":12,"leaf":"x"}', "exactly the fields"),
    "leaf of nothing": (b'{"index":12,"leaf":null}', "exactly the fields"),
    "leaf with a field more": (leaf_text(zone="x"), "exactly the fields"),
    "version as text": (leaf_text(v="1"), "not of version 1"),
    "version as boolean": (leaf_text(v=True), "not of version 1"),
    "version 2": (leaf_text(v=2), "not of version 1"),
    "uid too short": (leaf_text(uid="ab"), "its uid is not 32"),
    "uid with a line end": (leaf_text(uid="a" * 32 + "\n"), "its uid is not 32"),
    "uid in capitals": (leaf_text(uid="A" * 32), "its uid is not 32"),
    "uid that is a number": (leaf_text(uid=5), "its uid is not text"),
    "actor that is a list": (leaf_text(actor=[]), "its actor is not text"),
    "verb that is nothing": (leaf_text(verb=None), "its verb is not text"),
    "subject that is a number": (leaf_text(subject=1), "its subject is not text"),
    "facts that are a list": (leaf_text(facts=[]), "its facts are not an object"),
    "time without microseconds": (leaf_text(at="2026-03-01T10:00:00Z"), "not a date in UTC"),
    "time of another zone": (leaf_text(at="2026-03-01T10:00:00.000000+01:00"), "not a date"),
    "day that is not": (leaf_text(at="2026-02-30T10:00:00.000000Z"), "not a date in UTC"),
    "commitment too long": (leaf_text(commitment="a" * 65), "its commitment is not 64"),
    "lone surrogate": (leaf_text(verb="x").replace(b'"x"', rb'"\ud800"'), "UTF-8 can hold"),
    "detail that is null": (leaf_text()[:-1] + b',"detail":null}', "a salt and a text"),
    "detail of numbers": (leaf_text()[:-1] + b',"detail":{"salt":1,"text":2}}', "malformed salt"),
    "detail with a surrogate": (
        leaf_text()[:-1] + b',"detail":{"salt":"' + SALT.encode() + rb'","text":"\udfff"}}',
        "its detail is not text that UTF-8 can hold",
    ),
    "checkpoint that is a number": (checkpoint(5), "neither an entry"),
    "checkpoint and more": (b'{"checkpoint":"x","y":1}', "neither an entry"),
    "second header": (header(), "neither an entry"),
}


@pytest.mark.parametrize(("line", "finding"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_line_becomes_one_finding(line: bytes, finding: str) -> None:
    report = report_of([*HONEST[:13], line, *SEALS])
    (told,) = report.findings
    assert told.startswith("line 14: ")
    assert finding in told
    assert len(told) < 150
    assert report.sealed == 12


@pytest.mark.parametrize(
    "line",
    [header(format="volens-trail/2"), header(origin=""), header(more="x"), b"7", b'{"origin":[]}'],
)
def test_a_header_that_is_not_of_this_format_is_found(line: bytes) -> None:
    assert_found(report_of([line, *HONEST[1:]]), "line 1: ")


def test_findings_are_capped_and_the_rest_counted() -> None:
    report = report_of([*HONEST[:13], *[b"x"] * 150, *SEALS])
    assert len(report.findings) == 101
    assert report.findings[-1] == "and 50 more findings"


@given(st.lists(st.one_of(st.binary(), st.sampled_from(HONEST)), max_size=20))
def test_no_bytes_make_the_verifier_stumble(lines: Lines) -> None:
    report = report_of(lines)
    assert report.ok == (not report.findings)
    assert all(finding.isascii() and finding.isprintable() for finding in report.findings)


@given(st.integers(0, len(b"".join(HONEST)) - 1), st.integers(1, 255))
def test_no_changed_byte_stays_hidden(place: int, difference: int) -> None:
    trail = bytearray(b"\n".join(HONEST))
    trail[place] ^= difference
    report = report_of(bytes(trail).split(b"\n"), GOOD)
    same = [json_or_none(line) for line in bytes(trail).split(b"\n")] == PARSED
    assert report.ok == same


def json_or_none(line: bytes) -> object:
    try:
        return json.loads(line.decode())
    except ValueError:
        return None


PARSED = [json_or_none(line) for line in HONEST]


# The short way and the long way of reading an entry


FACTS = st.dictionaries(
    st.text(max_size=4),
    st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=6)),
    max_size=5,
)


@given(FACTS, st.text(max_size=8))
def test_an_entry_reads_alike_in_canonical_and_in_any_other_form(
    facts: dict[str, Any], verb: str
) -> None:
    leaf = leaf_of(0, facts=facts, verb=verb)
    attested = note_of([leaf])
    loose = json.dumps({"index": 0, "leaf": leaf}, indent=None).encode()
    assert report_of([header(), entry(0, leaf)], attested).ok
    assert report_of([header(), loose], attested).ok


@pytest.mark.parametrize(
    "facts",
    ['{"b":1,"a":2}', '{"a":1,"a":1}', '{"a":1.5}', '{"a":01}', '{"a":1,}', '{"a!":1,"a":2}'],
)
def test_facts_out_of_order_are_never_hashed_as_they_stand(facts: str) -> None:
    leaf = canonical(leaf_of(0, facts={})).replace(b'"facts":{}', b'"facts":' + facts.encode())
    raw = note(1, digest(b"\x00", leaf))
    assert not report_of([header(), b'{"index":0,"leaf":' + leaf + b"}"], raw).ok


# The tree and its proofs


def path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return [*path(index, hashes[:split]), tree_root(hashes[split:])]
    return [*path(index - split, hashes[split:]), tree_root(hashes[:split])]


def consistency(old: int, hashes: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    if old == len(hashes):
        return [] if whole else [tree_root(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= split:
        return [*consistency(old, hashes[:split], whole=whole), tree_root(hashes[split:])]
    return [*consistency(old - split, hashes[split:], whole=False), tree_root(hashes[:split])]


DATA = [b"entry %d" % number for number in range(33)]
HASHES = [digest(b"\x00", data) for data in DATA]


def test_roots_at_every_size_agree_with_pymerkle() -> None:
    oracle = pymerkle.InmemoryTree(algorithm="sha256")
    for data in DATA:
        oracle.append_entry(data)
    sizes = set(range(1, len(DATA) + 1))
    expected = {size: oracle.get_root(size) for size in sizes}
    assert verifier.roots_at(HASHES, sizes | {0, 99}) == expected


@pytest.mark.parametrize("size", range(1, 18))
def test_inclusion_is_proved_for_each_entry_and_for_no_other(size: int) -> None:
    root = tree_root(HASHES[:size])
    for index in range(size):
        proof = path(index, HASHES[:size])
        held = [i for i in range(-1, size + 1) if verify_inclusion(HASHES[i], i, size, proof, root)]
        assert held == [index]
        assert not verify_inclusion(HASHES[index], index, size, [*proof, root], root)
        assert not verify_inclusion(HASHES[index], index, size, proof[:-1], root) or size == 1
        assert not verify_inclusion(HASHES[index + 1], index, size, proof, root)


def test_an_empty_tree_includes_nothing() -> None:
    assert not verify_inclusion(HASHES[0], 0, 0, [], HASHES[0])


@pytest.mark.parametrize(
    ("leaf", "index", "size", "proof", "root"),
    [
        (b"", 0, 1, [], b""),
        (HASHES[0], -1, 1, [], HASHES[0]),
        (HASHES[0], 1, 1, [], HASHES[0]),
        (HASHES[0], 0, 4, [HASHES[1]], tree_root(HASHES[:2])),
    ],
    ids=["no hashes", "before the first", "after the last", "of a smaller tree"],
)
def test_inclusion_of_what_is_not_in_the_tree_is_refused(
    leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes
) -> None:
    assert not verify_inclusion(leaf, index, size, proof, root)


@pytest.mark.parametrize("new", range(2, 18))
def test_consistency_is_proved_for_each_older_tree_and_for_no_other(new: int) -> None:
    roots = [tree_root(HASHES[:size]) for size in range(1, new + 1)]
    for old in range(1, new):
        proof = consistency(old, HASHES[:new])
        assert verify_consistency(old, roots[old - 1], new, roots[-1], proof)
        assert not verify_consistency(old, HASHES[20], new, roots[-1], proof)
        assert not verify_consistency(old, roots[old - 1], new, HASHES[20], proof)
        assert not verify_consistency(old, roots[old - 1], new, roots[-1], [*proof, HASHES[20]])
        assert not verify_consistency(old, roots[old - 1], new, roots[-1], proof[:-1])


def test_nothing_is_consistent_with_an_empty_tree() -> None:
    assert not verify_consistency(0, digest(), 4, tree_root(HASHES[:4]), [])
    assert not verify_consistency(0, digest(), 0, digest(), [])


def test_consistency_with_a_tree_of_another_size_is_refused() -> None:
    assert verify_consistency(1, HASHES[0], 2, tree_root(HASHES[:2]), [HASHES[1]])
    assert not verify_consistency(1, HASHES[0], 4, tree_root(HASHES[:2]), [HASHES[1]])
    assert not verify_consistency(1, b"", 1, b"", [])


def test_a_tree_is_consistent_with_itself_by_an_empty_proof_only() -> None:
    root = tree_root(HASHES[:4])
    assert verify_consistency(4, root, 4, root, [])
    assert not verify_consistency(4, root, 4, root, [root])
    assert not verify_consistency(4, root, 4, HASHES[0], [])
    assert not verify_consistency(5, root, 4, root, [])


# The command


def command(tmp_path: Path, lines: Sequence[bytes], *options: str) -> int:
    (tmp_path / "key").write_text(vkey() + "\n", encoding="utf-8")
    (tmp_path / "trail").write_bytes(b"".join(line + b"\n" for line in lines))
    return verifier.main([str(tmp_path / "trail"), "--key", str(tmp_path / "key"), *options])


def outside(tmp_path: Path, **notes: str) -> str:
    directory = tmp_path / "kept"
    directory.mkdir()
    for name, text in notes.items():
        (directory / f"{name}.checkpoint").write_bytes(text.encode())
    return str(directory)


def test_the_command_exits_0_when_everything_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, HONEST, "--checkpoints", outside(tmp_path, a=GOOD)) == 0
    assert capsys.readouterr().out == (
        "'volens.example/trail': 12 entries, 12 sealed, 3 checkpoints match: everything holds\n"
    )


def test_the_command_exits_1_and_names_the_file_that_contradicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, HONEST, "--checkpoints", outside(tmp_path, a=note(9, b"r" * 32))) == 1
    told = capsys.readouterr().out
    assert told.startswith("'a.checkpoint' in ")
    assert ": entries 8 to 8 are not those sealed" in told


def test_the_command_prints_its_report_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, HONEST[:-1], "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["sealed"], told["unsealed"], told["findings"]) == (True, 8, 4, [])


def test_unsealed_entries_are_told_and_an_error_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, HONEST[:-1]) == 0
    assert "not yet sealed: 4\n" in capsys.readouterr().out
    assert command(tmp_path, HONEST[:-1], "--require-sealed") == 1
    assert command(tmp_path, HONEST, "--require-sealed") == 0


def test_a_directory_without_checkpoints_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, HONEST, "--checkpoints", outside(tmp_path)) == 1
    assert "it holds no *.checkpoint file" in capsys.readouterr().out


def test_checkpoint_files_that_cannot_be_checkpoints_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Path(outside(tmp_path, endless="x" * 1_000_000))
    (kept / "bytes.checkpoint").write_bytes(b"\xff")
    (kept / "folder.checkpoint").mkdir()
    assert command(tmp_path, HONEST, "--checkpoints", str(kept)) == 1
    for_bytes, for_folder = capsys.readouterr().out.splitlines()[1:3]
    assert for_bytes.startswith("'bytes.checkpoint' in ")
    assert for_bytes.endswith(": it is not UTF-8")
    assert for_folder.startswith("'folder.checkpoint' in ")
    assert for_folder.endswith(": it is not a file")


def test_an_endless_checkpoint_file_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = outside(tmp_path, endless="x" * 1_000_000)
    assert command(tmp_path, HONEST, "--checkpoints", kept) == 1
    assert ": it is too long for a checkpoint\n" in capsys.readouterr().out


def test_an_endless_line_is_one_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path, [*HONEST[:13], b"x" * 3_500_000, *SEALS]) == 1
    told = capsys.readouterr().out
    assert told.startswith("line 14: longer than 1048576 bytes\n")
    assert "NOT GOOD, 1 findings" in told


@pytest.mark.parametrize("missing", ["--checkpoints", "--key"])
def test_a_path_that_does_not_exist_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    assert command(tmp_path, HONEST, missing, str(tmp_path / "nowhere")) == 2
    assert capsys.readouterr().err.startswith("cannot verify: ")


def test_a_missing_key_option_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        verifier.main(["trail"])
    assert "--key" in capsys.readouterr().err

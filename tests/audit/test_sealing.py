"""The sealer takes every committed entry once, and whoever tampers afterwards is found out."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit import checkpoints, verifier
from audit.checkpoints import TrailBroken
from audit.models import Checkpoint, Entry, Leaf
from tests import services
from tests.audit.conftest import Seal, Settle, Tamper, Tell
from tests.settling import LONG_AGO

pytestmark = pytest.mark.django_db(transaction=True)

on_postgresql = pytest.mark.skipif(
    not os.environ["DATABASE_URL"].startswith("postgres"), reason="PostgreSQL only"
)


def in_tree_order() -> list[int]:
    return list(Leaf.objects.order_by("index").values_list("entry_id", flat=True))


def written() -> list[int]:
    return list(Entry.objects.order_by("id").values_list("id", flat=True))


def report() -> verifier.Report:
    return verifier.verify(
        checkpoints.export_lines(),
        key=checkpoints.verifier_key(),
        checkpoints=checkpoints.outside_notes(),
    )


# --- what is taken


def test_every_committed_entry_is_taken_once_and_in_order(tell: Tell, seal: Seal) -> None:
    for _turn in range(3):
        for _entry in range(2):
            tell()
        seal()
    assert in_tree_order() == written()
    assert list(Leaf.objects.order_by("index").values_list("index", flat=True)) == list(range(6))
    assert list(Checkpoint.objects.order_by("id").values_list("size", flat=True)) == [2, 4, 6]


def test_with_nothing_to_seal_there_is_no_checkpoint(tell: Tell, seal: Seal) -> None:
    assert seal() is None
    tell()
    assert seal() is not None
    assert seal() is None
    assert Checkpoint.objects.count() == 1


def test_an_entry_of_an_undone_act_is_not_sealed(tell: Tell, seal: Seal) -> None:
    tell()
    with transaction.atomic():
        tell()
        transaction.set_rollback(True)
    tell()
    checkpoint = seal()
    assert checkpoint
    assert checkpoint.size == 2
    assert report().ok


def test_a_sealed_trail_verifies(tell: Tell, seal: Seal) -> None:
    for number in range(7):
        tell(facts={"number": number}, detail="told by phone")
        seal()
    tell()
    told = report()
    assert told.findings == ()
    assert (told.entries, told.checkpoints, told.unsealed) == (7, 7, 1)


def test_sealing_costs_the_same_however_many_entries_there_are(
    tell: Tell, settle: Settle, at: datetime
) -> None:
    counts = []
    for many in (3, 30):
        for _entry in range(many):
            tell()
        settle()
        with CaptureQueriesContext(connection) as asked:
            checkpoints.seal(at=at)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_an_entry_changed_before_it_is_sealed_is_found_and_nothing_is_signed(
    tell: Tell, seal: Seal, tamper: Tamper
) -> None:
    tell()
    changed = tell()
    tamper(f"UPDATE audit_entry SET verb = 'campaign.cancelled' WHERE id = {changed.pk}")
    with pytest.raises(TrailBroken, match=f"entry {changed.pk} is not what was written"):
        seal()
    assert (Leaf.objects.count(), Checkpoint.objects.count()) == (0, 0)


def test_the_command_seals_and_says_so(tell: Tell, seal: Seal, tamper: Tamper) -> None:
    out = io.StringIO()
    call_command("seal_trail", stdout=out)
    assert out.getvalue() == "Nothing to seal.\n"
    entry = tell()
    tamper(f"UPDATE audit_entry SET actor = 'web' WHERE id = {entry.pk}")
    with pytest.raises(TrailBroken):
        seal()
    with pytest.raises(CommandError, match="tell the auditor"):
        call_command("seal_trail")


# --- the checkpoint


def opened(note: str) -> tuple[str, bytes, bytes]:
    """The signed text of a note, and the key id and signature under it."""
    text, _gap, line = note.rpartition("\n\n")
    _dash, name, encoded = line.rstrip("\n").split(" ")
    raw = base64.b64decode(encoded)
    assert name == text.split("\n")[0]
    return text + "\n", raw[:4], raw[4:]


def test_a_checkpoint_is_a_note_signed_over_origin_size_root_and_time(
    tell: Tell, seal: Seal, settings: LazySettings
) -> None:
    entry = tell()
    checkpoint = seal()
    assert checkpoint
    text, key_id, signature = opened(checkpoint.note)
    root = base64.b64encode(bytes.fromhex(entry.leaf_hash)).decode()
    assert text == f"{settings.TRAIL_ORIGIN}\n1\n{root}\ntime 2026-11-24T18:00:00.000000Z\n"
    public = checkpoints.signing_key().public_key()
    public.verify(signature, text.encode())
    named = f"{settings.TRAIL_ORIGIN}\n".encode() + b"\x01" + public.public_bytes_raw()
    assert key_id == hashlib.sha256(named).digest()[:4]


def test_a_checkpoint_with_another_size_is_not_signed(tell: Tell, seal: Seal) -> None:
    tell()
    checkpoint = seal()
    assert checkpoint
    text, _key_id, signature = opened(checkpoint.note)
    public = checkpoints.signing_key().public_key()
    with pytest.raises(InvalidSignature):
        public.verify(signature, text.replace("\n1\n", "\n2\n").encode())


def test_the_verifier_reads_the_checkpoint_as_it_was_meant(
    tell: Tell, seal: Seal, at: datetime
) -> None:
    tell()
    tell()
    checkpoint = seal()
    assert checkpoint
    key = verifier.read_key(checkpoints.verifier_key())
    read = verifier.read_checkpoint(checkpoint.note, key=key, where="here")
    assert (read.size, read.root.hex(), read.time) == (2, checkpoint.root, at)


# --- carried outside


def outside(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}


def test_every_checkpoint_is_carried_outside_with_the_key(
    tell: Tell, seal: Seal, settings: LazySettings
) -> None:
    for _time in range(2):
        tell()
        seal()
    [directory] = settings.CHECKPOINT_DIRS
    notes = {f"{kept.size:020d}.checkpoint": kept.note for kept in Checkpoint.objects.all()}
    assert outside(directory) == {**notes, "trail.vkey": checkpoints.verifier_key() + "\n"}
    assert len(notes) == 2


def test_what_was_carried_outside_is_never_written_again(
    tell: Tell, seal: Seal, settings: LazySettings, tamper: Tamper
) -> None:
    tell()
    seal()
    [directory] = settings.CHECKPOINT_DIRS
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()}
    tamper("UPDATE audit_checkpoint SET note = 'forged'")
    checkpoints.export()
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in directory.iterdir()}


def test_a_place_added_later_gets_every_checkpoint(
    tell: Tell, seal: Seal, settings: LazySettings, tmp_path: Path
) -> None:
    for _time in range(3):
        tell()
        seal()
    [first] = settings.CHECKPOINT_DIRS
    settings.CHECKPOINT_DIRS = [first, tmp_path / "mounted" / "later"]
    assert seal() is None
    assert outside(tmp_path / "mounted" / "later") == outside(first)
    assert len(checkpoints.outside_notes()) == 6


def test_an_export_that_was_cut_short_is_caught_up(
    tell: Tell, seal: Seal, settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _time in range(3):
        tell()
        seal()
    settings.CHECKPOINT_DIRS = [tmp_path]
    write, files = Path.write_text, []

    def full_disk(path: Path, *rest: Any, **more: Any) -> int:
        files.append(path)
        if len(files) == 3:
            raise OSError("No space left on device")
        return write(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full_disk)
        with pytest.raises(OSError, match="No space"):
            checkpoints.export()
    checkpoints.export()
    assert {p.name for p in tmp_path.iterdir() if not p.name.startswith(".")} == {
        "trail.vkey",
        *(f"{size:020d}.checkpoint" for size in (1, 2, 3)),
    }
    assert report().ok


# --- many at once


def commit_late(tell: Tell, written: threading.Event, may_commit: threading.Event) -> int:
    """Writes an entry and commits it when told to."""
    with closing(connection), transaction.atomic():
        entry = tell(subject="campaign:late")
        written.set()
        assert may_commit.wait(30)
    return int(entry.pk)


@on_postgresql
def test_an_entry_that_commits_late_is_not_skipped(tell: Tell, seal: Seal) -> None:
    first = tell()
    seal()
    is_written, may_commit = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as others:
        late = others.submit(commit_late, tell, is_written, may_commit)
        try:
            assert is_written.wait(30)
            early = tell()
            assert checkpoints.seal(at=early.at) is None
        finally:
            may_commit.set()
        assert late.result(30) < early.pk
    seal()
    assert in_tree_order() == [first.pk, late.result(), early.pk]
    assert report().ok


@on_postgresql
def test_what_was_committed_before_the_oldest_running_act_need_not_wait(
    tell: Tell, seal: Seal
) -> None:
    tell()
    seal()
    before = tell()
    is_written, may_commit = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as others:
        late = others.submit(commit_late, tell, is_written, may_commit)
        try:
            assert is_written.wait(30)
            seal()
            assert in_tree_order()[-1] == before.pk
        finally:
            may_commit.set()
        late.result(30)


def tell_many(tell: Tell, times: int) -> None:
    with closing(connection):
        for _time in range(times):
            tell()


def test_under_many_writers_every_entry_is_sealed_once(
    tell: Tell, seal: Seal, at: datetime
) -> None:
    with ThreadPoolExecutor(4) as writers:
        writing = [writers.submit(tell_many, tell, 12) for _writer in range(4)]
        while not all(one.done() for one in writing):
            checkpoints.seal(at=at)
        for one in writing:
            one.result()
    seal()
    assert sorted(in_tree_order()) == written()
    assert len(written()) == 48
    assert report().ok


def seal_once(at: datetime, together: threading.Barrier | None = None) -> Checkpoint | None:
    with closing(connection):
        if together:
            together.wait(30)
        return checkpoints.seal(at=at)


def test_of_two_sealers_at_once_one_seals(tell: Tell, settle: Settle, at: datetime) -> None:
    for _entry in range(5):
        tell()
    settle()
    together = threading.Barrier(2)
    with ThreadPoolExecutor(2) as sealers:
        outcomes = [sealers.submit(seal_once, at, together) for _sealer in range(2)]
        sealed = [outcome.result(30) for outcome in outcomes]
    assert sorted(map(bool, sealed)) == [False, True]
    assert in_tree_order() == written()


@on_postgresql
def test_a_sealer_does_not_wait_for_another_one_at_work(tell: Tell, seal: Seal) -> None:
    entry = tell()
    with ThreadPoolExecutor(1) as others, transaction.atomic():
        assert seal() is not None
        assert others.submit(seal_once, entry.at).result(10) is None
    assert Checkpoint.objects.count() == 1


# --- a database restored into a new server, whose transactions count from the beginning


def told_long_ago(tell: Tell, tamper: Tamper, written: int) -> Entry:
    entry = tell()
    tamper(f"UPDATE audit_entry SET written = {written} WHERE id = {entry.pk}")
    return entry


@pytest.fixture
def restored(
    tell: Tell, tamper: Tamper, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> tuple[Entry, Entry]:
    """One entry sealed by the old server, and one that it had not come to when it was saved."""
    sealed = told_long_ago(tell, tamper, LONG_AGO)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "horizon", lambda: LONG_AGO + 1)
        assert checkpoints.seal(at=at) is not None
    return sealed, told_long_ago(tell, tamper, LONG_AGO + 5)


@on_postgresql
def test_a_restored_database_seals_what_is_told_from_now_on(
    restored: tuple[Entry, Entry], tell: Tell, seal: Seal
) -> None:
    for _time in range(2):
        new = tell()
        seal()
        assert new.pk in in_tree_order()
    assert report().ok


@on_postgresql
def test_a_restored_database_seals_what_the_old_server_had_not_come_to(
    restored: tuple[Entry, Entry], tell: Tell, at: datetime
) -> None:
    _sealed, waiting = restored
    checkpoints.seal(at=at)
    assert waiting.pk in in_tree_order()
    assert report().ok


# --- tampering


def index(number: int) -> str:
    """A condition for the entry at a place in the tree."""
    return f'id = (SELECT entry_id FROM audit_leaf WHERE "index" = {number})'


MOVED = 'UPDATE audit_leaf SET "index" = {} WHERE "index" = {}'
CUT = [
    'DELETE FROM audit_leaf WHERE "index" >= 2',
    "DELETE FROM audit_entry WHERE NOT EXISTS "
    "(SELECT 1 FROM audit_leaf WHERE entry_id = audit_entry.id)",
    "DELETE FROM audit_checkpoint WHERE size > 2",
]
TAMPERINGS = {
    "verb": ([f"UPDATE audit_entry SET verb = 'x' WHERE {index(0)}"], "entries 0 to 1 are not"),
    "actor": ([f"UPDATE audit_entry SET actor = 'web' WHERE {index(3)}"], "entries 2 to 3 are not"),
    "time": ([f"UPDATE audit_entry SET at = '2026-11-25' WHERE {index(2)}"], "are not those"),
    "facts": ([f"UPDATE audit_entry SET facts = '{{}}' WHERE {index(1)}"], "are not those"),
    "commitment": (
        [f"UPDATE audit_entry SET commitment = '{'0' * 64}' WHERE {index(1)}"],
        "are not those",
    ),
    "order": ([MOVED.format(9, 0), MOVED.format(0, 1), MOVED.format(1, 9)], "are not those"),
    "removed": (['DELETE FROM audit_leaf WHERE "index" = 1'], "removed or moved"),
    "note": (["UPDATE audit_checkpoint SET note = replace(note, 'time', 'tide')"], "signature"),
    "checkpoints": (["DELETE FROM audit_checkpoint", 'DELETE FROM audit_leaf'], "tail was cut off"),
    "tail": (CUT, "it attests 4 entries but the trail holds 2: its tail was cut off"),
}  # fmt: skip


@pytest.fixture
def sealed_trail(tell: Tell, seal: Seal) -> None:
    """Four entries under two checkpoints, the last of which are not alike."""
    for number in range(4):
        tell(facts={"number": number})
        if number % 2:
            seal()


def test_the_command_says_that_a_whole_trail_is_whole(sealed_trail: None, tell: Tell) -> None:
    tell()
    out = io.StringIO()
    call_command("verify_trail", stdout=out)
    assert out.getvalue() == ("The trail is whole: 4 entries, 2 checkpoints, 1 not sealed yet.\n")


@pytest.mark.parametrize(("statements", "words"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_the_command_finds_every_tampering(
    statements: list[str], words: str, sealed_trail: None, tamper: Tamper
) -> None:
    tamper(*statements)
    with pytest.raises(CommandError, match="^The trail is not whole.") as refusal:
        call_command("verify_trail")
    assert words in str(refusal.value)
    assert refusal.value.returncode == 1


def test_a_tail_that_was_cut_and_grew_again_is_found(
    sealed_trail: None, tell: Tell, seal: Seal, tamper: Tamper
) -> None:
    tamper(*CUT)
    assert tell()
    assert tell()
    assert seal()
    with pytest.raises(CommandError) as refusal:
        call_command("verify_trail")
    assert "are not those sealed" in str(refusal.value)
    assert "there are two histories" in str(refusal.value)


def test_a_trail_without_checkpoints_outside_is_not_called_whole(
    sealed_trail: None, settings: LazySettings
) -> None:
    settings.CHECKPOINT_DIRS = []
    with pytest.raises(CommandError, match="no checkpoint stands outside the database"):
        call_command("verify_trail", stdout=io.StringIO())


def test_an_unsealed_entry_that_was_changed_is_found(
    sealed_trail: None, tell: Tell, tamper: Tamper
) -> None:
    entry = tell()
    tamper(f"UPDATE audit_entry SET verb = 'consent.opened' WHERE id = {entry.pk}")
    with pytest.raises(CommandError, match=f"entry {entry.pk} is not what was written"):
        call_command("verify_trail", stdout=io.StringIO())


def test_a_detail_that_was_changed_is_found(tell: Tell, seal: Seal) -> None:
    entry = tell(detail="said so on the phone")
    seal()
    detail = entry.detail
    detail.text = "said the opposite"
    detail.save()
    with pytest.raises(CommandError, match=f"detail of entry {entry.pk} is not what"):
        call_command("verify_trail", stdout=io.StringIO())


def test_signed_times_never_go_back_though_a_clock_does(
    sealed_trail: None, tell: Tell, settle: Settle, at: datetime
) -> None:
    tell()
    settle()
    later = checkpoints.seal(at=at - timedelta(days=1))
    assert later is not None
    assert later.at >= Checkpoint.objects.earliest("size").at
    call_command("verify_trail", stdout=io.StringIO())


def test_a_trail_under_another_key_is_refused(sealed_trail: None, settings: LazySettings) -> None:
    kept = checkpoints.verifier_key()
    settings.CHECKPOINT_SEED = base64.b64encode(bytes(32)).decode()
    assert checkpoints.verifier_key() != kept
    with pytest.raises(CommandError, match="not signed with the key given"):
        call_command("verify_trail")
    call_command("verify_trail", "--key", kept, stdout=io.StringIO())


# --- the export and the verifier beside it


def test_an_export_holds_header_entries_checkpoints_and_the_count_of_the_rest(
    sealed_trail: None, tell: Tell, settings: LazySettings
) -> None:
    tell()
    header, *entries, first, second, rest = map(json.loads, checkpoints.export_lines())
    assert header == {"format": "volens-trail/1", "origin": settings.TRAIL_ORIGIN}
    assert [entry["index"] for entry in entries] == [0, 1, 2, 3]
    assert [entry["leaf"]["facts"]["number"] for entry in entries] == [0, 1, 2, 3]
    assert [set(line) for line in (first, second)] == [{"checkpoint"}] * 2
    assert rest == {"unsealed": 1}


def test_an_export_of_nothing_attests_nothing() -> None:
    assert report().findings == ("nothing attests this trail: no genuine checkpoint matches it",)


def test_an_export_under_way_while_the_sealer_works_still_verifies(
    sealed_trail: None, tell: Tell, seal: Seal
) -> None:
    lines = checkpoints.export_lines()
    taken = [next(lines) for _line in range(3)]
    tell()
    seal()
    told = verifier.verify([*taken, *lines], key=checkpoints.verifier_key(), checkpoints=[])
    assert told.findings == ()


def test_an_export_tells_no_detail(tell: Tell, seal: Seal) -> None:
    entry = tell(detail="Ada was cross")
    seal()
    exported = b"".join(checkpoints.export_lines())
    assert b"Ada" not in exported
    assert entry.detail.salt.encode() not in exported


def piped(tmp_path: Path, *outside: Path) -> subprocess.CompletedProcess[str]:
    """`manage.py export_trail | python -I audit/verifier.py - …` as two processes."""
    server, name = os.environ["DATABASE_URL"], str(connection.settings_dict["NAME"])
    env = {**os.environ, "DATABASE_URL": services.database_url(server, name)}
    key = tmp_path / "kept.vkey"
    key.write_text(checkpoints.verifier_key() + "\n", encoding="utf-8")
    options = [part for directory in outside for part in ("--checkpoints", str(directory))]
    with subprocess.Popen(
        [sys.executable, "manage.py", "export_trail"],
        cwd=services.ROOT,
        env=env,
        stdout=subprocess.PIPE,
    ) as export:
        return subprocess.run(
            [sys.executable, "-I", "audit/verifier.py", "-", "--key", str(key), *options],
            cwd=services.ROOT,
            env={"LC_ALL": "C"},
            stdin=export.stdout,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def test_the_verifier_takes_an_export_from_a_pipe(
    sealed_trail: None, settings: LazySettings, tmp_path: Path
) -> None:
    done = piped(tmp_path, *settings.CHECKPOINT_DIRS)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 entries, 4 sealed, 2 checkpoints match: everything holds" in done.stdout


def test_the_verifier_finds_a_cut_tail_by_the_checkpoints_outside(
    sealed_trail: None, settings: LazySettings, tmp_path: Path, tamper: Tamper
) -> None:
    tamper(*CUT)
    done = piped(tmp_path, *settings.CHECKPOINT_DIRS)
    assert done.returncode == 1
    assert "its tail was cut off, or an old copy put in its place" in done.stdout


def test_an_old_backup_put_back_is_found_by_the_checkpoints_outside(
    tell: Tell, seal: Seal, tmp_path: Path
) -> None:
    server, name = os.environ["DATABASE_URL"], str(connection.settings_dict["NAME"])
    tell()
    seal()
    connection.close()
    services.copy_database(server, name, f"{name}_backup")
    try:
        tell(at=datetime.now().astimezone() + timedelta(days=1))
        seal()
        connection.close()
        services.copy_database(server, f"{name}_backup", name)
    finally:
        services.drop_database(server, f"{name}_backup")
    with pytest.raises(CommandError, match="it attests 2 entries but the trail holds 1"):
        call_command("verify_trail")

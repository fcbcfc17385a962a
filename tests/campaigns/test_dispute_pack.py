"""A dispute pack holds all there is about a person, proves it alone, and hides their number."""

import hashlib
import io
import json
import re
import shlex
import subprocess
import sys
import zipfile
from datetime import timedelta

import pypdf
import pytest
from django.db import transaction

from audit import roles
from audit.models import Entry
from audit.proofs import NotAsSealed, of_batches
from campaigns import dispute, erasure, fence, timeline
from campaigns.dispute.proved import _batches_of_attempts
from campaigns.models import Attempt, Decision
from consent import ledger, signup
from consent.models import Notice, Subscriber
from consent.numbers import parse
from tests.campaigns.conftest import NEW_YORK, fenced, kept, new_york, verbs, write
from tests.campaigns.test_timeline import CALLED, SPELLINGS, listed, live, minutes
from tests.conftest import AT, WORDINGS
from tests.settling import seal

LATER = AT + timedelta(hours=1)
FILES = ["dispute.pdf", "pack.json", "proofs.json", "trail.vkey", "verifier.py", "README.txt"]
SPELLED_OUT = re.compile(r"555\W{0,3}0123")
MASKED = "+1 ••• ••• ••23"
sealed = pytest.mark.django_db(transaction=True)
pytestmark = pytest.mark.django_db


@pytest.fixture
def officer(operators):
    return operators(roles.PRIVACY_OFFICER)


@pytest.fixture
def life(purpose, notice, sender, operators, launched):
    given = {"purpose": purpose, "notice": notice, "sender": sender}
    return live(**given, operators=operators, launched=launched)


@pytest.fixture
def make(officer):
    """The files of a pack, by their names."""

    def files(person, **more):
        packed = dispute.pack(person, by=officer, at=LATER, **more)
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    return files


def as_json(files, name):
    return json.loads(files[name])


def paper(files):
    """What stands in the PDF, page by page."""
    reader = pypdf.PdfReader(io.BytesIO(files["dispute.pdf"]))
    return [page.extract_text() for page in reader.pages]


def even(text):
    """Without any white space, which a PDF lays out as it likes."""
    return "".join(text.split())


def spread(files, directory):
    for name, content in files.items():
        (directory / name).write_bytes(content)


def run(directory, command):
    """Runs a command of the README, with our Python; its exit and what it prints."""
    python, *arguments = shlex.split(command)
    assert python == "python"
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def commands(files):
    """The commands that the README tells, in order."""
    lines = files["README.txt"].decode().splitlines()
    return [line.strip() for line in lines if line.startswith("    python ")]


# --- the proofs --------------------------------------------------------------------------------


@sealed
def test_the_pack_of_a_whole_life_is_verified_by_what_is_in_it(life, make, tmp_path):
    seal(at=LATER)
    files = make(life)
    assert list(files) == FILES
    spread(files, tmp_path)
    verify, evidence, wording = commands(files)
    code, said = run(tmp_path, verify)
    assert (code, verify) == (0, "python -I verifier.py --proofs proofs.json --key trail.vkey"), (
        said
    )
    record, proofs = as_json(files, "pack.json"), as_json(files, "proofs.json")
    assert record["without_an_entry"] == record["not_sealed_yet"] == proofs["not_sealed_yet"] == []
    _every_consent_and_message_is_proved(record, proofs)
    _evidence_and_wording_are_as_sealed(tmp_path, proofs, evidence, wording)


def _every_consent_and_message_is_proved(record, proofs):
    contents = {proof["content"]["uid"]: proof["content"] for proof in proofs["entries"]}
    leaves = {(leaf["entry"], leaf["fact"]): leaf for leaf in proofs["batched"]}
    listed, *_others = record["consents"]
    opened = leaves[listed["told_in_entry"], "consents"]
    assert (opened["count"], opened["content"]["consent"]) == (7, listed["consent"])
    assert opened["content"]["confirmed_at"] is None  # so it was when it was opened
    confirmed = leaves[listed["confirmation_told_in_entry"], "confirmations"]["content"]
    assert confirmed["confirmed_at"] == listed["confirmed_at"]
    assert {one["told_in_entry"] in contents for one in record["consents"]} == {True}
    attempts = [one for message in record["messages"] for one in message["attempts"]]
    decided = {attempt["attempt"]: attempt["decision"] for attempt in attempts}
    assert len(decided) == 5
    told = [leaf["content"] for leaf in proofs["batched"] if leaf["fact"] == "decisions"]
    assert {leaf["attempt"]: leaf["decision"] for leaf in told} == decided


def _evidence_and_wording_are_as_sealed(directory, proofs, evidence, wording):
    told = [proof["content"]["facts"] for proof in proofs["entries"]]
    told += [leaf["content"] for leaf in proofs["batched"]]
    fixed = {
        consent: facts["evidence"]
        for facts in told
        if "evidence" in facts
        for consent in facts.get("consents") or [facts["consent"]]
    }
    code, printed = run(directory, evidence)
    assert code == 0
    pairs = dict(line.split() for line in printed.splitlines())
    assert fixed.items() <= pairs.items()
    assert len(fixed) == 4  # restored ones among them
    code, printed = run(directory, wording)
    shown = {line.split()[1] for line in printed.splitlines()}
    assert shown == {facts["fingerprint"] for facts in told if "fingerprint" in facts}


def _flipped(content, place):
    """The same but for one letter or digit, at or after `place`."""
    sign = next(at for at in range(place, len(content)) if chr(content[at]).isalnum())
    other = b"0" if content[sign : sign + 1] != b"0" else b"1"
    return content[:sign] + other + content[sign + 1 :]


@sealed
def test_whatever_is_changed_in_what_is_proved_is_found_out(life, make, tmp_path):
    seal(at=LATER)
    files = make(life)
    spread(files, tmp_path)
    [verify, *_rest] = commands(files)
    proofs = files["proofs.json"]
    places = [len(proofs) * part // 9 for part in range(1, 9)]
    places += [proofs.index(b'"decision"') + 12, proofs.index(b'"path"'), proofs.index(b"volens.")]
    for place in places:
        (tmp_path / "proofs.json").write_bytes(_flipped(proofs, place))
        code, said = run(tmp_path, verify)
        assert code == 1, (proofs[place - 40 : place + 40], said)
    (tmp_path / "proofs.json").write_bytes(proofs)
    (tmp_path / "trail.vkey").write_bytes(_flipped(files["trail.vkey"], 60))
    assert run(tmp_path, verify)[0] != 0


@sealed
def test_no_pack_is_made_of_what_is_not_as_it_was_told(life, make):
    seal(at=LATER)
    Decision.objects.update(told={"allowed_by": "nothing"})
    with pytest.raises(NotAsSealed):
        make(life)
    assert "dispute.packed" not in verbs(f"subscriber:{life.pk}")


def _proved_together(files, directory):
    """What of a pack is proved in entries that tell of many people; the verifier agrees."""
    spread(files, directory)
    assert run(directory, commands(files)[0])[0] == 0
    leaves = as_json(files, "proofs.json")["batched"]
    return {leaf["fact"]: leaf["content"]["confirmed_at"] for leaf in leaves}


@sealed
def test_a_list_that_brought_an_opt_in_with_its_confirmation_proves_both_at_once(
    make, purpose, notice, tmp_path
):
    listed(purpose, *((number, "yes", "") for number in [NEW_YORK, *new_york(3)]), at=AT)
    seal(at=LATER)
    given_at = "2026-10-25T18:00:00.000000Z"
    proved = _proved_together(make(Subscriber.objects.with_number(NEW_YORK).get()), tmp_path)
    assert proved == {"consents": given_at}


@sealed
def test_a_list_that_confirmed_what_came_another_way_proves_the_confirmation(
    make, person, purpose, tmp_path
):
    someone = person(confirmed=False)
    listed(purpose, *((number, "yes", "") for number in [NEW_YORK, *new_york(3)]), at=AT)
    seal(at=LATER)
    proved = _proved_together(make(someone), tmp_path)
    assert proved == {"confirmations": "2026-10-25T18:00:00.000000Z"}


@sealed
def test_a_list_that_was_confirmed_by_a_yes_is_proved_as_it_was_opened(
    make, purpose, notice, operators, tmp_path
):
    listed(purpose, *((number, "no", "") for number in [NEW_YORK, *new_york(3)]), at=AT)
    someone = Subscriber.objects.with_number(NEW_YORK).get()
    ledger.confirm(consent=someone.consents.get(), evidence="{}", by="person", at=minutes(1))
    seal(at=LATER)
    assert _proved_together(make(someone), tmp_path) == {"consents": None}


def test_what_is_not_sealed_yet_is_named_and_hinders_nothing(life, make):
    files = make(life)
    waiting = as_json(files, "proofs.json")["not_sealed_yet"]
    assert len(waiting) > 10
    assert as_json(files, "proofs.json")["entries"] == []
    assert as_json(files, "pack.json")["not_sealed_yet"] == waiting
    assert all(uid in even(files["README.txt"].decode()) for uid in waiting)
    assert "not sealed yet" in files["README.txt"].decode()
    assert f"Notsealedyet:{len(waiting)}" in even(paper(files)[0])


@sealed
def test_what_the_trail_does_not_tell_of_is_named(life, make):
    Attempt.objects.filter(number=1).update(claim="0" * 32)
    seal(at=LATER)
    files = make(life)
    untold = as_json(files, "pack.json")["without_an_entry"]
    assert len(untold) == 5
    assert all(even(name) in even(files["README.txt"].decode()) for name in untold)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_decisions_of_a_claim_are_had_again_in_the_order_they_were_told(
    people, launched, count
):
    people(new_york(count))
    launched()
    attempts = fenced()
    entry = Entry.objects.get(verb="messages.allowed")
    claim = attempts[0].claim
    assert fence.leaves_of([claim]) == {claim: [fence._leaf(one) for one in attempts]}
    [batch] = _batches_of_attempts(timeline.life_of(kept(attempts[0]).message.subscriber))
    of_batches([batch])  # raises unless the root is the one that was told
    assert (batch.entry, batch.wanted, len(batch.leaves)) == (entry.uid, [0], count)


# --- what stands in it -------------------------------------------------------------------------


def test_the_paper_has_the_wordings_the_evidence_the_timeline_and_how_to_verify(life, make):
    pages = paper(make(life))
    text = even("".join(pages))
    for said in (
        WORDINGS["current"],
        "203.0.113.7",
        "Firefox",
        "That they held the telephone is shown by the confirmation only.",
        "By the person's own reply to the message that asked.",
        "Message of the campaign Kettle about Offers: delivered.",
        "Wrote to us; read as a STOP.",
        "“START”",
        "python -I verifier.py --proofs proofs.json --key trail.vkey",
    ):
        assert even(said) in text
    assert all(f"page {n} of {len(pages)}" in page for n, page in enumerate(pages, start=1))


def test_the_cover_says_whose_pack_it_is_and_who_made_it(life, make):
    cover = even(paper(make(life))[0])
    for said in (
        "Harbor Coffee",
        life.pseudonym,
        MASKED,
        "2026-11-24 19:00:00 UTC",
        "privacy-officer",
    ):
        assert even(said) in cover


def test_the_record_for_machines_has_every_kind_of_thing(life, make):
    events = len(timeline.of(life))
    record = as_json(make(life), "pack.json")
    assert (record["format"], record["made_by"]) == (dispute.FORMAT, "privacy-officer")
    counted = {name: len(rows) for name, rows in record.items() if isinstance(rows, list)}
    assert counted["consents"] == 4
    assert counted["refusals"] == 2
    assert counted["told_to_staff"] == 1
    assert counted["replies"] == 3
    assert counted["messages"] == 5
    assert counted["timeline"] == events
    [delivered] = [one for one in record["messages"] if one["status"] == "delivered"]
    assert delivered["attempts"][0]["receipts"][0]["status"] == "delivered"
    facts = record["consents"][0]["evidence"]["facts"]
    assert facts == {"ip_address": "203.0.113.7", "user_agent": "Safari"}


def test_the_readme_names_every_file_with_its_fingerprint(life, make):
    files = make(life)
    readme = files.pop("README.txt").decode()
    for name, content in files.items():
        assert f"{name}\n" in readme
        assert hashlib.sha256(content).hexdigest() in readme


def test_a_pack_of_the_same_is_the_same(life, officer):
    packs = []
    for _again in range(2):
        with transaction.atomic():
            packs.append(dispute.pack(life, by=officer, at=LATER))
            transaction.set_rollback(True)
    assert packs[0] == packs[1]


# --- the number --------------------------------------------------------------------------------


def _clear(files):
    """The names of the files in which the number stands in clear."""
    texts = {name: content.decode("utf-8", "replace") for name, content in files.items()}
    texts["dispute.pdf"] = "".join(paper(files))
    return {name for name, text in texts.items() if SPELLED_OUT.search(text)}


@pytest.fixture
def talkative(life, sender):
    """Someone who wrote their number in every spelling, after a note of a clerk that has it."""
    for spelled in SPELLINGS:
        write(f"my number is {spelled}", at=minutes(30))
    return life


@sealed
def test_the_number_stands_nowhere_unless_it_is_asked_for(talkative, make, tmp_path):
    seal(at=LATER)
    files = make(talkative)
    assert _clear(files) == set()
    assert MASKED in "".join(paper(files))
    spread(files, tmp_path)
    assert run(tmp_path, commands(files)[0])[0] == 0


@sealed
def test_the_number_stands_on_the_cover_if_it_is_asked_for(talkative, make):
    seal(at=LATER)
    files = make(talkative, reveal=True)
    assert even(f"Number: {NEW_YORK}") in even(paper(files)[0])
    assert as_json(files, "pack.json")["person"]["number"] == NEW_YORK
    details = [proof.get("detail") for proof in as_json(files, "proofs.json")["entries"]]
    assert CALLED in [detail["text"] for detail in details if detail]


@pytest.fixture
def on_paper(purpose, sender):
    """Someone whose signed form was typed in."""
    notice = Notice.objects.create(
        purpose=purpose,
        channel=Notice.Channel.PAPER,
        language="en",
        number=1,
        wording=WORDINGS["current"],
        fingerprint="f" * 64,
        shown_from=AT - timedelta(days=90),
        published_at=AT,
    )
    signup.sign_up_on_paper(
        scan=b"%PDF- a form",
        number=parse(NEW_YORK),
        notice=notice,
        source="shop",
        given_at=AT - timedelta(days=1),
        by="command",
        at=AT,
    )
    return Subscriber.objects.get()


def test_the_scan_of_a_form_goes_only_where_the_number_may_stand(on_paper, make):
    consent = on_paper.consents.get()
    assert list(make(on_paper)) == FILES
    revealed = make(on_paper, reveal=True)
    assert revealed[f"scan-{consent.pk}.pdf"] == b"%PDF- a form"
    fingerprint = hashlib.sha256(b"%PDF- a form").hexdigest()
    assert as_json(revealed, "pack.json")["consents"][0]["scan"] == fingerprint
    assert f"scan-{consent.pk}.pdf" in revealed["README.txt"].decode()


def test_evidence_that_spells_the_number_out_is_masked_and_its_exact_text_kept_back(person, make):
    someone = person(evidence='{"page": "tel=2125550123", "salt": "s"}')
    told = as_json(make(someone), "pack.json")["consents"][0]["evidence"]
    assert told == {"facts": {"page": f"tel={MASKED}"}, "text": None}


# --- any script --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("Grüße, ça va? Привет Ελληνικά", "Grüße, ça va? Привет Ελληνικά"),
        ("你好", "[U+4F60][U+597D]"),
        ("ok \U0001f9f6", "ok [U+1F9F6]"),
        ("a\u202eb\x07", "a[U+202E]b[U+0007]"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("one\ntwo", "onetwo"),
    ],
)
def test_any_script_prints_or_is_named(person, sender, make, written, printed):
    someone = person()
    write(written)
    assert even(f"“{printed}”") in even("".join(paper(make(someone))))


def test_a_word_without_an_end_stays_on_the_page(person, sender, make):
    someone = person()
    write("你" * 60)
    printed = "".join(paper(make(someone)))
    assert "[U+4F60]" * 60 in even(printed)
    assert max(map(len, printed.splitlines())) < 150  # a line holds fewer


# --- the act -----------------------------------------------------------------------------------


def test_that_a_pack_was_made_stands_in_the_trail_with_its_hash(life, officer):
    packed = dispute.pack(life, by=officer, at=LATER)
    entry = Entry.objects.get(verb="dispute.packed")
    assert (entry.subject, entry.actor) == (f"subscriber:{life.pk}", f"operator:{officer.pk}")
    assert entry.at == LATER
    assert entry.facts["sha256"] == hashlib.sha256(packed).hexdigest()
    assert (entry.facts["bytes"], entry.facts["number_shown"]) == (len(packed), False)
    assert sorted(entry.facts["files"]) == sorted(FILES)


def test_a_pack_is_called_by_the_pseudonym(life):
    assert dispute.file_name(life) == f"dispute-{life.pseudonym}.zip"


def test_a_pack_of_somebody_erased_can_be_made_and_tells_no_more_than_is_left(life, make, officer):
    erasure.erase(person=life, by=officer, at=LATER)
    erased = Subscriber.objects.get(pk=life.pk)
    files = make(erased, reveal=True)
    record = as_json(files, "pack.json")
    assert record["person"]["number"] == ""
    assert {one["text"] for one in record["replies"]} == {""}
    assert {str(one["evidence"]["facts"]) for one in record["consents"]} == {"{}"}
    assert not _clear(files)

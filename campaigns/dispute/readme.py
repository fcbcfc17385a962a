"""Tells in words what is in a pack, how to verify it, what it proves and what it does not."""

import hashlib
import textwrap
from collections.abc import Iterator

from django.conf import settings

from campaigns.decisions import when
from campaigns.dispute.proved import Proved
from campaigns.dispute.record import Cover

VERIFY = "python -I verifier.py --proofs proofs.json --key trail.vkey"
EVIDENCE = (
    'python -c "import hashlib, json; '
    "[print(c['consent'], hashlib.sha256(c['evidence']['text'].encode()).hexdigest()) "
    "for c in json.load(open('pack.json', encoding='utf-8'))['consents'] "
    "if c['evidence']['text']]\""
)
WORDING = (
    'python -c "import hashlib, json; '
    "[print(c['notice']['notice'], hashlib.sha256(' '.join(c['notice']['wording'].split())"
    ".encode()).hexdigest()) "
    "for c in json.load(open('pack.json', encoding='utf-8'))['consents']]\""
)
CONTENTS = {
    "dispute.pdf": "the record for people: consents with their wordings, and the timeline",
    "pack.json": "the same and more, for machines",
    "proofs.json": "the entries of the trail about this person, with proofs that they were sealed",
    "trail.vkey": "the public key of the trail",
    "verifier.py": "a program that checks the proofs; it shares no code with what wrote them",
}
HOW_TO = f"""\
Unpack the files into one directory on a machine that you trust, with Python 3.11 or later and its
package "cryptography". Then:

    {VERIFY}

Exit 0 means that everything holds, 1 that something was changed (one finding per line), 2 that the
check could not be run. Compare trail.vkey with the key that the business made known elsewhere: a
key that comes with the proofs shows only that they fit each other. With signed checkpoints kept
outside the business, add --checkpoints DIRECTORY.

The evidence of an opt-in is fixed in the trail by its SHA-256. This prints it for each consent; it
must be the "evidence" of that consent in proofs.json:

    {EVIDENCE}

The wording of a notice is fixed by its SHA-256, white space evened. This prints it; it must be the
"fingerprint" in the entry "notice.published" of that notice in proofs.json:

    {WORDING}
"""
SHOWS = """\
A proof shows that an entry with exactly this content was in the trail when the checkpoint was
signed, and that nobody has changed it since. For each message that left, it shows the decision that
allowed it, written before the message was handed over.

A proof does not show that there are no other entries about this person: only the whole trail shows
that. It does not show that what an entry says was true when it was written, nor who held the
telephone; what each way of opting in can prove stands beside each consent. The time of a checkpoint
is what its signer states. What a provider reported (receipts) is kept as it came and is not sealed.
"""
PRINTED = """\
On paper, a sign that the font lacks stands as its code point, such as [U+4F60], and writing from
right to left is set sign by sign from the left; pack.json has every text as it was written.
"""


def readme_of(cover: Cover, proved: Proved, files: dict[str, bytes]) -> str:
    """The README of a pack that holds `files`, each with its SHA-256."""
    scan = "the scan of a signed form"
    named = (
        f"{name}\n    {CONTENTS.get(name, scan)}\n    SHA-256 {hashlib.sha256(content).hexdigest()}"
        for name, content in files.items()
    )
    return "\n".join(
        [
            f"Dispute pack of {cover.person.pseudonym}, made {when(cover.at)} by {cover.by}",
            f"for {settings.BUSINESS_NAME}. Sealed in its trail: {proved.sealed}.",
            "",
            "THE FILES",
            *named,
            "",
            PRINTED,
            "HOW TO VERIFY",
            HOW_TO,
            "WHAT A PROOF SHOWS, AND WHAT IT DOES NOT",
            SHOWS,
            "WHAT IS NOT PROVED",
            *(textwrap.fill(sentence, 98) for sentence in unproved(cover, proved)),
            "",
        ]
    )


def unproved(cover: Cover, proved: Proved) -> Iterator[str]:
    """What the pack holds or leaves out without proof, one sentence each."""
    waiting = proved.document["not_sealed_yet"]
    if proved.untold:
        yield f"No entry was found in the trail of: {', '.join(proved.untold)}."
    if waiting:
        yield (
            "These entries were written, but not sealed yet, when the pack was made. A pack made "
            f"a minute later proves them: {', '.join(waiting)}."
        )
    else:
        yield "Every entry about this person that was found is sealed, and proved here."
    if not cover.reveal:
        yield (
            "The telephone number is masked. Details of entries that spell it out, and scans of "
            "forms, are left out; the proofs hold without them."
        )

"""What workers do for a list: read its parts, try its people out, take them in.

A list is a queue in the database. First its parts, rows as they were brought, are read and sorted
into shares of its people by blind index; then each share is tried out, and once an operator has
seen what would become of it, taken in. A part or a share is one transaction of whichever worker
comes first: a killed worker loses nothing but what it held, which waits again.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from django.db import DatabaseError, IntegrityError, transaction

from audit.trail import Actor
from config.encryption.ring import CannotDecrypt
from consent import admission, intake, ledger, list_rows, lists, numbers, rows
from consent.admission import Fate, Outcome
from consent.list_rows import READERS, Listed, Refusal
from consent.models import ImportRow, ListImport, ListShare, SharePiece, Suppression

log = logging.getLogger(__name__)
Stage = ListImport.Stage
REPORT = ("list_import_id", "line", "fate", "reason", "shown_as")
OPTED_OUT = Outcome(Fate.SUPPRESSED, "Opted out, and refused from now on.")
OPTED_OUT_BEFORE = Outcome(Fate.SUPPRESSED, "Had opted out already.")


def turn(*, by: Actor, at: datetime) -> bool:
    """Do the next piece of work that any list waits for; False if there is none.

    Opt-outs first: no refusal waits behind a long list of opt-ins.
    """
    waiting = ListImport.objects.at_work().order_by("-kind", "created_at")
    return any(_advanced(brought, by, at) for brought in waiting)


def _advanced(brought: ListImport, by: Actor, at: datetime) -> bool:
    """As `advance`; a list whose work fails is told of, and keeps no other from its own."""
    try:
        return advance(brought=brought, by=by, at=at)
    except (CannotDecrypt, DatabaseError) as fault:
        log.error("the work on list %s failed: %s", brought.pk, type(fault).__name__)
        return False


def run(*, brought: ListImport, by: Actor, at: datetime) -> Iterator[float]:
    """Advance one list as far as it goes by itself; yields how much of a stage is done, 0 to 1."""
    while advance(brought=brought, by=by, at=at):
        brought.refresh_from_db()
        yield brought.done


def advance(*, brought: ListImport, by: Actor, at: datetime) -> bool:
    """Do one part of a list's present stage, or end the stage; False if others do the rest."""
    if brought.stage == Stage.READING:
        return _read_part(brought) or _end(brought, Stage.TRYING)
    if brought.stage == Stage.TRYING:
        return _try_share(brought, at) or _end(brought, Stage.FORESEEN)
    if brought.stage == Stage.TAKING:
        return _take_share_again(brought, by, at) or _finish(brought, by, at)
    return False


@transaction.atomic
def _end(brought: ListImport, stage: str) -> bool:
    """Go on to the next stage, unless another worker still holds a part of this one."""
    brought.refresh_from_db(from_queryset=ListImport.objects.select_for_update(no_key=True))
    left = brought.parts.all() if stage == Stage.TRYING else brought.shares.untried()
    if not brought.may_become(stage) or left.exists():
        return False
    lists.step(brought, stage)
    return True


@transaction.atomic
def _finish(brought: ListImport, by: Actor, at: datetime) -> bool:
    """Close a list that was taken in whole; does nothing while others hold a share of it."""
    brought.refresh_from_db(from_queryset=ListImport.objects.select_for_update(no_key=True))
    if brought.stage != Stage.TAKING or brought.shares.untaken().exists():
        return False
    lists.step(brought, Stage.FINISHED, finished_at=at)
    brought.shares.all().delete()
    lists.tell("list.taken", brought, by, at, **brought.counts())
    return True


# --- reading -----------------------------------------------------------------------------------


@transaction.atomic
def _read_part(brought: ListImport) -> bool:
    part = brought.parts.order_by("number").select_for_update(skip_locked=True).first()
    if part is None:
        return False
    shares = list(brought.shares.order_by("number"))
    sorted_out: dict[int, list[Listed]] = defaultdict(list)
    refused = []
    for row in _read(brought, part.content):
        if isinstance(row, Refusal):
            refused.append((brought.pk, row.line, Fate.REFUSED, row.reason, row.shown_as))
        else:
            sorted_out[_share_of(row.opt_in.number_index, len(shares))].append(row)
    SharePiece.objects.bulk_create(
        SharePiece(share=shares[number], part=part.number, content=_kept(listed))
        for number, listed in sorted_out.items()
    )
    intake.write(ImportRow, REPORT, refused)
    part.delete()
    return True


def _read(brought: ListImport, content: str) -> Iterator[Listed | Refusal]:
    reader = READERS[brought.kind](brought)
    for line, *cells in list_rows.from_csv(content):
        yield reader.read(int(line), rows.named(brought.columns, cells))


def _share_of(index: str, shares: int) -> int:
    """All rows of one number come into one share, where they are decided in the file's order."""
    return int(index[:8], 16) * shares >> 32


def _kept(listed: list[Listed]) -> str:
    return list_rows.as_csv(row.cells() for row in listed)


def _people(share: ListShare) -> list[Listed]:
    pieces = share.pieces.order_by("part")
    return [Listed.of(cells) for one in pieces for cells in list_rows.from_csv(one.content)]


# --- trying out --------------------------------------------------------------------------------


@transaction.atomic
def _try_share(brought: ListImport, at: datetime) -> bool:
    """Report what would become of a share if it were taken in now; nobody is touched."""
    share = brought.shares.untried().order_by("number").select_for_update(skip_locked=True).first()
    if share is None:
        return False
    listed = _people(share)
    outcomes = _foreseen(brought, listed, at)
    _report(brought, listed, outcomes)
    share.tried_at, share.foreseen = at, _digest(outcomes)
    share.save(update_fields=["tried_at", "foreseen"])
    return True


def _foreseen(brought: ListImport, listed: list[Listed], at: datetime) -> list[Outcome]:
    opt_ins = [row.opt_in for row in listed]
    if brought.kind == ListImport.Kind.OPT_OUTS:
        return _foreseen_opt_outs([opt_in.number_index for opt_in in opt_ins])
    assert brought.purpose is not None  # the database says so
    admitted = admission.of(opt_ins, purpose=brought.purpose, at=at, lock=False)
    return admitted.decide_all(opt_ins)


def _foreseen_opt_outs(indexes: list[str]) -> list[Outcome]:
    standing = Suppression.objects.standing().filter(purpose=None, number_index__among=set(indexes))
    before, outcomes = set(standing.values_list("number_index", flat=True)), []
    for index in indexes:
        outcomes.append(OPTED_OUT_BEFORE if index in before else OPTED_OUT)
        before.add(index)
    return outcomes


def _report(brought: ListImport, listed: list[Listed], outcomes: list[Outcome]) -> None:
    told = [
        (
            brought.pk,
            row.line,
            outcome.fate,
            f"{outcome.reason} {row.remark}".strip(),
            numbers.masked(row.opt_in.e164),
        )
        for row, outcome in zip(listed, outcomes, strict=True)
    ]
    intake.write(ImportRow, REPORT, told)


def _digest(outcomes: list[Outcome]) -> str:
    told = "\n".join(outcome.reason or outcome.fate for outcome in outcomes)
    return hashlib.sha256(told.encode()).hexdigest()


# --- taking in ---------------------------------------------------------------------------------


def _take_share_again(brought: ListImport, by: Actor, at: datetime) -> bool:
    """Take a share in, twice if somebody signed up meanwhile with a number that was new to us."""
    try:
        return _take_share(brought, by, at)
    except IntegrityError:
        return _take_share(brought, by, at)


@transaction.atomic
def _take_share(brought: ListImport, by: Actor, at: datetime) -> bool:
    share = brought.shares.untaken().order_by("number").select_for_update(skip_locked=True).first()
    if share is None:
        return False
    listed = _people(share)
    outcomes = _taken(brought, listed, by, at)
    if _digest(outcomes) != share.foreseen:
        _report_anew(brought, listed, outcomes)
    share.taken_at = at
    share.save(update_fields=["taken_at"])
    share.pieces.all().delete()
    return True


def _taken(brought: ListImport, listed: list[Listed], by: Actor, at: datetime) -> list[Outcome]:
    opt_ins = [row.opt_in for row in listed]
    if brought.kind == ListImport.Kind.OPT_OUTS:  # of everything, whatever purpose was chosen
        ledger.hold({opt_in.number_index for opt_in in opt_ins})
        return [_opted_out(opt_in.number_index, by, at) for opt_in in opt_ins]
    assert brought.purpose is not None  # the database says so
    source = f"list:{brought.pk}"
    return ledger.admit(opt_ins=opt_ins, purpose=brought.purpose, source=source, by=by, at=at)


def _opted_out(index: str, by: Actor, at: datetime) -> Outcome:
    new = ledger.withdraw(
        number_index=index,
        channel=Suppression.Channel.PROVIDER,
        reason="on a list of opt-outs",
        by=by,
        at=at,
    )
    return OPTED_OUT if new else OPTED_OUT_BEFORE


def _report_anew(brought: ListImport, listed: list[Listed], outcomes: list[Outcome]) -> None:
    """Something has changed since the list was tried out; what counts is what was done."""
    brought.rows.filter(line__among=[row.line for row in listed]).delete()
    _report(brought, listed, outcomes)

"""Takes lists of opt-ins and opt-outs through their life: brought, read, tried out, taken in.

Operators decide the steps here; workers do what lies between them (`consent.list_work`).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO

from django.core.exceptions import ValidationError
from django.db import transaction

from audit import trail
from audit.models import Operator
from audit.trail import Actor
from consent import list_rows, rows, sheets
from consent.models import ListImport, ListPart, ListShare, Method, Purpose

Stage = ListImport.Stage
PART = 20_000  # rows of the file that are read at once
SHARE = 5_000  # rows, about, of the people who are decided at once
SET_BY_US = ["stage", "form", "headings", "columns", "imported_by", "created_at", "finished_at"]
LONGEST_HEADING = 80

NO_PHONE = "Say which column holds the telephone numbers."
NO_DATE = "Say which column holds when people opted in; without a date nothing can be proved."
NO_NAMES = (
    "The first line holds a number or an address of somebody. Write the names of the columns there."
)
OTHER_COLUMNS = "These are not the columns of this list. Load the page again."
TWICE = "Two columns cannot both be the {meaning}."


class StepRefused(Exception):
    """A step that this list cannot take now; the text says why."""


# --- bringing ----------------------------------------------------------------------------------


@transaction.atomic
def bring(
    *,
    file: BinaryIO,
    kind: ListImport.Kind,
    purpose: Purpose | None,
    label: str,
    by: Actor,
    at: datetime,
    method: Method = Method.WEB_FORM,
    country: str = "US",
) -> ListImport:
    """Keep a list, encrypted part by part, with a guess of what its columns mean.

    Holds a part in memory, never the file. Raises sheets.NotAList for what is no list,
    ValidationError for a label or country that will not do.
    """
    sheet = sheets.read(file)
    if any(trail.looks_personal(heading) for heading in sheet.headings):
        raise sheets.NotAList(NO_NAMES)
    brought = ListImport(
        kind=kind,
        purpose=purpose,
        label=label,
        method=method,
        country=country,
        form=sheet.form,
        headings=[heading[:LONGEST_HEADING] for heading in sheet.headings],
        columns=_remembered(label, sheet.headings) or rows.guess(sheet.headings),
        imported_by=by if isinstance(by, Operator) else None,
        created_at=at,
    )
    brought.full_clean(exclude=SET_BY_US)
    if trail.looks_personal(label):
        raise ValidationError({"label": "A source names a list, not a person or a number."})
    brought.save()
    _keep(brought, sheet.rows)
    brought.save(update_fields=["lines", "part_count"])
    tell("list.brought", brought, by, at, kind=kind, lines=brought.lines)
    return brought


def _remembered(label: str, headings: Sequence[str]) -> list[str] | None:
    """What the same columns of the same source meant the last time somebody said so."""
    named = [heading[:LONGEST_HEADING] for heading in headings]
    before = ListImport.objects.filter(label=label).exclude(
        stage__in=[Stage.BROUGHT, Stage.DISCARDED]
    )
    last = before.filter(headings=named).order_by("-created_at").first()
    return last.columns if last else None


def _keep(brought: ListImport, listed: Iterator[tuple[int, list[str]]]) -> None:
    while some := list(islice(listed, PART)):
        content = list_rows.as_csv([line, *cells] for line, cells in some)
        ListPart.objects.create(list_import=brought, number=brought.part_count, content=content)
        brought.part_count += 1
        brought.lines += len(some)


@transaction.atomic
def read_as(*, brought: ListImport, columns: Sequence[str], by: Actor, at: datetime) -> None:
    """Fix what the columns mean and have the list read and tried out.

    Raises ValidationError if no column holds numbers, or dates of opt-ins, or two mean the same;
    StepRefused if it was read before.
    """
    _require_meaning(brought, columns)
    step(brought, Stage.READING, columns=list(columns))
    shares = max(1, -(-brought.lines // SHARE))
    ListShare.objects.bulk_create(
        ListShare(list_import=brought, number=number) for number in range(shares)
    )
    meanings = sorted(filter(None, columns))
    tell("list.mapped", brought, by, at, columns=meanings, dropped=len(brought.left_out))


def _require_meaning(brought: ListImport, columns: Sequence[str]) -> None:
    meant = [meaning for meaning in columns if meaning]
    if set(meant) - set(rows.MEANINGS) or len(columns) != len(brought.headings):
        raise ValidationError(OTHER_COLUMNS)
    if "phone" not in meant:
        raise ValidationError(NO_PHONE)
    if brought.kind == ListImport.Kind.OPT_INS and "given_at" not in meant:
        raise ValidationError(NO_DATE)
    if twice := next((meaning for meaning in meant if meant.count(meaning) > 1), None):
        raise ValidationError(TWICE.format(meaning=rows.MEANINGS[twice]))


@transaction.atomic
def begin(*, brought: ListImport, by: Actor, at: datetime) -> None:
    """Have a list taken in that was tried out. Raises StepRefused."""
    step(brought, Stage.TAKING)
    tell("list.begun", brought, by, at)


@transaction.atomic
def discard(*, brought: ListImport, by: Actor, at: datetime) -> None:
    """Forget a list that was not taken in, with everything it held. Raises StepRefused."""
    step(brought, Stage.DISCARDED)
    brought.parts.all().delete()  # waits for a worker that reads one of them
    brought.shares.all().delete()  # or that tries one out
    brought.rows.all().delete()
    tell("list.discarded", brought, by, at)


def step(brought: ListImport, stage: str, **changes: Any) -> None:
    """Take a list on to a stage. Raises StepRefused if it has moved on meanwhile."""
    brought.refresh_from_db(from_queryset=ListImport.objects.select_for_update(no_key=True))
    if not brought.may_become(stage):
        raise StepRefused(
            f"This list is {brought.get_stage_display()}. Load the page again to see where it is."
        )
    for name, value in {**changes, "stage": stage}.items():
        setattr(brought, name, value)
    brought.save(update_fields=["stage", *changes])


def tell(verb: str, brought: ListImport, by: Actor, at: datetime, **facts: Any) -> None:
    """Write what was done with a list into the trail."""
    trail.record(verb=verb, subject=f"list:{brought.pk}", by=by, at=at, facts=facts)

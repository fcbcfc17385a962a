"""Takes in lists of opt-ins and opt-outs: every row meets one fate, with a reason in words."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.functional import cached_property

from audit import trail
from audit.models import Operator
from audit.trail import Actor
from config.encryption import blind_index
from consent import ledger, numbers, rows
from consent.ledger import Fate, OptIn, Outcome
from consent.models import ImportRow, ListImport, Method, Notice, Purpose, Subscriber, Suppression
from consent.numbers import Number, NumberRefused
from consent.wording import fingerprint

CHUNK = 500
SET_BY_US = ["content", "columns_left_out", "imported_by", "created_at", "finished_at"]
LARGEST = 10 * 1024 * 1024  # bytes

NOT_AGREED = "The row says that this person did not agree to messages."
NO_DATE = "The row does not say when the person opted in."
NO_SUCH_DATE = "The date of the opt-in does not exist or cannot be read."
IN_FUTURE = "The date of the opt-in lies in the future."
NO_METHOD = "The row names a way of opting in that is not known here."
NO_WORDING = "No wording is on record that was shown at that time in the person's language."
UNKNOWN_WORDING = "The wording in the row is not on record; publish it as a notice first."
WORDING_LACKS = "The wording that this person agreed to does not state {missing}."
OPTED_OUT = "Opted out, and refused from now on."
OPTED_OUT_BEFORE = "Had opted out already."


class RowRefused(ValueError):
    """A row that cannot be evidence of consent; the text says why, for a clerk."""


@transaction.atomic
def bring(
    *,
    raw: bytes,
    kind: ListImport.Kind,
    purpose: Purpose | None,
    label: str,
    by: Actor,
    at: datetime,
    method: Method = Method.WEB_FORM,
    country: str = "US",
) -> ListImport:
    """Keep a list, encrypted, until it has been taken in.

    Raises rows.NotAList for what is no list, ValidationError for a label or country that will not
    do.
    """
    if len(raw) > LARGEST:
        raise rows.NotAList("The file is larger than 10 MB. Split it and bring its parts.")
    content = rows.text_of(raw)
    table = rows.read(content)
    brought = ListImport(
        kind=kind,
        purpose=purpose,
        label=label,
        method=method,
        country=country,
        content=content,
        lines=len(table.rows),
        columns_left_out=[_impersonal(heading) for heading in table.left_out],
        imported_by=by if isinstance(by, Operator) else None,
        created_at=at,
    )
    brought.full_clean(exclude=SET_BY_US)
    if trail.looks_personal(label):
        raise ValidationError({"label": "A label names a list, not a person or a number."})
    brought.save()
    facts = {"kind": kind, "lines": brought.lines, "columns_left_out": len(table.left_out)}
    trail.record(verb="list.brought", subject=f"list:{brought.pk}", by=by, at=at, facts=facts)
    return brought


def _impersonal(heading: str) -> str:
    return "…" if trail.looks_personal(heading) else heading


def take(*, brought: ListImport, by: Actor, at: datetime) -> Iterator[int]:
    """Take in the rest of a list, a chunk a transaction; yields the lines taken so far.

    May be stopped anywhere and called again: what a chunk did stands with its rows' fates.
    """
    if brought.finished_at:
        return
    listed = list(rows.read(brought.content).rows)
    take_row = _TAKERS[ListImport.Kind(brought.kind)]
    # Cut anew each time: another worker may have moved `taken` on.
    while chunk := listed[brought.taken : brought.taken + CHUNK]:
        take_chunk(brought, chunk, take_row, by, at)
        yield brought.taken
    finish(brought=brought, by=by, at=at)


Taker = Callable[["ListImport", list[dict[str, str]], Actor, datetime], list["Taken"]]


@dataclass(frozen=True, slots=True)
class Taken:
    """The fate of one row, and how its number may be shown."""

    outcome: Outcome
    shown_as: str = ""


@transaction.atomic
def take_chunk(
    brought: ListImport, chunk: list[dict[str, str]], taker: Taker, by: Actor, at: datetime
) -> None:
    """One chunk with its fates, or nothing of it."""
    locked = ListImport.objects.select_for_update().get(pk=brought.pk)
    if locked.taken != brought.taken:
        brought.refresh_from_db(fields=["taken", "finished_at"])
        return
    fates = taker(brought, chunk, by, at)
    first = brought.taken + 2  # the heading is line 1
    ImportRow.objects.bulk_create(
        ImportRow(
            list_import=brought,
            line=first + offset,
            fate=taken.outcome.fate,
            reason=taken.outcome.reason,
            shown_as=taken.shown_as,
        )
        for offset, taken in enumerate(fates)
    )
    brought.taken += len(chunk)
    brought.save(update_fields=["taken"])


@transaction.atomic
def finish(*, brought: ListImport, by: Actor, at: datetime) -> None:
    """Close a list that was taken in whole, and forget the file."""
    ListImport.objects.select_for_update().get(pk=brought.pk)
    brought.refresh_from_db(fields=["taken", "lines", "finished_at"])
    if brought.finished_at or brought.taken < brought.lines:
        return
    brought.finished_at = at
    brought.content = ""
    brought.save(update_fields=["finished_at", "content"])
    trail.record(
        verb="list.taken", subject=f"list:{brought.pk}", by=by, at=at, facts=brought.counts()
    )


# --- people who opted in -----------------------------------------------------------------------


def _take_opt_ins(
    brought: ListImport, chunk: list[dict[str, str]], by: Actor, at: datetime
) -> list[Taken]:
    assert brought.purpose is not None  # the database says so
    reader = _OptInReader(brought, brought.purpose, at)
    readings = [reader.read(row) for row in chunk]
    opt_ins = [reading.opt_in for reading in readings if reading.opt_in]
    outcomes = iter(ledger.enrol(opt_ins=opt_ins, purpose=brought.purpose, by=by, at=at))
    return [reading.taken(next(outcomes) if reading.opt_in else None) for reading in readings]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a row came to: an opt-in to decide on, or a refusal."""

    opt_in: OptIn | None = None
    refusal: str = ""
    note: str = ""
    shown_as: str = ""

    def taken(self, outcome: Outcome | None) -> Taken:
        if outcome is None:
            return Taken(Outcome(Fate.REFUSED, self.refusal), self.shown_as)
        reason = " ".join(filter(None, [outcome.reason, self.note]))
        return Taken(Outcome(outcome.fate, reason), self.shown_as)


@dataclass
class _OptInReader:
    """Reads rows of one list as opt-ins to its purpose."""

    brought: ListImport
    purpose: Purpose
    at: datetime

    @cached_property
    def notices(self) -> list[Notice]:
        return list(self.purpose.notices.order_by("-shown_from"))

    def read(self, row: dict[str, str]) -> _Reading:
        shown_as = ""
        try:
            number = _number(row, self.brought)
            shown_as = numbers.masked(number.e164)
            return self._opt_in(row, number, shown_as)
        except (NumberRefused, RowRefused) as refusal:
            return _Reading(refusal=str(refusal), shown_as=shown_as)

    def _opt_in(self, row: dict[str, str], number: Number, shown_as: str) -> _Reading:
        if "agreed" in row and not rows.says_yes(row["agreed"]):
            raise RowRefused(NOT_AGREED)
        given_at = self._given_at(row)
        language = row.get("language", "").casefold()[:2] or "en"
        name, note = rows.first_name(row.get("first_name", ""))
        opt_in = OptIn(
            number=number,
            notice=self._notice(row, language, given_at),
            method=self._method(row),
            source=self._source(row),
            given_at=given_at,
            confirmed_at=given_at if rows.says_yes(row.get("confirmed", "")) else None,
            evidence=_evidence(row),
            region=row.get("region", ""),
            language=language,
            first_name=name,
        )
        return _Reading(opt_in, note=note, shown_as=shown_as)

    def _given_at(self, row: dict[str, str]) -> datetime:
        if not row.get("given_at"):
            raise RowRefused(NO_DATE)
        given_at = rows.instant(row["given_at"])
        if given_at is None:
            raise RowRefused(NO_SUCH_DATE)
        if given_at > self.at:
            raise RowRefused(IN_FUTURE)
        return given_at

    def _method(self, row: dict[str, str]) -> Method:
        named = row.get("method") or self.brought.method
        if named not in {Method.WEB_FORM, Method.KEYWORD, Method.PAPER_FORM}:
            raise RowRefused(NO_METHOD)
        return Method(named)

    def _source(self, row: dict[str, str]) -> str:
        """Where the opt-in was given, without the part of an address that may name a person."""
        source = row.get("source", "").partition("?")[0].partition("#")[0][:120]
        return self.brought.label if trail.looks_personal(source) else source or self.brought.label

    def _notice(self, row: dict[str, str], language: str, given_at: datetime) -> Notice:
        notice = (
            self._quoted(row["wording"]) if row.get("wording") else self._shown(language, given_at)
        )
        if lacking := notice.missing_essentials:
            raise RowRefused(WORDING_LACKS.format(missing=" nor ".join(lacking)))
        return notice

    def _quoted(self, wording: str) -> Notice:
        wanted = fingerprint(wording)
        found = next((notice for notice in self.notices if notice.fingerprint == wanted), None)
        if found is None:
            raise RowRefused(UNKNOWN_WORDING)
        return found

    def _shown(self, language: str, given_at: datetime) -> Notice:
        for notice in self.notices:
            if notice.language == language and notice.shown_from <= given_at:
                return notice
        raise RowRefused(NO_WORDING)


def _number(row: dict[str, str], brought: ListImport) -> Number:
    country = row.get("country", "").upper()
    return numbers.parse(row.get("phone", ""), country=country or brought.country)


def _evidence(row: dict[str, str]) -> str:
    """What the row proves beyond the wording: where the form was sent from."""
    kept = {name: row[name][:300] for name in ("ip_address", "user_agent") if row.get(name)}
    return json.dumps(kept, ensure_ascii=False) if kept else ""


# --- people who opted out ----------------------------------------------------------------------


def _take_opt_outs(
    brought: ListImport, chunk: list[dict[str, str]], by: Actor, at: datetime
) -> list[Taken]:
    read = [_number_or_refusal(row, brought) for row in chunk]
    indexes = {blind_index.of(number.e164) for number in read if isinstance(number, Number)}
    list(Subscriber.objects.filter(number_index__in=indexes).in_lock_order())  # all before any
    return [_take_opt_out(number, by, at) for number in read]


def _number_or_refusal(row: dict[str, str], brought: ListImport) -> Number | NumberRefused:
    try:
        return _number(row, brought)
    except NumberRefused as refusal:
        return refusal


def _take_opt_out(number: Number | NumberRefused, by: Actor, at: datetime) -> Taken:
    if isinstance(number, NumberRefused):
        return Taken(Outcome(Fate.REFUSED, str(number)))
    new = ledger.withdraw(
        number_index=blind_index.of(number.e164),
        channel=Suppression.Channel.PROVIDER,
        reason="on a list of opt-outs",
        by=by,
        at=at,
    )
    outcome = Outcome(Fate.SUPPRESSED, OPTED_OUT if new else OPTED_OUT_BEFORE)
    return Taken(outcome, numbers.masked(number.e164))


_TAKERS: dict[ListImport.Kind, Taker] = {
    ListImport.Kind.OPT_INS: _take_opt_ins,
    ListImport.Kind.OPT_OUTS: _take_opt_outs,
}

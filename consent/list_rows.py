"""Reads the rows of one list as opt-ins or opt-outs, or refuses them in words."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from audit import trail
from consent import evidence, numbers, rows
from consent.intake import OptIn
from consent.models import ListImport, Method, Notice
from consent.numbers import Number, NumberRefused
from consent.wording import fingerprint

NOT_AGREED = "The row says that this person did not agree to messages."
NO_DATE = "The row does not say when the person opted in."
NO_SUCH_DATE = "The date of the opt-in does not exist or cannot be read."
IN_FUTURE = "The date of the opt-in lies in the future."
NO_METHOD = "The row names a way of opting in that is not known here."
NO_WORDING = "No wording is on record that was shown there, at that time, in that language."
UNKNOWN_WORDING = "The wording in the row is not on record; publish it as a notice first."
WORDING_LACKS = "The wording that this person agreed to does not state {missing}."
IN_LISTS = frozenset({Method.WEB_FORM, Method.KEYWORD, Method.PAPER_FORM})


class RowRefused(ValueError):
    """A row that cannot be evidence of consent; the text says why, for a clerk."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was not read, and how its number may be shown."""

    line: int
    reason: str
    shown_as: str = ""


class Listed(NamedTuple):
    """A row that could be read: its line, the opt-in it tells of, and what was left out of it."""

    line: int
    opt_in: OptIn
    remark: str = ""

    def cells(self) -> list[Any]:
        """The row as it is kept, sealed, until it is decided."""
        one = self.opt_in
        when = [at.isoformat() if at else "" for at in (one.given_at, one.confirmed_at)]
        told = (one.notice_id, one.method, one.source, *when, one.evidence, one.region)
        return [
            self.line,
            self.remark,
            one.number_index,
            one.e164,
            *told,
            one.language,
            one.first_name,
        ]

    @classmethod
    def of(cls, cells: list[str]) -> "Listed":
        """The row that `cells` are."""
        line, remark, index, e164, notice, method, source, given, confirmed, *rest = cells
        opt_in = OptIn(
            index,
            e164,
            int(notice),
            method,
            source,
            datetime.fromisoformat(given),
            datetime.fromisoformat(confirmed) if confirmed else None,
            None,
            *rest,
        )
        return cls(int(line), opt_in, remark)


def as_csv(cells: Iterable[Iterable[Any]]) -> str:
    """Rows as text, to be kept sealed."""
    content = io.StringIO(newline="")
    csv.writer(content).writerows(cells)
    return content.getvalue()


def from_csv(content: str) -> Iterator[list[str]]:
    """The rows that `as_csv` wrote."""
    return csv.reader(io.StringIO(content, newline=""))


@dataclass
class OptInReader:
    """Reads rows as opt-ins to the purpose of one list, as of the time it was brought."""

    brought: ListImport

    @cached_property
    def notices(self) -> list[Notice]:
        assert self.brought.purpose is not None  # the database says so
        return list(self.brought.purpose.notices.order_by("-shown_from"))

    @cached_property
    def by_fingerprint(self) -> dict[str, Notice]:
        """What a row quotes was shown to the person, wherever else it is shown as well."""
        return {notice.fingerprint: notice for notice in self.notices}

    @cached_property
    def lacking(self) -> dict[int, str]:
        """What keeps a notice from being evidence, in words."""
        return {notice.pk: " nor ".join(notice.missing_essentials) for notice in self.notices}

    def read(self, line: int, row: dict[str, str]) -> Listed | Refusal:
        number = None
        try:
            number = _number(row, self.brought)
            return self._listed(line, row, number)
        except (NumberRefused, RowRefused) as refusal:
            return Refusal(line, str(refusal), str(number) if number else "")

    def _listed(self, line: int, row: dict[str, str], number: Number) -> Listed:
        if "agreed" in row and not rows.says_yes(row["agreed"]):
            raise RowRefused(NOT_AGREED)
        given_at = self._given_at(row)
        language = row.get("language", "").casefold()[:2] or "en"
        method = self._method(row)
        name, remark = rows.first_name(row.get("first_name", ""))
        opt_in = OptIn.of(
            number,
            notice_id=self._notice(row, method, language, given_at),
            method=method,
            source=_source(row.get("source", ""), self.brought.label),
            given_at=given_at,
            confirmed_at=given_at if rows.says_yes(row.get("confirmed", "")) else None,
            evidence=_evidence(row),
            region=row.get("region", "")[:3],
            language=language,
            first_name=name,
        )
        return Listed(line, opt_in, remark)

    def _given_at(self, row: dict[str, str]) -> datetime:
        if not row.get("given_at"):
            raise RowRefused(NO_DATE)
        given_at = rows.instant(row["given_at"])
        if given_at is None:
            raise RowRefused(NO_SUCH_DATE)
        if given_at > self.brought.created_at:
            raise RowRefused(IN_FUTURE)
        return given_at

    def _method(self, row: dict[str, str]) -> Method:
        named = row.get("method") or self.brought.method
        if named not in IN_LISTS:
            raise RowRefused(NO_METHOD)
        return Method(named)

    def _notice(
        self, row: dict[str, str], method: Method, language: str, given_at: datetime
    ) -> int:
        channel = Notice.CHANNEL_OF[method]
        quoted = row.get("wording")
        notice = self._quoted(quoted) if quoted else self._shown(channel, language, given_at)
        if lacking := self.lacking[notice.pk]:
            raise RowRefused(WORDING_LACKS.format(missing=lacking))
        return notice.pk

    def _quoted(self, wording: str) -> Notice:
        notice = self.by_fingerprint.get(_fingerprint(wording))
        if notice is None:
            raise RowRefused(UNKNOWN_WORDING)
        return notice

    def _shown(self, channel: str, language: str, given_at: datetime) -> Notice:
        for notice in self.notices:
            if (
                notice.channel == channel
                and notice.language == language
                and notice.shown_from <= given_at
            ):
                return notice
        raise RowRefused(NO_WORDING)


@dataclass
class OptOutReader:
    """Reads rows as numbers that refuse messages; nothing else of them is wanted."""

    brought: ListImport

    def read(self, line: int, row: dict[str, str]) -> Listed | Refusal:
        try:
            number = _number(row, self.brought)
        except NumberRefused as refusal:
            return Refusal(line, str(refusal))
        at = self.brought.created_at
        return Listed(line, OptIn.of(number, notice_id=0, method="", source="", given_at=at))


Reader = OptInReader | OptOutReader
READERS: dict[str, type[Reader]] = {
    ListImport.Kind.OPT_INS: OptInReader,
    ListImport.Kind.OPT_OUTS: OptOutReader,
}


def _number(row: dict[str, str], brought: ListImport) -> Number:
    country = row.get("country", "").upper()
    return numbers.parse(row.get("phone", ""), country=country or brought.country)


@lru_cache(maxsize=64)
def _fingerprint(wording: str) -> str:
    return fingerprint(wording)


@lru_cache(maxsize=256)
def _source(written: str, label: str) -> str:
    """Where the opt-in was given, without the part of an address that may name a person."""
    source = written.partition("?")[0].partition("#")[0][:120]
    return label if trail.looks_personal(source) else source or label


def _evidence(row: dict[str, str]) -> str:
    """What the row proves beyond the wording: where the form was sent from."""
    told = {name: row[name] for name in ("ip_address", "user_agent") if row.get(name)}
    return evidence.told_by_a_list(told)

"""Fixtures for tests of consent: opt-ins, opt-outs and lists in one line each."""

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import pytest

from audit.trail import Actor
from config.encryption import blind_index
from consent import ledger, list_work, lists, numbers, purposes
from consent.admission import Outcome
from consent.intake import OptIn
from consent.models import ListImport, Method, Notice, Purpose, Subscriber, Suppression
from tests.conftest import WORDINGS

ADA, BOB = "+12125550123", "+12125550124"

Draft = Callable[..., OptIn]
Enrolling = Callable[..., list[Outcome]]
Withdraw = Callable[..., bool]
Restore = Callable[..., int]
Permitted = Callable[..., bool]
TakeIn = Callable[..., ListImport]


@pytest.fixture
def news(db: None, at: datetime) -> Purpose:
    """A second purpose, which asks for no confirmation."""
    return purposes.define(
        code="news",
        name="News",
        promise="What is new.",
        frequency=1,
        period=Purpose.Period.WEEK,
        double_opt_in=False,
        by="command",
        at=at,
    )


@pytest.fixture
def news_notice(news: Purpose, notice: Notice, at: datetime) -> Notice:
    return purposes.publish(
        purpose=news,
        language="en",
        wording=WORDINGS["current"],
        shown_from=notice.shown_from,
        by="command",
        at=at,
    )


@pytest.fixture
def draft(notice: Notice, at: datetime) -> Draft:
    """An opt-in of thirty days ago that was not confirmed; nothing is written."""

    def opt_in(number: str = ADA, **more: Any) -> OptIn:
        about = more.pop("notice", notice)
        usual = {"notice_id": about.pk, "method": Method.WEB_FORM, "source": "till"}
        fields = {**usual, "given_at": at - timedelta(days=30), **more}
        return OptIn.of(numbers.parse(number), **fields)

    return opt_in


@pytest.fixture
def enrol(purpose: Purpose, at: datetime) -> Enrolling:
    def enrolled(*opt_ins: OptIn, by: Actor = "command") -> list[Outcome]:
        return ledger.enrol(opt_ins=opt_ins, purpose=purpose, by=by, at=at)

    return enrolled


@pytest.fixture
def withdraw(db: None, at: datetime) -> Withdraw:
    def withdrawn(number: str = ADA, **more: Any) -> bool:
        usual = {"channel": Suppression.Channel.SMS, "reason": "test", "by": "person", "at": at}
        return ledger.withdraw(number_index=blind_index.of(number), **{**usual, **more})

    return withdrawn


@pytest.fixture
def restore(db: None, at: datetime) -> Restore:
    def restored(number: str = ADA, **more: Any) -> int:
        usual = {"evidence": "reply 7", "by": "person", "at": at}
        return ledger.restore(number_index=blind_index.of(number), **{**usual, **more})

    return restored


@pytest.fixture
def permitted(purpose: Purpose, at: datetime) -> Permitted:
    """Whether a number may be messaged."""

    def may(number: str = ADA, *, about: Purpose = purpose) -> bool:
        return Subscriber.objects.reachable(about, at=at).with_number(number).exists()

    return may


def as_csv(*rows: dict[str, str]) -> bytes:
    """A file of these rows, with a column for every cell that one of them has."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(chain(*rows))))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


@pytest.fixture
def bring(purpose: Purpose, notice: Notice, at: datetime) -> TakeIn:
    """Keeps a file; a list of opt-ins to the purpose, unless told otherwise."""

    def brought(raw: bytes, *, kind: str = "opt_ins", **more: Any) -> ListImport:
        about = purpose if kind == "opt_ins" else None
        usual = {"purpose": about, "label": "shop export", "by": "command", "at": at}
        return lists.bring(file=io.BytesIO(raw), kind=ListImport.Kind(kind), **{**usual, **more})

    return brought


def taken_in(brought: ListImport, at: datetime) -> ListImport:
    """Has a list read, tried out and taken in."""
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=at)
    for _done in list_work.run(brought=brought, by="command", at=at):
        pass
    lists.begin(brought=brought, by="command", at=at)
    for _done in list_work.run(brought=brought, by="command", at=at):
        pass
    return brought


@pytest.fixture
def take_in(bring: TakeIn, at: datetime) -> TakeIn:
    """Keeps a file and takes all of it in."""

    def taken(raw: bytes, **more: Any) -> ListImport:
        return taken_in(bring(raw, **more), at)

    return taken

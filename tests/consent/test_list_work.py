"""A list comes to the same end however it is cut and whoever works at it, stops or is killed."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from typing import Any, NamedTuple

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audit.models import Entry
from audit.trail import NotRecorded
from config.encryption import blind_index
from consent import intake, list_work, lists
from consent.admission import CONFIRMED, MERGED, SUPPRESSED, WITHDRAWN
from consent.intake import OptIn
from consent.list_rows import Listed, as_csv, from_csv
from consent.list_work import OPTED_OUT, OPTED_OUT_BEFORE
from consent.models import (
    Consent,
    ImportRow,
    ListImport,
    ListPart,
    SharePiece,
    Subscriber,
    Suppression,
)
from consent.numbers import SENTENCES, Reason
from tests.conftest import AT, Enrol
from tests.consent.conftest import ADA, BOB, Draft, Enrolling, TakeIn, Withdraw
from tests.consent.conftest import as_csv as as_file

DAY = timedelta(days=1)
PATIENCE = 20.0  # seconds
Stage = ListImport.Stage
Report = list[tuple[int, str, str]]
Row = Callable[..., dict[str, str]]
# Other workers of this test run have databases of their own on the same server.
WAITING = """
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND datname = current_database()
"""


@pytest.fixture
def row(at: datetime) -> Row:
    """A row that is accepted; other cells may be put in their place."""

    def cells(phone: str = ADA, **more: str) -> dict[str, str]:
        opted_in = (at - 30 * DAY).isoformat()
        return {"phone": phone, "opted_in_at": opted_in, "confirmed": "yes", **more}

    return cells


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts and shares of two rows."""
    monkeypatch.setattr(lists, "PART", 2)
    monkeypatch.setattr(lists, "SHARE", 2)


def people(row: Row, number: int) -> bytes:
    """A list of so many people."""
    return as_file(*(row(f"+121255501{line:02}") for line in range(number)))


def loaded(brought: ListImport) -> ListImport:
    """The list as another process finds it."""
    return ListImport.objects.get(pk=brought.pk)


def to_read(brought: ListImport) -> ListImport:
    """With the meaning of its columns said."""
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=AT)
    return brought


def worked(brought: ListImport, *, at: datetime = AT) -> ListImport:
    """Done by a worker as far as it goes by itself."""
    for _done in list_work.run(brought=brought, by="worker", at=at):
        pass
    return brought


def begun(brought: ListImport) -> ListImport:
    """Read, tried out, and begun by an operator."""
    lists.begin(brought=worked(to_read(brought)), by="command", at=AT)
    return brought


def advance(brought: ListImport) -> bool:
    return list_work.advance(brought=loaded(brought), by="worker", at=AT)


def report(brought: ListImport) -> Report:
    return list(brought.rows.order_by("line").values_list("line", "fate", "reason"))


def open_people() -> set[str]:
    open_consents = Consent.objects.open().select_related("subscriber")
    return {consent.subscriber.number or "" for consent in open_consents}


@contextmanager
def at_once(*works: Callable[[], Any]) -> Iterator[None]:
    """All of these in threads with connections of their own, which have ended afterwards."""

    def working(work: Callable[[], Any]) -> None:
        with closing(connection):
            work()

    with ThreadPoolExecutor(len(works)) as workers:
        running = [workers.submit(working, work) for work in works]
        yield
        for one in running:
            one.result(timeout=3 * PATIENCE)


def wait_until_someone_waits() -> None:
    for _time in range(int(PATIENCE / 0.05)):
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return
        threading.Event().wait(0.05)
    pytest.fail("nobody ever came to wait")


def only_on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer and locks no rows")


# --- from stage to stage -----------------------------------------------------------------------


@pytest.mark.usefixtures("pairs")
def test_a_list_goes_from_stage_to_stage_by_itself_and_waits_for_the_operator(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    brought = to_read(bring(people(row, 5)))
    assert (brought.parts.count(), brought.shares.count()) == (3, 3)
    seen = []
    for done in list_work.run(brought=brought, by="worker", at=at):
        seen.append((brought.stage, round(done, 2)))
    assert seen == [
        *((Stage.READING, done) for done in (0.33, 0.67, 1.0)),
        *((Stage.TRYING, done) for done in (0.0, 0.33, 0.67, 1.0)),
        (Stage.FORESEEN, 0.0),
    ]
    assert not advance(brought)
    lists.begin(brought=brought, by="command", at=at)
    done = list(list_work.run(brought=brought, by="worker", at=at))
    assert [round(one, 2) for one in done] == [0.33, 0.67, 1.0, 1.0]
    assert (brought.stage, brought.finished_at) == (Stage.FINISHED, at)
    assert not advance(brought)


@pytest.mark.usefixtures("pairs")
def test_lists_of_opt_outs_come_first_and_then_the_oldest(
    bring: TakeIn, row: Row, at: datetime
) -> None:
    oldest = bring(people(row, 3), label="oldest", at=at - 2 * DAY)
    older = bring(people(row, 3), label="older", at=at - DAY)
    opt_outs = bring(people(row, 3), label="opt-outs", kind="opt_outs")
    for brought in (older, opt_outs, oldest):
        to_read(brought)
    ended = []
    while list_work.turn(by="worker", at=at):
        waiting = ListImport.objects.filter(stage=Stage.FORESEEN).exclude(label__in=ended)
        ended += waiting.values_list("label", flat=True)
    assert ended == ["opt-outs", "oldest", "older"]


def test_a_turn_without_a_list_does_nothing(bring: TakeIn, row: Row, at: datetime) -> None:
    assert not list_work.turn(by="worker", at=at)
    bring(people(row, 3))
    assert not list_work.turn(by="worker", at=at)


def test_a_list_whose_work_fails_does_not_keep_others_from_theirs(
    bring: TakeIn, row: Row, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = to_read(bring(people(row, 3), at=at - DAY))
    sound = to_read(bring(people(row, 3), label="sound"))
    read = list_work._read

    def fails(brought: ListImport, content: str) -> Any:
        if brought.pk == spoilt.pk:
            raise IntegrityError("as a row that no check foresaw")
        return read(brought, content)

    monkeypatch.setattr(list_work, "_read", fails)
    for _time in range(9):
        try:
            list_work.turn(by="worker", at=at)
        except IntegrityError:
            continue
    assert loaded(sound).stage == Stage.FORESEEN
    assert loaded(spoilt).stage == Stage.READING


# --- rows as they are kept between -------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    line=st.integers(1, 2**31),
    texts=st.lists(TEXTS, min_size=4, max_size=4),
    when=st.datetimes(timezones=st.just(UTC)),
    confirmed=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_a_row_is_kept_as_it_was_read(
    line: int, texts: list[str], when: datetime, confirmed: datetime | None
) -> None:
    source, evidence, first_name, remark = texts
    opt_in = OptIn(
        "ab" * 32,
        ADA,
        7,
        "web_form",
        source,
        when,
        confirmed,
        evidence=evidence,
        region="FL",
        language="fr",
        first_name=first_name,
    )
    listed = Listed(line, opt_in, remark)
    [cells] = from_csv(as_csv([listed.cells()]))
    again = Listed.of(cells)
    assert (again.line, again.remark, again.opt_in) == (line, remark, opt_in)


def test_what_is_kept_between_is_sealed(bring: TakeIn, row: Row) -> None:
    brought = to_read(bring(as_file(row(first_name="Xanthippe"))))
    assert advance(brought)
    assert "Xanthippe" in SharePiece.objects.get().content
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM consent_sharepiece")
        [(stored,)] = cursor.fetchall()
    assert "Xanthippe" not in stored
    assert "5550123" not in stored


# --- however it is cut -------------------------------------------------------------------------


class Told(NamedTuple):
    """One row of a list: whose, how many days ago, whether confirmed."""

    who: int
    days: int
    confirmed: bool


def phone(who: int) -> str:
    return f"+121255501{who:02}" if who else "nobody"


ROWS = st.lists(
    st.builds(Told, st.integers(0, 5), st.sampled_from([5, 10, 20]), st.booleans()), max_size=14
)
SUBSCRIBED, UNCONFIRMED, REFUSED, GONE = 1, 2, 3, 4


@pytest.fixture
def known(enrol: Enrolling, draft: Draft, withdraw: Withdraw, at: datetime) -> None:
    """What is on record: one is subscribed, one unconfirmed, one refused, one withdrew."""
    enrol(draft(phone(SUBSCRIBED), confirmed_at=at), draft(phone(UNCONFIRMED)))
    withdraw(phone(REFUSED))
    enrol(draft(phone(GONE)))
    withdraw(phone(GONE), at=at - 10 * DAY)
    Suppression.objects.filter(number_index=blind_index.of(phone(GONE))).update(lifted_at=at)


def plainly(told: list[Told]) -> tuple[Report, set[str]]:
    """What becomes of the rows one after the other, and who is subscribed in the end."""
    confirmed = {SUBSCRIBED: True, UNCONFIRMED: False}
    fates: Report = []
    for line, one in enumerate(told, 2):
        if not one.who:
            fate, reason = "refused", SENTENCES[Reason.NOT_A_NUMBER]
        elif one.who == REFUSED:
            fate, reason = "suppressed", SUPPRESSED.reason
        elif one.who == GONE and one.days >= 10:
            fate, reason = "refused", WITHDRAWN.reason
        elif one.who not in confirmed:
            fate, reason = "accepted", ""
            confirmed[one.who] = one.confirmed
        elif one.confirmed and not confirmed[one.who]:
            fate, reason = "merged", CONFIRMED.reason
            confirmed[one.who] = True
        else:
            fate, reason = "merged", MERGED.reason
        fates.append((line, fate, reason))
    return fates, {phone(who) for who in confirmed}


class Undone(Exception):
    """Ends a transaction that is to leave nothing."""


@contextmanager
def undone() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
            raise Undone
    except Undone:
        pass


def file_of(told: list[Told]) -> bytes:
    rows = (
        f"{phone(one.who)},{(AT - one.days * DAY).isoformat()},{'yes' if one.confirmed else 'no'}"
        for one in told
    )
    return "\n".join(["phone,opted_in_at,confirmed", *rows]).encode()


@pytest.mark.usefixtures("known")
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=ROWS, part=st.integers(1, 6), share=st.integers(1, 6))
@example(told=[Told(5, 5, False), Told(0, 5, True), Told(5, 5, True)] * 3, part=1, share=1)
@example(told=[Told(GONE, 10, True), Told(GONE, 5, True)], part=1, share=1)
def test_a_list_comes_to_the_same_end_however_it_is_cut(
    bring: TakeIn, told: list[Told], part: int, share: int
) -> None:
    """Rows of one person that disagree, across parts, are decided in the order of the file."""
    fates, subscribed = plainly(told)
    with undone(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "PART", part)
        patch.setattr(lists, "SHARE", share)
        brought = worked(to_read(bring(file_of(told))))
        assert report(brought) == fates
        lists.begin(brought=brought, by="command", at=AT)
        assert report(worked(brought)) == fates
        assert brought.stage == Stage.FINISHED
        assert open_people() == subscribed
        assert Consent.objects.open().filter(confirmed_at=None).count() == len(
            subscribed - confirmed_of(told)
        )


def confirmed_of(told: list[Told]) -> set[str]:
    sure = {phone(SUBSCRIBED)}
    return sure | {phone(one.who) for one in told if one.confirmed and may_count(one)}


def may_count(one: Told) -> bool:
    return not (one.who == GONE and one.days >= 10)


@pytest.mark.usefixtures("known")
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=ROWS, part=st.integers(1, 6), share=st.integers(1, 6))
@example(told=[Told(5, 5, True)] * 2, part=1, share=1)
def test_a_list_of_opt_outs_comes_to_the_same_end_however_it_is_cut(
    bring: TakeIn, told: list[Told], part: int, share: int
) -> None:
    with undone(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "PART", part)
        patch.setattr(lists, "SHARE", share)
        brought = begun(bring(file_of(told), kind="opt_outs"))
        foreseen = report(brought)
        refused = {REFUSED}
        for (_line, fate, reason), one in zip(report(worked(brought)), told, strict=True):
            known = OPTED_OUT_BEFORE if one.who in refused else OPTED_OUT
            reasons = ("refused", SENTENCES[Reason.NOT_A_NUMBER]), (known.fate, known.reason)
            assert (fate, reason) == reasons[bool(one.who)]
            refused |= {one.who} - {0}
        assert report(brought) == foreseen
        standing = Suppression.objects.standing().order_by("number_index")
        assert standing.values("number_index").distinct().count() == len(refused)


def test_a_share_of_thirty_costs_as_many_statements_as_one_of_three(
    bring: TakeIn, row: Row
) -> None:
    worked(begun(bring(people(row, 1))))
    few, many = (
        costs(bring(as_file(*(row(f"+121255501{number}") for number in numbers))))
        for numbers in (range(10, 13), range(20, 50))
    )
    assert few == many


def costs(brought: ListImport) -> list[tuple[str, int]]:
    """How many statements each piece of work of a list takes."""
    to_read(brought)
    found = []
    while brought.stage != Stage.FINISHED:
        if brought.stage == Stage.FORESEEN:
            lists.begin(brought=brought, by="command", at=AT)
        stage = brought.stage
        with CaptureQueriesContext(connection) as statements:
            assert list_work.advance(brought=brought, by="worker", at=AT)
        found.append((stage, len(statements)))
    assert len(found) == 6  # a piece and an end in each of three stages
    return found


# --- killed ------------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a transaction at any statement, as a kill does; no handler of ours may stop it."""


SAVEPOINT = re.compile("SAVEPOINT|RELEASE|ROLLBACK")


@contextmanager
def killed_at(statement: int) -> Iterator[list[str]]:
    """Dies when so many statements have been sent, whatever they are."""
    sent: list[str] = []

    def counts(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not SAVEPOINT.match(sql):
            sent.append(sql)
            if len(sent) == statement:
                raise Killed
        return execute(sql, params, many, context)

    with connection.execute_wrapper(counts):
        yield sent


def state() -> tuple[Any, ...]:
    """All that a list may change."""
    counted = (ListPart, SharePiece, ImportRow, Subscriber, Consent, Suppression, Entry)
    shares = ListImport.objects.order_by("pk").values_list(
        "stage", "shares__tried_at", "shares__taken_at"
    )
    return *(model._default_manager.count() for model in counted), sorted(map(str, shares))


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("kind", ["opt_ins", "opt_outs"])
@pytest.mark.parametrize("stage", [Stage.READING, Stage.TRYING, Stage.TAKING])
def test_a_piece_of_work_that_dies_anywhere_leaves_nothing_and_is_done_again(
    bring: TakeIn, row: Row, person: Enrol, stage: str, kind: str
) -> None:
    person(BOB, confirmed=False)
    raw = as_file(row(), row(BOB), row("nobody"), row(ADA), row("+12125550125"))
    brought = brought_to(stage, bring(raw, kind=kind))
    died = 0
    while loaded(brought).stage == stage:
        before = state()
        deaths = takewhile(lambda statement: _dies(brought, statement), count(1))
        for _statement in deaths:
            assert state() == before
            died += 1
    assert died > 10
    done = {"accepted": 2, "merged": 2, "refused": 1}
    brought_to(Stage.FINISHED, loaded(brought))
    assert brought.counts() == (done if kind == "opt_ins" else {"suppressed": 4, "refused": 1})
    assert [line for line, _fate, _reason in report(brought)] == [2, 3, 4, 5, 6]


def brought_to(stage: str, brought: ListImport) -> ListImport:
    """A list when it has come to a stage."""
    while brought.stage != stage:
        if brought.stage == Stage.BROUGHT:
            to_read(brought)
        elif brought.stage == Stage.FORESEEN:
            lists.begin(brought=brought, by="command", at=AT)
        else:
            assert list_work.advance(brought=brought, by="worker", at=AT)
    return brought


def _dies(brought: ListImport, statement: int) -> bool:
    """Whether a piece of work that is killed at this statement was so before it ended."""
    this = loaded(brought)
    try:
        with killed_at(statement) as sent:
            list_work.advance(brought=this, by="worker", at=AT)
    except Killed:
        return True
    assert len(sent) < statement
    return False


@pytest.mark.usefixtures("pairs")
def test_a_share_that_cannot_be_told_of_is_not_taken(bring: TakeIn, row: Row) -> None:
    brought = begun(bring(people(row, 5)))
    before = state()
    with pytest.raises(NotRecorded):
        list_work.advance(brought=loaded(brought), by="somebody", at=AT)
    assert state() == before


@pytest.mark.usefixtures("pairs")
def test_a_list_that_was_left_half_way_is_taken_up_there(bring: TakeIn, row: Row) -> None:
    brought = begun(bring(people(row, 5)))
    assert advance(brought)
    half = Consent.objects.count()
    assert loaded(brought).shares.untaken().count() == 2
    worked(loaded(brought))
    assert half <= Consent.objects.count() == 5
    assert loaded(brought).counts() == {"accepted": 5}
    assert Entry.objects.filter(verb="consents.opened").count() == 3


# --- several at once ---------------------------------------------------------------------------


@pytest.mark.usefixtures("pairs")
@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_list_take_every_part_and_share_once(bring: TakeIn, row: Row) -> None:
    brought = to_read(bring(people(row, 30)))
    together = threading.Barrier(3, timeout=PATIENCE)

    def work() -> None:
        together.wait()
        for _time in range(400):
            this = loaded(brought)
            if this.stage not in ListImport.AT_WORK:
                return
            if not list_work.advance(brought=this, by="worker", at=AT):
                threading.Event().wait(0.02)

    for stage in (Stage.FORESEEN, Stage.FINISHED):
        with at_once(work, work, work):
            pass
        assert loaded(brought).stage == stage
        assert [line for line, _fate, _reason in report(brought)] == list(range(2, 32))
        if stage == Stage.FORESEEN:
            lists.begin(brought=brought, by="command", at=AT)
    assert brought.counts() == {"accepted": 30}
    assert Subscriber.objects.count() == Consent.objects.count() == 30
    opened = Entry.objects.filter(verb="consents.opened")
    assert sum(entry.facts["opened"] for entry in opened.order_by("pk")) == 30
    assert opened.count() == 15
    assert Entry.objects.filter(verb="list.taken").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_list_locks_people_in_the_one_order_that_cannot_deadlock(
    bring: TakeIn, person: Enrol
) -> None:
    only_on_postgresql()
    first, last = sorted([person(ADA), person(BOB)], key=lambda one: one.pk)
    raw = f"phone\n{last.number}\n{first.number}\n".encode()
    brought, locked = begun(bring(raw, kind="opt_outs")), threading.Event()
    with at_once(lambda: locked.wait(PATIENCE) and worked(loaded(brought))), transaction.atomic():
        list(Subscriber.objects.filter(pk=first.pk).in_lock_order())
        locked.set()
        wait_until_someone_waits()
        list(Subscriber.objects.filter(pk=last.pk).in_lock_order())
    assert loaded(brought).counts() == {"suppressed": 2}


@pytest.mark.django_db(transaction=True)
def test_someone_who_signs_up_while_their_share_is_taken_in_is_one_person(
    bring: TakeIn, row: Row, enrol: Enrolling, draft: Draft
) -> None:
    only_on_postgresql()
    brought = begun(bring(as_file(row(), row(BOB))))
    signing, signed = threading.Event(), threading.Event()

    def sign_up() -> None:
        with transaction.atomic():
            enrol(draft(confirmed_at=AT))
            signing.set()
            assert signed.wait(PATIENCE)

    with at_once(sign_up, lambda: signing.wait(PATIENCE) and worked(loaded(brought))):
        wait_until_someone_waits()
        signed.set()
    assert loaded(brought).stage == Stage.FINISHED
    assert report(brought) == [(2, "merged", MERGED.reason), (3, "accepted", "")]
    assert Subscriber.objects.count() == Consent.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("pieces_of_work", [0, 2])
def test_a_list_may_be_forgotten_while_a_worker_has_a_piece_of_it(
    bring: TakeIn, row: Row, monkeypatch: pytest.MonkeyPatch, pieces_of_work: int
) -> None:
    only_on_postgresql()
    brought = to_read(bring(as_file(row(), row("nobody"))))
    for _piece in range(pieces_of_work):
        advance(brought)
    write, holding, go_on = intake.write, threading.Event(), threading.Event()

    def slowly(*told: Any) -> None:
        if told[0] is ImportRow:
            holding.set()
            assert go_on.wait(PATIENCE)
        write(*told)

    monkeypatch.setattr(intake, "write", slowly)

    def discard() -> None:
        assert holding.wait(PATIENCE)
        lists.discard(brought=loaded(brought), by="command", at=AT)

    with at_once(lambda: advance(brought), discard):
        assert holding.wait(PATIENCE)
        wait_until_someone_waits()
        go_on.set()
    assert loaded(brought).stage == Stage.DISCARDED
    assert not ImportRow.objects.exists()
    assert not SharePiece.objects.exists()


# --- over again --------------------------------------------------------------------------------


@pytest.mark.usefixtures("pairs")
def test_the_same_list_again_adds_nobody(take_in: TakeIn, row: Row) -> None:
    raw = as_file(row(), row(BOB, confirmed="no"), row("nobody"))
    take_in(raw)
    before = list(Consent.objects.order_by("pk").values())
    again = take_in(raw)
    assert again.counts() == {"merged": 2, "refused": 1}
    assert list(Consent.objects.order_by("pk").values()) == before
    assert Subscriber.objects.count() == 2


def test_the_same_list_after_a_withdrawal_opens_nothing_again(
    take_in: TakeIn, row: Row, withdraw: Withdraw, at: datetime
) -> None:
    raw = as_file(row(), row(BOB))
    take_in(raw)
    withdraw(ADA, at=at - DAY)
    assert report(take_in(raw))[0] == (2, "suppressed", SUPPRESSED.reason)
    Suppression.objects.update(lifted_at=at)
    assert report(take_in(raw))[0] == (2, "refused", WITHDRAWN.reason)
    assert open_people() == {BOB}


def test_no_list_touches_a_refusal(
    take_in: TakeIn, row: Row, withdraw: Withdraw, purpose: Any, at: datetime
) -> None:
    for channel in Suppression.Channel:
        withdraw(ADA, channel=channel, at=at - 99 * DAY)
        withdraw(BOB, channel=channel, at=at - 99 * DAY, purpose=purpose)
    before = list(Suppression.objects.order_by("pk").values())
    brought = take_in(as_file(row(), row(BOB)))
    assert brought.counts() == {"suppressed": 2}
    assert list(Suppression.objects.order_by("pk").values()) == before
    assert not Consent.objects.exists()

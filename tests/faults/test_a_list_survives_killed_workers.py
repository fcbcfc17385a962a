"""A list whose workers are killed again and again comes to the end it would have come to anyway."""

import io
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from audit.models import Entry
from consent import list_work, lists
from consent.models import (
    Consent,
    ImportRow,
    ListImport,
    ListPart,
    ListShare,
    SharePiece,
    Subscriber,
)
from tests.conftest import AT
from tests.faults import scene
from tests.services import Stack

ROWS, KILLS = 3_000, 3
AREA_CODES = ("201", "206", "213", "215", "305", "312", "404", "415", "503", "512", "602", "617")
AREA_CODES += ("702", "713", "718", "808", "813", "907", "918", "971", "203", "214", "303", "314")
Stage = ListImport.Stage
Fates = list[tuple[int, str, str, str]]


def rows() -> Iterator[str]:
    """Rows of people, some twice and in other words, some without a date, some nobody."""
    numbers = scene.fiction(*AREA_CODES)
    for place in range(ROWS):
        number = numbers[place % len(numbers)]
        given = AT - timedelta(days=5 + place % 40)
        when = "" if place % 37 == 0 else given.isoformat()
        phone = "nobody" if place % 41 == 0 else number
        yield f"{phone},{when},{'yes' if place % 3 else 'no'}"


def listed() -> io.BytesIO:
    return io.BytesIO("\n".join(["phone,opted_in_at,confirmed", *rows()]).encode())


def bring(business: scene.Business, label: str) -> ListImport:
    """The list, with the meaning of its columns said, waiting for a worker."""
    brought = lists.bring(
        file=listed(),
        kind=ListImport.Kind.OPT_INS,
        purpose=business.purpose,
        label=label,
        by="command",
        at=AT,
    )
    lists.read_as(brought=brought, columns=brought.columns, by="command", at=AT)
    return brought


def report(brought: ListImport) -> Fates:
    told = brought.rows.order_by("line")
    return list(told.values_list("line", "fate", "reason", "shown_as"))


def left(brought: ListImport) -> int:
    """How many pieces of its present stage wait."""
    brought.refresh_from_db()
    waiting = {
        Stage.READING: brought.parts.all(),
        Stage.TRYING: brought.shares.untried(),
        Stage.TAKING: brought.shares.untaken(),
    }
    return waiting[Stage(brought.stage)].count() if brought.stage in waiting else 0


def kill_some(stack: Stack, brought: ListImport, at_random: random.Random) -> int:
    """Kill workers in the midst of a stage; returns how many kills came before its last piece."""
    in_time = 0
    for _kill in range(KILLS):
        time.sleep(at_random.uniform(0.05, 0.3))
        stack.kill_worker()
        in_time += bool(left(brought))
        stack.start_worker()
    return in_time


def await_stage(stack: Stack, brought: ListImport, stage: str) -> None:
    stack.wait_until(lambda: (brought.refresh_from_db(), brought.stage == stage)[1], 90)


@pytest.fixture
def undisturbed(business: scene.Business, beside: Stack) -> Fates:
    """What becomes of the rows if one worker tries them out undisturbed.

    Nothing stands before, so what is foreseen is what would be; nobody is enrolled by it.
    """
    calm = lists.bring(
        file=listed(),
        kind=ListImport.Kind.OPT_INS,
        purpose=business.purpose,
        label="calm",
        by="command",
        at=AT,
    )
    lists.read_as(brought=calm, columns=calm.columns, by="command", at=AT)
    while calm.stage != Stage.FORESEEN:
        for _done in list_work.run(brought=calm, by="command", at=AT):
            pass
        calm.refresh_from_db()
    found = report(calm)
    lists.discard(brought=calm, by="command", at=AT)
    return found


@pytest.mark.stack(workers=2)
def test_a_list_survives_killed_workers(
    beside: Stack,
    business: scene.Business,
    undisturbed: Fates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lists, "PART", 15)  # so many that the work outlives the killing
    monkeypatch.setattr(lists, "SHARE", 10)
    at_random = random.Random(20261124)
    brought = bring(business, "shop")
    hit = kill_some(beside, brought, at_random)
    await_stage(beside, brought, Stage.FORESEEN)
    assert not Subscriber.objects.exists()
    lists.begin(brought=brought, by="command", at=AT)
    hit_taking = kill_some(beside, brought, at_random)
    await_stage(beside, brought, Stage.FINISHED)
    assert hit
    assert hit_taking, "killed too late to matter"

    assert report(brought) == undisturbed
    assert [line for line, *_told in report(brought)] == list(range(2, ROWS + 2))
    counts = Counter(fate for _line, fate, *_told in undisturbed)
    assert brought.counts() == counts
    assert Subscriber.objects.count() == Consent.objects.open().count() == counts["accepted"]
    opened = Entry.objects.filter(verb="consents.opened").order_by("pk")
    assert sum(entry.facts["opened"] for entry in opened) == counts["accepted"]
    shares = Consent.objects.values_list("opened_in", flat=True).distinct()
    assert {one.hex for one in shares if one} <= {entry.facts["told_in"] for entry in opened}
    assert Entry.objects.filter(verb="list.taken").count() == 1
    for model in (ListPart, ListShare, SharePiece):
        assert not model.objects.exists(), model
    assert not ImportRow.objects.exclude(list_import=brought).exists()

"""A batch is decided from what is on record, written as decided, and told of in one entry."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import merkle, trail
from audit.models import Entry
from consent import admission as admissions
from consent import intake, ledger
from consent.admission import CONFIRMED, MERGED, OPENED, SUPPRESSED, WITHDRAWN, Outcome, leaf_of
from consent.intake import OptIn
from consent.models import Area, Consent, Purpose, Subscriber, Suppression
from tests.conftest import Enrol
from tests.consent.conftest import ADA, BOB, Draft, Withdraw

DAY = timedelta(days=1)
EVE = "+12125550125"
SOURCE = "list:1"
Admit = Callable[..., list[Outcome]]


@pytest.fixture
def admit(purpose: Purpose, at: datetime) -> Admit:
    def admitted(*opt_ins: OptIn) -> list[Outcome]:
        return ledger.admit(opt_ins=opt_ins, purpose=purpose, source=SOURCE, by="worker", at=at)

    return admitted


def told() -> Entry:
    """The one entry that tells of a share."""
    return Entry.objects.get(verb="consents.opened")


def leaves(**which: Any) -> list[dict[str, Any]]:
    """What the trail fixes of consents on record."""
    return [leaf_of(one) for one in Consent.objects.filter(**which).values(*intake.CONSENT)]


def root_of(found: list[dict[str, Any]]) -> str:
    """The root over these, worked out by hand."""
    ordered = sorted(found, key=lambda leaf: str(leaf["consent"]))
    return merkle.root_of(merkle.hash_leaf(trail.canonical(leaf)) for leaf in ordered).hex()


# --- deciding ----------------------------------------------------------------------------------


def test_a_batch_is_decided_the_same_whether_it_is_written_or_not(
    admit: Admit, draft: Draft, person: Enrol, withdraw: Withdraw, purpose: Purpose, at: datetime
) -> None:
    person(BOB, confirmed=False)
    withdraw(EVE)
    person("+12125550126")
    withdraw("+12125550126", at=at - 10 * DAY)
    Suppression.objects.filter(at=at - 10 * DAY).update(lifted_at=at)
    batch = [draft(number) for number in (ADA, ADA, BOB, EVE, "+12125550126")]
    batch += [replace_confirmation(draft(BOB), at), replace_confirmation(draft(BOB), at)]
    tried = admissions.of(batch, purpose=purpose, at=at, lock=False).decide_all(batch)
    assert not Subscriber.objects.with_number(ADA).exists()
    outcomes = [OPENED, MERGED, MERGED, SUPPRESSED, WITHDRAWN, CONFIRMED, MERGED]
    assert tried == admit(*batch) == outcomes


def replace_confirmation(opt_in: OptIn, at: datetime) -> OptIn:
    return opt_in._replace(confirmed_at=at)


def test_trying_a_batch_out_writes_nothing_about_anyone(
    draft: Draft, person: Enrol, purpose: Purpose, at: datetime
) -> None:
    person(BOB, confirmed=False)
    before = [list(model.objects.order_by("pk").values()) for model in (Subscriber, Consent, Entry)]
    batch = [draft(), draft(BOB, confirmed_at=at, region="FL")]
    with CaptureQueriesContext(connection) as statements:
        admissions.of(batch, purpose=purpose, at=at, lock=False).decide_all(batch)
    after = [list(model.objects.order_by("pk").values()) for model in (Subscriber, Consent, Entry)]
    assert after == before
    assert not [one for one in statements.captured_queries if "FOR NO KEY UPDATE" in one["sql"]]


def test_nobody_who_is_over_stands_in_the_way_of_an_opt_in(
    draft: Draft, person: Enrol, purpose: Purpose, at: datetime
) -> None:
    person(confirmed=False)
    late = at + purpose.confirm_within * DAY
    for now, outcome in [(late - timedelta(seconds=1), MERGED), (late, OPENED)]:
        tried = admissions.of([draft()], purpose=purpose, at=now, lock=False)
        assert tried.decide_all([draft()]) == [outcome]


def test_someone_of_whom_a_row_knows_another_address_may_be_in_either(
    admit: Admit, draft: Draft
) -> None:
    admit(draft(region="FL"))
    admit(draft(region="CA"), draft(region="FL"), draft(BOB, region="CA"))
    ada, bob = (Subscriber.objects.with_number(number).get() for number in (ADA, BOB))
    assert ada.area.candidate_states == ("CA", "FL", "NY")
    assert {"America/Los_Angeles", "America/Chicago"} <= set(ada.area.candidate_zones)
    assert bob.area.candidate_states == ("CA", "NY")


def test_a_newcomer_with_two_addresses_in_one_batch_may_be_in_either(
    admit: Admit, draft: Draft
) -> None:
    admit(draft(region="FL"), draft(region="CA"))
    assert Subscriber.objects.get().area.candidate_states == ("CA", "FL", "NY")


def test_an_empty_batch_is_decided_too(admit: Admit) -> None:
    assert admit() == []
    assert told().facts["opened"] == 0


# --- one entry for all -------------------------------------------------------------------------


def test_one_entry_tells_of_a_share_without_naming_anyone(
    admit: Admit, draft: Draft, at: datetime
) -> None:
    admit(draft(first_name="Ada", evidence="seen"), draft(BOB, confirmed_at=at - DAY), draft())
    entry = told()
    assert (entry.subject, entry.actor, entry.at) == (SOURCE, "worker", at)
    assert Entry.objects.filter(verb__startswith="consent.").count() == 0
    [share] = set(Consent.objects.values_list("opened_in", flat=True))
    assert entry.facts == {
        "told_in": share.hex,
        "opened": 2,
        "consents": root_of(leaves()),
        "confirmed": 0,
        "confirmations": "",
    }


def test_the_root_fixes_every_consent_of_the_share(
    admit: Admit, draft: Draft, at: datetime
) -> None:
    admit(*(draft(f"+121255501{line}") for line in range(10, 15)))
    found = leaves()
    assert len(found) == 5
    assert ledger.root_of(found) == ledger.root_of(reversed(found)) == told().facts["consents"]
    for name in found[0]:
        forged = [{**found[0], name: "another"}, *found[1:]]
        assert ledger.root_of(forged) != told().facts["consents"], name
    assert ledger.root_of(found[1:]) != told().facts["consents"]


def test_the_entry_tells_of_those_whom_the_share_confirmed(
    admit: Admit, draft: Draft, person: Enrol, at: datetime
) -> None:
    person(confirmed=False)
    admit(draft(confirmed_at=at - DAY), draft(BOB), draft(BOB, confirmed_at=at - DAY))
    known = Consent.objects.get(opened_in=None)
    facts = told().facts
    assert (facts["opened"], facts["confirmed"]) == (1, 1)
    assert known.confirmed_in == Consent.objects.get(opened_in__isnull=False).opened_in
    assert facts["confirmations"] == root_of(leaves(pk=known.pk))
    assert known.confirmed_at == at - DAY


def test_a_consent_that_comes_confirmed_says_in_which_entry(
    admit: Admit, draft: Draft, at: datetime
) -> None:
    admit(draft(confirmed_at=at - DAY), draft(BOB))
    ada, bob = (Consent.objects.get(subscriber__number_index=i) for i in indexes(ADA, BOB))
    assert ada.confirmed_in == ada.opened_in == bob.opened_in
    assert bob.confirmed_in is None


def indexes(*numbers: str) -> list[str]:
    found = (Subscriber.objects.with_number(number).get() for number in numbers)
    return [one.number_index for one in found]


def test_every_share_has_an_entry_of_its_own(admit: Admit, draft: Draft) -> None:
    admit(draft())
    admit(draft(BOB))
    entries = Entry.objects.filter(verb="consents.opened").order_by("pk")
    told_in = [entry.facts["told_in"] for entry in entries]
    opened_in = Consent.objects.order_by("pk").values_list("opened_in", flat=True)
    assert sorted(told_in) == sorted(one.hex for one in opened_in if one)
    assert len(set(told_in)) == 2


def test_a_share_that_changes_nothing_says_so(admit: Admit, draft: Draft) -> None:
    admit(draft())
    admit(draft())
    facts = Entry.objects.filter(verb="consents.opened").order_by("pk")[1].facts
    assert (facts["opened"], facts["consents"]) == (0, "")


# --- people ------------------------------------------------------------------------------------


def test_a_pseudonym_has_ten_signs_that_nobody_confuses(admit: Admit, draft: Draft) -> None:
    admit(*(draft(f"+121255501{line:02}") for line in range(50)))
    pseudonyms = set(Subscriber.objects.values_list("pseudonym", flat=True))
    assert len(pseudonyms) == 50
    assert all(one.startswith("P-") and len(one) == 12 for one in pseudonyms)
    assert not set("".join(one[2:] for one in pseudonyms)) & set("01ILOU")


def test_what_identifies_a_person_is_sealed_for_its_own_row(admit: Admit, draft: Draft) -> None:
    admit(draft(first_name="Ada", evidence="seen"), draft(BOB))
    with connection.cursor() as cursor:
        cursor.execute("SELECT number, first_name FROM consent_subscriber ORDER BY first_name")
        nameless, named = cursor.fetchall()
        cursor.execute("SELECT evidence FROM consent_consent ORDER BY evidence")
        sealed = cursor.fetchall()
    assert nameless[1] == ""
    assert all(".gAAAA" in token for token in (nameless[0], *named, sealed[1][0]))
    assert sealed[0][0] == ""
    ada = Subscriber.objects.with_number(ADA).get()
    assert (ada.number, ada.first_name) == (ADA, "Ada")
    assert Consent.objects.get(subscriber=ada).evidence == "seen"


def test_people_of_one_place_share_an_area_however_many_batches_they_come_in(
    admit: Admit, draft: Draft
) -> None:
    admit(draft(), draft(BOB))
    admit(draft(EVE))
    assert Area.objects.count() == 1

"""An entry is written with its act or not at all, and holds nothing personal."""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from audit import roles, trail
from audit.merkle import hash_leaf
from audit.models import Detail, Entry
from audit.trail import Act, NotRecorded
from audit.verifier import verify_inclusion
from tests.audit.conftest import Tell

AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
REASON = "Ada rang from +1 212 555 0123 and was cross"

# --- the transaction


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_recorded() -> None:
    with pytest.raises(NotRecorded, match="none is open"):
        trail.record(verb="x", subject="campaign:1", by="worker", at=AT)
    assert not Entry.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("detail", ["", REASON])
def test_an_act_that_is_undone_leaves_nothing(detail: str) -> None:
    with transaction.atomic():
        trail.record(verb="x", subject="campaign:1", by="worker", at=AT, detail=detail)
        assert Entry.objects.count() == 1
        transaction.set_rollback(True)
    assert (Entry.objects.count(), Detail.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_if_one_of_many_may_not_be_written_none_is() -> None:
    acts = [Act("x", "campaign:1"), Act("x", "campaign:2", {"share": 0.5})]
    with pytest.raises(NotRecorded), transaction.atomic():
        trail.record_many(acts, by="worker", at=AT)
    assert not Entry.objects.exists()


@pytest.mark.django_db
def test_many_acts_are_written_in_order_and_in_two_statements(
    django_assert_num_queries: Any,
) -> None:
    acts = [Act("x", f"campaign:{number}", {}, REASON) for number in range(100)]
    with django_assert_num_queries(2):
        trail.record_many(acts, by="worker", at=AT)
    told = Entry.objects.order_by("id").values_list("subject", flat=True)
    assert list(told) == [act.subject for act in acts]


@pytest.mark.django_db
def test_nothing_done_writes_nothing() -> None:
    trail.record_many([], by="worker", at=AT)
    assert not Entry.objects.exists()


# --- who, when, what


@pytest.mark.django_db
@pytest.mark.parametrize("stranger", ["", "root", "operator:1", "Worker", "+12125550123"])
def test_an_unknown_actor_is_refused(stranger: str, tell: Tell) -> None:
    with pytest.raises(NotRecorded, match="an actor is an operator or one of"):
        tell(by=stranger)
    assert not Entry.objects.exists()


@pytest.mark.parametrize("machine", ["worker", "gateway", "person", "command", "web"])
def test_a_machine_stands_in_the_trail_by_its_name(machine: str) -> None:
    assert trail.actor_name(machine) == machine


def test_an_operator_stands_in_the_trail_by_key_and_never_by_name(operators: Any) -> None:
    operator = operators(roles.AUDITOR, name="ada-lovelace")
    assert trail.actor_name(operator) == f"operator:{operator.pk}"


@pytest.mark.parametrize("hours", [0, 5, -8])
def test_one_instant_has_one_spelling_in_every_zone(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    assert trail.instant(AT.astimezone(zone)) == "2026-11-24T18:00:00.000000Z"


@pytest.mark.django_db
def test_an_entry_read_back_hashes_to_its_leaf(tell: Tell) -> None:
    facts = {"b": 1, "ä": ["é", True, None, {"z": -3}], "big": 2**53 + 1, "quoted": '"\\\n'}
    at = AT.replace(microsecond=7)
    entry = tell(facts=facts, detail=REASON, at=at)
    assert entry.leaf_hash == hash_leaf(trail.canonical(trail.content_of(entry))).hex()
    assert (entry.facts, entry.at, entry.actor) == (facts, at, "worker")


def test_keys_are_spelled_in_one_order() -> None:
    assert trail.canonical({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'.encode()


# --- facts


@pytest.mark.django_db
@pytest.mark.parametrize("facts", [{"x": 0.5}, {"x": {"y": [1, (2, 1.0)]}}, {"x": float("nan")}])
def test_floats_are_refused(facts: dict[str, Any], tell: Tell) -> None:
    with pytest.raises(NotRecorded, match="no floats"):
        tell(facts=facts)


PERSONAL = [
    "+12125550123",
    "called +447700900123 twice",
    "12125550123",
    "2125550123",
    "tel:+61491570156",
    "0033639980001",
    "ada@harbor.example",
    "from Ada.Lovelace+x@mail.harbor.example on Monday",
    "ADA@HARBOR.EXAMPLE",
    "+1 212 555 0123",
    "+1 (212) 555-0123",
    "+44 20 7946 0018",
    "(212) 555-0123",
    "212-555-0123",
]


@pytest.mark.django_db
@pytest.mark.parametrize("value", PERSONAL)
def test_a_fact_that_looks_personal_is_refused(value: str, tell: Tell) -> None:
    with pytest.raises(NotRecorded, match="put it into the detail") as refusal:
        tell(facts={"why": value})
    assert value not in str(refusal.value)
    assert not Entry.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "facts",
    [
        {"who": {"all": ["x", "+12125550123"]}},
        {"+12125550123": "stopped"},
        {"seen": {"ada@harbor.example": 1}},
        {"number": 12125550123},
    ],
)
def test_personal_facts_are_refused_wherever_they_stand(facts: dict[str, Any], tell: Tell) -> None:
    with pytest.raises(NotRecorded, match="put it into the detail"):
        tell(facts=facts)


@pytest.mark.django_db
@pytest.mark.parametrize("subject", ["subscriber:+12125550123", "ada@harbor.example"])
def test_a_subject_that_looks_personal_is_refused(subject: str, tell: Tell) -> None:
    with pytest.raises(NotRecorded):
        tell(subject=subject)


def is_refused(value: Any) -> bool:
    try:
        trail._impersonal({"value": value})
    except NotRecorded:
        return True
    return False


@given(st.uuids())
def test_a_uuid_is_not_taken_for_a_number(key: uuid.UUID) -> None:
    assert not is_refused([str(key), key.hex, f"subscriber:{key}"])


def test_a_uuid_of_digits_only_is_not_taken_for_a_number() -> None:
    assert not is_refused(["12345678-1234-4234-8234-123456789012", "1" * 32])


@given(st.binary(max_size=8))
def test_a_hash_is_not_taken_for_a_number(content: bytes) -> None:
    assert not is_refused(hashlib.sha256(content).hexdigest())


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))
def test_a_date_is_not_taken_for_a_number(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    spelled = [at.isoformat(), str(at), trail.instant(at), str(at.date()), str(at.time())]
    assert not is_refused(spelled)


@pytest.mark.parametrize(
    "value", ["SM" + "12" * 16, "1,000 of 250000", 1_000_000, "30003", "a @ b"]
)
def test_ids_and_counts_are_not_taken_for_numbers(value: Any) -> None:
    assert not is_refused(value)


# --- the detail


def stored(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        return str(cursor.fetchall())


@pytest.mark.django_db
def test_a_detail_is_encrypted_and_stands_in_no_entry(tell: Tell) -> None:
    entry = tell(detail=REASON)
    assert entry.detail.text == REASON
    for table in ("audit_entry", "audit_detail"):
        assert "Ada" not in stored(table)
        assert entry.detail.salt not in stored(table)


@pytest.mark.django_db
def test_an_entry_holds_a_salted_commitment_to_its_detail(tell: Tell) -> None:
    first, second = tell(detail=REASON), tell(detail=REASON)
    salted = bytes.fromhex(first.detail.salt) + REASON.encode()
    assert first.commitment == hashlib.sha256(salted).hexdigest()
    assert len(bytes.fromhex(first.detail.salt)) == 32
    assert first.commitment != second.commitment


@pytest.mark.django_db
def test_without_a_detail_there_is_no_commitment(tell: Tell) -> None:
    entry = tell()
    assert (entry.commitment, Detail.objects.count()) == ("", 0)


@pytest.mark.django_db
def test_a_detail_may_be_erased_and_its_entry_stays_provable(tell: Tell) -> None:
    entry = tell(detail=REASON)
    Detail.objects.filter(entry=entry).delete()
    entry = Entry.objects.get(pk=entry.pk)
    leaf = hash_leaf(trail.canonical(trail.content_of(entry)))
    assert verify_inclusion(leaf, 0, 1, [], bytes.fromhex(entry.leaf_hash))
    assert entry.commitment


def test_an_act_shown_in_an_error_does_not_tell_its_detail() -> None:
    assert "Ada" not in repr(Act("x", "campaign:1", {}, REASON))

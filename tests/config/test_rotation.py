"""Every encrypted value moves to the newest key: resumable, counted, and losing no change."""

from io import StringIO
from itertools import pairwise

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection

from audit import operators as staff
from audit import roles, trail
from campaigns import emergency, hours
from campaigns.models import Reply
from config.encryption import blind_index, canary, ring, rotation
from config.encryption.ring import CannotDecrypt
from consent import ledger, opt_outs
from consent.models import (
    Consent,
    ListImport,
    ListPart,
    ListShare,
    OptOutRequest,
    Scan,
    SharePiece,
    Subscriber,
)

FIRST_NAME = Subscriber._meta.get_field("first_name")
NAMES = ["Ada", "Bob", "Cai", "Dee", "Eve"]
NUMBERS = [f"+121255501{20 + i}" for i in range(5)]


@pytest.fixture
def people(person) -> list[Subscriber]:
    return [
        person(number, first_name=name, evidence="IP address and time")
        for number, name in zip(NUMBERS, NAMES, strict=True)
    ]


@pytest.fixture
def old_key(people, settings, monkeypatch) -> str:
    """Five people were written under it; a newer key stands in front of it now."""
    [old] = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), old]
    monkeypatch.setattr(rotation, "BATCH", 2)
    return str(old)


def run() -> str:
    said = StringIO()
    call_command("rotate_keys", stdout=said)
    return said.getvalue()


def left() -> int:
    return sum(rotation.remaining(field) for field in rotation.encrypted_fields())


def names() -> list[str]:
    return sorted(str(one.first_name) for one in Subscriber.objects.all())


def test_every_row_of_a_column_moves_in_batches_that_are_counted(old_key) -> None:
    assert rotation.remaining(FIRST_NAME) == 5
    assert list(rotation.rotate(FIRST_NAME)) == [2, 2, 1]
    assert rotation.remaining(FIRST_NAME) == 0
    assert names() == NAMES


def test_the_old_key_can_be_taken_out_when_nothing_is_left(old_key, settings) -> None:
    run()
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    canary.verify()
    assert names() == NAMES
    assert {str(one.number) for one in Subscriber.objects.all()} == set(NUMBERS)


def test_the_old_key_is_still_needed_before(old_key, settings) -> None:
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    with pytest.raises(CannotDecrypt):
        names()


def test_the_command_tells_how_far_it_is_and_what_is_left(old_key) -> None:
    said = run().splitlines()
    told = [line for line in said if line.startswith("consent_subscriber.first_name")]
    assert told == [f"consent_subscriber.first_name: {done} of 5" for done in (2, 4, 5)]
    assert said[-1] == "0 values are left under older keys."


def test_the_command_run_again_has_nothing_to_do(old_key) -> None:
    run()
    assert run().splitlines() == ["0 values are left under older keys."]


def test_an_interrupted_run_is_taken_up_where_it_stopped(old_key, monkeypatch) -> None:
    batches = rotation.rotate(FIRST_NAME)
    assert next(batches) == 2
    batches.close()
    assert rotation.remaining(FIRST_NAME) == 3
    rotated, rotate = [], ring.rotate
    monkeypatch.setattr(
        ring, "rotate", lambda t, place: rotated.append(place) or rotate(t, place=place)
    )
    assert sum(rotation.rotate(FIRST_NAME)) == 3
    assert len(rotated) == 3
    assert names() == NAMES


def test_a_row_that_someone_changed_meanwhile_keeps_its_new_value(old_key, monkeypatch) -> None:
    changed = Subscriber.objects.order_by("pk").first()
    rotate = ring.rotate

    def while_someone_types(token, *, place):
        if str(changed.pk) in place:
            changed.first_name = "Zoe"
            changed.save(update_fields=["first_name"])
        return rotate(token, place=place)

    monkeypatch.setattr(ring, "rotate", while_someone_types)
    was = str(Subscriber.objects.get(pk=changed.pk).first_name)
    run()
    assert names() == sorted([*set(NAMES) - {was}, "Zoe"])
    assert left() == 0


def test_the_empty_string_needs_no_key(old_key) -> None:
    Subscriber.objects.update(first_name="")
    assert rotation.remaining(FIRST_NAME) == 0
    assert list(rotation.rotate(FIRST_NAME)) == []


def test_rows_written_meanwhile_are_under_the_new_key_already(old_key, person) -> None:
    person("+12125550177", first_name="Flo")
    assert sum(rotation.rotate(FIRST_NAME)) == 5


def test_a_damaged_value_is_named_and_what_moved_before_stays_moved(old_key) -> None:
    rows = list(Subscriber.objects.order_by("pk"))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE consent_subscriber SET first_name = %s WHERE pseudonym = %s",
            [f"{ring.key_id(old_key)}.gAAAAdamaged", rows[4].pseudonym],
        )
    with pytest.raises(CannotDecrypt, match=f"first_name:{rows[4].pk}"):
        list(rotation.rotate(FIRST_NAME))
    assert rotation.remaining(FIRST_NAME) == 1


@pytest.fixture
def one_of_each(old_key, people, person, purpose, sender, operators, at, settings) -> None:
    """A value under the old key in every encrypted column that there is."""
    new, settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS, [old_key]
    number = "+12125550199"
    staff.draft_authenticator(operators(roles.AUDITOR))
    trail.record(verb="a.test", subject="test:1", by="command", at=at, detail="in person")
    person("+12125550177", confirmed=False)
    ledger.confirm(
        consent=Consent.objects.get(confirmed_at=None), evidence="YES", by="person", at=at
    )
    brought = ListImport.objects.create(purpose=purpose, label="May", created_at=at)
    ListPart.objects.create(list_import=brought, number=0, content="row")
    share = ListShare.objects.create(list_import=brought, number=0)
    SharePiece.objects.create(share=share, part=0, content="row")
    Scan.objects.create(kind=Scan.Kind.PNG, content="x", fingerprint="0" * 64, uploaded_at=at)
    opt_outs.record(
        channel=OptOutRequest.Channel.LETTER, received_at=at, note="wants no more", number=None,
        by=operators(roles.SUBSCRIBER_MANAGER), at=at,
    )  # fmt: skip
    Reply.objects.create(
        provider_id="SM1", sender=sender, number=number, number_index=blind_index.of(number),
        text="hello", intent="other", received_at=at,
    )  # fmt: skip
    admin = operators(roles.ADMINISTRATOR)
    hours.add(jurisdiction="US-FL", hours=[None] * 3, reason="a court", by=admin, at=at)
    emergency.stop(jurisdiction="US-LA", reason="a storm", by=admin, at=at)
    settings.ENCRYPTION_KEYS = new


def test_every_column_of_every_model_moves_past_every_trigger(one_of_each, settings) -> None:
    empty = [str(field) for field in rotation.encrypted_fields() if not rotation.remaining(field)]
    assert empty == []
    run()
    assert left() == 0
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    for field in rotation.encrypted_fields():
        values = [getattr(row, field.attname) for row in field.model.objects.order_by("pk")]
        assert any(values), field


def test_all_encrypted_columns_are_found() -> None:
    found = [f"{field.model._meta.label}.{field.name}" for field in rotation.encrypted_fields()]
    assert {"consent.Subscriber.number", "audit.Authenticator.secret"} <= set(found)
    assert all(one != other for one, other in pairwise(sorted(found)))

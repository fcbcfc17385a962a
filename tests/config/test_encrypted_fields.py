"""Encrypted columns fail closed: every known fault of the library and of the ORM is refused."""

import pickle
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import checks, serializers
from django.core.exceptions import FieldError, ValidationError
from django.core.management import CommandError, call_command
from django.core.serializers.base import DeserializationError
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Concat
from django.forms import modelform_factory
from django.test.utils import isolate_apps

from config.encryption import ring, rotation
from config.encryption.fields import EncryptedText
from config.encryption.ring import CannotDecrypt, Token
from consent.models import Consent, Subscriber

NUMBER, NAME = "+12125550123", "Ada"
OTHER_NUMBER = "+12125550145"


@pytest.fixture
def ada(person) -> Subscriber:
    return person(NUMBER, first_name=NAME)


def stored(who: Subscriber, column: str = "first_name") -> str:
    """What stands in the table itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column} FROM consent_subscriber WHERE pseudonym = %s", [who.pseudonym]
        )
        return str(cursor.fetchone()[0])


def plant(who: Subscriber, text: str, column: str = "first_name") -> None:
    """Write past the ORM, as someone with SQL would."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE consent_subscriber SET {column} = %s WHERE pseudonym = %s",
            [text, who.pseudonym],
        )


def anew(who: Subscriber) -> Subscriber:
    return Subscriber.objects.get(pk=who.pk)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places decrypted so far."""
    places: list[str] = []
    decrypt = ring.decrypt

    def counting(token: Token, *, place: str) -> str:
        places.append(place)
        return decrypt(token, place=place)

    monkeypatch.setattr(ring, "decrypt", counting)
    return places


# --- keys --------------------------------------------------------------------------------------


def test_what_was_written_is_read_and_stands_nowhere_in_clear(ada) -> None:
    assert (anew(ada).number, anew(ada).first_name) == (NUMBER, NAME)
    for column, text in [("number", NUMBER[1:]), ("first_name", NAME)]:
        token = stored(ada, column)
        assert token.startswith(f"{ring.newest()}.gAAAA")
        assert text not in token


def test_a_wrong_key_raises_instead_of_returning_ciphertext(ada, settings) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CannotDecrypt, match=f"consent_subscriber.first_name:{ada.pk}"):
        anew(ada).first_name  # noqa: B018 - reading is the act


def test_saving_under_a_wrong_key_changes_nothing(ada, settings) -> None:
    before = stored(ada)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    anew(ada).save()
    assert stored(ada) == before


def test_saving_twice_does_not_encrypt_twice(ada) -> None:
    for _time in range(2):
        read = anew(ada)
        read.first_name = read.first_name
        read.save()
    assert anew(ada).first_name == NAME


def test_saving_what_was_only_loaded_keeps_its_token(ada) -> None:
    before = stored(ada)
    anew(ada).save()
    assert stored(ada) == before


def test_the_key_is_read_at_each_use_and_not_at_import(ada, settings) -> None:
    old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    read = anew(ada)
    read.first_name = "Grace"
    read.save()
    assert stored(ada).startswith(ring.key_id(settings.ENCRYPTION_KEYS[0]))
    assert (anew(ada).number, anew(ada).first_name) == (NUMBER, "Grace")
    settings.ENCRYPTION_KEYS = old
    with pytest.raises(CannotDecrypt):
        anew(ada).first_name  # noqa: B018 - reading is the act


# --- what people type --------------------------------------------------------------------------


@pytest.mark.parametrize("with_key_id", [True, False])
def test_a_typed_token_is_a_validation_error_and_nothing_is_decrypted(
    ada, opened, with_key_id
) -> None:
    token = stored(ada)
    typed = token if with_key_id else token[ring.ID_LENGTH + 1 :]
    form = modelform_factory(Subscriber, fields=["first_name"])({"first_name": typed})
    assert form.errors["first_name"] == ["This is an encrypted value, not its text."]
    assert opened == []


def test_a_token_assigned_as_text_is_never_saved(ada, opened) -> None:
    before = stored(ada)
    ada.first_name = stored(ada, "number")
    with pytest.raises(ValidationError), transaction.atomic():
        ada.save()
    assert (stored(ada), opened) == (before, [])


@pytest.mark.parametrize("value", [7, b"Ada", F("number"), Value("Ada")])
def test_only_text_can_be_saved(ada, value) -> None:
    before = stored(ada)
    ada.first_name = value
    with pytest.raises(ValidationError, match="Only text"), transaction.atomic():
        ada.save()
    assert stored(ada) == before


def test_a_text_that_only_resembles_a_token_is_kept(ada) -> None:
    ada.first_name = "gAAAA, said the machine"
    ada.save()
    assert anew(ada).first_name == "gAAAA, said the machine"


# --- comparing ---------------------------------------------------------------------------------

PEOPLE = Subscriber.objects
COMPARISONS: dict[str, Callable[[], Any]] = {
    "filter": lambda: PEOPLE.filter(number=NUMBER).exists(),
    "filter by none": lambda: PEOPLE.filter(number=None).exists(),
    "filter by part": lambda: PEOPLE.filter(first_name__icontains="d").exists(),
    "filter by several": lambda: PEOPLE.filter(number__in=[NUMBER]).exists(),
    "filter by order": lambda: PEOPLE.filter(first_name__gt="A").exists(),
    "filter by pattern": lambda: PEOPLE.filter(first_name__regex="A").exists(),
    "filter by length": lambda: PEOPLE.filter(first_name__length=3).exists(),
    "filter through a relation": lambda: Consent.objects.filter(subscriber__number=NUMBER).exists(),
    "exclude": lambda: PEOPLE.exclude(number=NUMBER).exists(),
    "get": lambda: PEOPLE.get(number=NUMBER),
    "get_or_create": lambda: PEOPLE.get_or_create(number=NUMBER),
    "update_or_create": lambda: PEOPLE.update_or_create(number=NUMBER),
    "condition": lambda: PEOPLE.annotate(
        same=Case(When(number=NUMBER, then=Value(1)), default=Value(0))
    ).exists(),
}


@pytest.mark.parametrize("comparison", COMPARISONS.values(), ids=COMPARISONS)
def test_every_comparison_in_sql_is_refused_and_names_the_blind_index(ada, comparison) -> None:
    with pytest.raises(FieldError, match="blind index"):
        comparison()
    assert PEOPLE.count() == 1


def test_a_transform_to_order_by_is_refused(ada) -> None:
    with pytest.raises(FieldError):
        list(PEOPLE.order_by("first_name__length"))


def test_whether_there_is_a_value_may_be_asked(ada) -> None:
    assert PEOPLE.filter(number__isnull=False).get() == ada


# --- declared wrongly --------------------------------------------------------------------------


def _faults(**fields: Any) -> list[str]:
    with isolate_apps("config.encryption"):
        attributes = {"__module__": "config.encryption.models", **fields}
        made = type("Wrong", (models.Model,), attributes)
        return [fault.id for fault in made.check() if fault.level >= checks.ERROR]


def _uuid(**options: Any) -> Any:
    return models.UUIDField(primary_key=True, **options)


def test_a_model_declared_rightly_passes_the_check() -> None:
    assert _faults(id=_uuid(default=uuid.uuid4), text=EncryptedText()) == []


@pytest.mark.parametrize("option", ["unique", "db_index"])
def test_a_unique_or_indexed_ciphertext_is_a_check_error(option) -> None:
    text = EncryptedText(**{option: True})
    assert "volens.E002" in _faults(id=_uuid(default=uuid.uuid4), text=text)


@pytest.mark.parametrize(
    "key",
    [models.BigAutoField(primary_key=True), models.CharField(primary_key=True), _uuid()],
    ids=["number", "text", "uuid without default"],
)
def test_a_model_whose_rows_have_no_key_before_they_are_written_is_a_check_error(key) -> None:
    assert "volens.E001" in _faults(id=key, text=EncryptedText())


# --- the database's own refusal ----------------------------------------------------------------


@pytest.mark.parametrize("text", [NAME, "gAAAA" + "x" * 60, "12345678-gAAAA", " ", "0"])
def test_plain_text_planted_by_sql_is_refused_by_the_database(ada, text) -> None:
    before = stored(ada)
    with pytest.raises(IntegrityError), transaction.atomic():
        plant(ada, text)
    assert stored(ada) == before


CHECKS = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = %s",
    "postgresql": "SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint "
    "WHERE contype = 'c' AND conrelid = %s::regclass",
}


@pytest.mark.django_db
@pytest.mark.parametrize("field", rotation.encrypted_fields(), ids=str)
def test_every_encrypted_column_has_its_check_in_the_database(field) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CHECKS[connection.vendor], [field.model._meta.db_table])
        declared = str(cursor.fetchone()[0])
    assert f"substr({field.column}, 9, 6)" in declared.replace('"', "")


# --- bound to its place ------------------------------------------------------------------------


def test_a_token_copied_to_another_row_is_detected(ada, person) -> None:
    bob = person(OTHER_NUMBER, first_name="Bob")
    plant(bob, stored(ada))
    with pytest.raises(CannotDecrypt, match=f"first_name:{bob.pk} .* another row or column"):
        anew(bob).first_name  # noqa: B018 - reading is the act


def test_a_token_copied_to_another_column_is_detected(ada) -> None:
    plant(ada, stored(ada, "number"))
    with pytest.raises(CannotDecrypt, match="another row or column"):
        anew(ada).first_name  # noqa: B018 - reading is the act


def test_a_copy_of_a_row_under_a_new_key_is_detected(ada) -> None:
    copied = anew(ada)
    copied.pk, copied.pseudonym, copied.number_index = uuid.uuid4(), "P-COPY", "0" * 64
    copied.save(force_insert=True)
    with pytest.raises(CannotDecrypt, match="another row or column"):
        anew(copied).first_name  # noqa: B018 - reading is the act


@pytest.mark.parametrize("place", [3, 20, 40, -5])
def test_a_token_changed_anywhere_is_detected(ada, place) -> None:
    token = stored(ada)
    other = "A" if token[place] != "A" else "B"
    signs = list(token)
    signs[place] = other
    plant(ada, "".join(signs))
    with pytest.raises(CannotDecrypt):
        anew(ada).first_name  # noqa: B018 - reading is the act


# --- empty, deferred, listed -------------------------------------------------------------------


def test_the_empty_string_is_stored_empty(ada, opened) -> None:
    ada.first_name = ""
    ada.save()
    assert (stored(ada), anew(ada).first_name, opened) == ("", "", [])


def test_a_listing_decrypts_nothing_and_reading_decrypts_one(ada, person, opened) -> None:
    person(OTHER_NUMBER, first_name="Bob")
    listed = list(Subscriber.objects.order_by("pseudonym"))
    assert (len(repr(listed)) > 0, opened) == (True, [])
    assert listed[0].first_name in {NAME, "Bob"}
    assert opened == [f"consent_subscriber.first_name:{listed[0].pk}"]


@pytest.mark.parametrize(
    "shown",
    [
        lambda: list(Subscriber.objects.values()),
        lambda: list(Subscriber.objects.values("first_name", "number").distinct()),
        lambda: list(Subscriber.objects.values_list("first_name", flat=True)),
        lambda: list(Subscriber.objects.values_list("first_name", "number", named=True)),
        lambda: list(Subscriber.objects.annotate(copy=F("first_name")).values_list("copy")),
        lambda: Subscriber.objects.aggregate(last=models.Max("first_name")),
    ],
)
def test_values_show_neither_text_nor_ciphertext(ada, shown, opened) -> None:
    printed = f"{shown()}"
    assert "••••" in printed
    for secret in (NAME, NUMBER, "gAAAA"):
        assert secret not in printed
    assert opened == []


@pytest.mark.parametrize("people", [Subscriber.objects.defer("first_name"), PEOPLE.only("pk")])
def test_a_deferred_value_is_read_when_it_is_asked_for(ada, people, opened) -> None:
    read = people.get(pk=ada.pk)
    assert "first_name" in read.get_deferred_fields()
    assert opened == []
    assert read.first_name == NAME


def test_saving_with_a_deferred_value_leaves_it_alone(ada) -> None:
    before = stored(ada)
    read = Subscriber.objects.defer("first_name").get(pk=ada.pk)
    read.language = "fr"
    read.save()
    assert (stored(ada), anew(ada).language) == (before, "fr")


def test_refreshing_from_the_database_forgets_what_was_not_saved(ada) -> None:
    ada.first_name = "Grace"
    ada.refresh_from_db()
    assert ada.first_name == NAME


def test_bulk_create_encrypts_each_row_for_itself(ada) -> None:
    news = [
        Subscriber(number=NUMBER, number_index=str(i) * 64, area=ada.area, first_name="Bob")
        for i in range(2)
    ]
    Subscriber.objects.bulk_create(news)
    assert [anew(one).first_name for one in news] == ["Bob", "Bob"]
    assert stored(news[0]) != stored(news[1])
    assert all("Bob" not in stored(one) for one in news)


def test_bulk_create_refuses_a_typed_token(ada) -> None:
    token = stored(ada)
    new = Subscriber(number=token, number_index="0" * 64, area=ada.area)
    with pytest.raises(ValidationError):
        Subscriber.objects.bulk_create([new])


# --- statements that know no row ---------------------------------------------------------------


def _bulk_update() -> None:
    changed = PEOPLE.get()
    changed.first_name = "Eve"
    PEOPLE.bulk_update([changed], ["first_name"])


BLIND_WRITES: dict[str, Callable[[], Any]] = {
    "update": lambda: PEOPLE.update(first_name="Eve"),
    "update from another column": lambda: PEOPLE.update(first_name=F("number")),
    "update from itself": lambda: PEOPLE.update(first_name=F("first_name")),
    "update by a function": lambda: PEOPLE.update(first_name=Concat("language", Value("Eve"))),
    "update by a value": lambda: PEOPLE.update(first_name=Value("Eve")),
    "update by a case": lambda: PEOPLE.update(
        first_name=Case(When(language="en", then=Value("Eve")), default=F("first_name"))
    ),
    "bulk_update": _bulk_update,
}


@pytest.mark.parametrize("write", BLIND_WRITES.values(), ids=BLIND_WRITES)
def test_a_statement_that_knows_no_row_is_refused_and_destroys_nothing(ada, write) -> None:
    before = stored(ada)
    with pytest.raises(FieldError, match="encrypted for its row") as refusal, transaction.atomic():
        write()
    assert "Eve" not in str(refusal.value)
    assert (stored(ada), anew(ada).first_name) == (before, NAME)


def test_update_may_empty_a_column(ada) -> None:
    PEOPLE.update(first_name="")
    assert (stored(ada), anew(ada).number) == ("", NUMBER)


# --- what leaves the process -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "jsonl", "xml", "python"])
@pytest.mark.parametrize("fresh", [True, False], ids=["just written", "loaded"])
def test_serializers_emit_no_plain_text(ada, kind, fresh) -> None:
    dumped = str(serializers.serialize(kind, [ada if fresh else anew(ada)]))
    assert ".gAAAA" in dumped
    assert NAME not in dumped
    assert NUMBER[1:] not in dumped


def test_dumpdata_emits_no_plain_text_and_loaddata_refuses_its_tokens(ada, tmp_path: Path) -> None:
    file = tmp_path / "dump.json"
    call_command("dumpdata", "consent.subscriber", output=str(file), verbosity=0)
    before = stored(ada)
    assert NAME not in file.read_text()
    assert NUMBER[1:] not in file.read_text()
    with pytest.raises((DeserializationError, CommandError), match="encrypted value"):
        call_command("loaddata", str(file), verbosity=0)
    assert stored(ada) == before


def test_a_pickled_row_holds_no_plain_text(ada) -> None:
    loaded = anew(ada)
    assert loaded.first_name == NAME
    packed = pickle.dumps(loaded)
    assert NAME.encode() not in packed
    assert pickle.loads(packed).first_name == NAME


def test_no_exception_repeats_a_text(ada, person) -> None:
    bob = person(OTHER_NUMBER, first_name="Bob")
    plant(bob, stored(ada, "number"), "number")
    said = []
    for act in (lambda: anew(bob).number, lambda: PEOPLE.filter(number=NUMBER)):
        with pytest.raises((CannotDecrypt, FieldError)) as refusal:
            act()
        said.append(f"{refusal.value!r} {refusal.value.__cause__!r}")
    for secret in (NAME, NUMBER, OTHER_NUMBER, "gAAAA"):
        assert secret not in " ".join(said)

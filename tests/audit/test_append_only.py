"""The database refuses to change what the trail holds, whoever asks and however they ask."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audit.models import Checkpoint, Entry, Leaf
from tests.audit.conftest import Tell

pytestmark = pytest.mark.django_db

Guarded = type[Entry] | type[Leaf] | type[Checkpoint]
MODELS: list[Guarded] = [Entry, Leaf, Checkpoint]
COLUMNS: dict[Guarded, str] = {Entry: "verb", Leaf: "leaf_hash", Checkpoint: "note"}
on_postgresql = pytest.mark.skipif(
    not os.environ["DATABASE_URL"].startswith("postgres"), reason="PostgreSQL only"
)
on_sqlite = pytest.mark.skipif(
    not os.environ["DATABASE_URL"].startswith("sqlite"), reason="SQLite only"
)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


@pytest.fixture(autouse=True)
def _rows(tell: Tell, at: datetime) -> None:
    """One row in each table, none of which another refers to but the entry."""
    entry = tell(facts={"size": 1})
    Leaf.objects.create(index=0, entry=entry, leaf_hash=entry.leaf_hash)
    root = entry.leaf_hash
    Checkpoint.objects.create(size=1, root=root, at=at, note="n", frontier=[root], horizon=1)
    connection.check_constraints()  # or TRUNCATE is refused for what is pending, not by a trigger


def content(model: Guarded) -> list[Any]:
    return list(model.objects.values())


@transaction.atomic
def run(statements: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def assert_refused(model: Guarded, *statements: str) -> None:
    before = content(model)
    with pytest.raises(IntegrityError, match="the trail is append-only"):
        run(statements)
    assert content(model) == before


@every_model
def test_saving_a_row_again_is_refused(model: Guarded) -> None:
    [row] = model.objects.all()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        row.save()


@every_model
def test_an_update_by_the_orm_is_refused(model: Guarded) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        model.objects.update(**{COLUMNS[model]: "x"})


@every_model
def test_an_update_that_changes_nothing_is_refused_too(model: Guarded) -> None:
    column = COLUMNS[model]
    assert_refused(model, f"UPDATE {model._meta.db_table} SET {column} = {column}")


@every_model
def test_an_update_by_sql_is_refused(model: Guarded) -> None:
    assert_refused(model, f"UPDATE {model._meta.db_table} SET {COLUMNS[model]} = 'x'")


@pytest.mark.parametrize("model", [Leaf, Checkpoint])
def test_a_deletion_by_the_orm_is_refused(model: Guarded) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        model.objects.all().delete()
    assert len(content(model)) == 1


def test_a_deletion_of_an_entry_by_the_orm_is_refused(tell: Tell) -> None:
    unsealed = tell()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        unsealed.delete()
    assert Entry.objects.count() == 2


@every_model
def test_a_deletion_by_sql_is_refused(model: Guarded) -> None:
    assert_refused(model, f"DELETE FROM {model._meta.db_table}")


@every_model
def test_an_upsert_is_refused(model: Guarded) -> None:
    table, key, column = model._meta.db_table, f'"{model._meta.pk.column}"', COLUMNS[model]
    assert_refused(
        model,
        f"INSERT INTO {table} SELECT * FROM {table} WHERE true "
        f"ON CONFLICT ({key}) DO UPDATE SET {column} = 'x'",
    )


@on_sqlite
@every_model
def test_an_insertion_that_replaces_is_refused(model: Guarded) -> None:
    table, column = model._meta.db_table, COLUMNS[model]
    names = [field.column for field in model._meta.concrete_fields]
    quoted = ", ".join(f'"{name}"' for name in names)
    values = ", ".join("'x'" if name == column else f'"{name}"' for name in names)
    assert_refused(model, f"INSERT OR REPLACE INTO {table} ({quoted}) SELECT {values} FROM {table}")


@on_postgresql
@every_model
def test_truncating_is_refused(model: Guarded) -> None:
    assert_refused(model, f"TRUNCATE {model._meta.db_table} CASCADE")


@on_postgresql
@every_model
@pytest.mark.parametrize("sql", ["UPDATE {} SET {} = 'x'", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_triggers_fire_for_a_replica_too(model: Guarded, sql: str) -> None:
    aimed = sql.format(model._meta.db_table, COLUMNS[model])
    assert_refused(model, "SET LOCAL session_replication_role = replica", aimed)


def test_adding_is_allowed(tell: Tell) -> None:
    tell()
    assert Entry.objects.count() == 2


def test_a_checkpoint_of_nothing_is_refused(at: datetime) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Checkpoint.objects.create(size=0, root="", at=at, note="", frontier=[], horizon=1)

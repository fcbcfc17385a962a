"""Moves every encrypted column to the newest key, a batch at a time, resumable at any point.

A token names its key, so the rows still to do are found by SQL and a second run goes on where the
first one stopped.
"""

import uuid
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from config.encryption import ring
from config.encryption.fields import EncryptedText
from config.encryption.ring import ID_LENGTH, Token

BATCH = 500


def encrypted_fields() -> list[EncryptedText]:
    """Every encrypted column of every model."""
    return [
        field
        for model in apps.get_models()
        for field in model._meta.local_fields
        if isinstance(field, EncryptedText)
    ]


def _where(field: EncryptedText) -> tuple[str, str, str]:
    quote = connection.ops.quote_name
    table, column = quote(field.model._meta.db_table), quote(str(field.column))
    return table, column, f"{column} <> '' AND substr({column}, 1, {ID_LENGTH}) <> %s"


def remaining(field: EncryptedText) -> int:
    """How many rows of `field` are not under the newest key."""
    table, _column, old = _where(field)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {old}", [ring.newest()])  # noqa: S608
        return int(cursor.fetchone()[0])


def rotate(field: EncryptedText) -> Iterator[int]:
    """Re-encrypt the rows of one column; yields how many each batch moved.

    A row changed meanwhile is left to its new value. Raises CannotDecrypt, naming the row, at the
    first value that is no token of its place; what was moved before stays moved.
    """
    after: Any = None
    while True:
        after, moved = _rotate_batch(field, after)
        if after is None:
            return
        yield moved


@transaction.atomic
def _rotate_batch(field: EncryptedText, after: Any) -> tuple[Any, int]:
    table, column, old = _where(field)
    key = connection.ops.quote_name(str(field.model._meta.pk.column))
    beyond = f"AND {key} > %s" if after is not None else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key}, {column} FROM {table} WHERE {old} {beyond} "  # noqa: S608
            f"ORDER BY {key} LIMIT {BATCH}",
            [ring.newest(), *([after] if after is not None else [])],
        )
        rows = cursor.fetchall()
        cursor.executemany(
            f"UPDATE {table} SET {column} = %s WHERE {key} = %s AND {column} = %s",  # noqa: S608
            [(_renewed(field, pk, text), pk, text) for pk, text in rows],
        )
        moved = cursor.rowcount
    return (rows[-1][0], moved) if rows else (None, 0)


def _renewed(field: EncryptedText, pk: Any, text: str) -> str:
    row = pk if isinstance(pk, uuid.UUID) else uuid.UUID(pk)
    return ring.rotate(Token(text), place=field.place(row)).text

"""Refuses to start under a wrong key, before anything could be written under it."""

from django.db import connection

from config.encryption import blind_index
from config.encryption.models import Canary
from config.encryption.ring import CannotDecrypt
from config.refusal import refuse_to_start

SONG = "the keys of this database"
NUMBER = "+15555550100"


class WrongKey(Exception):
    """The keys in the environment are not the keys of this database."""


def settle(model: type[Canary] = Canary) -> None:
    """Bind an empty database to the present keys; does nothing if it is bound already."""
    if not model.objects.exists():
        model.objects.create(song=SONG, index=blind_index.of(NUMBER))


def verify() -> None:
    """Raises WrongKey, in one sentence with the remedy, unless the keys fit this database."""
    if Canary._meta.db_table not in connection.introspection.table_names():
        return  # nothing has been migrated, so nothing has been encrypted
    canaries = list(Canary.objects.all())
    if not canaries:
        raise WrongKey(
            "the database has lost the row that tells its keys; restore it from a backup, "
            "or nobody can know whether these keys are the right ones."
        )
    for canary in canaries:
        _hear(canary)


def _hear(canary: Canary) -> None:
    try:
        sung = canary.song
    except CannotDecrypt as error:
        raise WrongKey(
            "ENCRYPTION_KEYS does not hold the key this database was written with; "
            "restore that key, as the last of the list if it is an old one."
        ) from error
    if sung != SONG or canary.index != blind_index.of(NUMBER):
        raise WrongKey(
            "BLIND_INDEX_KEY is not the key this database was written with; restore it, "
            "or nobody's refusal would be recognised."
        )


def verify_or_exit() -> None:
    """For entry points: ends the start in one sentence under a wrong key."""
    try:
        verify()
    except WrongKey as fault:
        refuse_to_start(str(fault))

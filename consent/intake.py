"""Opt-ins on their way in, and the fast way of writing what they become."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, models

from config.encryption import blind_index
from consent import evidence, places
from consent.models import Area, Consent, Subscriber, new_pseudonym
from consent.numbers import Number


class OptIn(NamedTuple):
    """One person's agreement to one purpose, with what proves it; it shows nothing when printed."""

    number_index: str
    e164: str
    notice_id: int
    method: str
    source: str
    given_at: datetime
    confirmed_at: datetime | None = None
    confirmation_due_at: datetime | None = None
    evidence: str = ""
    region: str = ""
    language: str = "en"
    first_name: str = ""

    def __repr__(self) -> str:
        return f"OptIn of {self.given_at:%Y-%m-%d} by {self.method}"

    @classmethod
    def of(cls, number: Number, **told: Any) -> "OptIn":
        """The opt-in of a number; `told` holds the other fields."""
        return cls(number_index=blind_index.of(number.e164), e164=number.e164, **told)


# --- where people may be -----------------------------------------------------------------------

AREA = ("country", "region", "states", "zones")


def areas(opt_ins: Sequence[OptIn]) -> list[int]:
    """The key of the area of each opt-in, in a fixed number of statements."""
    found = [places.of(opt_in.e164, region=opt_in.region) for opt_in in opt_ins]
    keys = area_keys(set(found))
    return [keys[place] for place in found]


def area_keys(wanted: set[places.Place]) -> dict[places.Place, int]:
    known = _known_areas()
    if missing := sorted(place for place in wanted if _columns(place) not in known):
        rows = [Area(**dict(zip(AREA, _columns(place), strict=True))) for place in missing]
        Area.objects.bulk_create(rows, ignore_conflicts=True)
        known = _known_areas()
    return {place: known[_columns(place)] for place in wanted}


def _columns(place: places.Place) -> tuple[str, str, str, str]:
    return place.country, place.region, " ".join(place.states), " ".join(place.zones)


def _known_areas() -> dict[Any, int]:
    return {tuple(key): pk for pk, *key in Area.objects.values_list("pk", *AREA)}


# --- what they become --------------------------------------------------------------------------

NUMBER = Subscriber._meta.get_field("number")
NAME = Subscriber._meta.get_field("first_name")
EVIDENCE = Consent._meta.get_field("evidence")


PERSON = ("id", "pseudonym", "number", "number_index", "area_id", "language", "first_name")
CONSENT = (
    "id", "subscriber_id", "purpose_id", "notice_id", "method", "source", "evidence", "commitment",
    "given_at", "recorded_at", "opened_in", "confirmed_at", "confirmed_in", "confirmation_due_at",
    "confirmed_with",
)  # fmt: skip
Row = tuple[Any, ...]


def person_row(pk: uuid.UUID, opt_in: OptIn, area: int) -> Row:
    """The columns PERSON of the subscriber that an opt-in of an unknown number makes."""
    return (
        pk,
        new_pseudonym(),
        _sealed(NUMBER, opt_in.e164, pk),
        opt_in.number_index,
        area,
        opt_in.language,
        _sealed(NAME, opt_in.first_name, pk),
    )


def consent_row(
    opt_in: OptIn,
    *,
    subscriber: uuid.UUID,
    purpose: int,
    confirmed_at: datetime | None,
    at: datetime,
    told_in: uuid.UUID | None,
) -> Row:
    """The columns CONSENT of the consent that an opt-in opens, recorded at `at`."""
    pk = uuid.uuid4()
    return (
        pk,
        subscriber,
        purpose,
        opt_in.notice_id,
        opt_in.method,
        opt_in.source,
        _sealed(EVIDENCE, opt_in.evidence, pk),
        evidence.commitment(opt_in.evidence),
        opt_in.given_at,
        at,
        told_in,
        confirmed_at,
        told_in if confirmed_at else None,
        opt_in.confirmation_due_at,
        "",
    )


def _sealed(column: Any, text: str, pk: uuid.UUID) -> str:
    return column.encrypt(text, pk=pk).text if text else ""


def write(model: type[models.Model], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Add rows to a model's table by the fastest way that this database has."""
    if not rows:
        return
    table, named = model._meta.db_table, ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            statement = f"COPY {table} ({named}) FROM STDIN"
            with connection.wrap_database_errors, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(columns))
            insert = f"INSERT INTO {table} ({named}) VALUES ({marks})"  # noqa: S608 - our own names
            cursor.executemany(insert, [[_adapted(cell) for cell in row] for row in rows])


def _adapted(cell: Any) -> Any:
    """A cell as SQLite keeps it."""
    if isinstance(cell, uuid.UUID):
        return cell.hex
    return connection.ops.adapt_datetimefield_value(cell) if isinstance(cell, datetime) else cell

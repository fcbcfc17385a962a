"""Says what Volens makes of a number, a reply, a moment or a text: one JSON object a line."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from audit import clock
from campaigns import emergency, hours, quiet_hours
from campaigns.models import OwnRule, Stop
from campaigns.text import measure
from config.encryption import blind_index
from consent import numbers, places, replies
from consent.models import Consent, Suppression


def number(value: str, *, at: datetime, country: str) -> dict[str, Any]:
    try:
        parsed = numbers.parse(value, country=country)
    except numbers.NumberRefused as refusal:
        return {"valid": False, "reason": str(refusal)}
    place, index = places.of(parsed.e164), blind_index.of(parsed.e164)
    ours = Consent.objects.filter(subscriber__number_index=index)
    permitting = Consent.objects.permitting(at).filter(subscriber__number_index=index)
    return {
        "valid": True,
        "type": numbers.kind(parsed),
        "country": parsed.country,
        "states": list(place.states),
        "zones": list(place.zones),
        "suppressed": Suppression.objects.standing().filter(number_index=index).exists(),
        "open_consents": sorted(ours.open().values_list("purpose__code", flat=True)),
        "may_be_messaged_for": sorted(permitting.values_list("purpose__code", flat=True)),
    }


def reply(value: str, *, at: datetime, country: str) -> dict[str, Any]:
    """Asks no database: the words of purposes are not known here."""
    reading = replies.read(value)
    return {
        "intent": str(reading.intent),
        "reason": reading.reason,
        "language": reading.language,
        "confirms": replies.says_yes(value),
    }


def window(value: str, *, at: datetime, country: str) -> dict[str, Any]:
    try:
        parsed = numbers.parse(value, country=country)
    except numbers.NumberRefused as refusal:
        return {
            "open": False,
            "next_opening": None,
            "rules": [],
            "zones": [],
            "reasons": [str(refusal)],
            "daily_cap": None,
        }
    place = places.of(parsed.e164)
    book, standing = _rules(at)
    found = quiet_hours.window(
        book, at=at, country=place.country, states=place.states, zones=place.zones
    )
    stops = emergency.concerning(standing, country=place.country, states=place.states)
    opening = None if stops else found.next_opening  # nobody knows when a stop is lifted
    return {
        "open": found.open and not stops,
        "next_opening": opening.isoformat() if opening else None,
        "rules": list(found.rules),
        "zones": list(found.zones),
        "reasons": [*found.reasons, *map(emergency.because, stops)],
        "daily_cap": found.daily_cap,
    }


def _rules(at: datetime) -> tuple[quiet_hours.Rulebook, list[Stop]]:
    """The rules and emergency stops of a time; where there are no tables yet, what is shipped."""
    if OwnRule._meta.db_table not in connection.introspection.table_names():
        return hours.shipped(), []
    return hours.in_force(at), list(Stop.objects.in_force(at).order_by("jurisdiction"))


def text(value: str, *, at: datetime, country: str) -> dict[str, Any]:
    size = measure(value)
    return {
        "encoding": size.encoding,
        "units": size.units,
        "segments": size.segments,
        "forcing": list(size.forcing),
    }


SUBJECTS = {"number": number, "reply": reply, "window": window, "text": text}


class Command(BaseCommand):
    help = "Prints one JSON object about a number, reply, window or text; no number stands in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("subject", choices=list(SUBJECTS))
        parser.add_argument(
            "value", help="the value, or - to read one per line from standard input"
        )
        parser.add_argument("--at", help="ISO 8601, for window; now if left out")
        parser.add_argument("--country", default="US", help="of a number without a country code")

    def handle(self, *args: Any, **options: Any) -> None:
        at = _instant(options["at"]) if options["at"] else clock.now()
        explain = SUBJECTS[options["subject"]]
        for value in _values(options["value"]):
            told = explain(value, at=at, country=options["country"].upper())
            self.stdout.write(json.dumps(told))


def _values(value: str) -> Iterator[str]:
    if value != "-":
        return iter([value])
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    return (line.rstrip("\n") for line in sys.stdin)


def _instant(written: str) -> datetime:
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise CommandError("--at is a time in ISO 8601, such as 2026-12-01T14:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)

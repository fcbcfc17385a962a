"""Puts into sentences what allowed or stopped a message, from the record that was kept of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def when(at: datetime) -> str:
    """A time as it stands in a sentence, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def at_launch(told: Mapping[str, Any]) -> str:
    """What the quiet hours said of an area when its campaign was launched."""
    said = " ".join(told["reasons"]) or "Open everywhere the person may be."
    rules, zones = ", ".join(told["rules"]), ", ".join(told["zones"])
    return f"{said} Rules: {rules or 'none'} ({told['rulebook']}). Time zones: {zones}."


def at_the_fence(told: Mapping[str, Any], *, given_at: datetime | None = None) -> list[str]:
    """What the fence found; `given_at` is when the consent was given that it names."""
    of = f" of {when(given_at)}" if given_at else ""
    sentences = [
        f"allowed by {told['allowed_by']}{of}." if "allowed_by" in told else "",
        f"Wording: notice {told['notice']}." if told.get("notice") else "",
        f"Rules: {', '.join(told['rules']) or 'none'}." if "rules" in told else "",
        f"Edition of the rules: {told['rulebook']}." if told.get("rulebook") else "",
        f"Time zones: {', '.join(_with_time(told))}." if told.get("zones") else "",
        f"Handed over from {told['stand_in']}, which stands in." if told.get("stand_in") else "",
        *told.get("reasons", ()),
        *(
            f"Emergency stop in force for {stop['place']} since "
            f"{when(datetime.fromisoformat(stop['since']))}."
            for stop in told.get("emergency_stops", ())
        ),
        f"Permitted until {when(datetime.fromisoformat(told['closes_at']))}."
        if told.get("closes_at")
        else "",
        f"Number {told['of_day']} to this person within a day, number {told['of_purpose']} of the "
        "purpose within its period."
        if "of_day" in told
        else "",
    ]
    return [sentence for sentence in sentences if sentence]


def _with_time(told: Mapping[str, Any]) -> list[str]:
    """Each zone with what its clocks showed."""
    clocks = told.get("local") or [""] * len(told["zones"])
    return [f"{zone} {clock}".strip() for zone, clock in zip(told["zones"], clocks, strict=True)]

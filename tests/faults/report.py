"""The figures of the fault tests, in one table at the end of a run."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import pytest

KEY = "faults"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was done to a running campaign, and what both accounts say of it afterwards."""

    fault: str
    times: int  # how often it was done: kills, stops, races
    messages: int
    unknown: int  # messages of which nobody can tell whether they were sent
    bound: int  # as many may be unknown at most
    doubled: int = 0
    lost: int = 0
    sent_again: int = 0  # of unknown outcome, and yet handed over once more


def lines_of(reports: list[Any]) -> list[str]:
    """The table, from the reports of the tests that passed; nothing if none has figures."""
    told = [one for report in reports for key, one in report.user_properties if key == KEY]
    if not told:
        return []
    names = [field.name for field in fields(Figures)][1:]
    width = max(len(one["fault"]) for one in told)
    head = f"{'fault':<{width}}" + "".join(f"{name.replace('_', ' '):>12}" for name in names)
    rows = (
        f"{one['fault']:<{width}}" + "".join(f"{one[name]:>12,}" for name in names)
        for one in sorted(told, key=lambda one: str(one["fault"]))
    )
    return [head, *rows]


def tell(node: pytest.Item, figures: Figures) -> None:
    """Keep the figures of a test for the table; it fails if they are not as they must be."""
    node.user_properties.append((KEY, asdict(figures)))
    assert (figures.doubled, figures.lost, figures.sent_again) == (0, 0, 0), figures
    assert figures.unknown <= figures.bound, figures

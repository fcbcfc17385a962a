"""Writes the trail as JSON lines, for the stand-alone verifier on another machine."""

from typing import Any

from django.core.management.base import BaseCommand

from audit import checkpoints


class Command(BaseCommand):
    help = "Writes the trail to standard output; verify it with `python audit/verifier.py`."

    def handle(self, *args: Any, **options: Any) -> None:
        for line in checkpoints.export_lines():
            self.stdout.write(line.decode(), ending="")

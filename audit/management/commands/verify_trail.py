"""Has the stand-alone verifier check the whole trail."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import checkpoints


class Command(BaseCommand):
    help = (
        "Verifies the trail against its signed checkpoints, those carried outside included. "
        "Ends with status 1 and the findings if anything was changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--key", help="a verifier key kept elsewhere, instead of our own")

    def handle(self, *args: Any, **options: Any) -> None:
        report = checkpoints.verified(key=options["key"] or "")
        if not report.ok:
            raise CommandError("\n".join(["The trail is not whole.", *report.findings]))
        self.stdout.write(
            f"The trail is whole: {report.entries} entries, {report.checkpoints} checkpoints, "
            f"{report.unsealed} not sealed yet."
        )

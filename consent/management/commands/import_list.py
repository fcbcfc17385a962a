"""Takes in a list of opt-ins or opt-outs from a file."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from audit import clock
from consent import list_work, lists, sheets
from consent.models import ListImport, Method, Purpose


class Command(BaseCommand):
    help = "Takes in a list and tells what became of its rows, without showing a number."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--label", required=True, help="where the list comes from")
        parser.add_argument("--purpose", help="the code of the purpose that people opted in to")
        parser.add_argument("--opt-outs", action="store_true", help="it is a list of opt-outs")
        parser.add_argument("--method", choices=Method.values, default=Method.WEB_FORM)
        parser.add_argument("--country", default="US", help="of numbers without a country code")
        parser.add_argument(
            "--dry-run", action="store_true", help="tell what would happen, and stop"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        brought = self._bring(**options)
        try:
            lists.read_as(brought=brought, columns=brought.columns, by="command", at=clock.now())
        except ValidationError as fault:
            lists.discard(brought=brought, by="command", at=clock.now())
            raise CommandError(" ".join(fault.messages)) from None
        self._work(brought, until=ListImport.Stage.FORESEEN)
        if options["dry_run"]:
            self._report(brought)
            lists.discard(brought=brought, by="command", at=clock.now())
            return
        lists.begin(brought=brought, by="command", at=clock.now())
        self._work(brought, until=ListImport.Stage.FINISHED)
        self._report(brought)

    def _work(self, brought: ListImport, *, until: str) -> None:
        """Do what there is to do, and wait for the workers that hold the rest."""
        while brought.stage != until:
            for done in list_work.run(brought=brought, by="command", at=clock.now()):
                self.stdout.write(f"{brought.get_stage_display()}: {done:.0%}")
            brought.refresh_from_db()
            if brought.stage != until:
                time.sleep(0.1)

    def _report(self, brought: ListImport) -> None:
        for fate, count in brought.counts().items():
            self.stdout.write(f"{fate}: {count}")
        if brought.left_out:
            self.stdout.write(f"columns left out: {', '.join(brought.left_out)}")

    def _bring(self, **options: Any) -> ListImport:
        kind = ListImport.Kind.OPT_OUTS if options["opt_outs"] else ListImport.Kind.OPT_INS
        try:
            with options["file"].open("rb") as file:
                return self._kept(file, kind, options)
        except (OSError, sheets.NotAList) as fault:
            raise CommandError(str(fault)) from None
        except ValidationError as fault:
            raise CommandError(" ".join(fault.messages)) from None

    def _kept(self, file: Any, kind: ListImport.Kind, options: dict[str, Any]) -> ListImport:
        return lists.bring(
            file=file,
            kind=kind,
            purpose=self._purpose(kind, options["purpose"]),
            label=options["label"],
            method=Method(options["method"]),
            country=options["country"].upper(),
            by="command",
            at=clock.now(),
        )

    def _purpose(self, kind: ListImport.Kind, code: str | None) -> Purpose | None:
        if kind == ListImport.Kind.OPT_OUTS:
            return None
        purpose = Purpose.objects.filter(code=code).first()
        if purpose is None:
            known = ", ".join(Purpose.objects.values_list("code", flat=True).order_by("code"))
            raise CommandError(f"--purpose must be one of: {known or 'none exists yet'}")
        return purpose

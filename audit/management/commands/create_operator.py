"""Engages an operator from the command line: the first administrator, above all."""

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from audit import clock, operators
from audit.roles import ROLES


class Command(BaseCommand):
    help = "Engages an operator. They set up their authenticator app at the first sign-in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--role", action="append", required=True, choices=list(ROLES), help="may be repeated"
        )
        parser.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        read = sys.stdin.readline if options["password_stdin"] else getpass.getpass
        password = read().rstrip("\n")
        try:
            operators.engage(
                username=options["username"],
                password=password,
                roles=options["role"],
                by="command",
                at=clock.now(),
            )
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from None
        self.stdout.write(f"{options['username']} may sign in and enrols a second factor then.")

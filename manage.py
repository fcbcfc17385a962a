#!/usr/bin/env python
"""Volens's commands; `manage.py help` lists them."""

import os
import sys

import django
from django.core.management import execute_from_command_line

WITHOUT_KEYS = {
    "check",
    "collectstatic",
    "compilemessages",
    "help",
    "makemessages",
    "makemigrations",
    "migrate",
    "sandbox_provider",
    "showmigrations",
    "version",
}


def main() -> None:
    """Run one command; all but a few refuse to start under keys that are not the database's."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    if sys.argv[1:2] and sys.argv[1] not in WITHOUT_KEYS:
        from config.encryption import canary  # noqa: PLC0415 - models exist only after setup()

        canary.verify_or_exit()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

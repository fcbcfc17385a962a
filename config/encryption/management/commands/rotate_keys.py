"""Moves every encrypted value to the first key of ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand

from config.encryption import rotation


class Command(BaseCommand):
    help = (
        "Re-encrypts every personal value under the first key of ENCRYPTION_KEYS. "
        "May be stopped and started again; the old key may go when it ends with nothing left."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for field in rotation.encrypted_fields():
            name, total, done = f"{field.model._meta.db_table}.{field.column}", 0, 0
            total = rotation.remaining(field)
            for moved in rotation.rotate(field):
                done += moved
                self.stdout.write(f"{name}: {done} of {total}")
        left = sum(rotation.remaining(field) for field in rotation.encrypted_fields())
        self.stdout.write(f"{left} values are left under older keys.")

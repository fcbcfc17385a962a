"""Binds a new database to the keys it is made under."""

from typing import Any

from django.db import migrations

from config.encryption import canary


def settle(apps: Any, schema_editor: Any) -> None:
    canary.settle(apps.get_model("encryption", "Canary"))


class Migration(migrations.Migration):
    dependencies = [("encryption", "0001_initial")]

    operations = [migrations.RunPython(settle, migrations.RunPython.noop)]

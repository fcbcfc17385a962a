"""A group for every role; what a role may do stands in audit.roles, not here."""

from typing import Any

from django.db import migrations

ROLES = [
    "Subscriber manager",
    "Campaign author",
    "Campaign approver",
    "Privacy officer",
    "Auditor",
    "Administrator",
]


def add(apps: Any, schema_editor: Any) -> None:
    group = apps.get_model("auth", "Group")
    group.objects.bulk_create([group(name=role) for role in ROLES], ignore_conflicts=True)


def remove(apps: Any, schema_editor: Any) -> None:
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0002_append_only"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(add, remove)]

"""The trail is written once: the database itself refuses anything else."""

from django.db import migrations

from audit.triggers import append_only

SAYING = "the trail is append-only"


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        *append_only("audit_entry", saying=SAYING),
        *append_only("audit_leaf", saying=SAYING),
        *append_only("audit_checkpoint", saying=SAYING),
    ]

"""Notices never change; a consent is opened, confirmed and closed once, and never deleted."""

from django.db import migrations

from audit.triggers import append_only, refuse, refuse_truncate

FIXED = ["subscriber_id", "purpose_id", "notice_id", "method", "source", "given_at", "recorded_at"]
ONCE = ["confirmed_at", "withdrawn_at"]
CHANGED = " OR ".join(
    [f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in FIXED]
    + [
        f"(OLD.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column})"
        for column in ONCE
    ]
)


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]

    operations = [
        *append_only("consent_notice", saying="a published notice never changes"),
        refuse(
            "consent_consent",
            "UPDATE",
            when=CHANGED,
            saying="a consent is opened, confirmed and closed once",
        ),
        refuse("consent_consent", "DELETE", saying="a consent is never deleted"),
        refuse_truncate("consent_consent", saying="a consent is never deleted"),
        refuse("consent_suppression", "DELETE", saying="a refusal is never deleted"),
        refuse_truncate("consent_suppression", saying="a refusal is never deleted"),
    ]

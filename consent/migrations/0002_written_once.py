"""Notices never change; a consent is opened, confirmed and closed once, and never deleted."""

from django.db import migrations

from audit.triggers import append_only, refuse, refuse_truncate

CONSENT = (
    "id subscriber_id purpose_id notice_id method source commitment given_at recorded_at opened_in "
    "confirmation_due_at"
)
ONCE = "confirmed_at confirmed_in confirmation_queued_at lapsed_at withdrawn_at"
PUT_OFF = (
    "(OLD.expires_at IS NOT NULL AND (NEW.expires_at IS NULL OR NEW.expires_at > OLD.expires_at))"
)
REFUSAL = "id number_index purpose_id channel reason at"


def changed(fixed: str, *, once: str) -> str:
    """The condition that a column changes that never may, or one again that may once."""
    differs = "NEW.{0} IS DISTINCT FROM OLD.{0}".format
    again = "(OLD.{0} IS NOT NULL AND NEW.{0} IS DISTINCT FROM OLD.{0})".format
    return " OR ".join([*map(differs, fixed.split()), *map(again, once.split())])


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]

    operations = [
        *append_only("consent_notice", saying="a published notice never changes"),
        refuse(
            "consent_consent",
            "UPDATE",
            when=f"{changed(CONSENT, once=ONCE)} OR {PUT_OFF}",
            saying="a consent is opened, confirmed and closed once",
        ),
        refuse("consent_consent", "DELETE", saying="a consent is never deleted"),
        refuse_truncate("consent_consent", saying="a consent is never deleted"),
        refuse("consent_subscriber", "DELETE", saying="a person is erased, never deleted"),
        refuse(
            "consent_suppression",
            "UPDATE",
            when=changed(REFUSAL, once="lifted_at"),
            saying="a refusal is lifted once and never edited",
        ),
        refuse("consent_suppression", "DELETE", saying="a refusal is never deleted"),
        refuse_truncate("consent_suppression", saying="a refusal is never deleted"),
    ]

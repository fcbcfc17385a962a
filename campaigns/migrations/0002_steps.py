"""A campaign takes no step but those there are, and is not rewritten once it was launched."""

from django.db import migrations

from audit.triggers import refuse

STEPS = {
    "draft": ("checked", "cancelled"),
    "checked": ("draft", "approved", "cancelled"),
    "approved": ("draft", "scheduled", "sending", "cancelled"),
    "scheduled": ("draft", "approved", "sending", "cancelled"),
    "sending": ("paused", "finished", "cancelled"),
    "paused": ("sending", "cancelled"),
}
LAUNCHED = "OLD.status IN ('sending', 'paused', 'finished', 'cancelled')"
FIXED = (
    "text translations audience trial counted most_segments segment_limit purpose_id sender_id "
    "starts_at deadline author_id launched_at"
)


def no_step() -> str:
    """The condition that a status changes as no step of the table changes it."""
    known = " OR ".join(
        f"(OLD.status = '{before}' AND NEW.status = '{after}')"
        for before, follow in STEPS.items()
        for after in follow
    )
    return f"OLD.status <> NEW.status AND NOT ({known})"


def rewritten() -> str:
    """The condition that something changes of what was launched."""
    text = "CAST({0}.{1} AS text)".format  # JSON has no equality of its own on PostgreSQL
    changed = (
        f"{text('NEW', name)} IS DISTINCT FROM {text('OLD', name)}" for name in FIXED.split()
    )
    return f"{LAUNCHED} AND ({' OR '.join(changed)})"


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0001_initial")]

    operations = [
        refuse(
            "campaigns_campaign",
            "INSERT",
            when="NEW.status <> 'draft'",
            saying="a campaign begins as a draft",
        ),
        refuse(
            "campaigns_campaign",
            "UPDATE",
            when=f"({no_step()}) OR ({rewritten()})",
            saying="a campaign takes no such step, and is not rewritten once it was launched",
        ),
        refuse(
            "campaigns_campaign",
            "DELETE",
            when="OLD.status <> 'draft'",
            saying="a campaign that was checked is never deleted",
        ),
    ]

"""A campaign takes no step but those there are; own rules and stops are ended, never edited."""

from django.db import migrations

from audit.triggers import refuse, refuse_truncate

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


OWN_RULE = (
    "id number jurisdiction weekday_start weekday_end saturday_start saturday_end sunday_start "
    "sunday_end closed_on_holidays daily_cap in_force_from by_id at"
)
STOP = "id jurisdiction by_id at"  # what is encrypted changes when its key does


def edited(fixed: str, *, once: str) -> str:
    """The condition that a column changes that never may, or one again that may once."""
    differs = "NEW.{0} IS DISTINCT FROM OLD.{0}".format
    again = "(OLD.{0} IS NOT NULL AND NEW.{0} IS DISTINCT FROM OLD.{0})".format
    return " OR ".join([*map(differs, fixed.split()), *map(again, once.split())])


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
        refuse(
            "campaigns_ownrule",
            "UPDATE",
            when=edited(OWN_RULE, once="ended_at ended_by_id"),
            saying="an own rule is ended once and never edited",
        ),
        refuse("campaigns_ownrule", "DELETE", saying="an own rule is never deleted"),
        refuse_truncate("campaigns_ownrule", saying="an own rule is never deleted"),
        refuse(
            "campaigns_stop",
            "UPDATE",
            when=edited(STOP, once="lifted_at lifted_by_id"),
            saying="an emergency stop is lifted once and never edited",
        ),
        refuse("campaigns_stop", "DELETE", saying="an emergency stop is never deleted"),
        refuse_truncate("campaigns_stop", saying="an emergency stop is never deleted"),
    ]

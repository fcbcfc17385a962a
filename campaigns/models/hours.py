"""When nothing leaves: the business's own quiet hours, and emergency stops."""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns import quiet_hours
from config.encryption.fields import EncryptedText
from consent import places

DAYS: tuple[str, str, str] = ("weekday", "saturday", "sunday")  # as the shipped table has them


def _closed_or_in_order(day: str) -> Q:
    start, end = f"{day}_start", f"{day}_end"
    closed = Q(**{start: None, end: None})
    said = Q(**{f"{start}__isnull": False, f"{end}__isnull": False})
    return closed | said & Q(**{f"{end}__gt": models.F(start), f"{end}__lte": 1440})


class OwnRuleQuerySet(models.QuerySet["OwnRule"]):
    def in_force(self, at: datetime) -> Self:
        return self.filter(Q(ended_at=None) | Q(ended_at__gt=at), in_force_from__lte=at)

    def not_ended(self) -> Self:
        """In force, or to be so one day."""
        return self.filter(ended_at=None)


class OwnRule(models.Model):
    """Quiet hours of the business's own, on top of those that are shipped; ended, never edited.

    Times are minutes since local midnight; a day without them is closed, 0 to 1440 says nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.PositiveIntegerField(unique=True, editable=False)
    jurisdiction = models.CharField(max_length=5, help_text=_("Such as US, US-FL, FR; * is all."))
    weekday_start = models.PositiveSmallIntegerField(null=True, blank=True)
    weekday_end = models.PositiveSmallIntegerField(null=True, blank=True)
    saturday_start = models.PositiveSmallIntegerField(null=True, blank=True)
    saturday_end = models.PositiveSmallIntegerField(null=True, blank=True)
    sunday_start = models.PositiveSmallIntegerField(null=True, blank=True)
    sunday_end = models.PositiveSmallIntegerField(null=True, blank=True)
    closed_on_holidays = models.BooleanField(
        default=False, help_text=_("Those of the country, and of the state if it is for one.")
    )
    daily_cap = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("At most so many messages to one person in 24 hours; empty: says nothing."),
    )
    in_force_from = models.DateTimeField()
    reason = EncryptedText(help_text=_("Why; no names and no numbers of people."))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )

    objects: ClassVar[OwnRuleQuerySet] = OwnRuleQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("stricter rule")
        verbose_name_plural = _("quiet hours")
        permissions = [("end_ownrule", "Can end a stricter rule of quiet hours")]
        constraints = [
            *(
                models.CheckConstraint(
                    condition=_closed_or_in_order(day),
                    name=f"own_hours_of_a_{day}_are_closed_or_in_order",
                    violation_error_message=_("The end must be later than the start."),
                )
                for day in DAYS
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by=None)
                | Q(ended_at__isnull=False, ended_by__isnull=False),
                name="no_end_of_a_rule_without_who_and_when",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.jurisdiction} own rule {self.number}"

    def as_rule(self) -> quiet_hours.Rule:
        """What it says, as quiet hours are reckoned; its reason is not among that."""
        return quiet_hours.Rule(
            jurisdiction=self.jurisdiction,
            hours=(
                _hours(self.weekday_start, self.weekday_end),
                _hours(self.saturday_start, self.saturday_end),
                _hours(self.sunday_start, self.sunday_end),
            ),
            holidays="closed" if self.closed_on_holidays else "none",
            daily_cap=self.daily_cap,
            note="",
            source="the business's own",
            confidence="own",
            own=self.number,
        )


def _hours(start: int | None, end: int | None) -> quiet_hours.Hours | None:
    if start is None or end is None:
        return None
    return quiet_hours.Hours(timedelta(minutes=start), timedelta(minutes=end))


class StopQuerySet(models.QuerySet["Stop"]):
    def standing(self) -> Self:
        """Not lifted: whoever asks under the fence goes by this and by no clock."""
        return self.filter(lifted_at=None)

    def in_force(self, at: datetime) -> Self:
        return self.filter(Q(lifted_at=None) | Q(lifted_at__gt=at), at__lte=at)


class Stop(models.Model):
    """An emergency stop: until it is lifted nothing leaves for people who may be in that place."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    jurisdiction = models.CharField(max_length=5, help_text=_("Such as US, US-FL, FR; * is all."))
    reason = EncryptedText(help_text=_("Why; no names and no numbers of people."))
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True, editable=False)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )

    objects: ClassVar[StopQuerySet] = StopQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("emergency stop")
        permissions = [("lift_stop", "Can lift an emergency stop")]
        constraints = [
            models.UniqueConstraint(
                fields=["jurisdiction"],
                condition=Q(lifted_at=None),
                name="one_emergency_stop_per_place_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at=None, lifted_by=None)
                | Q(lifted_at__isnull=False, lifted_by__isnull=False),
                name="no_lifting_of_a_stop_without_who_and_when",
            ),
        ]

    def __str__(self) -> str:
        return f"emergency stop {self.jurisdiction}"

    @property
    def place(self) -> str:
        """Where it holds, in words that end a sentence."""
        if self.jurisdiction == quiet_hours.ANY_COUNTRY:
            return str(_("all places"))
        return places.called(self.jurisdiction)

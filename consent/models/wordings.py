"""What messages are about, and the wordings by which people opt in to them."""

from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from consent import wording

LANGUAGES = RegexValidator(r"\A[a-z]{2}( [a-z]{2})*\Z", _("Two small letters each: en es."))
KEYWORDS = RegexValidator(
    r"\A[A-Z0-9]{2,20}( [A-Z0-9]{2,20})*\Z", _("Capitals and digits, one word each: SALE DEALS.")
)


class Method(models.TextChoices):
    """How an opt-in was given."""

    WEB_FORM = "web_form", _("web form")
    KEYWORD = "keyword", _("keyword")
    PAPER_FORM = "paper_form", _("paper or in-store form")
    RESTORED = "restored", _("START after STOP")


class Purpose(models.Model):
    """What messages are about, and how often they come at most."""

    class Period(models.TextChoices):
        WEEK = "week", _("week")
        MONTH = "month", _("month")

    code = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    promise = models.TextField(help_text=_("What will be sent, as the person is told."))
    frequency = models.PositiveSmallIntegerField(
        validators=[MaxValueValidator(100)], help_text=_("At most so many messages a period.")
    )
    period = models.CharField(max_length=5, choices=Period)
    languages = models.CharField(
        max_length=60,
        default="en",
        validators=[LANGUAGES],
        help_text=_("In which people may opt in, two letters each: en es."),
    )
    keywords = models.CharField(
        max_length=120,
        blank=True,
        validators=[KEYWORDS],
        help_text=_("Words by which people join in a text, besides JOIN: SALE DEALS."),
    )
    least_age = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(120)],
        help_text=_("Years that a person must be old; 0 if the topic needs no age."),
    )
    double_opt_in = models.BooleanField(
        default=True, help_text=_("Nobody is messaged who did not confirm.")
    )
    confirm_within = models.PositiveSmallIntegerField(
        default=30,
        validators=[MaxValueValidator(365)],
        help_text=_("Days after which an opt-in that nobody confirmed lapses."),
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(frequency__gt=0),
                name="a_promise_has_a_frequency",
                violation_error_message=_("Promise at least one message a period."),
            ),
            models.CheckConstraint(
                condition=Q(confirm_within__gt=0),
                name="there_is_time_to_confirm",
                violation_error_message=_("Give people at least a day to confirm."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def span(self) -> timedelta:
        """The time over which `frequency` counts; a month counts as 30 days."""
        return timedelta(days=7 if self.period == self.Period.WEEK else 30)


class NoticeQuerySet(models.QuerySet["Notice"]):
    def shown(self, *, channel: str, language: str, at: datetime) -> "Notice | None":
        """The wording that people were shown there, in that language, at that time."""
        known = self.filter(channel=channel, language=language, shown_from__lte=at)
        return known.order_by("-shown_from", "-number").first()


class Notice(models.Model):
    """One exact wording that people were shown; never changed, never deleted."""

    class Channel(models.TextChoices):
        WEB = "web", _("page with a form")
        KEYWORD = "keyword", _("call to text a word (poster, advertisement)")
        PAPER = "paper", _("paper or in-store form")

    # Where people see the wording that each way of opting in rests on.
    CHANNEL_OF: ClassVar[dict[str, str]] = {
        Method.WEB_FORM: Channel.WEB,
        Method.KEYWORD: Channel.KEYWORD,
        Method.PAPER_FORM: Channel.PAPER,
    }

    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="notices")
    channel = models.CharField(max_length=7, choices=Channel, default=Channel.WEB)
    language = models.CharField(
        max_length=2, validators=[RegexValidator(r"\A[a-z]{2}\Z", _("Two small letters: en."))]
    )
    number = models.PositiveIntegerField()
    wording = models.TextField()
    fingerprint = models.CharField(max_length=64, editable=False)
    shown_from = models.DateTimeField()
    published_at = models.DateTimeField()

    objects: ClassVar[NoticeQuerySet] = NoticeQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["purpose", "channel", "language", "number"], name="notices_are_numbered"
            ),
            models.UniqueConstraint(
                fields=["purpose", "channel", "fingerprint"], name="one_notice_per_wording"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose.code} {self.channel} {self.language} {self.number}"

    @property
    def missing(self) -> tuple[str, ...]:
        """What the law and the carriers want said, and this wording leaves out; in words."""
        return wording.missing(
            self.wording,
            business=settings.BUSINESS_NAME,
            about=f"{self.purpose.name} {self.purpose.promise}",
            least_age=self.purpose.least_age,
        )

    @property
    def missing_essentials(self) -> tuple[str, ...]:
        """What keeps this wording from being evidence at all."""
        return tuple(element for element in self.missing if element in wording.ESSENTIAL)

"""Lists that someone brought, the parts they are taken in by, and what became of each row."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from config.encryption.fields import EncryptedText
from consent.models.wordings import Method, Purpose


class ListImportQuerySet(models.QuerySet["ListImport"]):
    def unfinished(self) -> Self:
        return self.exclude(stage__in=ListImport.OVER)

    def at_work(self) -> Self:
        """Those that a worker has something to do for."""
        return self.filter(stage__in=ListImport.AT_WORK)


class ListImport(models.Model):
    """A list that someone brought, what its columns mean, and how far it has been taken in."""

    class Kind(models.TextChoices):
        OPT_INS = "opt_ins", _("people who opted in")
        OPT_OUTS = "opt_outs", _("people who opted out")

    class Stage(models.TextChoices):
        BROUGHT = "brought", _("waits for the meaning of its columns")
        READING = "reading", _("being read")
        TRYING = "trying", _("being tried out")
        FORESEEN = "foreseen", _("tried out; nothing is taken in yet")
        TAKING = "taking", _("being taken in")
        FINISHED = "finished", _("taken in")
        DISCARDED = "discarded", _("discarded")

    STEPS: ClassVar[dict[str, frozenset[str]]] = {
        Stage.BROUGHT: frozenset({Stage.READING, Stage.DISCARDED}),
        Stage.READING: frozenset({Stage.TRYING, Stage.DISCARDED}),
        Stage.TRYING: frozenset({Stage.FORESEEN, Stage.DISCARDED}),
        Stage.FORESEEN: frozenset({Stage.TAKING, Stage.DISCARDED}),
        Stage.TAKING: frozenset({Stage.FINISHED}),
        Stage.FINISHED: frozenset(),
        Stage.DISCARDED: frozenset(),
    }
    OVER: ClassVar = [Stage.FINISHED, Stage.DISCARDED]
    AT_WORK: ClassVar = [Stage.READING, Stage.TRYING, Stage.TAKING]

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.OPT_INS)
    purpose = models.ForeignKey(Purpose, null=True, blank=True, on_delete=models.PROTECT)
    label = models.CharField(
        _("source"),
        max_length=80,
        help_text=_(
            "Where the list comes from, such as: shop export. Lists of the same source keep the "
            "meaning of their columns."
        ),
    )
    method = models.CharField(
        max_length=12,
        choices=Method,
        default=Method.WEB_FORM,
        help_text=_("How these people opted in, where the list does not say it itself."),
    )
    country = models.CharField(
        max_length=2,
        default="US",
        help_text=_("Where numbers without a country code are, where the list does not say it."),
    )
    stage = models.CharField(max_length=9, choices=Stage, default=Stage.BROUGHT, editable=False)
    form = models.CharField(_("read as"), max_length=120, editable=False)
    headings = models.JSONField(default=list, editable=False)
    columns = models.JSONField(default=list, editable=False)
    lines = models.PositiveIntegerField(default=0, editable=False)
    part_count = models.PositiveIntegerField(default=0, editable=False)
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, editable=False
    )
    created_at = models.DateTimeField(editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[ListImportQuerySet] = ListImportQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("list")
        permissions = [("take_listimport", "Can have a list that was tried out taken in")]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="opt_outs") | Q(purpose__isnull=False),
                name="opt_ins_are_for_a_purpose",
                violation_error_message=_("Say what these people opted in to."),
            ),
            models.CheckConstraint(
                condition=~Q(stage="finished") | Q(finished_at__isnull=False),
                name="no_finished_list_without_finished_at",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def may_become(self, stage: str) -> bool:
        return stage in self.STEPS[self.stage]

    @property
    def left_out(self) -> list[str]:
        """The headings of columns that mean nothing here; what they held was dropped."""
        named = zip(self.headings, self.columns, strict=False)
        return [heading for heading, meaning in named if not meaning]

    @property
    def done(self) -> float:
        """How much of the present stage's work is done, from 0 to 1."""
        if self.stage == self.Stage.READING:
            return 1 - self.parts.count() / max(self.part_count, 1)
        if self.stage in (self.Stage.TRYING, self.Stage.TAKING):
            left = (
                self.shares.untried() if self.stage == self.Stage.TRYING else self.shares.untaken()
            )
            return 1 - left.count() / max(self.shares.count(), 1)
        return 1.0 if self.stage in self.OVER else 0.0

    def counts(self) -> dict[str, int]:
        """How many rows met which fate so far."""
        fates = self.rows.values_list("fate").annotate(models.Count("pk")).order_by("fate")
        return dict(fates)


class ListPart(models.Model):
    """Some thousand rows of a list as they were brought; it goes when they were read."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    list_import = models.ForeignKey(
        ListImport, on_delete=models.CASCADE, related_name="parts", db_index=False
    )
    number = models.PositiveIntegerField()
    content = EncryptedText()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["list_import", "number"], name="the_parts_of_a_list_are_numbered"
            )
        ]

    def __str__(self) -> str:
        return f"part {self.number}"


class ListShareQuerySet(models.QuerySet["ListShare"]):
    def untried(self) -> Self:
        return self.filter(tried_at=None)

    def untaken(self) -> Self:
        return self.filter(taken_at=None)


class ListShare(models.Model):
    """A share of the people of a list, by blind index: all rows of one number are in one share."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    list_import = models.ForeignKey(
        ListImport, on_delete=models.CASCADE, related_name="shares", db_index=False
    )
    number = models.PositiveIntegerField()
    tried_at = models.DateTimeField(null=True)
    foreseen = models.CharField(max_length=64, blank=True, help_text=_("Hash of the outcomes."))
    taken_at = models.DateTimeField(null=True)

    objects: ClassVar[ListShareQuerySet] = ListShareQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["list_import", "number"], name="the_shares_of_a_list_are_numbered"
            )
        ]

    def __str__(self) -> str:
        return f"share {self.number}"


class SharePiece(models.Model):
    """What one part of a list held for one share of its people, read and in the part's order."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    share = models.ForeignKey(
        ListShare, on_delete=models.CASCADE, related_name="pieces", db_index=False
    )
    part = models.PositiveIntegerField()
    content = EncryptedText()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["share", "part"], name="a_part_is_read_once")
        ]

    def __str__(self) -> str:
        return f"piece {self.part}"


class ImportRow(models.Model):
    """What became of one row of a list."""

    class Fate(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        MERGED = "merged", _("merged")
        REFUSED = "refused", _("refused")
        SUPPRESSED = "suppressed", _("suppressed")

    # Its unique constraint begins with the list: an index of its own would be a second one.
    list_import = models.ForeignKey(
        ListImport, on_delete=models.CASCADE, related_name="rows", db_index=False
    )
    line = models.PositiveIntegerField()
    fate = models.CharField(max_length=10, choices=Fate)
    reason = models.CharField(max_length=300)
    shown_as = models.CharField(max_length=30, blank=True)

    class Meta:
        verbose_name = _("row of a list")
        verbose_name_plural = _("rows of lists")
        constraints = [
            models.UniqueConstraint(fields=["list_import", "line"], name="every_line_has_one_fate")
        ]

    def __str__(self) -> str:
        return f"line {self.line}: {self.fate}"

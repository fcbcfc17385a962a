"""Operators, their authenticators, and the trail: entries, leaves, checkpoints."""

import time
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.db import models
from django.db.models import Func, Q
from django.utils import timezone
from django_otp.models import Device, DeviceManager
from django_otp.oath import TOTP

from config.encryption.fields import EncryptedText

STEP = 30  # seconds a code lives: RFC 6238
PATIENCE = timedelta(minutes=15)  # the longest wait after wrong codes or passwords
FREE_TRIES = 5


def wait_after(failures: int) -> timedelta:
    """The wait after so many wrong tries in a row: doubling seconds, never over PATIENCE."""
    if failures < FREE_TRIES:
        return timedelta()
    return min(PATIENCE, timedelta(seconds=2 ** min(failures, 20)))


class Throttled(models.Model):
    """Counts wrong tries and makes the next one wait; survives restarts."""

    failures = models.PositiveIntegerField(default=0, editable=False)
    locked_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    def is_locked(self, at: datetime) -> bool:
        return self.locked_until is not None and at < self.locked_until

    def missed(self, at: datetime) -> None:
        self.failures += 1
        wait = wait_after(self.failures)
        self.locked_until = at + wait if wait else None
        self.save(update_fields=["failures", "locked_until"])

    def passed(self) -> None:
        self.failures, self.locked_until = 0, None
        self.save(update_fields=["failures", "locked_until"])


class OperatorQuerySet(models.QuerySet["Operator"]):
    """Operators; made by `operators.engage`, never as superusers."""

    def get_by_natural_key(self, username: str) -> "Operator":
        return self.get(username=username)

    def in_role(self, role: str) -> Self:
        return self.filter(groups__name=role)


class Operator(Throttled, AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]
    """A member of staff. What they may do is what their roles say; there is no superuser."""

    username = models.CharField(
        max_length=60,
        unique=True,
        validators=[ASCIIUsernameValidator()],
        help_text="A name for signing in. It stands in the trail's screens; use no phone number.",
    )
    is_active = models.BooleanField("may sign in", default=True)
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[OperatorQuerySet] = OperatorQuerySet.as_manager()  # type: ignore[assignment]

    USERNAME_FIELD = "username"

    class Meta:
        permissions = [("reset_operator", "Can reset an operator's authenticator")]
        constraints = [
            models.CheckConstraint(
                condition=Q(is_superuser=False),
                name="no_operator_stands_above_the_roles",
                violation_error_message="There are no superusers; give the operator a role.",
            ),
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def is_staff(self) -> bool:
        return self.is_active

    def lacks(self, roles: Iterable[str]) -> bool:
        """Whether `roles` hold one that this operator has not."""
        return not set(roles) <= set(self.groups.values_list("name", flat=True))

    @property
    def roles(self) -> str:
        return ", ".join(sorted(group.name for group in self.groups.all()))


class Authenticator(Throttled, Device):
    """An authenticator app: time-based codes of six digits (RFC 6238), its secret encrypted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    secret = EncryptedText()
    last_step = models.BigIntegerField(default=-1, editable=False)

    objects: ClassVar[models.Manager["Authenticator"]] = DeviceManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(confirmed=True),
                name="one_confirmed_authenticator_per_operator",
            ),
        ]

    def __str__(self) -> str:
        return f"authenticator of {self.user}"

    @property
    def persistent_id(self) -> str:
        """django-otp keeps this in the session and reads the key back as a number."""
        return f"{self.model_label()}/{self.pk.int}"

    def code(self) -> TOTP:
        totp = TOTP(bytes.fromhex(self.secret), step=STEP)
        totp.time = time.time()
        return totp

    def verify_is_allowed(self) -> tuple[bool, dict[str, Any] | None]:
        locked = self.is_locked(timezone.now())
        return not locked, {"locked_until": self.locked_until} if locked else None

    def verify_token(self, token: str) -> bool:
        """Whether `token` is the present code or a neighbour of it; each code passes once."""
        allowed, _reason = self.verify_is_allowed()
        if not allowed:
            return False
        totp = self.code()
        if token.isascii() and token.isdigit() and self._fits(totp, int(token)):
            self.last_step = totp.t()
            self.save(update_fields=["last_step"])
            self.passed()
            return True
        self.missed(timezone.now())
        return False

    def _fits(self, totp: TOTP, token: int) -> bool:
        return bool(totp.verify(token, tolerance=1, min_t=self.last_step + 1))


class WritingTransaction(Func):
    """The id of the transaction that writes a row, where the database has one."""

    output_field = models.BigIntegerField()

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        return "0", []

    def as_postgresql(self, *args: Any, **kwargs: Any) -> Any:
        return "(pg_current_xact_id()::text::bigint)", []


class Entry(models.Model):
    """One act, written in the transaction that did it; never changed, never deleted."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField()
    actor = models.CharField(max_length=80)
    verb = models.CharField(max_length=60)
    subject = models.CharField(max_length=80)
    facts = models.JSONField(default=dict)
    commitment = models.CharField(max_length=64, blank=True)
    leaf_hash = models.CharField(max_length=64)
    written = models.BigIntegerField(db_default=WritingTransaction(), editable=False)

    class Meta:
        verbose_name = "trail entry"
        verbose_name_plural = "trail"
        permissions = [("verify_trail", "Can verify the trail")]
        indexes = [
            models.Index(fields=["written", "id"], name="sealer_reads_in_order"),
            models.Index(fields=["subject", "id"], name="auditor_follows_a_subject"),
            models.Index(fields=["actor", "id"], name="auditor_follows_an_actor"),
            models.Index(fields=["at"], name="auditor_reads_by_date"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}"


class Detail(models.Model):
    """What an entry had to say about a person, encrypted beside it and erasable.

    The entry's leaf holds only a salted commitment to it, so erasing it breaks no proof.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, related_name="detail")
    salt = EncryptedText()
    text = EncryptedText()

    def __str__(self) -> str:
        return f"detail of entry {self.entry_id}"


class Leaf(models.Model):
    """The place of an entry in the Merkle tree."""

    index = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, related_name="leaf")
    leaf_hash = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "leaves"

    def __str__(self) -> str:
        return f"leaf {self.index}"


class Checkpoint(models.Model):
    """A signed statement of how many entries there are and what they hash to."""

    size = models.BigIntegerField(unique=True)
    root = models.CharField(max_length=64)
    at = models.DateTimeField()
    note = models.TextField()
    frontier = models.JSONField()
    horizon = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(size__gt=0), name="no_checkpoint_of_an_empty_tree")
        ]

    def __str__(self) -> str:
        return f"checkpoint at {self.size}"

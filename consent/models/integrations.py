"""Other systems that call the API, what they were answered, and how often anybody may act."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Integration(models.Model):
    """Another system that may tell of opt-ins and opt-outs; its key is kept as a hash."""

    class Scope(models.TextChoices):
        CONSENTS = "consents:write", _("tell of opt-ins")
        WITHDRAWALS = "withdrawals:write", _("tell of opt-outs")
        STATUS = "status:read", _("ask whether a number may be messaged")

    name = models.CharField(max_length=60, unique=True)
    scopes = models.CharField(max_length=80)
    key_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        permissions = [("revoke_integration", "Can revoke an integration's key")]
        constraints = [
            models.UniqueConstraint(fields=["key_hash"], name="a_key_is_of_one_integration")
        ]

    def __str__(self) -> str:
        return self.name

    def may(self, scope: str) -> bool:
        return self.revoked_at is None and scope in self.scopes.split()


class ApiCall(models.Model):
    """What was answered to a call, so that the same call told again is answered the same."""

    integration = models.ForeignKey(Integration, on_delete=models.PROTECT, db_index=False)
    key = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    answer = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "key"], name="a_call_told_twice_is_one_call"
            )
        ]

    def __str__(self) -> str:
        return f"call {self.pk}"


class Allowance(models.Model):
    """How often somebody did something in a span of time; whom it counts is a keyed hash."""

    key = models.CharField(max_length=64)
    since = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "since"], name="an_allowance_is_counted_once")
        ]

    def __str__(self) -> str:
        return f"allowance {self.pk}"

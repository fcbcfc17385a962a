"""The pages of messages and of what the provider told of them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from audit.backoffice import ReadOnly
from campaigns import decisions
from campaigns.models import Attempt, Message, Receipt


class AttemptInline(admin.TabularInline):
    model = Attempt
    fields = ["number", "at", "outcome", "provider_id", "code", "allowed_by"]
    readonly_fields = ["allowed_by"]
    extra = 0
    can_delete = False

    @admin.display(description=_("what allowed it"))
    def allowed_by(self, attempt: Attempt) -> str:
        return " ".join(decisions.at_the_fence(attempt.decision))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Message)
class MessageAdmin(ReadOnly):
    list_display = ["id", "campaign", "subscriber", "status", "reason", "due_at", "fenced_at"]
    list_filter = ["status", "campaign"]
    ordering = ["-id"]
    list_select_related = ["campaign", "subscriber"]
    fields = [
        "campaign",
        "subscriber",
        "consent",
        "status",
        "reason",
        "rules_at_launch",
        "stopped_by",
        "due_at",
        "not_after",
        "tries",
        "fenced_at",
        "settled_at",
    ]
    inlines = [AttemptInline]

    @admin.display(description=_("what the quiet hours said at launch"))
    def rules_at_launch(self, message: Message) -> str:
        if message.opening is None:
            return "–"
        return decisions.at_launch(message.opening.decision)

    @admin.display(description=_("what the fence found"))
    def stopped_by(self, message: Message) -> str:
        return " ".join(decisions.at_the_fence(message.stopped)) if message.stopped else "–"


@admin.register(Receipt)
class ReceiptAdmin(ReadOnly):
    list_display = ["received_at", "status", "code", "read_at"]
    list_filter = ["status"]
    ordering = ["-id"]

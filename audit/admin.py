"""The pages of operators, the trail and its checkpoints."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import CharField, Exists, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from audit import backoffice, checkpoints, clock, operators
from audit.backoffice import ReadOnly
from audit.models import Authenticator, Checkpoint, Entry, Operator
from audit.roles import ROLES

admin.site.unregister(Group)


class OperatorForm(forms.ModelForm):
    """An operator's name, roles and, when new, first password."""

    acting: Operator | None = None

    roles = forms.MultipleChoiceField(
        choices=[(role, role) for role in ROLES], widget=forms.CheckboxSelectMultiple
    )
    password = forms.CharField(
        strip=False,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 15 characters. For a new operator, or to replace a forgotten one."),
    )

    class Meta:
        model = Operator
        fields = ["username", "is_active"]
        exclude = ["password"]  # noqa: DJ006 - or what was typed, or nothing, is copied into the row

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].required = self.instance.pk is None
        if self.instance.pk:
            names = self.instance.groups.values_list("name", flat=True)
            self.fields["roles"].initial = list(names)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.instance == self.acting and self.instance.lacks(cleaned.get("roles", [])):
            self.add_error("roles", _("Another administrator has to give you a role."))
        if cleaned.get("password"):
            try:
                named = Operator(username=cleaned.get("username") or self.instance.username)
                validate_password(cleaned["password"], named)
            except ValidationError as weak:
                self.add_error("password", weak)
        return cleaned


@admin.register(Operator)
class OperatorAdmin(ReadOnly):
    form = OperatorForm
    list_display = ["username", "roles", "is_active", "second_factor", "last_login"]
    actions = ["reset_authenticator"]
    ordering = ["username"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("audit.add_operator")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("audit.change_operator")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A name stands for who acted: it is given once."""
        return ["username"] if obj else []

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["username", *(["is_active"] if obj else []), "roles", "password"]

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:  # type: ignore[override]
        form = super().get_form(request, obj, **options)
        return type(form.__name__, (form,), {"acting": request.user})

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("audit.reset_operator")

    def get_queryset(self, request: HttpRequest) -> Any:
        enrolled = Authenticator.objects.filter(user=OuterRef("pk"), confirmed=True)
        operators = super().get_queryset(request).prefetch_related("groups")
        return operators.annotate(is_enrolled=Exists(enrolled))

    @admin.display(boolean=True, description=_("second factor"))
    def second_factor(self, operator: Any) -> bool:
        return bool(operator.is_enrolled)

    def save_model(self, request: HttpRequest, obj: Operator, form: Any, change: bool) -> None:
        told, by, at = form.cleaned_data, backoffice.acting(request), clock.now()
        if not change:
            engaged = operators.engage(
                username=obj.username,
                password=told["password"],
                roles=told["roles"],
                by=by,
                at=at,
            )
            obj.pk = engaged.pk
            return
        operators.revise(
            operator=obj, roles=told["roles"], may_sign_in=told["is_active"], by=by, at=at
        )
        if told["password"]:
            operators.replace_password(operator=obj, password=told["password"], by=by, at=at)

    @admin.action(permissions=["reset"], description=_("Forget the second factor"))
    def reset_authenticator(self, request: HttpRequest, queryset: QuerySet[Operator]) -> None:
        by, at = backoffice.acting(request), clock.now()
        for operator in queryset:
            operators.reset_authenticator(operator=operator, by=by, at=at)
        self.message_user(request, _("They enrol a new authenticator at their next sign-in."))


@admin.register(Entry)
class EntryAdmin(ReadOnly):
    list_display = ["at", "who", "verb", "about", "told", "is_sealed"]
    list_filter = ["verb"]
    search_fields = ["subject__exact", "verb__exact", "actor__exact"]
    search_help_text = _("A subject such as campaign:1 or subscriber:…, an actor or a verb.")
    date_hierarchy = "at"
    ordering = ["-id"]
    list_select_related = ["leaf"]
    fields = [
        "at",
        "who",
        "verb",
        "subject",
        "all_facts",
        "commitment",
        "uid",
        "leaf_hash",
        "place",
    ]
    change_list_template = "admin/audit/entry/change_list.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        named = Operator.objects.annotate(
            actor=Concat(Value("operator:"), Cast("pk", CharField()), output_field=CharField())
        ).filter(actor=OuterRef("actor"))
        entries = super().get_queryset(request).select_related("leaf")
        return entries.annotate(operator=Subquery(named.values("username")[:1]))

    @admin.display(description=_("who"), ordering="actor")
    def who(self, entry: Any) -> str:
        return str(entry.operator or entry.actor)

    @admin.display(description=_("about"), ordering="subject")
    def about(self, entry: Entry) -> str:
        kind, _colon, key = entry.subject.partition(":")
        return format_html(
            '<a href="?q={}" title="{}">{} {}</a>', entry.subject, entry.subject, kind, _short(key)
        )

    @admin.display(description=_("facts"))
    def told(self, entry: Entry) -> str:
        return ", ".join(
            f"{name} {_short(str(value))}"
            for name, value in entry.facts.items()
            if name != "content"
        )

    @admin.display(description=_("facts"))
    def all_facts(self, entry: Entry) -> str:
        return format_html("<pre>{}</pre>", json.dumps(entry.facts, indent=2, sort_keys=True))

    @admin.display(boolean=True, description=_("sealed"))
    def is_sealed(self, entry: Entry) -> bool | None:
        """True, or not known yet: an entry waits some seconds for the sealer."""
        return True if hasattr(entry, "leaf") else None

    @admin.display(description=_("place in the tree"))
    def place(self, entry: Entry) -> str:
        return str(entry.leaf.index) if hasattr(entry, "leaf") else str(_("not sealed yet"))

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.verify)
        return [path("verify/", page, name="audit_verify"), *super().get_urls()]

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Runs the stand-alone verifier over the whole trail and shows what it says."""
        if not request.user.has_perm("audit.verify_trail"):
            raise PermissionDenied
        report = None
        if request.method == "POST":
            report = checkpoints.verified()
            backoffice.tell(
                request, "trail.verified", "trail", ok=report.ok, entries=report.entries
            )
        context = {
            **self.admin_site.each_context(request),
            "report": report,
            "title": _("Verify the trail"),
        }
        return TemplateResponse(request, "admin/audit/verify.html", context)


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnly):
    list_display = ["at", "size", "root"]
    ordering = ["-size"]
    fields = ["at", "size", "root", "signed"]

    @admin.display(description=_("signed note"))
    def signed(self, checkpoint: Checkpoint) -> str:
        return format_html("<pre>{}</pre>", checkpoint.note)


def _short(value: str) -> str:
    """Enough of an id or a hash to tell it from the next one."""
    return value if len(value) <= 24 else f"{value[:8]}…"

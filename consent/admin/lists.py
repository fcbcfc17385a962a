"""The pages of lists: bringing one, saying what its columns mean, trying it out, taking it in."""

import csv
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from audit import backoffice, clock, trail
from audit.backoffice import ReadOnly
from audit.models import Operator
from consent import lists, rows, sheets
from consent.models import ImportRow, ListImport, Method

ROWS_SHOWN = 50
TOO_LARGE = _("The file is larger than 512 MB. Split it and bring its parts.")
LARGEST = 512 * 1024 * 1024  # bytes
LIKE_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ListForm(forms.ModelForm):
    """A list as a clerk brings it."""

    acting: Operator

    file = forms.FileField(label=_("File (CSV or Excel)"))

    class Meta:
        model = ListImport
        fields = ["kind", "purpose", "label", "method", "country"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "method" in self.fields:
            known = [choice for choice in Method.choices if choice[0] != Method.RESTORED]
            self.fields["method"].choices = known  # type: ignore[attr-defined]

    def clean_label(self) -> str:
        label: str = self.cleaned_data["label"]
        if trail.looks_personal(label):
            raise ValidationError(_("A source names a list, not a person or a number."))
        return label

    def clean_file(self) -> Any:
        if self.cleaned_data["file"].size > LARGEST:
            raise ValidationError(TOO_LARGE)
        return self.cleaned_data["file"]

    def clean(self) -> dict[str, Any]:
        """Brings the list, so that what is wrong with the file is said beside it."""
        cleaned = super().clean() or {}
        if cleaned.get("kind") == ListImport.Kind.OPT_INS and not cleaned.get("purpose"):
            self.add_error("purpose", _("Say what these people opted in to."))
        if not self.errors:
            try:
                self.brought = self._bring(**cleaned)
            except sheets.NotAList as fault:
                self.add_error("file", str(fault))
        return cleaned

    def _bring(self, *, kind: str, method: str, country: str, **told: Any) -> ListImport:
        return lists.bring(
            kind=ListImport.Kind(kind),
            method=Method(method),
            country=country.upper(),
            by=self.acting,
            at=clock.now(),
            **told,
        )


class ColumnsForm(forms.Form):
    """What each column of a list means, as guessed or as it was for this source before."""

    def __init__(self, *args: Any, brought: ListImport, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        wanted = [("", _("not needed: leave it out")), *rows.MEANINGS.items()]
        for place, (heading, meaning) in enumerate(
            zip(brought.headings, brought.columns, strict=True)
        ):
            self.fields[f"column_{place}"] = forms.ChoiceField(
                label=heading or _("(no heading)"), choices=wanted, required=False, initial=meaning
            )

    @property
    def columns(self) -> list[str]:
        return [self.cleaned_data[name] for name in self.fields]


@admin.register(ListImport)
class ListImportAdmin(ReadOnly):
    form = ListForm
    list_display = ["created_at", "label", "kind", "purpose", "lines", "stage"]
    list_select_related = ["purpose"]
    ordering = ["-created_at"]
    change_form_template = "admin/consent/listimport/change_form.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("consent.add_listimport")

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:  # type: ignore[override]
        form = super().get_form(request, obj, **options)
        return type(form.__name__, (form,), {"acting": request.user})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ["kind", "purpose", "label", "method", "country", "file"]
        return ["label", "kind", "purpose", "created_at", "form", "lines", "progress", "left_out"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_fields(request, obj) if obj else []

    @admin.display(description=_("where it stands"))
    def progress(self, brought: ListImport) -> str:
        if brought.stage in ListImport.AT_WORK:
            return f"{brought.get_stage_display()} ({brought.done:.0%})"
        return str(brought.get_stage_display())

    @admin.display(description=_("columns left out"))
    def left_out(self, brought: ListImport) -> str:
        return ", ".join(brought.left_out) or "–"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.pk = form.brought.pk  # the form has brought it

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """On to the page that asks what the columns mean."""
        return HttpResponseRedirect(reverse("admin:consent_listimport_change", args=[obj.pk]))

    def get_urls(self) -> list[URLPattern]:
        pages = {"columns": self.columns, "begin": self.begin, "discard": self.discard}
        acts = [
            path(
                f"<uuid:pk>/{name}/",
                self.admin_site.admin_view(require_POST(page)),
                name=f"consent_listimport_{name}",
            )
            for name, page in pages.items()
        ]
        progress = self.admin_site.admin_view(self.how_far)
        report = self.admin_site.admin_view(self.report)
        return [
            *acts,
            path("<uuid:pk>/progress/", progress, name="consent_listimport_progress"),
            path("<uuid:pk>/report.csv", report, name="consent_listimport_report"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        known = self.get_object(request, object_id)
        context = self._standing(request, known) if known else {}
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def _standing(self, request: HttpRequest, brought: ListImport) -> dict[str, Any]:
        reported = ImportRow.objects.filter(list_import=brought)
        counted = reported.values_list("fate", "reason").annotate(rows=Count("pk"))
        named = dict(ImportRow.Fate.choices)
        reasons = [(named[fate], why, n) for fate, why, n in counted.order_by("fate", "-rows")]
        asks = brought.stage == ListImport.Stage.BROUGHT
        return {
            "reasons": [] if brought.stage in ListImport.AT_WORK else reasons,
            "rows": reported.exclude(reason="").order_by("line")[:ROWS_SHOWN],
            "columns_form": getattr(request, "columns_form", None)
            or (ColumnsForm(brought=brought) if asks else None),
            "at_work": brought.stage in ListImport.AT_WORK,
            "percent": round(brought.done * 100),
            "may_take": request.user.has_perm("consent.take_listimport"),
        }

    def columns(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Fix what the columns mean; what is wrong is said on the same page."""
        brought = self._theirs(request, pk)
        form = ColumnsForm(request.POST, brought=brought)
        if form.is_valid():
            try:
                by, at = backoffice.acting(request), clock.now()
                lists.read_as(brought=brought, columns=form.columns, by=by, at=at)
            except (ValidationError, lists.StepRefused) as refusal:
                form.add_error(
                    None, refusal if isinstance(refusal, ValidationError) else str(refusal)
                )
            else:
                return self._back(pk)
        request.method, request.columns_form = "GET", form  # type: ignore[attr-defined]
        return self.change_view(request, str(pk))

    def begin(self, request: HttpRequest, pk: Any) -> HttpResponse:
        return self._act(request, pk, lists.begin, str(_("The list is being taken in.")))

    def discard(self, request: HttpRequest, pk: Any) -> HttpResponse:
        return self._act(request, pk, lists.discard, str(_("The list was forgotten.")))

    def _act(self, request: HttpRequest, pk: Any, verb: Any, done: str) -> HttpResponse:
        brought, by, at = self._theirs(request, pk), backoffice.acting(request), clock.now()
        backoffice.attempt(
            self,
            request,
            lambda: verb(brought=brought, by=by, at=at),
            done=done,
            refusals=lists.StepRefused,
        )
        return self._back(pk)

    def _theirs(self, request: HttpRequest, pk: Any) -> ListImport:
        brought: ListImport | None = self.get_object(request, str(pk))
        if brought is None or not request.user.has_perm("consent.take_listimport"):
            raise PermissionDenied
        return brought

    def _back(self, pk: Any) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:consent_listimport_change", args=[pk]))

    def how_far(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """For the bar on the page: the stage and how much of it is done, in per cent."""
        brought = self.get_object(request, str(pk))
        if brought is None or not self.has_view_permission(request, brought):
            raise PermissionDenied
        return JsonResponse({"stage": brought.stage, "percent": round(brought.done * 100)})

    def report(self, request: HttpRequest, pk: Any) -> HttpResponse | StreamingHttpResponse:
        """Every row's fate as a CSV file, numbers masked, safe to open in a spreadsheet."""
        brought = self.get_object(request, str(pk))
        if brought is None or not self.has_view_permission(request, brought):
            raise PermissionDenied
        backoffice.tell(request, "list.reported", f"list:{brought.pk}", lines=brought.lines)
        answer = StreamingHttpResponse(_report(brought), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="list-{brought.pk}.csv"'
        return answer


class _Line:
    """A file of which every write is handed on."""

    def write(self, line: str) -> str:
        return line


def _report(brought: ListImport) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield "\ufeff" + writer.writerow(["Line", "Number", "Fate", "Reason"])
    told = brought.rows.order_by("line").values_list("line", "shown_as", "fate", "reason")
    for line, *cells in told.iterator(chunk_size=2_000):
        yield writer.writerow([line, *map(_no_formula, cells)])


def _no_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(LIKE_A_FORMULA) else cell


@admin.register(ImportRow)
class ImportRowAdmin(ReadOnly):
    list_display = ["line", "shown_as", "fate", "reason"]
    list_filter = ["fate", "list_import"]
    ordering = ["list_import", "line"]
    fields = ["list_import", "line", "shown_as", "fate", "reason"]

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        """Reached from a list's report; on the index the rows of all lists would say nothing."""
        return {}

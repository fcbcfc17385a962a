"""The rules of the house, each tried on every model, file, page or verb that there is."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import models
from django.db.migrations.loader import MigrationLoader
from django.dispatch import Signal
from django.test import RequestFactory

from audit import operators, roles
from audit.models import Detail
from campaigns import dispatch, emergency, hours, senders
from campaigns.models import (
    Approval,
    Attempt,
    Campaign,
    Decision,
    Message,
    Opening,
    OwnRule,
    Receipt,
    Reply,
    Stop,
)
from config.encryption.fields import EncryptedText
from consent import integrations, labels, ledger, lists, opt_outs, purposes, signup
from consent.models import (
    ImportRow,
    ListImport,
    ListPart,
    ListShare,
    OptOutRequest,
    Scan,
    SharePiece,
    Suppression,
)
from tests.campaigns.conftest import stand
from tests.services import ROOT

APPS = ("config", "audit", "consent", "campaigns")
SOURCES = sorted(path for app in APPS for path in (ROOT / app).rglob("*.py"))
OURS = [m for m in apps.get_models() if m.__module__.partition(".")[0] in APPS]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _fields() -> Iterator[tuple[str, models.Field]]:
    for model in OURS:
        for field in model._meta.local_fields:
            yield f"{model._meta.label}.{field.name}", field


# --- personal data -----------------------------------------------------------------------------

PERSONAL = {
    "audit.Authenticator.secret",
    "audit.Detail.salt",
    "audit.Detail.text",
    "campaigns.OwnRule.reason",  # should name nobody, but people write it
    "campaigns.Reply.number",
    "campaigns.Reply.text",
    "campaigns.Stop.reason",
    "consent.Consent.confirmed_with",
    "consent.Consent.evidence",
    "consent.ListPart.content",
    "consent.OptOutRequest.note",
    "consent.Scan.content",
    "consent.SharePiece.content",
    "consent.Subscriber.first_name",
    "consent.Subscriber.number",
    "encryption.Canary.song",  # says nothing of anyone; it tries the key
}

# Free text that is not about a person, and why it cannot be.
IMPERSONAL = {
    "audit.Authenticator.name": "always 'app'; django-otp's column",
    "audit.Checkpoint.frontier": "hashes",
    "audit.Checkpoint.note": "a signed hash",
    "audit.Checkpoint.root": "a hash",
    "audit.Entry.actor": "an operator's key or a machine's name",
    "audit.Entry.commitment": "a salted hash",
    "audit.Entry.facts": "trail.record refuses what looks personal",
    "audit.Entry.leaf_hash": "a hash",
    "audit.Entry.subject": "a kind and an opaque key",
    "audit.Entry.verb": "a fixed word",
    "audit.Leaf.leaf_hash": "a hash",
    "audit.Operator.password": "hashed",
    "audit.Operator.username": "a member of staff; no phone number is one",
    "campaigns.Approval.content_hash": "a hash",
    "campaigns.Attempt.code": "a provider's code",
    "campaigns.Decision.told": "rules, zones and counts",
    "campaigns.Attempt.outcome": "a fixed word",
    "campaigns.Attempt.provider_id": "a provider's opaque key",
    "campaigns.Campaign.audience": "filters",
    "campaigns.Campaign.because": "a fixed phrase with counts",
    "campaigns.Campaign.name": "the business's own words",
    "campaigns.Campaign.status": "a fixed word",
    "campaigns.Campaign.text": "the business's own words; names are filled in when it is sent",
    "campaigns.Campaign.translations": "the business's own words, as the text",
    "campaigns.Message.body": "a fixed text of ours; links are signed when it is sent",
    "campaigns.Message.reason": "a fixed phrase",
    "campaigns.Message.status": "a fixed word",
    "campaigns.Opening.decision": "rules and zones of an area",
    "campaigns.Message.stopped": "rules, zones and counts",
    "campaigns.Override.code": "a fixed word",
    "campaigns.Override.texts": "a hash",
    "campaigns.OwnRule.jurisdiction": "a place that is shared by many",
    "campaigns.Receipt.code": "a provider's code",
    "campaigns.Receipt.gateway": "a fixed word",
    "campaigns.Receipt.provider_id": "a provider's opaque key",
    "campaigns.Receipt.status": "a provider's fixed word",
    "campaigns.Reply.intent": "a fixed word",
    "campaigns.Reply.language": "a language",
    "campaigns.Reply.reason": "a fixed phrase and words of our own tables",
    "campaigns.Reply.topics": "keys of purposes",
    "campaigns.Reply.verdict": "a fixed word",
    "campaigns.Stop.jurisdiction": "a place that is shared by many",
    "campaigns.Reply.number_index": "keyed and one-way",
    "campaigns.Reply.provider_id": "a provider's opaque key",
    "campaigns.Sender.address": "the business's own number",
    "campaigns.Sender.countries": "country codes",
    "campaigns.Sender.gateway": "a fixed word",
    "consent.Area.country": "shared by many",
    "consent.Area.region": "shared by many",
    "consent.Area.states": "shared by many",
    "consent.Area.zones": "shared by many",
    "consent.Consent.method": "a fixed word",
    "consent.Consent.source": "a form or a campaign; personal parts of an address are cut off",
    "consent.ImportRow.fate": "a fixed word",
    "consent.ImportRow.reason": "a fixed phrase that does not repeat the row",
    "consent.ImportRow.shown_as": "a masked number",
    "consent.Allowance.key": "keyed and one-way",
    "consent.ApiCall.answer": "fixed words and codes of purposes",
    "consent.ApiCall.fingerprint": "keyed and one-way",
    "consent.ApiCall.key": "opaque, made by the other system",
    "consent.Consent.commitment": "a salted hash",
    "consent.Integration.key_hash": "a hash of 256 random bits",
    "consent.Integration.name": "the business's own words",
    "consent.Integration.scopes": "fixed words",
    "consent.Label.name": "the business's own words; what looks like a number is refused",
    "consent.ListImport.columns": "fixed words",
    "consent.ListImport.form": "how the file was read",
    "consent.ListImport.headings": "names of columns; a first line that looks personal is refused",
    "consent.ListImport.stage": "a fixed word",
    "consent.ListShare.foreseen": "a hash",
    "consent.Notice.channel": "a fixed word",
    "consent.OptOutRequest.channel": "a fixed word",
    "consent.OptOutRequest.number_index": "keyed and one-way",
    "consent.Purpose.keywords": "the business's own words",
    "consent.Purpose.languages": "languages",
    "consent.Scan.fingerprint": "a hash of the whole picture",
    "consent.Scan.kind": "a fixed word",
    "consent.StopScope.scope": "a fixed word",
    "consent.ListImport.country": "a country code",
    "consent.ListImport.kind": "a fixed word",
    "consent.ListImport.label": "the business's own words",
    "consent.ListImport.method": "a fixed word",
    "consent.Notice.fingerprint": "a hash",
    "consent.Notice.language": "a language",
    "consent.Notice.wording": "the business's own words",
    "consent.Purpose.code": "the business's own words",
    "consent.Purpose.name": "the business's own words",
    "consent.Purpose.period": "a fixed word",
    "consent.Purpose.promise": "the business's own words",
    "consent.Subscriber.language": "a language",
    "consent.Subscriber.number_index": "keyed and one-way",
    "consent.Subscriber.pseudonym": "made at random",
    "consent.Suppression.channel": "a fixed word",
    "consent.Suppression.number_index": "keyed and one-way",
    "consent.Suppression.reason": "a fixed phrase",
    "encryption.Canary.index": "of a number that nobody has",
}
FREE_TEXT = (models.CharField, models.TextField, models.JSONField, models.BinaryField)
FREE_TEXT += (models.GenericIPAddressField, models.FileField)
LOOKS_PERSONAL = re.compile(
    r"phone|number(?!_index)|msisdn|first_name|last_name|surname|full_name|e?mail|birth|address"
    r"|street|city|postcode|zip|gender|latitude|longitude|(^|_)ip($|_)|evidence|secret|salt|token"
)
NOT_OF_A_PERSON = {
    "campaigns.Attempt.number": "counts attempts",
    "campaigns.OwnRule.number": "counts rules",
    "campaigns.Sender.address": "the business's own number",
    "consent.ListPart.number": "counts parts",
    "consent.ListShare.number": "counts shares",
    "consent.Notice.number": "counts wordings",
}


def test_every_text_column_is_declared_personal_or_not() -> None:
    texts = {name for name, field in _fields() if isinstance(field, FREE_TEXT)}
    assert texts == PERSONAL | set(IMPERSONAL)
    assert PERSONAL & set(IMPERSONAL) == set()


def test_what_is_personal_is_encrypted_and_nothing_else_is() -> None:
    assert {name for name, field in _fields() if isinstance(field, EncryptedText)} == PERSONAL


def test_no_other_column_has_the_name_of_something_personal() -> None:
    suspects = {name for name, field in _fields() if LOOKS_PERSONAL.search(field.name)}
    assert suspects - PERSONAL == set(NOT_OF_A_PERSON)


def test_no_text_column_in_clear_can_be_searched_as_a_number() -> None:
    """Where a number can be looked for, it is by the blind index."""
    searched = [f for page in admin.site._registry.values() for f in page.search_fields]
    assert set(searched) == {"subject__exact", "verb__exact", "actor__exact"}


def _ordered_by() -> Iterator[tuple[type[models.Model], str]]:
    for model in OURS:
        yield from ((model, str(name)) for name in model._meta.ordering)
    for model, page in admin.site._registry.items():
        names = [*(page.ordering or []), *page.list_display, *page.list_filter]
        yield from ((model, str(name)) for name in names)


def test_nothing_is_listed_sorted_or_filtered_by_an_encrypted_column() -> None:
    used = {(model._meta.label, name.lstrip("-")) for model, name in _ordered_by()}
    assert {(m, n) for m, n in used if f"{m}.{n.rpartition('__')[2]}" in PERSONAL} == set()


# --- what a row says of itself -----------------------------------------------------------------

NUMBER, NAME = "+12125550123", "Ada Lovelace"


@pytest.fixture
def one_of_each(person, approved_campaign, operators, sender, purpose, at) -> list[models.Model]:
    ada = person(NUMBER, first_name=NAME, evidence=f"{NAME}, {NUMBER}")
    dispatch.launch(campaign=approved_campaign, by=operators(roles.CAMPAIGN_APPROVER), at=at)
    index = ada.number_index
    ledger.withdraw(
        number_index=index, channel=Suppression.Channel.STAFF, reason="told to staff",
        note=f"{NAME} called from {NUMBER}", by=operators(roles.SUBSCRIBER_MANAGER), at=at,
    )  # fmt: skip
    message = Message.objects.get()
    brought = ListImport.objects.create(purpose=purpose, label="May", created_at=at)
    share = ListShare.objects.create(list_import=brought, number=0)
    told = opt_outs.record(
        channel=OptOutRequest.Channel.PHONE, received_at=at, note=f"{NAME} called from {NUMBER}",
        number=None, by=operators(roles.SUBSCRIBER_MANAGER), at=at,
    )  # fmt: skip
    rows = f"2,{NUMBER},{NAME}"
    return [
        ada, message, brought, approved_campaign, sender, purpose,
        *ada.consents.all(), *Suppression.objects.all(), *Detail.objects.all(),
        *Opening.objects.all(), *Approval.objects.all(),
        Reply.objects.create(
            provider_id="SM1", sender=sender, number=NUMBER, number_index=index,
            text=f"I am {NAME}", intent="other", received_at=at,
        ),
        told, share, Decision(told={}),
        ListPart.objects.create(list_import=brought, number=0, content=rows),
        SharePiece.objects.create(share=share, part=0, content=rows),
        Scan.objects.create(
            kind=Scan.Kind.PNG, content=rows, fingerprint="0" * 64, uploaded_at=at
        ),
        ImportRow(list_import=brought, line=2, fate=ImportRow.Fate.ACCEPTED, reason=""),
        OwnRule(number=1, jurisdiction="US-FL", in_force_from=at, reason=f"{NAME}, {NUMBER}"),
        Stop(jurisdiction="US-FL", at=at, reason=f"{NAME}, {NUMBER}"),
        Attempt(message=message, number=1, claim=ada.pk, at=at, decision=Decision()),
        Receipt(attempt=ada.pk, provider_id="SM1", status="sent", received_at=at),
    ]  # fmt: skip


def test_no_row_says_a_number_or_a_name_of_itself(one_of_each) -> None:
    """`__str__` stands in logs, error pages, titles and select boxes."""
    built = {type(row)._meta.label for row in one_of_each}
    with_people = {name.rpartition(".")[0] for name in PERSONAL if name[:6] != "encryp"}
    assert with_people - {"audit.Authenticator"} <= built
    for row in one_of_each:
        said = f"{row!s} {row!r} {row._meta.verbose_name}"
        assert not re.search(r"Ada|Lovelace|2125550123", said), said


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_every_model_says_something_of_itself(model) -> None:
    assert "__str__" in {n for base in model.__mro__[:1] for n in vars(base)}


# --- the back office ---------------------------------------------------------------------------

MAY_ADD = {
    "audit.Operator",
    "campaigns.Campaign",
    "campaigns.OwnRule",
    "campaigns.Sender",
    "consent.Integration",
    "consent.Label",
    "consent.ListImport",
    "consent.Notice",
    "consent.OptOutRequest",
    "consent.Purpose",
    "consent.StopScope",
}
MAY_CHANGE = {"audit.Operator", "campaigns.Campaign"}


class Almighty:
    """A user whom no permission is denied."""

    is_active = is_staff = True

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return True

    def has_module_perms(self, label: str) -> bool:
        return True


def _request() -> Any:
    request = RequestFactory().get("/")
    request.user = Almighty()  # type: ignore[assignment]
    return request


PAGES = admin.site._registry


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.model._meta.label)
def test_a_page_is_read_only_unless_it_is_on_the_list(page) -> None:
    label, request = page.model._meta.label, _request()
    assert page.has_add_permission(request) == (label in MAY_ADD)
    assert page.has_change_permission(request) == (label in MAY_CHANGE)
    assert page.has_delete_permission(request) is False
    for inline in page.get_inline_instances(request):
        assert inline.has_add_permission(request, None) is False
        assert inline.has_change_permission(request, None) is False
        assert not (inline.can_delete and inline.has_delete_permission(request, None))


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.model._meta.label)
def test_every_action_says_which_permission_it_takes(page) -> None:
    actions = page.get_actions(_request())
    assert "delete_selected" not in actions
    for act, name, _label in actions.values():
        assert getattr(act, "allowed_permissions", None), f"{page}.{name}"


def test_there_is_one_site_and_it_is_ours() -> None:
    assert type(admin.site._wrapped).__name__ == "BackOffice"
    made = [
        _named(path)
        for path, node in _nodes(ast.ClassDef)
        if "AdminSite" in map(_source, node.bases)
    ]
    assert made == ["config/admin.py"]


def _source(node: ast.AST) -> str:
    return ast.unparse(node)


@pytest.mark.django_db
def test_every_permission_in_the_table_of_roles_exists() -> None:
    known = {f"{app}.{code}" for app, code in Permission.objects.values_list(
        "content_type__app_label", "codename")}  # fmt: skip
    assert roles.permissions_of(roles.ROLES) - known == set()


def test_every_permission_that_a_page_asks_for_is_given_to_some_role() -> None:
    own = {f"{m._meta.app_label}.{code}" for m in OURS for code, _name in m._meta.permissions}
    assert own - roles.permissions_of(roles.ROLES) == set()


FRAGMENTS = {  # included, never a page
    "admin/campaigns/campaign/standing.html",
    "admin/campaigns/stops.html",
    "admin/change_form_object_tools.html",
}


@pytest.mark.parametrize(
    "template", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: path.name
)
def test_every_page_says_its_language(template) -> None:
    if str(template.relative_to(ROOT / "templates")) in FRAGMENTS:
        return
    assert re.search(r"<html[^>]* lang=", _root_of(template))


def _root_of(template: Path) -> str:
    """The text of the template at the end of the chain of `extends`."""
    text = template.read_text(encoding="utf-8")
    extended = re.match(r'\{%-? *extends "([^"]+)"', text)
    if extended is None:
        return text
    stock = Path(admin.__file__).parent / "templates"
    own = ROOT / "templates" / extended[1]
    return _root_of(own if own.exists() and own != template else stock / extended[1])


# --- verbs -------------------------------------------------------------------------------------

VERBS = [
    dispatch,
    emergency,
    hours,
    integrations,
    labels,
    ledger,
    lists,
    operators,
    opt_outs,
    purposes,
    senders,
    signup,
]
NO_VERB = {
    "emergency.because": "words",
    "emergency.concerning": "asks, and changes nothing",
    "emergency.standing": "asks, and changes nothing",
    "emergency.told_of": "words",
    "hours.drafted": "keeps nothing",
    "hours.in_force": "asks, and changes nothing",
    "hours.jurisdictions": "asks, and changes nothing",
    "hours.require_impersonal": "asks, and changes nothing",
    "hours.require_place": "asks, and changes nothing",
    "hours.require_sense": "asks, and changes nothing",
    "dispatch.dry_run": "asks, and changes nothing",
    "dispatch.keep_time": "the clock is its actor: each step names the worker",
    "integrations.by_key": "asks, and changes nothing",
    "integrations.fingerprint_of": "arithmetic",
    "integrations.once": "keeps an answer; the act it does is the caller's",
    "ledger.confirmations": "asks, and changes nothing",
    "ledger.hold": "locks, and changes nothing",
    "ledger.root_of": "arithmetic",
    "senders.address_of": "arithmetic",
    "lists.step": "the last line of a verb, which tells of it",
    "lists.tell": "the last line of a verb",
    "purposes.is_past": "asks, and changes nothing",
    "purposes.lacking": "asks, and changes nothing",
    "purposes.require_free": "asks, and changes nothing",
    "operators.draft_authenticator": "counts for nothing until it is confirmed",
}


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name, found in inspect.getmembers(module, inspect.isfunction):
        if found.__module__ == module.__name__ and not name.startswith("_"):
            yield f"{module.__name__.rpartition('.')[2]}.{name}", found


VERB_CASES = {name: verb for module in VERBS for name, verb in _public(module)}


@pytest.mark.parametrize("name", sorted(set(VERB_CASES) - set(NO_VERB)))
def test_every_verb_says_who_and_when_by_keyword_only(name) -> None:
    signature = inspect.signature(inspect.unwrap(VERB_CASES[name]))
    kinds = {p.kind for p in signature.parameters.values()}
    assert {"by", "at"} <= set(signature.parameters)
    assert kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
    for needed in ("by", "at"):
        assert signature.parameters[needed].default is inspect.Parameter.empty
    assert VERB_CASES[name].__doc__


def test_every_exception_from_the_rule_of_verbs_exists() -> None:
    assert set(NO_VERB) <= set(VERB_CASES)


# --- campaigns ---------------------------------------------------------------------------------

STAMPS = {
    "draft": "edited_at",
    "checked": "checked_at",
    "approved": "approved_at",
    "scheduled": "scheduled_at",
    "sending": "launched_at",
    "paused": "paused_at",
    "finished": "finished_at",
    "cancelled": "cancelled_at",
}


def test_every_status_of_a_campaign_has_its_timestamp() -> None:
    assert set(STAMPS) == set(Campaign.Status.values)
    for stamp in STAMPS.values():
        assert isinstance(Campaign._meta.get_field(stamp), models.DateTimeField)


@pytest.mark.parametrize(("status", "stamp"), STAMPS.items())
def test_the_database_refuses_a_status_without_its_timestamp(
    approved_campaign, status, stamp
) -> None:
    row = Campaign.objects.filter(pk=stand(approved_campaign, status).pk)
    with pytest.raises(Exception, match=f"{stamp}|NOT NULL|not-null|not rewritten") as refusal:
        row.update(**{stamp: None})
    assert type(refusal.value).__name__ == "IntegrityError"


def test_every_status_of_a_campaign_can_be_reached_and_the_last_ones_left_by_nothing() -> None:
    reached = set().union(*Campaign.STEPS.values())
    assert reached == set(Campaign.Status.values)
    assert {s for s, steps in Campaign.STEPS.items() if not steps} == {"finished", "cancelled"}


# --- Celery ------------------------------------------------------------------------------------


def _ours() -> set[str]:
    current_app.loader.import_default_modules()
    return {name for name in current_app.tasks if name.partition(".")[0] in APPS}


def test_every_task_has_its_place_in_the_schedule_and_the_schedule_only_ours() -> None:
    scheduled = [entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()]
    assert sorted(scheduled) == sorted(_ours())


def test_every_shared_task_of_the_sources_is_registered_and_takes_nothing() -> None:
    """A message says only: look at the table."""
    declared = {
        f"{_named(path)[:-3].replace('/', '.')}.{node.name}": node
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any("task" in _source(decorator) for decorator in node.decorator_list)
    }
    assert set(declared) == _ours()
    assert [name for name, node in declared.items() if node.args.args] == []


def test_every_ring_of_the_clock_expires_before_rings_pile_up() -> None:
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["schedule"] <= entry["options"]["expires"] <= 60


# --- files and sources -------------------------------------------------------------------------

BANNED = {
    "service", "util", "common", "process", "handle_data", "info", "manager", "flag", "temp",
    "helper", "core", "selector", "misc",
}  # fmt: skip


def test_nothing_starts_with_libraries_that_few_pages_need() -> None:
    """They would be a fifth of the time in which a worker, beat or any command starts."""
    heavy = ["openpyxl", "reportlab", "PIL"]
    asked = f"import django, sys; django.setup(); print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_no_module_has_a_name_that_says_nothing() -> None:
    banned = BANNED | {f"{word}s" for word in BANNED}
    parts = {(path, part.removesuffix(".py")) for path in SOURCES
             for part in path.relative_to(ROOT).parts}  # fmt: skip
    assert [_named(path) for path, part in parts if part in banned] == []


def test_every_module_says_what_it_is_for() -> None:
    generated = re.compile(r"__init__\.py|\d{4}_")
    silent = [p for p in SOURCES if not ast.get_docstring(TREES[p]) and not generated.match(p.name)]
    assert [_named(path) for path in silent] == []


def _nodes(*kinds: type[ast.AST]) -> Iterator[tuple[Path, Any]]:
    for path, tree in TREES.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, kinds))


def test_no_blind_except() -> None:
    caught = {
        f"{_named(path)}:{node.lineno}": _source(node.type) if node.type else "Exception"
        for path, node in _nodes(ast.ExceptHandler)
    }
    assert caught
    assert {k: v for k, v in caught.items() if re.search(r"\b(Base)?Exception\b", v)} == {}


def test_our_own_logic_uses_no_signals() -> None:
    imported = {(_named(path), _source(node)) for path, node in _nodes(ast.Import, ast.ImportFrom)}
    signals = re.compile(r"signals|django\.dispatch|import .*\b(receiver|Signal)\b")
    using = {path for path, line in imported if signals.search(line)}
    assert using == {"config/celery.py"}  # refuses to start under wrong keys


def test_nothing_in_the_sources_sorts_by_ciphertext() -> None:
    """Django leaves a field no way to refuse it; the order would mean nothing."""
    in_clear = {field.name for name, field in _fields() if name not in PERSONAL}
    encrypted = {name.rpartition(".")[2] for name in PERSONAL} - in_clear
    sorting = re.compile(r"order_by|earliest|latest|distinct|OrderBy|Min|Max")
    used = {
        f"{_named(path)}:{node.lineno}"
        for path, node in _nodes(ast.Call)
        if sorting.fullmatch(_source(node.func).rpartition(".")[2])
        for told in (*node.args, *node.keywords)  # not what the chain before it was told
        for sought in ast.walk(told)
        if isinstance(sought, ast.Constant)
        and str(sought.value).lstrip("-").rpartition("__")[2] in encrypted
    }
    assert {"first_name", "evidence", "content"} <= encrypted
    assert used == set()


def _signals() -> Iterator[Signal]:
    for name in ("pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed", "pre_init"):
        yield getattr(models.signals, name)


def test_no_receiver_of_ours_is_connected() -> None:
    connected = [str(entry[1]) for signal in _signals() for entry in signal.receivers]
    assert [one for one in connected if any(f"{app}." in one for app in APPS)] == []


# --- migrations --------------------------------------------------------------------------------


def _migrations() -> Iterator[tuple[str, Any]]:
    loader = MigrationLoader(None)
    for (_label, name), migration in sorted(loader.disk_migrations.items()):
        if migration.__module__.partition(".")[0] in APPS:
            yield f"{migration.app_label}.{name}", migration


MIGRATIONS = dict(_migrations())


@pytest.mark.parametrize("name", MIGRATIONS)
def test_a_migration_has_a_name_and_can_be_reversed(name) -> None:
    assert not re.search(r"_auto_|_and_more|_alter_\w+_options$", name)
    assert re.search(r"\.\d{4}_[a-z]", name)
    kept = [type(step).__name__ for step in MIGRATIONS[name].operations if not step.reversible]
    assert kept == []


def test_every_app_with_models_has_migrations() -> None:
    assert {name.partition(".")[0] for name in MIGRATIONS} == {m._meta.app_label for m in OURS}


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_the_names_of_constraints_are_sentences() -> None:
    for model in OURS:
        for constraint in model._meta.constraints:
            assert constraint.name.count("_") >= 2, constraint.name
            assert len(constraint.name) <= 63, constraint.name  # PostgreSQL cuts longer ones

"""The pages of the trail: read, followed and verified by those who may, and changed by nobody."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit import roles, trail
from audit.models import Checkpoint, Entry, Leaf, Operator
from tests.audit.conftest import Seal, Tamper, Tell
from tests.conftest import Clock

pytestmark = pytest.mark.django_db

Browser = Callable[..., Any]  # a client, whose answers have an address and a context
LIST = "admin:audit_entry_changelist"
CHANGE = "admin:audit_entry_change"
CHECKPOINTS = "admin:audit_checkpoint_changelist"
READERS = [roles.AUDITOR, roles.PRIVACY_OFFICER]
OTHERS = [role for role in roles.ROLES if role not in READERS]
committed = pytest.mark.django_db(transaction=True)


def shown(page: Any) -> list[Entry]:
    return list(page.context["cl"].result_list)


# --- reading


@pytest.mark.parametrize("role", READERS)
def test_readers_of_the_trail_see_the_newest_entry_first(
    role: str, signed_in: Browser, tell: Tell
) -> None:
    client = signed_in(role)
    older, newer = tell(), tell()
    assert [entry.pk for entry in shown(client.get(reverse(LIST)))][:2] == [newer.pk, older.pk]
    assert client.get(reverse(CHANGE, args=[older.pk])).status_code == 200
    assert client.get(reverse(CHECKPOINTS)).status_code == 200


@pytest.mark.parametrize("role", OTHERS)
def test_other_roles_are_refused_at_every_page_of_the_trail(
    role: str, signed_in: Browser, tell: Tell
) -> None:
    client, entry = signed_in(role), tell()
    pages = [reverse(LIST), reverse(CHANGE, args=[entry.pk]), reverse(CHECKPOINTS)]
    pages += [reverse("admin:audit_entry_history", args=[entry.pk]), reverse("admin:audit_verify")]
    for address in pages:
        assert client.get(address).status_code == 403
        assert client.post(address).status_code == 403


def test_an_operator_is_shown_by_name_and_a_machine_by_what_it_is(
    signed_in: Browser, operators: Callable[..., Operator], tell: Tell
) -> None:
    client, ada = signed_in(roles.AUDITOR), operators(roles.CAMPAIGN_APPROVER, name="ada")
    tell(by=ada)
    tell(by="gateway")
    content = client.get(reverse(LIST)).content.decode()
    assert '<td class="field-who">ada</td>' in content.replace("th", "td")
    assert '<td class="field-who">gateway</td>' in content.replace("th", "td")


@pytest.mark.parametrize("asked", ["campaign:1", "subscriber:7", "worker", "campaign.halted"])
def test_a_subject_an_actor_or_a_verb_can_be_followed(
    asked: str, signed_in: Browser, tell: Tell
) -> None:
    client = signed_in(roles.AUDITOR)
    tell(by="person")
    tell("campaign.halted", subject="campaign:2", by="web")
    tell("consent.opened", subject="subscriber:7", by="person")
    tell("trail.looked_at", subject="trail")
    found = shown(client.get(reverse(LIST), {"q": asked}))
    assert found
    for entry in found:
        assert asked in (entry.subject, entry.actor, entry.verb)
    assert len(found) == 1


def test_following_a_subject_shows_no_other_whose_name_begins_alike(
    signed_in: Browser, tell: Tell
) -> None:
    client, wanted = signed_in(roles.AUDITOR), tell(subject="campaign:1")
    tell(subject="campaign:12")
    tell(subject="campaign:1", verb="campaign.launched")
    found = shown(client.get(reverse(LIST), {"q": "campaign:1"}))
    assert {entry.subject for entry in found} == {wanted.subject}
    assert len(found) == 2


def test_each_row_links_to_everything_told_of_its_subject(signed_in: Browser, tell: Tell) -> None:
    client = signed_in(roles.AUDITOR)
    tell(subject="subscriber:0b7e8a52-9a2e-4a55-bb70-3d7ac0c6a001")
    content = client.get(reverse(LIST)).content.decode()
    assert '<a href="?q=subscriber:0b7e8a52-9a2e-4a55-bb70-3d7ac0c6a001"' in content
    assert ">subscriber 0b7e8a52…</a>" in content


def test_the_page_of_an_entry_shows_all_its_facts_and_no_detail(
    signed_in: Browser, tell: Tell
) -> None:
    client = signed_in(roles.AUDITOR)
    entry = tell(facts={"reason": "<b>late</b>", "roles": ["Auditor"]}, detail="Ada was cross")
    content = client.get(reverse(CHANGE, args=[entry.pk])).content.decode()
    assert "&lt;b&gt;late&lt;/b&gt;" in content
    for told in (entry.leaf_hash, entry.commitment, str(entry.uid), "not sealed yet"):
        assert told in content
    assert "Ada was cross" not in content


def test_a_sealed_entry_shows_its_place_and_its_checkpoint_the_note(
    signed_in: Browser, tell: Tell, at: datetime
) -> None:
    client, entry = signed_in(roles.AUDITOR), tell()
    Leaf.objects.create(index=41, entry=entry, leaf_hash=entry.leaf_hash)
    kept = Checkpoint.objects.create(
        size=42, root=entry.leaf_hash, at=at, note="a note\n— by us", frontier=[], horizon=1
    )
    page = client.get(reverse(CHANGE, args=[entry.pk]))
    assert '<div class="readonly">41</div>' in page.content.decode()
    noted = client.get(reverse("admin:audit_checkpoint_change", args=[kept.pk]))
    assert "<pre>a note\n— by us</pre>" in noted.content.decode()
    assert entry.leaf_hash in client.get(reverse(CHECKPOINTS)).content.decode()


# --- changing


def addresses(name: str, *keys: Any) -> list[str]:
    return [reverse(f"admin:audit_{name}_{page}", args=keys) for page in ("change", "delete")]


@pytest.mark.parametrize("role", READERS)
def test_nobody_changes_adds_or_deletes_what_the_trail_holds(
    role: str, signed_in: Browser, tell: Tell, at: datetime
) -> None:
    client, entry = signed_in(role), tell()
    kept = Checkpoint.objects.create(size=1, root="0" * 64, at=at, note="n", frontier=[], horizon=1)
    pages = [*addresses("entry", entry.pk), *addresses("checkpoint", kept.pk)]
    pages += [reverse("admin:audit_entry_add"), reverse("admin:audit_checkpoint_add")]
    for address in pages:
        assert client.post(address, {"verb": "x", "post": "yes"}).status_code == 403
    assert Entry.objects.get(pk=entry.pk).verb == entry.verb


def test_an_auditor_adds_changes_and_deletes_nothing_anywhere(signed_in: Browser) -> None:
    client = signed_in(roles.AUDITOR)
    auditor = Operator.objects.get()
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert client.post(reverse(f"{name}_add"), {}).status_code == 403, name
        row = auditor if model is Operator else model._default_manager.first()
        if row:
            for page in ("change", "delete"):
                address = reverse(f"{name}_{page}", args=[row.pk])
                assert client.post(address, {"post": "yes"}).status_code == 403, address


def test_lists_of_the_trail_offer_no_action(signed_in: Browser, tell: Tell) -> None:
    client, entry = signed_in(roles.AUDITOR), tell()
    assert "_selected_action" not in client.get(reverse(LIST)).content.decode()
    sent = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
    client.post(reverse(LIST), sent)
    assert Entry.objects.filter(pk=entry.pk).exists()


# --- verifying


def verdict(client: Client) -> Any:
    return client.post(reverse("admin:audit_verify"))


def test_asking_for_the_page_verifies_nothing_yet(signed_in: Browser) -> None:
    page = signed_in(roles.AUDITOR).get(reverse("admin:audit_verify"))
    assert (page.status_code, page.context["report"]) == (200, None)
    assert not Entry.objects.filter(verb="trail.verified").exists()


def test_only_an_auditor_verifies_and_only_an_auditor_is_offered_it(signed_in: Browser) -> None:
    officer, auditor = signed_in(roles.PRIVACY_OFFICER), signed_in(roles.AUDITOR)
    assert verdict(officer).status_code == 403
    link = reverse("admin:audit_verify")
    assert link not in officer.get(reverse(LIST)).content.decode()
    assert auditor.get(reverse(LIST)).content.decode().count(f'href="{link}"') == 1


@committed
def test_a_whole_trail_is_found_whole_and_that_is_told(
    signed_in: Browser, tell: Tell, seal: Seal, clock: Clock
) -> None:
    client = signed_in(roles.AUDITOR)
    tell()
    seal()
    sealed = Leaf.objects.count()
    page = verdict(client)
    said = f"The trail is whole: {sealed} entries, 1 checkpoints, 0 entries not sealed yet."
    assert said in page.content.decode()
    told = Entry.objects.latest("id")
    auditor = Operator.objects.get()
    assert (told.verb, told.actor, told.at) == (
        "trail.verified",
        trail.actor_name(auditor),
        clock.at,
    )
    assert told.facts == {"ok": True, "entries": sealed}


@committed
def test_a_broken_trail_is_found_broken_and_that_is_told(
    signed_in: Browser, tell: Tell, seal: Seal, tamper: Tamper
) -> None:
    client, entry = signed_in(roles.AUDITOR), tell()
    seal()
    tamper(f"UPDATE audit_entry SET verb = 'x' WHERE id = {entry.pk}")
    content = verdict(client).content.decode()
    assert "The trail is not what was written." in content
    assert "are not those sealed: changed, moved, removed" in content
    assert Entry.objects.latest("id").facts["ok"] is False


@committed
def test_a_cut_tail_is_found_by_the_checkpoints_carried_outside(
    signed_in: Browser, tell: Tell, seal: Seal, tamper: Tamper
) -> None:
    client = signed_in(roles.AUDITOR)
    seal()
    size = Leaf.objects.count()
    tell()
    seal()
    tamper(
        f'DELETE FROM audit_leaf WHERE "index" >= {size}',
        f"DELETE FROM audit_checkpoint WHERE size > {size}",
    )
    said = f"it attests {size + 1} entries but the trail holds {size}: its tail was cut off"
    assert said in verdict(client).content.decode()


# --- cost


def queries_for(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


def test_the_list_runs_as_many_queries_for_many_as_for_few(
    signed_in: Browser, operators: Callable[..., Operator], at: datetime
) -> None:
    client, counts = signed_in(roles.AUDITOR), []
    for many in (3, 30):
        with transaction.atomic():
            by = operators(roles.CAMPAIGN_AUTHOR, name=f"author-{many}")
            acts = [trail.Act("campaign.edited", f"campaign:{n}") for n in range(many)]
            trail.record_many(acts, by=by, at=at)
        counts.append(queries_for(client, reverse(LIST)))
    assert counts[0] == counts[1]


def test_the_list_of_checkpoints_runs_as_many_queries_for_many_as_for_few(
    signed_in: Browser, at: datetime
) -> None:
    client, counts = signed_in(roles.AUDITOR), []
    for sizes in (range(1, 4), range(4, 31)):
        for size in sizes:
            usual = {"root": "0" * 64, "note": "n", "frontier": [], "horizon": 1}
            Checkpoint.objects.create(size=size, at=at, **usual)
        counts.append(queries_for(client, reverse(CHECKPOINTS)))
    assert counts[0] == counts[1]

"""A person's page tells what happened to whoever may see it, and hands out the dispute pack."""

import io
import re
import zipfile
from datetime import timedelta
from html import unescape

import pytest

from audit import roles
from audit.models import Entry
from campaigns import dispute, timeline
from campaigns.admin import people
from campaigns.models import Reply
from consent.models import Subscriber
from tests.campaigns.conftest import NEW_YORK, queries, withdraw, write
from tests.campaigns.test_timeline import SPELLINGS, live, minutes, sent
from tests.conftest import AT, WORDINGS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "sender")]
PEOPLE = "/admin/consent/subscriber/"
SEE = [roles.SUBSCRIBER_MANAGER, roles.PRIVACY_OFFICER, roles.AUDITOR]
PACK = [roles.PRIVACY_OFFICER, roles.AUDITOR]
NOT_PACK = sorted(set(roles.ROLES) - set(PACK))
SPELLED_OUT = re.compile(r"555\W{0,3}0123")
BUTTON = "Make a dispute pack"


def page_of(person):
    return f"{PEOPLE}{person.pk}/change/"


def pack_of(person):
    return f"{PEOPLE}{person.pk}/dispute-pack/"


def read(browser, address):
    answer = browser.get(address)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def titles(page):
    return [title.strip() for title in re.findall(r'<p class="told">(?:<a[^>]*>)?([^<]*)', page)]


@pytest.fixture
def life(purpose, notice, sender, operators, launched):
    given = {"purpose": purpose, "notice": notice, "sender": sender}
    return live(**given, operators=operators, launched=launched)


# --- what happened -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", SEE)
def test_everything_that_happened_is_shown_newest_first(signed_in, life, role):
    page = read(signed_in(role), page_of(life))
    assert titles(page) == [event.title for event in timeline.of(life)][::-1]
    assert WORDINGS["current"] in page
    assert page.count("<time datetime=") == len(titles(page))


@pytest.mark.parametrize("role", sorted(set(roles.ROLES) - set(SEE)))
def test_what_happened_is_not_everyones_to_see(signed_in, life, role):
    assert signed_in(role).get(page_of(life)).status_code == 403


@pytest.mark.parametrize("role", SEE)
def test_the_number_stands_nowhere_on_the_page_in_clear(signed_in, life, role):
    for spelled in SPELLINGS:
        write(f"my number is {spelled}", at=minutes(30))
    page = read(signed_in(role), page_of(life))
    assert "my number is +1 ••• ••• ••23" in page
    assert not SPELLED_OUT.search(page)
    assert "203.0.113.7" not in page  # evidence stays closed


def test_what_a_person_wrote_is_shown_to_those_only_who_may_read_replies(
    signed_in, person, monkeypatch
):
    someone = person()
    write("When do you open?")
    browser = signed_in(roles.SUBSCRIBER_MANAGER)
    assert "When do you open?" in read(browser, page_of(someone))
    fewer = roles.ROLES[roles.SUBSCRIBER_MANAGER] - {"campaigns.view_reply"}
    monkeypatch.setitem(roles.ROLES, roles.SUBSCRIBER_MANAGER, fewer)
    assert "When do you open?" not in read(browser, page_of(someone))


def test_what_a_person_wrote_is_shown_as_text_and_not_as_a_page(signed_in, person):
    someone = person()
    write("<script>alert(1)</script>")
    shown = signed_in(roles.AUDITOR).get(page_of(someone)).content.decode()
    assert "<script>alert" not in shown


@pytest.mark.parametrize(
    ("role", "linked"),
    [(roles.AUDITOR, True), (roles.SUBSCRIBER_MANAGER, False)],
)
def test_an_event_leads_to_its_page_for_those_who_may_see_that(signed_in, life, role, linked):
    page = read(signed_in(role), page_of(life))
    assert ('href="/admin/campaigns/message/' in page) is linked
    assert 'href="/admin/campaigns/reply/' in page


def test_only_the_latest_are_shown_until_all_are_asked_for(signed_in, life, monkeypatch):
    monkeypatch.setattr(people, "LATEST", 5)
    browser, count = signed_in(roles.AUDITOR), len(timeline.of(life))
    page = read(browser, page_of(life))
    assert len(titles(page)) == 5
    assert f"The latest 5 of {count} events." in page
    assert 'href="?all=1#timeline"' in page
    everything = read(browser, f"{page_of(life)}?all=1")
    assert len(titles(everything)) == count
    assert "The latest" not in everything


def test_a_long_life_costs_as_many_queries_as_a_short_one(signed_in, person):
    someone, browser = person(), signed_in(roles.AUDITOR)

    def lives(first):
        for place in range(first, first + 3):
            withdraw(someone, at=minutes(10 * place), channel="sms")
            write("START", at=minutes(10 * place + 1))
            sent(minutes(10 * place + 2), f"SM{place}x")

    lives(0)
    read(browser, page_of(someone))
    few = queries(lambda: read(browser, page_of(someone)))
    lives(3)
    assert Reply.objects.count() == 6
    assert queries(lambda: read(browser, page_of(someone))) == few


def test_someone_who_is_not_there_leads_back(signed_in):
    assert signed_in(roles.AUDITOR).get(f"{PEOPLE}{'0' * 32}/change/").status_code == 302


# --- the pack ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", PACK)
def test_a_pack_is_made_by_a_press_of_a_button_and_kept_in_no_cache(signed_in, life, clock, role):
    browser = signed_in(role)
    clock.at = AT + timedelta(hours=1)
    page = read(browser, page_of(life))
    assert BUTTON in page
    assert f'action="{pack_of(life)}"' in page
    answer = browser.post(pack_of(life))
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert answer["Content-Disposition"] == f'attachment; filename="dispute-{life.pseudonym}.zip"'
    assert "no-store" in answer["Cache-Control"]
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"dispute.pdf", "proofs.json"} <= set(names)
    told = Entry.objects.get(verb="dispute.packed")
    assert (told.at, told.actor[:9]) == (clock.at, "operator:")
    assert "made a dispute pack." in read(browser, page_of(life))


@pytest.mark.parametrize("role", NOT_PACK)
def test_who_may_make_no_pack_makes_none(signed_in, life, role):
    browser = signed_in(role)
    assert browser.post(pack_of(life)).status_code == 403
    assert BUTTON not in browser.get(page_of(life)).content.decode()
    assert not Entry.objects.filter(verb="dispute.packed").exists()


def test_a_pack_is_not_made_by_following_a_link(signed_in, life):
    assert signed_in(roles.AUDITOR).get(pack_of(life)).status_code == 405
    assert not Entry.objects.filter(verb="dispute.packed").exists()


def test_a_pack_of_nobody_is_not_made(signed_in, life):
    nobody = Subscriber(number=NEW_YORK)
    assert signed_in(roles.AUDITOR).post(pack_of(nobody)).status_code == 403


def test_a_pack_that_cannot_be_proved_is_not_handed_out_but_said(signed_in, life, monkeypatch):
    def broken(person, **more):
        raise dispute.proofs.NotAsSealed("entry 7 is not what was sealed")

    monkeypatch.setattr(dispute, "pack", broken)
    browser = signed_in(roles.AUDITOR)
    answer = browser.post(pack_of(life), follow=True)
    assert answer.redirect_chain == [(page_of(life), 302)]
    assert "Entry 7 is not what was sealed" in answer.content.decode()

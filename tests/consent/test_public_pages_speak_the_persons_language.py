"""Each public page speaks the language of its person; the back office speaks English."""

import ast
import gettext
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.template import Context
from django.template.loader import get_template
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.test import Client
from django.urls import reverse
from django.utils import translation

from audit import roles
from consent import links, purposes, replies
from consent.models import Method, Notice, Purpose
from consent.numbers import SENTENCES, Reason
from tests.conftest import AT, Enrol
from tests.consent.conftest import ADA, Withdraw
from tests.consent.test_wording import IN_OTHER_LANGUAGES
from tests.services import ROOT

NAMES = {"es": "Ofertas", "fr": "Offres", "de": "Angebote", "pt": "Ofertas"}
WORDINGS = dict(zip(NAMES, IN_OTHER_LANGUAGES.values(), strict=True))
PAGES = ["public.html", *(f"public/{page.name}" for page in ROOT.glob("templates/public/*.html"))]
PLACEHOLDER = re.compile(r"%\(\w+\)s")
ENGLISH = re.compile(r"\b(?:the|you|your|this|that|with|and|agreed|stop|text|number)\b", re.ASCII)
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"')

# --- catalogues --------------------------------------------------------------------------------


def catalogue(language: str, ending: str) -> Path:
    return Path(ROOT / f"consent/locale/{language}/LC_MESSAGES/django.{ending}")


def written(language: str) -> dict[str, str]:
    """What the .po file says, by string; the context stands before it, as in a .mo file."""
    found: dict[str, str] = {}
    for block in catalogue(language, "po").read_text("utf-8").split("\n\n"):
        parts: dict[str, str] = {}
        part = ""
        for word, said in re.findall(r'^(msg\w+ )?(".*")$', block, re.MULTILINE):
            part = word.strip() or part
            parts[part] = parts.get(part, "") + json.loads(said)
        key = "\x04".join(parts[part] for part in ("msgctxt", "msgid") if part in parts)
        assert key not in found
        found[key] = parts["msgstr"]
    del found[""]  # the head of the file
    return found


def compiled(file: Path) -> dict[str, str]:
    with file.open("rb") as opened:
        entries = gettext.GNUTranslations(opened)._catalog  # type: ignore[attr-defined]
    return {key: said for key, said in entries.items() if key}


def shown_by(page: str) -> Iterator[str]:
    nodes = get_template(page).template.nodelist
    for node in nodes.get_nodes_by_type(TranslateNode):
        about = node.message_context and node.message_context.resolve(Context())
        text = str(node.filter_expression.var.literal)
        yield f"{about}\x04{text}" if about else text
    for node in nodes.get_nodes_by_type(BlockTranslateNode):
        yield node.render_token_list(node.singular)[0]


def shown_by_the_view() -> Iterator[str]:
    tree = ast.parse((ROOT / "consent" / "views.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            yield ast.literal_eval(node.args[0])


def shown() -> set[str]:
    """Every string of the public pages."""
    ours = {text for page in PAGES for text in shown_by(page)}
    with translation.override("en"):
        return ours | {*shown_by_the_view(), *map(str, Method.labels), *SENTENCES.values()}


def test_the_strings_of_templates_views_and_numbers_are_found() -> None:
    assert {
        "date\x04j F Y",
        "Stop %(name)s",
        "Please wait",
        "Your mobile number",
        "web form",
        "The area code is missing.",
    } <= shown()


@pytest.mark.parametrize("language", NAMES)
def test_every_string_of_the_public_pages_is_translated_and_no_other(language: str) -> None:
    assert set(written(language)) == shown()


@pytest.mark.parametrize("language", NAMES)
def test_no_translation_is_empty_or_a_guess(language: str) -> None:
    assert [key for key, said in written(language).items() if not said.strip()] == []
    assert re.findall(r"^#(?:,.*fuzzy|[~|])", catalogue(language, "po").read_text(), re.M) == []


@pytest.mark.parametrize("language", NAMES)
def test_no_sentence_was_left_in_english(language: str) -> None:
    said = {key: PLACEHOLDER.sub("", text) for key, text in written(language).items()}
    assert [key for key, text in said.items() if ENGLISH.search(text)] == []


@pytest.mark.parametrize("language", NAMES)
def test_placeholders_and_keywords_are_kept(language: str) -> None:
    for key, said in written(language).items():
        assert sorted(PLACEHOLDER.findall(said)) == sorted(PLACEHOLDER.findall(key)), key
        for keyword in ("STOP", "START"):
            assert (keyword in said) == (keyword in key), key


@pytest.mark.parametrize("language", NAMES)
def test_the_yes_that_is_asked_for_is_a_yes(language: str) -> None:
    [said] = [said for key, said in written(language).items() if "with YES" in key]
    assert [word for word in re.findall(r"\b[^\W\d_a-z]{2,}\b", said) if replies.says_yes(word)]


@pytest.mark.parametrize("language", NAMES)
def test_no_translation_is_markup(language: str) -> None:
    """Templates put a translation into the page as it is."""
    assert [said for said in written(language).values() if set(said) & set('<>&"')] == []


@pytest.mark.parametrize("language", NAMES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    assert compiled(catalogue(language, "mo")) == written(language)


@pytest.mark.skipif(not shutil.which("msgfmt"), reason="gettext is not installed")
@pytest.mark.parametrize("language", NAMES)
def test_the_compiler_finds_no_fault_and_makes_the_same(language: str, tmp_path: Path) -> None:
    made = tmp_path / "django.mo"
    source = str(catalogue(language, "po"))
    subprocess.run(["msgfmt", "--check-format", "-o", str(made), source], check=True)
    assert compiled(made) == compiled(catalogue(language, "mo"))


# --- pages -------------------------------------------------------------------------------------


@pytest.fixture(params=NAMES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def publish(purpose: Purpose, language: str) -> Notice:
    return purposes.publish(
        purpose=purpose,
        language=language,
        wording=f"{WORDINGS[language]} 21.".replace("\u2019", "'"),
        shown_from=datetime(2025, 1, 1, tzinfo=UTC),
        by="command",
        at=AT,
    )


@pytest.fixture
def theirs(clock: Any, purpose: Purpose, language: str) -> Notice:
    """The wording of a purpose whose only words are in the person's language."""
    purpose.name = purpose.promise = NAMES[language]
    purpose.languages, purpose.least_age = language, 21
    purpose.save()
    return publish(purpose, language)


def read(page: Any) -> str:
    """What people read on a page."""
    return plain(html.unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


def plain(text: str) -> str:
    return " ".join(text.split())


def speaks(page: Any, language: str) -> None:
    """That a page is in that language, and says so."""
    assert f'<html lang="{language}">' in page.content.decode()
    assert ENGLISH.findall(read(page)) == []
    for key in shown():
        for part in PLACEHOLDER.split(key):
            assert not re.search(rf"\b{re.escape(part.strip())}\b", read(page)) or len(part) < 4
    assert translation.get_language() == "en"


def join(language: str) -> str:
    return f"/join/offers/{language}/"


def path_of(kind: str, key: Any) -> str:
    return links.address(kind, key).removeprefix("https://volens.example")


def says(page: Any, text: str, language: str) -> None:
    beginning, *_rest = PLACEHOLDER.split(written(language)[text])
    assert plain(beginning) in read(page)
    speaks(page, language)


@pytest.mark.usefixtures("theirs")
def test_the_form_is_in_their_language(client: Client, language: str) -> None:
    says(client.get(join(language)), "Needed only if you ticked the box.", language)


@pytest.mark.usefixtures("theirs")
def test_missing_ticks_are_told_in_their_language(client: Client, language: str) -> None:
    unticked = client.post(join(language), {"number": ADA})
    says(unticked, "Tick the box if you want these messages.", language)
    young = client.post(join(language), {"agreed": "on", "number": ADA})
    says(young, "Tick the box if you are old enough.", language)


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("", Reason.EMPTY),
        ("nonsense", Reason.NOT_A_NUMBER),
        ("555-0123", Reason.NO_AREA_CODE),
        ("+18005550199", Reason.TOLL_FREE),
        ("9" * 41, Reason.EMPTY),  # beside the framework's own word on its length
    ],
)
def test_a_refused_number_is_told_in_their_language(
    client: Client, language: str, number: str, reason: Reason
) -> None:
    page = client.post(join(language), {"agreed": "on", "of_age": "on", "number": number})
    assert page.status_code == 422
    says(page, SENTENCES[reason], language)


@pytest.mark.parametrize(
    ("double", "told"),
    [(True, "Look at your phone"), (False, "We send you one text that tells how to get help")],
)
def test_success_is_told_in_their_language(
    client: Client, theirs: Notice, language: str, double: bool, told: str
) -> None:
    Purpose.objects.update(double_opt_in=double)
    page = client.post(join(language), {"agreed": "on", "of_age": "on", "number": ADA})
    assert page.status_code == 200
    [text] = [text for text in shown() if text.startswith(told)]
    says(page, text, language)


@pytest.mark.usefixtures("theirs")
def test_too_many_forms_are_turned_away_in_their_language(
    client: Client, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consent.views.PER_ADDRESS", 1)
    client.post(join(language))
    page = client.post(join(language))
    assert page.status_code == 429
    says(page, "Please wait", language)


@pytest.fixture
def confirming(theirs: Notice, language: str, person: Enrol) -> str:
    """The path of the link of somebody who has not confirmed yet."""
    given = {"given_at": AT, "confirmation_due_at": AT, "language": language}
    someone = person(ADA, notice=theirs, confirmed=False, **given)
    return path_of(links.CONFIRM, someone.consents.get().pk)


def test_a_confirmation_is_in_their_language(
    client: Client, language: str, confirming: str
) -> None:
    says(client.get(confirming), "Yes, sign me up", language)
    says(client.post(confirming), "You are signed up", language)


def test_a_link_that_confirms_nothing_is_in_their_language(
    client: Client, language: str, confirming: str, withdraw: Withdraw
) -> None:
    withdraw(ADA)
    says(client.get(confirming), "There is nothing to confirm", language)


def test_preferences_are_in_their_language(
    client: Client, theirs: Notice, language: str, person: Enrol
) -> None:
    someone = person(ADA, notice=theirs, confirmed=False, language=language)
    link = path_of(links.PREFERENCES, someone.pk)
    waiting = "You have not confirmed it; nothing is sent before you do."
    says(client.get(link), waiting, language)
    says(client.post(link, {"stop": "offers"}), "That is stopped, from this moment on.", language)
    says(client.get(link), "You get no messages from us.", language)
    ended = client.post(link, {"stop": "everything"})
    says(ended, "We keep a mark that you want nothing more from us.", language)


def test_all_of_several_can_be_stopped_in_their_language(
    client: Client, theirs: Notice, language: str, person: Enrol, news: Purpose
) -> None:
    Purpose.objects.filter(pk=news.pk).update(name=NAMES[language], promise=NAMES[language])
    person(ADA, notice=theirs, language=language)
    someone = person(ADA, notice=publish(news, language), language=language)
    says(client.get(path_of(links.PREFERENCES, someone.pk)), "Stop all of these", language)


@pytest.mark.parametrize("method", [way for way in Method if way in Notice.CHANNEL_OF])
def test_how_they_agreed_is_told_in_their_language(
    client: Client, theirs: Notice, language: str, person: Enrol, method: Method
) -> None:
    someone = person(ADA, notice=theirs, language=language, method=method)
    page = client.get(path_of(links.PREFERENCES, someone.pk))
    says(page, str(method.label), language)


DAYS = {
    "es": "El 25 de octubre de 2026, 18:00 UTC (formulario web) usted aceptó lo siguiente:",
    "fr": "Le 25 octobre 2026, 18:00 UTC (formulaire en ligne), vous avez accepté ceci\u00a0:",
    "de": "Am 25. Oktober 2026, 18:00 UTC (Webformular) haben Sie Folgendem zugestimmt:",
    "pt": "Em 25 de outubro de 2026, 18:00 UTC (formulário na internet) você aceitou o seguinte:",
}
SPANS = {
    "es": "25 de octubre de 2026 – 24 de noviembre de 2026",
    "fr": "25 octobre 2026 – 24 novembre 2026",
    "de": "25. Oktober 2026 – 24. November 2026",
    "pt": "25 de outubro de 2026 – 24 de novembro de 2026",
}


def test_days_are_written_as_in_their_language(
    client: Client, theirs: Notice, language: str, person: Enrol
) -> None:
    link = path_of(links.PREFERENCES, person(ADA, notice=theirs, language=language).pk)
    assert plain(DAYS[language]).casefold() in read(client.get(link)).casefold()
    assert SPANS[language].casefold() in read(client.post(link, {"stop": "all"})).casefold()


# --- what stays as it was written --------------------------------------------------------------


@pytest.mark.parametrize(("languages", "seen"), [("es en", True), ("en es", False)])
def test_a_promise_is_shown_in_the_language_it_was_written_in_only(
    client: Client, clock: Any, purpose: Purpose, languages: str, seen: bool
) -> None:
    promise = "Ofertas de temporada cada semana."
    Purpose.objects.update(languages=languages, promise=promise)
    publish(purpose, "es")
    assert (promise in read(client.get(join("es")))) == seen


@pytest.mark.parametrize("language", NAMES)
def test_a_page_that_there_is_not_says_so_in_english(
    client: Client, purpose: Purpose, language: str
) -> None:
    page = client.get(join(language), headers={"Accept-Language": language})
    assert page.status_code == 404
    assert '<html lang="en">' in page.content.decode()
    assert "There is no such page" in read(page)


@pytest.mark.parametrize("language", NAMES)
@pytest.mark.parametrize("name", ["admin:index", "admin:consent_subscriber_changelist"])
def test_the_back_office_speaks_english_whatever_the_browser_asks_for(
    signed_in: Callable[..., Client], name: str, language: str
) -> None:
    browser = signed_in(roles.SUBSCRIBER_MANAGER)
    usual = browser.get(reverse(name))
    asked = browser.get(reverse(name), headers={"Accept-Language": language})
    assert asked.status_code == 200
    assert '<html lang="en' in asked.content.decode()
    assert TOKEN.sub("", asked.content.decode()) == TOKEN.sub("", usual.content.decode())

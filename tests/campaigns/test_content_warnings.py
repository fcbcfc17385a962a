"""What had better not stand in a text: odd spelling, age-gated goods, shouting, and length."""

import pytest

from campaigns.content import Severity, findings

WAY_OUT = {"en": "Reply STOP to end.", "de": "Mit STOP abmelden.", "fr": "STOP au 36180."}


def warnings(text: str, *, language: str = "en", **other: object) -> dict[str, str]:
    """By code, the last place that is warned of in a text of Harbor Coffee."""
    usual = {"business": "Harbor Coffee", "opt_out_wanted": False, "domains": None}
    found = findings(text, language=language, **{**usual, **other})  # type: ignore[arg-type]
    return {
        one.code: text[one.start : one.end] for one in found if one.severity is Severity.WARNING
    }


@pytest.mark.parametrize(
    ("language", "text", "word"),
    [
        ("en", "Harbor Coffee: come adn see us.", "adn"),
        ("en", "Teh kettle is on.", "Teh"),
        ("en", "Hello! Freindly people here.", "Freindly"),
        ("es", "Harbor Coffee: cafés para todos, resrva hoy.", "resrva"),
        ("fr", "Harbor Coffee : un caffé pour vous.", "caffé"),
        ("de", "Harbor Coffee: heute alles guenstigerr.", "guenstigerr"),
        ("pt-BR", "Harbor Coffee: hoje temoss bolo.", "temoss"),
        ("it", "Harbor Coffee: oggi tuttto a metà prezzo.", "tuttto"),
    ],
)
def test_a_word_that_no_dictionary_holds_is_shown(language: str, text: str, word: str) -> None:
    assert warnings(text, language=language).get("spelling") == word


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Harbor Coffee: don't miss Zwettlia's cake at https://hxqz.example/zzq."),
        ("en", "HARBOR COFFEE: use code SAVEZZ20 or b4zzz, {first_name|frend}."),
        ("en", "Txt STOPALL to unsub, msg rates apply."),
        ("fr", "Aujourd'hui, l'été s'invite : qu'est-ce qu'on boit ?"),
        ("de", "Der Frühstücksbrötchenlieferdienst und frühstücksbrötchen sind da."),
        ("es", "Hoy, 20% en todos los cafés. Gracias, aprovecha, estás a tiempo."),
        ("ru", "Привет, кофе готовв."),
        ("xx", "Qwrt zxcv."),
    ],
)
def test_names_links_fields_codes_and_compounds_are_not_spelt(language: str, text: str) -> None:
    assert "spelling" not in warnings(text, language=language)


def test_words_of_the_business_are_known_to_it() -> None:
    assert warnings("Try our flattwhite.")["spelling"] == "flattwhite"
    assert "spelling" not in warnings("Try our flattwhite.", known_words={"FlattWhite"})


def test_a_likely_word_is_offered() -> None:
    found = findings("Com adn see", language="en", business="", opt_out_wanted=False, domains=None)
    assert "and" in next(one.words for one in found if one.start == 4)


@pytest.mark.parametrize(
    ("language", "text", "code"),
    [
        ("en", "Craft beer and wine tonight", "shaft"),
        ("en", "New cigars in store", "shaft"),
        ("en", "CBD oil is back", "cannabis"),
        ("es", "Cerveza y vino esta noche", "shaft"),
        ("es", "Aceite de cáñamo", "cannabis"),
        ("fr", "Bières et vins ce soir", "shaft"),
        ("fr", "Huile de chanvre", "cannabis"),
        ("de", "Bier und Schnaps zum halben Preis", "shaft"),
        ("de", "Hanföl ist da", "cannabis"),
        ("pt", "Cerveja e cachaça hoje", "shaft"),
        ("pt", "Óleo de canabidiol e cânhamo", "cannabis"),
    ],
)
def test_goods_for_adults_are_pointed_out(language: str, text: str, code: str) -> None:
    assert code in warnings(text, language=language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Ginger tea, grumpy cats, and a shot of espresso"),
        ("en", "Root beard oil, winery-free, Sussex and Essex"),
        ("de", "Dicke Decken, Gras und Rumpelstilzchen"),
        ("fr", "Un pot de confiture, pain et joints de porte"),
    ],
)
def test_words_that_only_look_like_them_are_not(language: str, text: str) -> None:
    assert not {"shaft", "cannabis"} & warnings(text, language=language).keys()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Come in, BIG SALE TODAY ONLY at the pier, bring a friend.", "BIG SALE TODAY ONLY"),
        ("FREE coffee NOW and CAKE for ALL OF us", "FREE coffee NOW and CAKE for ALL OF us"),
    ],
)
def test_capitals_are_loud(text: str, place: str) -> None:
    assert warnings(text)["capitals"] == place


@pytest.mark.parametrize(
    "text",
    [
        "HARBOR COFFEE: the kettle is on, come in. Reply STOP or HELP.",
        "BIG SALE TODAY at the pier, all day long, bring all your friends.",
        "OK, USA!",
        "Menu at HTTPS://HARBOR.EXAMPLE/LATTE/AND/CAKE for you",
    ],
)
def test_brand_links_and_few_capitals_are_not(text: str) -> None:
    assert "capitals" not in warnings(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Hello!! you", "!!"),
        ("What!?! No", "!?!"),
        ("One! Two! Three! go", "One! Two! Three! go"),
        ("One! Two. Go", None),
    ],
)
def test_one_exclamation_mark_is_enough(text: str, place: str | None) -> None:
    assert warnings(text).get("exclamation") == place


@pytest.mark.parametrize(
    ("text", "most", "long"),
    [("a" * 459, 3, False), ("a" * 460, 3, True), ("a" * 161, 1, True), ("é漢" * 35, 1, False)],
)
def test_more_segments_than_wished_are_pointed_out(text: str, most: int, long: bool) -> None:
    assert ("segments" in warnings(text, language="xx", most_segments=most)) is long


def test_segments_are_counted_with_the_fields_filled_in() -> None:
    text = "a" * 155 + "{first_name|there}"
    assert "segments" not in warnings(text, language="xx", most_segments=1)
    assert "segments" in warnings(text + "!", language="xx", most_segments=1)

"""What typed and spreadsheet-damaged telephone numbers mean."""

import contextlib
import csv
import pickle
import traceback
from collections import Counter
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from consent import numbers, places
from consent.numbers import Number, NumberRefused, Reason

SAMPLES = Path(__file__).parents[1] / "data"

READABLE = [
    ("+14075550178", "US", "+14075550178"),
    ("4075550178", "US", "+14075550178"),
    ("(407) 555-0178", "US", "+14075550178"),
    ("407.555.0178", "US", "+14075550178"),
    ("1 407 555 0178", "US", "+14075550178"),
    ("+1 407/555-0178", "US", "+14075550178"),
    ("1-407-555-0178", "CA", "+14075550178"),
    ("'+12125550188", "US", "+12125550188"),
    ("\u2019+12125550188", "US", "+12125550188"),
    ('="+12125550188"', "US", "+12125550188"),
    ("=+12125550188", "US", "+12125550188"),
    ("  2125550188\t\r\n", "US", "+12125550188"),
    ("\u200b+1\xa0212\u2011555\u20110189", "US", "+12125550189"),
    ("\u202a+12125550189\u202c", "US", "+12125550189"),
    ("\ufeff2125550189", "US", "+12125550189"),
    ("212\u2013555\u20130189", "US", "+12125550189"),
    ("212\u2212555\u22120189", "US", "+12125550189"),
    ("212\u30fc555\u30fc0189", "US", "+12125550189"),
    ("＋１２１２５５５０１９０", "US", "+12125550190"),
    ("\u0662\u0661\u0662\u0665\u0665\u0665\u0660\u0661\u0669\u0660", "US", "+12125550190"),
    ("2125550123.0", "US", "+12125550123"),
    ("12125550123,00", "US", "+12125550123"),
    ("+447700900123", "US", "+447700900123"),
    ("07700 900123", "GB", "+447700900123"),
    ("447700900123", "GB", "+447700900123"),
    ("00442079460000", "US", "+442079460000"),
    ("00 44 20 7946 0000", "GB", "+442079460000"),
    ("+0044 20 7946 0000", "US", "+442079460000"),
    ("011 44 20 7946 0000", "US", "+442079460000"),
    ("+44 (0)20 7946 0000", "US", "+442079460000"),
    ("(+44) 20 7946 0000", "US", "+442079460000"),
    ("\u0660\u066044 20 7946 0000", "US", "+442079460000"),
    ("0061491570156", "US", "+61491570156"),
    ("0491 570 156", "AU", "+61491570156"),
    ("06 39 98 00 01", "FR", "+33639980001"),
    ("0012125550188", "GB", "+12125550188"),
    ("212 555 0188", "us", "+12125550188"),
]

REFUSED = [
    ("", "US", Reason.EMPTY),
    (" \u200b\xa0 ", "US", Reason.EMPTY),
    ("'", "US", Reason.EMPTY),
    ("not given", "US", Reason.NOT_A_NUMBER),
    ("n/a", "US", Reason.NOT_A_NUMBER),
    ("-", "US", Reason.NOT_A_NUMBER),
    ("+", "US", Reason.NOT_A_NUMBER),
    ("1-212-555-CALL", "US", Reason.NOT_A_NUMBER),
    ("tel 2125550123", "US", Reason.NOT_A_NUMBER),
    ("apt 5 x 3", "US", Reason.NOT_A_NUMBER),
    ("12,125,550,123", "US", Reason.NOT_A_NUMBER),
    ("212+5550123", "US", Reason.NOT_A_NUMBER),
    ("\u066a" * 9, "US", Reason.NOT_A_NUMBER),
    ("\ufdfa" * 100, "US", Reason.NOT_A_NUMBER),
    ("1.21256E+10", "US", Reason.SPREADSHEET_DAMAGED),
    ("1,21256E+10", "US", Reason.SPREADSHEET_DAMAGED),
    ("1.21256e10", "US", Reason.SPREADSHEET_DAMAGED),
    ("12E9", "US", Reason.SPREADSHEET_DAMAGED),
    ("4.4779E+011", "GB", Reason.SPREADSHEET_DAMAGED),
    ("########", "US", Reason.SPREADSHEET_DAMAGED),
    ("#N/A", "US", Reason.SPREADSHEET_DAMAGED),
    ("12345", "US", Reason.TOO_SHORT),
    ("7", "US", Reason.NOT_A_NUMBER),
    ("+44 7", "US", Reason.TOO_SHORT),
    ("61491570156", "US", Reason.TOO_LONG),
    ("+1 212 555 0123 4", "US", Reason.TOO_LONG),
    ("+49 151 555 0100 0000", "US", Reason.TOO_LONG),
    ("+49 151 555 0100 0000 00", "US", Reason.TOO_LONG),
    ("2125550123" + " " * 91, "US", Reason.TOO_LONG),
    ("555-0100", "US", Reason.NO_AREA_CODE),
    ("5550100", "CA", Reason.NO_AREA_CODE),
    ("+12125550123; +13105550101", "US", Reason.SEVERAL_NUMBERS),
    ("212-555-0123 / 555-0101", "US", Reason.SEVERAL_NUMBERS),
    ("2125550123,3105550101", "US", Reason.SEVERAL_NUMBERS),
    ("2125550123 or 3105550101", "US", Reason.SEVERAL_NUMBERS),
    ("2125550123\n3105550101", "US", Reason.SEVERAL_NUMBERS),
    ("2125550123 3105550101", "US", Reason.SEVERAL_NUMBERS),
    ("+12125550123 +13105550101", "US", Reason.SEVERAL_NUMBERS),
    ("2125550123 x45", "US", Reason.EXTENSION),
    ("2125550123 ext. 45", "US", Reason.EXTENSION),
    ("+1 212 555 0123 Extension 4", "US", Reason.EXTENSION),
    ("2125550123#45", "US", Reason.EXTENSION),
    ("2125550123,,45", "US", Reason.EXTENSION),
    ("+12125550123;ext=45", "US", Reason.EXTENSION),
    ("1125550100", "US", Reason.IMPOSSIBLE),
    ("2121550100", "US", Reason.IMPOSSIBLE),
    ("2115550100", "US", Reason.IMPOSSIBLE),
    ("2925550100", "US", Reason.IMPOSSIBLE),
    ("+999 1234567", "US", Reason.UNKNOWN_COUNTRY),
    ("0099912345678", "US", Reason.UNKNOWN_COUNTRY),
    ("0099912345678", "GB", Reason.UNKNOWN_COUNTRY),
    ("2125550123", "XX", Reason.UNKNOWN_COUNTRY),
    ("2125550123", "", Reason.UNKNOWN_COUNTRY),
    ("+1 800 555 0123", "US", Reason.TOLL_FREE),
    ("+1 900 555 0100", "US", Reason.PREMIUM_RATE),
    ("+1 500 555 0100", "US", Reason.PERSONAL_NUMBER),
]


def reason_for(raw: str, country: str = "US") -> Reason:
    with pytest.raises(NumberRefused) as refusal:
        numbers.parse(raw, country=country)
    return refusal.value.reason


def column(name: str, header: str, *, encoding: str, delimiter: str = ",") -> list[str]:
    with (SAMPLES / name).open(encoding=encoding, newline="") as lines:
        return [row[header] for row in csv.DictReader(lines, delimiter=delimiter)]


def outcome(raw: str) -> str:
    try:
        return numbers.parse(raw).country
    except NumberRefused as refusal:
        return refusal.reason


@pytest.mark.parametrize(("raw", "country", "e164"), READABLE)
def test_what_people_write_is_read(raw: str, country: str, e164: str) -> None:
    assert numbers.parse(raw, country=country).e164 == e164


@pytest.mark.parametrize(("raw", "country", "reason"), REFUSED)
def test_what_is_not_one_textable_number_is_refused(raw: str, country: str, reason: Reason) -> None:
    assert reason_for(raw, country) is reason


@pytest.mark.parametrize(
    ("raw", "country"),
    [
        ("+12125550123", "US"),
        ("+17875550123", "US"),  # Puerto Rico: a territory under US law
        ("+16715550123", "US"),
        ("+14165550123", "CA"),
        ("+18765550123", "JM"),
        ("+16585550123", "JM"),
        ("+18095550123", "DO"),
        ("+15655550123", "US"),  # an area code nobody has opened yet
        ("+447700900123", "GB"),
        ("+442079460000", "GB"),
        ("+33639980001", "FR"),
        ("+61491570156", "AU"),
    ],
)
def test_the_country_is_right_for_fiction_and_new_codes_too(raw: str, country: str) -> None:
    assert numbers.parse(raw).country == country


@pytest.mark.parametrize(
    "code", ["800", "822", "833", "844", "855", "866", "877", "880", "888", "889"]
)
def test_toll_free_codes_are_refused_opened_or_only_reserved(code: str) -> None:
    assert reason_for(f"+1{code}5550100") is Reason.TOLL_FREE


@pytest.mark.parametrize("code", ["500", "521", "533", "544", "566", "577", "588", "589"])
def test_personal_codes_are_refused_even_where_the_library_knows_them_not(code: str) -> None:
    assert reason_for(f"+1{code}5550100") is Reason.PERSONAL_NUMBER


def test_no_area_code_with_a_place_is_taken_for_a_service() -> None:
    assert not [code for code in places.AREAS if numbers.NANP_SERVICES.match(code)]


@pytest.mark.parametrize(
    ("kind", "region", "reason"),
    [
        (PhoneNumberType.TOLL_FREE, "GB", Reason.TOLL_FREE),
        (PhoneNumberType.TOLL_FREE, "001", Reason.TOLL_FREE),
        (PhoneNumberType.PREMIUM_RATE, "GB", Reason.PREMIUM_RATE),
        (PhoneNumberType.PERSONAL_NUMBER, "GB", Reason.PERSONAL_NUMBER),
        (PhoneNumberType.SHARED_COST, "DE", Reason.SHARED_COST),
        (PhoneNumberType.UAN, "GB", Reason.UAN),
        (PhoneNumberType.VOICEMAIL, "DE", Reason.VOICEMAIL),
        (PhoneNumberType.PAGER, "GB", Reason.PAGER),
    ],
)
def test_numbers_that_are_nobodys_telephone_are_refused(
    kind: int, region: str, reason: Reason
) -> None:
    sample = (
        phonenumbers.example_number_for_non_geo_entity(800)
        if region == "001"
        else phonenumbers.example_number_for_type(region, kind)
    )
    assert reason_for(phonenumbers.format_number(sample, 0)) is reason


def test_the_american_service_codes_mean_nothing_abroad() -> None:
    sample = phonenumbers.example_number_for_type("KW", PhoneNumberType.MOBILE)
    assert numbers.NANP_SERVICES.match(str(sample.national_number))
    assert numbers.parse(phonenumbers.format_number(sample, 0)).country == "KW"


def test_a_satellite_telephone_belongs_to_no_country() -> None:
    sample = phonenumbers.example_number_for_non_geo_entity(870)
    assert reason_for(phonenumbers.format_number(sample, 0)) is Reason.UNKNOWN_COUNTRY


def test_a_landline_is_accepted() -> None:
    assert numbers.parse("+442079460123").country == "GB"


def test_a_code_newer_than_the_library_is_accepted_though_not_valid() -> None:
    number = numbers.parse("+16215550100")
    assert (number.country, numbers.kind(number)) == ("US", "unknown")
    assert numbers.kind(numbers.parse("+12125550123")) == "fixed_line_or_mobile"


def test_a_number_shows_its_country_code_and_two_digits_only() -> None:
    number = numbers.parse("+12125550123")
    assert str(number) == f"{number}" == "+1 ••• ••• ••23"
    assert repr([number]) == "[Number(+1 ••• ••• ••23)]"


@pytest.mark.parametrize(
    ("e164", "shown"),
    [
        ("+12125550123", "+1 ••• ••• ••23"),
        ("+447700900145", "+44 ••• ••• ••45"),
        ("2125550123", "•••"),
        ("+1212", "•••"),
        ("", "•••"),
        ("a text with +12125550123 in it", "•••"),
    ],
)
def test_masking_hides_all_but_the_ends(e164: str, shown: str) -> None:
    assert numbers.masked(e164) == shown


def test_every_reason_has_its_own_sentence_without_a_digit() -> None:
    assert set(numbers.SENTENCES) == set(Reason)
    assert max(Counter(numbers.SENTENCES.values()).values()) == 1
    assert not [s for s in numbers.SENTENCES.values() if any(map(str.isdigit, s))]


@pytest.mark.parametrize(("raw", "country", "reason"), REFUSED)
def test_a_refusal_never_repeats_the_number(raw: str, country: str, reason: Reason) -> None:
    with pytest.raises(NumberRefused) as refusal:
        numbers.parse(raw, country=country)
    assert str(refusal.value) == numbers.SENTENCES[reason]
    assert refusal.value.__cause__ is refusal.value.__context__ is None
    last_line = traceback.format_exception_only(refusal.value)
    assert not [line for line in last_line if any(map(str.isdigit, line))]


def test_a_refusal_survives_the_way_between_processes() -> None:
    refusal = pickle.loads(pickle.dumps(NumberRefused(Reason.EXTENSION)))
    assert refusal.reason is Reason.EXTENSION
    assert str(refusal) == numbers.SENTENCES[Reason.EXTENSION]


def test_the_shop_export_reads_but_for_its_seven_odd_cells() -> None:
    outcomes = Counter(map(outcome, column("shop_customers.csv", "Phone", encoding="utf-8-sig")))
    odd = {
        Reason.EMPTY,
        Reason.EXTENSION,
        Reason.NO_AREA_CODE,
        Reason.NOT_A_NUMBER,
        Reason.PREMIUM_RATE,
        Reason.SEVERAL_NUMBERS,
        Reason.SPREADSHEET_DAMAGED,
        Reason.TOLL_FREE,
    }
    assert outcomes.pop("US") > 900
    assert outcomes == dict.fromkeys(odd, 1)


@pytest.mark.parametrize(
    ("name", "header"),
    [("web_form_optins.csv", "phone"), ("provider_optouts.csv", "phone_number")],
)
def test_form_and_provider_files_read_whole(name: str, header: str) -> None:
    assert set(map(outcome, column(name, header, encoding="utf-8-sig"))) == {"US"}


def test_european_leads_read_whole_in_an_american_shop() -> None:
    leads = column("eu_leads_cp1252.csv", "Telefon", encoding="cp1252", delimiter=";")
    assert set(map(outcome, leads)) == {"GB", "AU", "DE", "FR"}


NOISE = st.sampled_from(["", " ", "-", ".", "\xa0", "\u200b", "\u2011", "\u202c"])
FICTION = st.one_of(
    st.builds("+1{}55501{:02}".format, st.sampled_from(sorted(places.AREAS)), st.integers(0, 99)),
    st.builds("+44770090{:04}".format, st.integers(0, 9999)),
    st.builds("+44207946{:04}".format, st.integers(0, 999)),
    st.builds("+3363998{:04}".format, st.integers(0, 9999)),
)


@given(
    st.one_of(st.text(max_size=120), st.text("0123456789+-.()/eE,;x# \u200b\uff11", max_size=40))
)
def test_any_text_is_a_number_or_refused(raw: str) -> None:
    with contextlib.suppress(NumberRefused):
        number = numbers.parse(raw)
        assert numbers.E164.fullmatch(number.e164)
        assert len(number.country) == 2


@given(FICTION, st.data())
def test_separators_and_invisible_signs_change_nothing(e164: str, data: st.DataObject) -> None:
    spread = e164[0] + "".join(digit + data.draw(NOISE) for digit in e164[1:])
    assert numbers.parse(spread).e164 == e164


@given(FICTION)
def test_reading_a_read_number_again_changes_nothing(e164: str) -> None:
    number = numbers.parse(e164)
    assert number.e164 == e164
    assert numbers.parse(number.e164, country="GB") == number


@given(FICTION)
def test_no_more_than_two_digits_of_the_subscriber_are_ever_shown(e164: str) -> None:
    shown = str(Number(e164, "US"))
    assert shown.endswith(f"•{e164[-2:]}")
    assert len([c for c in shown if c.isdigit()]) <= len("44") + len("23")


@given(FICTION)
def test_rounding_to_scientific_notation_is_never_undone(e164: str) -> None:
    assert reason_for(f"{float(e164):.5E}") is Reason.SPREADSHEET_DAMAGED

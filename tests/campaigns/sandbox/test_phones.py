"""The page with the provider's phones."""

import re

import pytest

from tests.campaigns.sandbox.conftest import PHONE, SENDER

OTHER = "+12025550188"
EVIL = "<script>alert('1')</script>"


def test_an_empty_provider_shows_a_page(sandbox):
    answer = sandbox.get("/")
    assert answer.status == 200
    assert "No phone here yet" in answer.text


def test_the_page_allows_nothing_but_its_own_style_and_forms(sandbox):
    policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'"
    assert sandbox.get("/").headers["Content-Security-Policy"] == policy
    style = sandbox.get("/page.css")
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


def test_the_page_has_no_script_and_no_inline_style(sandbox):
    sandbox.send()
    text = sandbox.get("/").text
    assert "<script" not in text
    assert "style=" not in text


def test_the_phones_are_listed_last_active_first(sandbox):
    for to in (PHONE, OTHER, PHONE):
        sandbox.send(to)
    assert _listed(sandbox.get("/").text) == [PHONE, OTHER]


def test_the_filter_keeps_the_numbers_with_those_digits(sandbox):
    for to in (PHONE, OTHER):
        sandbox.send(to)
    assert _listed(sandbox.get("/?digits=50188").text) == [OTHER]


def test_at_most_two_hundred_phones_are_shown(sandbox):
    for number in range(201):
        sandbox.send(f"+1{300 + number // 100}55501{number % 100:02}")
    listed = _listed(sandbox.get("/").text)
    assert (len(listed), listed[0]) == (200, "+13025550100")


def test_a_conversation_shows_both_sides_and_how_far_a_message_came(sandbox):
    sandbox.send(Body="Sale today")
    sandbox.wait(lambda: sandbox.log.read_text().count('"receipt"') == 2)
    sandbox.post("/sandbox/replies", json={"from": PHONE, "to": SENDER, "body": "No more"})
    text = sandbox.get(f"/phones/{PHONE}").text
    assert text.index("Sale today", text.index("<h2>")) < text.rindex("No more")
    assert f"{SENDER} · delivered" in text
    assert "arrived" in text


def test_a_reply_typed_on_the_page_goes_out_and_comes_back_to_the_page(sandbox):
    answer = sandbox.post(f"/phones/{PHONE}/replies", data={"to": SENDER, "body": "STOP"})
    [request] = sandbox.webhooks.requests
    assert (answer.status, answer.headers["Location"]) == (303, f"/phones/{PHONE}")
    assert (request.form["From"], request.form["To"], request.form["Body"]) == (
        PHONE,
        SENDER,
        "STOP",
    )


def test_the_form_answers_the_sender_that_wrote_last(sandbox):
    sandbox.send(From=SENDER)
    sandbox.send(From="Salt & Oats")
    assert 'name="to" required autocomplete="off" value="Salt &amp; Oats"' in sandbox.get("/").text


def test_a_reply_nobody_took_says_so(sandbox):
    sandbox.webhooks.statuses = [403]
    sandbox.post(f"/phones/{PHONE}/replies", data={"to": SENDER, "body": "STOP"})
    assert "not taken, answer 403" in sandbox.get("/").text


@pytest.mark.parametrize("form", [{"to": "", "body": "x"}, {"to": SENDER, "body": " "}, {}])
def test_an_empty_reply_is_not_sent(sandbox, form):
    assert sandbox.post(f"/phones/{PHONE}/replies", data=form).status == 400
    assert sandbox.webhooks.requests == []


def test_a_form_on_a_foreign_site_cannot_write_as_a_phone(sandbox):
    form, origin = {"to": SENDER, "body": "STOP"}, {"Origin": "https://example.org"}
    answer = sandbox.post(f"/phones/{PHONE}/replies", data=form, headers=origin)
    assert answer.status == 403
    own = sandbox.post(f"/phones/{PHONE}/replies", data=form, headers={"Origin": sandbox.url})
    assert own.status == 303


def test_everything_a_phone_or_a_sender_wrote_is_escaped(sandbox):
    sandbox.send(Body=EVIL)
    reply = {"from": PHONE, "to": EVIL, "body": EVIL}
    sandbox.post("/sandbox/replies", json=reply)
    text = sandbox.get("/").text
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(&#x27;1&#x27;)") == 4


@pytest.mark.parametrize("phone", ["me", "%3Cscript%3E", "+0", "12025550123"])
def test_what_is_no_number_is_no_phone(sandbox, phone):
    assert sandbox.get(f"/phones/{phone}").status == 404
    assert sandbox.post(f"/phones/{phone}/replies", data={}).status == 404


def test_a_name_that_is_not_loopback_is_refused(sandbox):
    assert sandbox.get("/", headers={"Host": "phones.example.org"}).status == 403
    assert sandbox.get("/", headers={"Host": "localhost"}).status == 200


def test_the_provider_says_it_is_well(sandbox):
    answer = sandbox.get("/sandbox/health")
    assert (answer.status, answer.text) == (200, "ok")


def _listed(text):
    return re.findall(r'<span class="number">(.+?)</span>', text)

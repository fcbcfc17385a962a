"""The field in which a text is written, as the server gives it and takes it."""

import re
from html.parser import HTMLParser

import pytest

from audit import roles
from campaigns.admin.campaigns import CampaignForm
from campaigns.admin.compose import ComposeWidget
from campaigns.text import for_browser
from tests.services import ROOT

STATIC = ROOT / "templates" / "static"


class FirstElement(HTMLParser):
    """The attributes of the element, as a browser reads them."""

    def handle_starttag(self, tag, attrs):
        self.tag, self.attributes = tag, dict(attrs)


def read(html):
    parser = FirstElement()
    parser.feed(html)
    return parser


def test_the_field_brings_the_rules_as_data_attributes():
    field = read(ComposeWidget().render("text", "Hello"))
    given = {name: field.attributes[f"data-{name}"] for name in for_browser()}
    assert field.tag == "textarea"
    assert given == for_browser()
    assert "data-compose" in field.attributes


def test_the_rules_hold_no_line_end_that_a_browser_would_rewrite():
    assert not any(re.search(r"[\r\n\0]", rule) for rule in for_browser().values())


@pytest.mark.parametrize(
    ("sent", "taken"),
    [("One\r\ntwo\r\n", "One\ntwo\n"), ("One\ntwo", "One\ntwo"), ("", ""), (None, None)],
)
def test_the_end_of_a_line_is_one_character_though_forms_send_two(sent, taken):
    sent = {} if sent is None else {"text": sent}
    assert ComposeWidget().value_from_datadict(sent, {}, "text") == taken


def test_campaigns_are_written_in_this_field():
    assert isinstance(CampaignForm().fields["text"].widget, ComposeWidget)


def test_the_page_loads_the_script_as_a_module_and_nothing_inline(signed_in):
    page = signed_in(roles.CAMPAIGN_AUTHOR).get("/admin/campaigns/campaign/add/").content.decode()
    assert re.search(r'<script src="[^"]*compose[^"]*\.js" type="module"></script>', page)
    assert not re.search(r" style=| on[a-z]+=", re.search(r"<textarea[^>]*>", page)[0])


def test_the_script_writes_no_html_and_no_style_into_the_page():
    script = (STATIC / "compose.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|\.style\b|eval|cssText", script)

"""Addresses in a wording can be pressed; nothing else in it can do anything."""

import pytest

from consent.templatetags.linked import linked


@pytest.mark.parametrize(
    ("wording", "links"),
    [
        ("Terms: harbor.example/terms.", {"https://harbor.example/terms"}),
        ("see https://harbor.example/p?a=1, or", {"https://harbor.example/p?a=1"}),
        ("(harbor.example/terms/)", {"https://harbor.example/terms/"}),
        ("a.example/x and HTTP://b.example/y", {"https://a.example/x", "HTTP://b.example/y"}),
        ("4 msgs/month, e.g. sales.Msg & data", set()),
        ("javascript:alert(1) and/or data:text/html", set()),
    ],
)
def test_addresses_become_links(wording: str, links: set[str]) -> None:
    shown = linked(wording)
    assert shown.count("<a ") == len(links)
    for link in links:
        assert f'<a href="{link}" rel="noreferrer">' in shown


def test_what_a_wording_holds_is_escaped() -> None:
    shown = linked('<script>"x" & y</script> a.example/"><b>')
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "&lt;script&gt;" in shown

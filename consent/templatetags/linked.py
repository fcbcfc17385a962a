"""The template filter `linked`: a wording whose addresses are links, with or without https."""

import re

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

# An address with a scheme, or a host and a path: on a phone nobody types harbor.example/terms.
ADDRESS = re.compile(
    r"(https?://[^\s<>]*[\w/]|\b(?:[a-z0-9-]+\.)+[a-z]{2,}/[^\s<>]*[\w/])", re.IGNORECASE
)


@register.filter
def linked(wording: str) -> SafeString:
    """`wording` escaped, and every address in it a link that tells the other site nothing."""
    parts = ADDRESS.split(wording)  # text and addresses by turns
    return format_html_join("", "{}", ((_link(p) if n % 2 else p,) for n, p in enumerate(parts)))


def _link(address: str) -> SafeString:
    to = address if address.lower().startswith("http") else f"https://{address}"
    return format_html('<a href="{}" rel="noreferrer">{}</a>', to, address)

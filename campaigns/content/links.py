"""Links in a text: those of public shorteners and those that lead away from the business."""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from campaigns.content.finding import Finding, blocking
from campaigns.content.reading import listed

SHORTENERS = listed("shorteners.txt")
SUFFIXES = listed("suffixes.txt")
DOTS = ".。．｡"  # RFC 3490, 3.1: what browsers take for a dot
LINK = re.compile(
    r"(?:(?P<scheme>https?|hxxps?|ftp):[\\/]*|(?<![\w:/])//)(?P<authority>[^\s/?#<>\"]+)"
    r"[^\s<>\"]*"
    r"|(?P<mailbox>[\w.+-]+@)(?P<mail>[^\s@/<>\"]+)"
    rf"|(?<![\w@{DOTS}/-])(?P<bare>(?:[\w-]+[{DOTS}])+(?:xn--[\w-]+|[^\W\d_]{{2,}}))"
    r"(?P<rest>:\d+|[/?#][^\s<>\"]*)?(?![\w@])",
    re.IGNORECASE,
)
CLOSING = ".,;:!?)]}'\"…»”"
SENTENCE_END = re.compile(rf"[^\W\dA-Z_][{DOTS}][A-Z][a-z]+\Z")
SHORTENER_WORDS = (
    "This is a public link shortener, which carriers block and which hides where the link leads. "
    "Write the whole address on your own domain."
)
DOMAIN_WORDS = (
    "This link does not lead to a domain of the business. Correct it, or have the domain added in "
    "the settings if it is yours."
)


def links(text: str) -> Iterator[re.Match[str]]:
    """Whatever a telephone would make a link of, written with a scheme or without."""
    return (found for found in LINK.finditer(text) if _is_link(found))


def foreign_links(text: str, domains: Collection[str] | None) -> Iterator[Finding]:
    """Links of shorteners, and links outside `domains` unless that is None."""
    for link in links(text):
        host = _host(link)
        if host.removeprefix("www.") in SHORTENERS:
            yield blocking("shortener", *link.span(), SHORTENER_WORDS)
        elif domains is not None and not _is_inside(link, host, domains):
            yield blocking("domain", *link.span(), DOMAIN_WORDS)


def _is_link(found: re.Match[str]) -> bool:
    bare = found["bare"]
    if bare is None:
        return True
    host = _host(found)
    if host.startswith("www.") or host in SHORTENERS:
        return True
    name, _, suffix = host.rpartition(".")
    if SENTENCE_END.search(bare) and not found["rest"]:
        return False
    known = suffix in SUFFIXES or suffix.startswith("xn--")
    return known and not name.replace(".", "").isdigit()


def _host(found: re.Match[str]) -> str:
    written = found["authority"] or found["mail"] or found["bare"]
    return _ascii(re.sub(r":\d*\Z", "", written.rstrip(CLOSING)))


@lru_cache(maxsize=1024)
def _ascii(host: str) -> str:
    """A host as the domain name system knows it; empty if it cannot be one."""
    try:
        return host.rstrip(DOTS).encode("idna").decode().lower()
    except UnicodeError:
        return ""


def _is_inside(link: re.Match[str], host: str, domains: Collection[str]) -> bool:
    """Whether the host is one of ours or below it, and is written without a trick."""
    if re.search(r"[@\\%]", link["authority"] or ""):
        return False
    ours = (_ascii(domain.strip()) for domain in domains)
    return any(host == own or host.endswith(f".{own}") for own in ours if own)

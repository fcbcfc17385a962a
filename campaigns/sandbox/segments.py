"""How many SMS parts a text is billed as (3GPP TS 23.038 for the alphabet, 23.040 for joining)."""

from collections.abc import Iterable

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")


def count(text: str) -> int:
    """Return the number of segments of `text`, at least one."""
    if BASIC.union(EXTENDED).issuperset(text):
        return _parts([2 if char in EXTENDED else 1 for char in text], single=160, joined=153)
    return _parts([2 if ord(char) > 0xFFFF else 1 for char in text], single=70, joined=67)


def _parts(widths: list[int], *, single: int, joined: int) -> int:
    return 1 if sum(widths) <= single else _filled(widths, joined)


def _filled(widths: Iterable[int], size: int) -> int:
    """Fill parts one after the other; a character of width two never straddles two parts."""
    parts, used = 1, 0
    for width in widths:
        if used + width > size:
            parts, used = parts + 1, 0
        used += width
    return parts

"""How wide text is, without a font: a table of the widths of sans-serif letters."""

from __future__ import annotations

_WIDTHS: dict[float, str] = {
    0.28: "ijlIJ'",
    0.34: " .,:;|\\/",
    0.40: "t-!()[]f",
    0.42: 'r"',
    0.51: "sz`*_",
    0.55: "ck?",
    0.60: "vxyLaeoPFTY",
    0.64: "bdghnpqu0123456789$S{}EZ",
    0.70: "ABKRVXC",
    0.78: "DGHNOQU&M#w",
    0.86: "+<>=~^\u00d7\u2192",
    0.99: "mW%@",
}
_OF_LETTER = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
_OTHER = 1.0
_BOLD = 1.13
_SAFETY = 1.02
"""Those of a wide font: what fits with it overflows in none of the usual ones."""


def text_width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Width of a line of ``text`` in pixels, at a font size in pixels."""
    units = sum(_OF_LETTER.get(letter, _OTHER) for letter in text)
    return units * size * _SAFETY * (_BOLD if is_bold else 1.0)

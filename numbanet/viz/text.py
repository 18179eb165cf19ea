"""How wide text is, without a font: a table of the widths that sans-serif letters have."""

from __future__ import annotations

_WIDTHS: dict[float, str] = {
    0.24: "ijl'|",
    0.30: " .,:;!ft()[]I/\\`",
    0.36: '-r{}"*',
    0.52: "csvxyzkJ",
    0.58: "abdeghnopqu0123456789_?$#L",
    0.62: "FTZ+<>=~^",
    0.68: "ABEKPSVXY&",
    0.74: "CDHNRUw",
    0.80: "GOQ",
    0.86: "mM",
    0.96: "W%@",
}
_OF_LETTER = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
_OTHER = 1.0
_BOLD = 1.08
_SAFETY = 1.06
"""Fonts differ: what is measured with room to spare overflows in none of the usual ones."""


def text_width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Width of a line of ``text`` in pixels, at a font size in pixels."""
    units = sum(_OF_LETTER.get(letter, _OTHER) for letter in text)
    return units * size * _SAFETY * (_BOLD if is_bold else 1.0)

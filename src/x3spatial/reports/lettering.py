"""Text in pictures: fonts, wrapping by width in pixels, and colours with enough contrast on white."""

from __future__ import annotations

from functools import cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]

INK: Colour = (20, 20, 20)
MUTED: Colour = (75, 75, 75)
TRUTH_INK: Colour = (0, 105, 25)
ELLIPSIS = "\u2026"


@cache
def font(size: int) -> Font:
    """The font of Pillow, which needs no file of the system."""
    return ImageFont.load_default(size=size)


def line_height(size: int) -> int:
    """Distance of two lines of text in pixels."""
    return round(size * 1.35)


def clean(text: str) -> str:
    """``text`` on one line: blanks collapsed, characters without a glyph of their own shown as ``?``."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def cut(text: str, width: float, size: int) -> str:
    """``text``, shortened to ``width`` pixels with an ellipsis."""
    written = font(size)
    if written.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if written.getlength(text[:middle].rstrip() + ELLIPSIS) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + ELLIPSIS


def wrap(text: str, width: float, size: int, most: int) -> list[str]:
    """``text`` in at most ``most`` lines of ``width`` pixels; a longer one ends with an ellipsis.

    Words that are wider than a line are broken.
    """
    written = font(size)
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most:
        if len(lines) == most - 1:
            lines.append(cut(rest, width, size))
            break
        end = len(rest)
        if written.getlength(rest) > width:
            end = max(1, len(cut(rest, width, size)) - len(ELLIPSIS))
            blank = rest.rfind(" ", 0, end + 1)
            end = blank if blank > 0 else end
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return lines

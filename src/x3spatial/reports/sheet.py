"""The page of a contact sheet: title, legend, panels in columns; and the file it is written to."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, PngImagePlugin

from x3spatial.errors import UserError
from x3spatial.io.files import check_output, write_bytes
from x3spatial.reports.lettering import INK, MUTED, Colour, clean, cut, font, line_height, wrap
from x3spatial.reports.marks import ANSWERS, OUTLINE, REFERENCE, TRUTH, cross, ring

MARGIN = 12
_TITLE_SIZE, _NOTE_SIZE = 20, 14
_TAG, _TAGGED = "Software", "x3spatial contact sheet"
"""Tag of every contact sheet: how an earlier one is told from a user's image."""
_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_JPEG_SIDE = 65_500
"""The longest side of a JPEG."""
_LEGEND = {
    "truth": "right point",
    "mask": "outline of the mask",
    "removed": "outline of the object that was taken out",
    "reference": "reference point in A",
    "answer": "answer",
}


def compose(
    panels: Sequence[Image.Image],
    title: str,
    notes: Sequence[str],
    marks: frozenset[str],
    models: Sequence[str],
) -> Image.Image:
    """The whole sheet.

    Args:
        panels: the samples, all of one width.
        title: the title.
        notes: lines below it.
        marks: the marks that occur, keys of the legend.
        models: the models whose answers are drawn; several are told apart by colour and number.
    """
    columns = 2 if len(panels) > 1 else 1
    wide = panels[0].width
    width = columns * (wide + MARGIN) + MARGIN
    inner = width - 2 * MARGIN
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(panel.height for panel in row) for row in rows]
    lines = [part for note in notes for part in wrap(clean(note), inner, _NOTE_SIZE, 3)]
    entries = _legend_rows(marks, models, inner)
    head = MARGIN + line_height(_TITLE_SIZE) + (len(lines) + len(entries)) * _step() + 8
    sheet = Image.new("RGB", (width, head + sum(h + MARGIN for h in heights)), "white")
    draw = ImageDraw.Draw(sheet)
    y = float(MARGIN)
    draw.text((MARGIN, y), cut(clean(title), inner, _TITLE_SIZE), fill=INK, font=font(_TITLE_SIZE))
    y += line_height(_TITLE_SIZE)
    for line in lines:
        draw.text((MARGIN, y), line, fill=MUTED, font=font(_NOTE_SIZE))
        y += _step()
    for entry_row in entries:
        for x, symbol, text in entry_row:
            _draw_symbol(draw, symbol, x + 8, y + 10)
            draw.text((x + 22, y), text, fill=INK, font=font(_NOTE_SIZE))
        y += _step()
    top = head
    for row, height in zip(rows, heights, strict=True):
        for number, panel in enumerate(row):
            sheet.paste(panel, (MARGIN + number * (wide + MARGIN), top))
        top += height + MARGIN
    return sheet


def _step() -> int:
    return line_height(_NOTE_SIZE) + 2


def _legend_rows(
    marks: frozenset[str], models: Sequence[str], width: int
) -> list[list[tuple[float, str | Colour, str]]]:
    """The entries of the legend with their places, in as many rows as they need."""
    entries: list[tuple[str | Colour, str]] = []
    for mark, text in _LEGEND.items():
        if mark not in marks:
            continue
        if mark == "answer":
            shown = models if len(models) > 1 else [""]
            for number, model in enumerate(shown):
                name = f"{number + 1}: answer of {clean(model)}" if model else text
                entries.append((ANSWERS[number], name))
        else:
            entries.append((mark, text))
    rows: list[list[tuple[float, str | Colour, str]]] = []
    x = float(width)
    for symbol, text in entries:
        shown_text = cut(text, width - 30, _NOTE_SIZE)
        needed = 22 + font(_NOTE_SIZE).getlength(shown_text) + 24
        if x + needed - 24 > width or not rows:
            rows.append([])
            x = 0.0
        rows[-1].append((MARGIN + x, symbol, shown_text))
        x += needed
    return rows


def _draw_symbol(draw: ImageDraw.ImageDraw, symbol: str | Colour, x: float, y: float) -> None:
    if symbol == "truth":
        ring(draw, x, y, TRUTH)
    elif symbol == "reference":
        ring(draw, x, y, REFERENCE)
    elif symbol in ("mask", "removed"):
        draw.rectangle((x - 8, y - 7, x + 8, y + 7), fill=(70, 70, 70), outline=OUTLINE, width=2)
    elif not isinstance(symbol, str):
        cross(draw, x, y, symbol)


def check_sheet(output: Path, sources: Sequence[Path]) -> None:
    """Refuse to replace anything but an earlier contact sheet, whatever it is.

    Raises:
        UserError: ``output`` is not named as a PNG or JPEG, cannot be written, or exists and was not written
            here.
    """
    check_output(output, "--out", sources)
    if output.suffix.lower() not in _SUFFIXES:
        raise UserError(
            f"--out {output}: a contact sheet is a PNG or JPEG; name a file that ends in"
            f" {', '.join(_SUFFIXES)}"
        )
    if output.exists() and not _is_contact_sheet(output):
        raise UserError(
            f"--out {output}: exists and was not written by x3 preview; remove it or choose another"
            " path"
        )


def write_sheet(output: Path, sheet: Image.Image) -> None:
    """Write a sheet with its tag, as the name's ending says.

    Raises:
        UserError: the sheet is too large for a JPEG.
    """
    buffer = io.BytesIO()
    if _SUFFIXES[output.suffix.lower()] == "JPEG":
        if max(sheet.size) > _JPEG_SIDE:
            raise UserError(
                f"--out {output}: {sheet.width} x {sheet.height} pixels are too many for a JPEG; name a .png,"
                " or lower --limit"
            )
        sheet.save(buffer, "JPEG", quality=85, comment=_TAGGED.encode())
    else:
        tag = PngImagePlugin.PngInfo()
        tag.add_text(_TAG, _TAGGED)
        sheet.save(buffer, "PNG", pnginfo=tag)
    write_bytes(output, buffer.getvalue())


def _is_contact_sheet(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            if image.format == "JPEG":
                return image.info.get("comment") == _TAGGED.encode()
            return image.format == "PNG" and image.info.get(_TAG) == _TAGGED
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False

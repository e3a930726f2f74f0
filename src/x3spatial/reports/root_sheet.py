"""A contact sheet of a data root: every view of an object in a row, with the outline of its mask."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from x3spatial.errors import UserError
from x3spatial.io.images import ImageError, read_mask, read_rgb, resize_mask, resize_rgb
from x3spatial.reports.lettering import INK, MUTED, clean, cut, font, line_height
from x3spatial.reports.marks import outline
from x3spatial.reports.picture import Picture
from x3spatial.reports.sheet import check_sheet, compose, write_sheet
from x3spatial.roots.layout import (
    DILATED,
    MASK,
    ORIGINAL,
    ObjectFiles,
    ViewFiles,
    list_object,
    list_root,
)
from x3spatial.roots.scene_file import SceneFile, SceneFileError, Sight, read_scene_file
from x3spatial.texts import counted

LIMIT = 12
"""Objects on a sheet unless told otherwise."""
_WIDTH, _GAP = 190, 4
_TEXT = 13


def draw_root(data_root: str | Path, output: str | Path, *, limit: int = LIMIT) -> Picture:
    """Draw objects of a data root, spread evenly over it, into one picture.

    Args:
        data_root: the root.
        output: the PNG or JPEG to write; only an earlier contact sheet is replaced.
        limit: number of objects.

    Returns:
        The picture at ``output``.

    Raises:
        UserError: the root has no object, ``limit`` is below 1, or ``output`` cannot be written.
    """
    data_root, output = Path(data_root), Path(output)
    if limit < 1:
        raise UserError(f"--limit {limit}: must be at least 1")
    check_sheet(output, [])
    listing = list_root(data_root)
    if not listing.objects:
        raise UserError(f"ROOT {data_root}: has no object")
    number = min(limit, len(listing.objects))
    last = max(number - 1, 1)
    keys = [listing.objects[k * (len(listing.objects) - 1) // last] for k in range(number)]
    objects = [list_object(key, listing.folder(key)) for key in keys]
    columns = max(len(item.views) for item in objects)
    panels = [_panel(item, _scene(item), columns) for item in objects]
    title = f"{data_root.resolve().name}: {number} of {counted(len(listing.objects), 'object')}"
    notes = ["Views in order of rank; where they do not show the object, why."]
    write_sheet(output, compose(panels, title, notes, frozenset({"mask"}), []))
    return Picture(output)


def _scene(item: ObjectFiles) -> SceneFile | None:
    try:
        return read_scene_file(item.folder.parent)
    except SceneFileError:
        return None


def _panel(item: ObjectFiles, scene: SceneFile | None, columns: int) -> Image.Image:
    """One object: its name, and its views in a row."""
    views = [(view, _picture(view)) for view in item.views]
    head = line_height(_TEXT) + 4
    tall = max((picture.height for _, picture in views), default=_WIDTH)
    width = columns * (_WIDTH + _GAP) - _GAP
    panel = Image.new("RGB", (width, 2 * head + tall), "white")
    draw = ImageDraw.Draw(panel)
    name = clean(f"{item.key}  {item.label or ''}")
    draw.text((0, 0), cut(name, width, _TEXT), fill=INK, font=font(_TEXT))
    sights = {} if scene is None else scene.sights.get(item.key.uid, {})
    for number, (view, picture) in enumerate(views):
        x = number * (_WIDTH + _GAP)
        panel.paste(picture, (x, head))
        text = clean(f"{view.rank} {view.frame}{_facts(sights.get(view.frame))}")
        draw.text((x, head + tall + 2), cut(text, _WIDTH, _TEXT), fill=MUTED, font=font(_TEXT))
    return panel


def _facts(sight: Sight | None) -> str:
    """What is known of a view."""
    if sight is None:
        return ""
    if sight.pixels == 0:
        return f": absent, {sight.absent_by}" if sight.absent_by else ": absent"
    if sight.visible_fraction is None:
        return f": {sight.pixels:,} px"
    return f": {sight.visible_fraction:.0%} visible"


def _picture(view: ViewFiles) -> Image.Image:
    """A view's original with the outline of its mask; grey where it cannot be read."""
    try:
        image = read_rgb(view.files[ORIGINAL])
        mask = read_mask(view.files.get(MASK) or view.files[DILATED])
    except (KeyError, ImageError):
        return Image.new("RGB", (_WIDTH, _WIDTH * 3 // 4), (128, 128, 128))
    height = max(1, round(_WIDTH * image.shape[0] / image.shape[1]))
    picture = Image.fromarray(resize_rgb(image, _WIDTH, height))
    outline(picture, resize_mask(mask, _WIDTH, height), right_half=False)
    return picture

"""What an export writes: its checked options, its task files and the names of its outputs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.exporters.base import CardOptions, Format
from x3spatial.exporters.image_paths import IMAGES
from x3spatial.exporters.manifest import MANIFEST, identity
from x3spatial.exporters.points import ResizeLimits, counts_resized, point_formats
from x3spatial.exporters.registry import FORMATS
from x3spatial.formats.hub import check_license
from x3spatial.formats.image_paths import ImagePaths
from x3spatial.formats.task_file import TaskRecord, iter_records
from x3spatial.formats.task_source import source_at
from x3spatial.tasks.spec import says_absent

_LOG = logging.getLogger("x3spatial")


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """An export before it is written."""

    out_dir: Path
    form: Format
    paths: str
    points: str
    limits: ResizeLimits
    image_folder: Path | None
    image_root: Path | None
    limit: int | None
    outputs: Mapping[Path, str]
    """Task file → name of its output."""
    what: dict[str, Any]
    """Everything that decides the output, except for the images; as in ``export.json``."""

    def located(self, source: Path) -> ImagePaths:
        """Where the images of a task file are."""
        return ImagePaths(source, self.image_folder, self.image_root)


def plan_export(
    data_json: Sequence[str | Path],
    out_dir: Path,
    to: str,
    *,
    paths: str | None,
    points: str | None,
    image_folder: str | Path | None,
    image_root: str | Path | None,
    min_pixels: int | None,
    max_pixels: int | None,
    license: str | None,
    title: str | None,
    limit: int | None,
) -> ExportPlan:
    """Check the options of an export and its task files; see ``run.export``.

    Raises:
        UserError: an option or a task file cannot be used.
    """
    folder, root = (None if path is None else absolute(path) for path in (image_folder, image_root))
    kind = _format(to)
    paths = _choice("--paths", paths, kind.paths, to)
    points = _choice("--points", points, kind.points(), to)
    form = kind(points, _card(kind, license, title))
    limits = _limits(points, min_pixels, max_pixels)
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit}: must be at least 1")
    sources = [source_at(path) for path in data_json]
    outputs = _outputs(form, sources, out_dir)
    if form.refuses_empty:
        outputs = {source: outputs[source] for source in sources if _has_samples(source, form)}
    options = {
        "to": to,
        "paths": paths,
        "points": points,
        "image_folder": None if folder is None else str(folder),
        **({} if root is None else {"image_root": str(root)}),
        "min_pixels": limits.min_pixels if counts_resized(points) else None,
        "max_pixels": limits.max_pixels if counts_resized(points) else None,
        **({"license": form.card.license, "title": form.card.title} if form.has_card else {}),
        "limit": limit,
    }
    what = identity(sources, options, form.require())
    return ExportPlan(out_dir, form, paths, points, limits, folder, root, limit, outputs, what)


def _has_samples(source: Path, form: Format) -> bool:
    """Whether a task file has a sample for the format; if not, it is said."""
    found = any(is_held(form, record) for record in iter_records(source))
    if not found:
        what = "no sample with a visible object" if form.visible_only else "no sample"
        readers = f"readers of --to {form.name} refuse; left out"
        _LOG.warning("%s: has %s, which %s", source, what, readers)
    return found


def is_held(form: Format, record: TaskRecord) -> bool:
    """Whether the format has a form for a sample of this kind."""
    return not (form.visible_only and says_absent(record.answer))


def absolute(path: str | Path) -> Path:
    """An absolute path; symbolic links are not resolved."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - symbolic links are not resolved


def _format(to: str) -> type[Format]:
    if to not in FORMATS:
        raise UserError(f"--to {to}: unknown; known are {', '.join(FORMATS)}")
    return FORMATS[to]


def _choice(option: str, value: str | None, known: tuple[str, ...], to: str) -> str:
    if value is None:
        return known[0]
    if value not in known:
        raise UserError(f"{option} {value}: --to {to} can have {', '.join(known)}")
    return value


def _card(kind: type[Format], license: str | None, title: str | None) -> CardOptions:
    """What the card says; a licence is a word of the Hub, a title one line."""
    given = {"license": license, "title": title}
    for option, value in given.items():
        if value is not None and not kind.has_card:
            raise UserError(f"--{option} {value}: --to {kind.name} has no card")
        if value is not None and (not value.strip() or not value.isprintable()):
            raise UserError(f"--{option} {value!r}: must be one line of text")
    check_license(license)
    return CardOptions(**{name: value for name, value in given.items() if value is not None})


def _limits(points: str, min_pixels: int | None, max_pixels: int | None) -> ResizeLimits:
    given = {"--min-pixels": min_pixels, "--max-pixels": max_pixels}
    for option, value in given.items():
        if value is not None and not counts_resized(points):
            known = ", ".join(filter(counts_resized, point_formats()))
            raise UserError(f"{option} {value}: only --points {known} depend on it")
    standard = ResizeLimits()
    limits = ResizeLimits(
        standard.min_pixels if min_pixels is None else min_pixels,
        standard.max_pixels if max_pixels is None else max_pixels,
    )
    if not 1 <= limits.min_pixels <= limits.max_pixels:
        raise UserError(
            f"--min-pixels {limits.min_pixels} --max-pixels {limits.max_pixels}: the first must be"
            " at least 1 and at most the second"
        )
    return limits


def _outputs(form: Format, sources: list[Path], out_dir: Path) -> dict[Path, str]:
    """The name of the output of each task file."""
    if not sources:
        raise UserError("TASKS: give at least one task file")
    taken = {MANIFEST, IMAGES, *form.companion_names}
    outputs: dict[Path, str] = {}
    for source in sources:
        name = form.output_name(source.stem)
        if name in taken:
            raise UserError(
                f"{source}: would be written as {name}, which is taken; rename it or export it to"
                " another --out"
            )
        if out_dir / name in sources or (out_dir / "build.json").exists():
            raise UserError(f"--out {out_dir}: holds the task files; choose another folder")
        taken.add(name)
        outputs[source] = name
    return outputs

"""Export of task files, one output per task file."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.exporters.base import Format
from x3spatial.exporters.folder import claimed, drop_copies
from x3spatial.exporters.image_paths import IMAGES, ImagePlacer
from x3spatial.exporters.manifest import (
    MANIFEST,
    identity,
    previous_manifest,
    size_of,
    written_facts,
)
from x3spatial.exporters.points import ResizeLimits, counts_resized, point_formats
from x3spatial.exporters.registry import FORMATS
from x3spatial.exporters.rewrite import Rewriter
from x3spatial.exporters.samples import Sample
from x3spatial.formats.image_paths import ImagePaths, with_paths
from x3spatial.formats.task_file import TaskRecord, iter_records
from x3spatial.formats.task_source import source_at
from x3spatial.io.files import make_dir, naming, write_json, write_text
from x3spatial.io.locks import lock_dir
from x3spatial.io.members import MemberPath, file_at
from x3spatial.progress import progress
from x3spatial.tables import Table, Tabular
from x3spatial.tasks.spec import says_absent

LEFT_OUT = "not_visible_left_out"
"""The count of samples that a format without "not visible" does not hold."""

_LOG = logging.getLogger("x3spatial")


@dataclass(frozen=True, slots=True, repr=False)
class ExportSummary(Tabular):
    """The result of an export."""

    out_dir: Path
    manifest: dict[str, Any]
    written: bool
    """False if a finished export of the same task files and options already existed."""

    @property
    def records(self) -> int:
        """Number of samples in all files."""
        return sum(int(file.get("records", 0)) for file in self.manifest["files"].values())

    def table(self) -> Table:
        """A row per file."""
        files = self.manifest["files"].items()
        rows = tuple((name, str(file.get("records", "-"))) for name, file in files)
        return Table(str(self.out_dir), ("file", "samples"), rows)


def export(
    data_json: str | Path | Sequence[str | Path],
    out_dir: str | Path,
    to: str,
    *,
    paths: str | None = None,
    point_format: str | None = None,
    image_folder: str | Path | None = None,
    image_root: str | Path | None = None,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    limit: int | None = None,
    fresh: bool = False,
) -> ExportSummary:
    """Export task files for another trainer.

    Args:
        data_json: a task file, or several; each is exported to a separate output.
        out_dir: folder for the outputs and ``export.json``.
        to: a key of ``FORMATS``.
        paths: a key of ``image_paths.PATHS``; None for the format's default.
        point_format: ``unit`` keeps prompts and answers, a key of ``points.point_formats`` rewrites both, and
            ``placeholder`` (ms-swift) leaves the scaling to the trainer; None for the format's default.
        image_folder: base folder for relative image and mask paths.
        image_root: where the data root is now, if it was moved after the build.
        min_pixels, max_pixels: bounds of the image area of the Qwen2.5-VL processor, for ``qwen2.5-px`` only.
        limit: only the first N records of each file.
        fresh: write again even if the same export exists.

    Raises:
        UserError: an option, a task file, a record or an image cannot be used.
    """
    if isinstance(data_json, (str, Path)):
        data_json = [data_json]
    image_folder = None if image_folder is None else _absolute(image_folder)
    image_root = None if image_root is None else _absolute(image_root)
    kind = _format(to)
    paths = _choice("--paths", paths, kind.paths, to)
    points = _choice("--points", point_format, kind.points(), to)
    form = kind(points)
    limits = _limits(points, min_pixels, max_pixels)
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit}: must be at least 1")
    out_dir = _absolute(out_dir)
    sources = [source_at(path) for path in data_json]
    outputs = _outputs(form, sources, out_dir)
    if form.refuses_empty:
        outputs = {source: outputs[source] for source in sources if _has_samples(source, form)}
    options = {
        "to": to,
        "paths": paths,
        "points": points,
        "image_folder": None if image_folder is None else str(image_folder),
        **({} if image_root is None else {"image_root": str(image_root)}),
        "min_pixels": limits.min_pixels if counts_resized(points) else None,
        "max_pixels": limits.max_pixels if counts_resized(points) else None,
        "limit": limit,
    }
    what = identity(sources, options, form.require())
    make_dir(out_dir, "--out")
    with lock_dir(out_dir, "--out"), ExitStack() as held:
        earlier = previous_manifest(out_dir)
        if not fresh and earlier is not None and _still_holds(earlier, what, out_dir):
            return ExportSummary(out_dir, earlier, written=False)
        companions = form.companions({source.stem: name for source, name in outputs.items()})
        held.enter_context(claimed(out_dir, earlier, {*outputs.values(), *companions}))
        placer = ImagePlacer(paths, out_dir)
        rewriter = Rewriter(points, limits)
        counts: Counter[str] = Counter()
        files: dict[str, Any] = {}
        with progress("exporting", len(outputs)) as advance:
            for source in outputs:
                before = counts["records"]
                located = ImagePaths(source, image_folder, image_root)
                samples = _samples(source, form, placer, rewriter, limit, counts, located)
                with naming(out_dir / outputs[source]):
                    form.write(out_dir / outputs[source], samples)
                facts = written_facts(out_dir / outputs[source])
                files[outputs[source]] = {"records": counts["records"] - before, **facts}
                advance()
        for name, value in companions.items():
            if isinstance(value, str):
                write_text(out_dir / name, value)
            else:
                write_json(out_dir / name, value)
            files[name] = written_facts(out_dir / name)
        drop_copies(out_dir / IMAGES, placer.copies)
        if placer.turned:
            _LOG.info(
                "orientation tags of %d image(s) left out: data loaders would apply them, but points"
                " refer to the stored pixels",
                len(placer.turned),
            )
        manifest = {
            **what,
            "files": files,
            "counts": {
                **{name: counts[name] for name in sorted(counts)},
                "images_copied": len(placer.copies),
                "orientation_tags_removed": len(placer.turned),
                "points_with_more_decimals": rewriter.longer,
                "placeholders_at_risk": rewriter.unsafe,
            },
            "images_bytes": size_of(out_dir / IMAGES) if placer.copies else None,
        }
        write_json(out_dir / MANIFEST, manifest, fsync=True)
    return ExportSummary(out_dir, manifest, written=True)


def _has_samples(source: Path, form: Format) -> bool:
    """Whether a task file has a sample for the format; if not, it is said."""
    found = any(_is_held(form, record) for record in iter_records(source))
    if not found:
        what = "no sample with a visible object" if form.visible_only else "no sample"
        readers = f"readers of --to {form.name} refuse; left out"
        _LOG.warning("%s: has %s, which %s", source, what, readers)
    return found


def _is_held(form: Format, record: TaskRecord) -> bool:
    """Whether the format has a form for a sample of this kind."""
    return not (form.visible_only and says_absent(record.answer))


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - symbolic links are not resolved


def _located(path: str) -> Path:
    """The file at a path of a record."""
    file = file_at(path)
    return file if isinstance(file, MemberPath) else _absolute(path)


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
    taken = {MANIFEST, "dataset_info.json", IMAGES}
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


def _still_holds(manifest: dict[str, Any], what: dict[str, Any], out_dir: Path) -> bool:
    """Whether ``manifest`` describes the requested export and its files are unchanged."""
    if any(manifest.get(name) != value for name, value in what.items()):
        return False
    copied = manifest.get("images_bytes")
    if copied is not None and size_of(out_dir / IMAGES) != copied:
        return False
    files: dict[str, Any] = manifest["files"]
    return all(size_of(out_dir / name) == facts["bytes"] for name, facts in files.items())


def _samples(
    source: Path,
    form: Format,
    placer: ImagePlacer,
    rewriter: Rewriter,
    limit: int | None,
    counts: Counter[str],
    paths: ImagePaths,
) -> Iterator[Sample]:
    for listed in islice(iter_records(source), limit):
        if not _is_held(form, listed):
            counts[LEFT_OUT] += 1
            continue
        record = with_paths(listed, paths.find)
        where = f"{source}: record {record.id}"
        images = tuple(placer.place(_located(path), where) for path in record.images)
        sample = rewriter.sample(record, images, where)
        if form.tags:
            sample = sample.tagged()
        if form.with_mask and record.query_mask is not None:
            mask = placer.place_mask(_absolute(record.query_mask), where)
            sample = replace(sample, query_mask=mask)
        if form.with_files:

            def placed(path: str, where: str = where) -> str:
                return placer.place(_located(path), where).written

            sample = replace(sample, placed=with_paths(record, placed))
        sample.check(where, tags=form.tags)
        counts["records"] += 1
        counts["not_visible"] += says_absent(record.answer)
        counts[record.task] += 1
        yield sample

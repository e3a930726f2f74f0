"""Export of task files, one output per task file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from x3spatial.engine.shards import Shard, parse_shard
from x3spatial.exporters.manifest import previous_manifest
from x3spatial.exporters.plan import absolute, plan_export
from x3spatial.exporters.sampling import Sampler
from x3spatial.exporters.shards import export_shard
from x3spatial.exporters.summary import ExportSummary
from x3spatial.exporters.writing import claimed_outputs, still_holds, write_export
from x3spatial.io.files import make_dir
from x3spatial.io.locks import lock_dir


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
    license: str | None = None,
    title: str | None = None,
    limit: int | None = None,
    fresh: bool = False,
    shard: str | Shard | None = None,
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
        license: identifier of the licence on the card of ``hf-benchmark``; None: ``unknown``.
        title: name of the data set on that card; None: ``CardOptions.title``.
        limit: only the first N records of each file.
        fresh: write again even if the same export exists.
        shard: do only every Nth record, ``K/N``, for ``x3spatial.merge``, which writes the outputs; None for
            all.

    Raises:
        UserError: an option, a task file, a record or an image cannot be used.
    """
    if isinstance(data_json, (str, Path)):
        data_json = [data_json]
    out_dir = absolute(out_dir)
    plan = plan_export(
        data_json,
        out_dir,
        to,
        paths=paths,
        points=point_format,
        image_folder=image_folder,
        image_root=image_root,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        license=license,
        title=title,
        limit=limit,
    )
    part = parse_shard(shard)
    make_dir(out_dir, "--out")
    if part is not None:
        return export_shard(part, plan, fresh=fresh)
    with lock_dir(out_dir, "--out"):
        earlier = previous_manifest(out_dir)
        if not fresh and earlier is not None and still_holds(earlier, plan):
            return ExportSummary(out_dir, earlier, written=False)
        sampler = Sampler(plan)
        with claimed_outputs(plan, earlier):
            manifest = write_export(plan, sampler.samples, lambda: sampler.tally)
    return ExportSummary(out_dir, manifest, written=True)

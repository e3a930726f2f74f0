"""Shards of ``x3 export``: each places the images and writes the texts of its samples, one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from x3spatial.engine.shard_notes import open_shard
from x3spatial.engine.shards import Shard
from x3spatial.exporters.manifest import previous_manifest
from x3spatial.exporters.plan import ExportPlan
from x3spatial.exporters.samples import Sample
from x3spatial.exporters.sampling import Sampler
from x3spatial.exporters.summary import ExportSummary
from x3spatial.exporters.text_files import write_json_lines
from x3spatial.exporters.writing import counts_of, still_holds
from x3spatial.io.files import write_json
from x3spatial.progress import progress

KIND = "export"
IMAGE_NAMES = "images.json"
"""The names of the copied images, and the files with an orientation tag."""


def lines_of(folder: Path, number: int) -> Path:
    """The samples of the task file with this number, from 0."""
    return folder / f"samples-{number}.jsonl"


def export_shard(shard: Shard, plan: ExportPlan, *, fresh: bool) -> ExportSummary:
    """Make the samples of one shard.

    Raises:
        UserError: see ``open_shard``, or a record or an image cannot be used.
    """
    earlier = previous_manifest(plan.out_dir)
    if not fresh and earlier is not None and still_holds(earlier, plan):
        return ExportSummary(plan.out_dir, earlier, written=False)  # merged already
    with open_shard(shard, plan.out_dir, KIND, {"what": plan.what}, fresh=fresh) as part:
        sampler = Sampler(plan, part.folder, shard)
        records: dict[str, Any] = {}
        with progress("exporting", len(plan.outputs)) as advance:
            for number, (source, name) in enumerate(plan.outputs.items()):
                before = sampler.tally.counts["records"]
                write_json_lines(
                    lines_of(part.folder, number), map(_to_json, sampler.samples(source))
                )
                records[name] = {"records": sampler.tally.counts["records"] - before}
                advance()
        tally = sampler.tally
        write_json(
            part.folder / IMAGE_NAMES,
            {"copies": sorted(tally.copies), "turned": sorted(tally.turned)},
            fsync=True,
        )
        units = int(tally.counts["records"])
        part.finish(
            units,
            {
                "records": [entry["records"] for entry in records.values()],
                "counts": dict(tally.counts),
                "longer": tally.longer,
                "unsafe": tally.unsafe,
            },
        )
    manifest = {**plan.what, "files": records, "counts": counts_of(tally)}
    return ExportSummary(part.folder, manifest, written=True)


def _to_json(sample: Sample) -> dict[str, Any]:
    """What was made of a record; the rest is the record itself."""
    boxes = sample.boxes
    return {
        "images": sample.image_paths,
        "prompt": sample.prompt,
        "answer": sample.answer,
        "boxes": None if boxes is None else [[box.x, box.y, box.image] for box in boxes],
        "names": list(sample.names),
        "sizes": [list(size) for size in sample.sizes],
        "mask": None if sample.query_mask is None else sample.query_mask.written,
        "placed": None if sample.placed is None else sample.placed.to_json(),
    }

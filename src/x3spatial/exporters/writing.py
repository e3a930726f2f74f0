"""Writes the outputs of an export from samples, whoever made them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from x3spatial.exporters.folder import claimed, drop_copies
from x3spatial.exporters.image_paths import IMAGES
from x3spatial.exporters.manifest import MANIFEST, size_of, written_facts
from x3spatial.exporters.plan import ExportPlan
from x3spatial.exporters.samples import Sample
from x3spatial.exporters.sampling import Tally
from x3spatial.io.files import naming, write_json, write_text
from x3spatial.progress import progress

_LOG = logging.getLogger("x3spatial")


def claimed_outputs(
    plan: ExportPlan, earlier: Mapping[str, Any] | None
) -> AbstractContextManager[None]:
    """Prepare the folder for the outputs, as ``claimed``.

    Raises:
        UserError: one of them exists and no export of ours wrote it.
    """
    return claimed(plan.out_dir, earlier, {*plan.outputs.values(), *plan.form.companion_names})


def write_export(
    plan: ExportPlan, samples: Callable[[Path], Iterator[Sample]], tally: Callable[[], Tally]
) -> dict[str, Any]:
    """Write all outputs and the manifest, which is returned; within ``claimed_outputs``.

    Args:
        plan: the export.
        samples: makes the samples of a task file; called once each, in order.
        tally: what was counted; called when all samples are made.

    Raises:
        UserError: a record or an image cannot be used.
    """
    out_dir = plan.out_dir
    files: dict[str, Any] = {}
    with progress("exporting", len(plan.outputs)) as advance:
        for source, name in plan.outputs.items():
            records = 0

            def counted(source: Path = source) -> Iterator[Sample]:
                nonlocal records
                for sample in samples(source):
                    records += 1
                    yield sample

            with naming(out_dir / name):
                plan.form.write(out_dir / name, counted())
            files[name] = {"records": records, **written_facts(out_dir / name)}
            advance()
    companions = plan.form.companions({source.stem: name for source, name in plan.outputs.items()})
    assert {*companions} == {*plan.form.companion_names}
    for name, value in companions.items():
        if isinstance(value, str):
            write_text(out_dir / name, value)
        else:
            write_json(out_dir / name, value)
        files[name] = written_facts(out_dir / name)
    found = tally()
    drop_copies(out_dir / IMAGES, found.copies)
    if found.turned:
        _LOG.info(
            "orientation tags of %d image(s) left out: data loaders would apply them, but points"
            " refer to the stored pixels",
            len(found.turned),
        )
    manifest = {
        **plan.what,
        "files": files,
        "counts": counts_of(found),
        "images_bytes": size_of(out_dir / IMAGES) if found.copies else None,
    }
    write_json(out_dir / MANIFEST, manifest, fsync=True)
    return manifest


def counts_of(tally: Tally) -> dict[str, int]:
    """The counts as ``export.json`` has them."""
    return {
        **{name: tally.counts[name] for name in sorted(tally.counts)},
        "images_copied": len(tally.copies),
        "orientation_tags_removed": len(tally.turned),
        "points_with_more_decimals": tally.longer,
        "placeholders_at_risk": tally.unsafe,
    }


def still_holds(manifest: Mapping[str, Any], plan: ExportPlan) -> bool:
    """Whether ``manifest`` describes this export and its files are unchanged."""
    if any(manifest.get(name) != value for name, value in plan.what.items()):
        return False
    copied = manifest.get("images_bytes")
    if copied is not None and size_of(plan.out_dir / IMAGES) != copied:
        return False
    files: dict[str, Any] = manifest["files"]
    return all(size_of(plan.out_dir / name) == facts["bytes"] for name, facts in files.items())

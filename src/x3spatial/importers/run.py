"""``x3 import``: recordings into a data root, one scene after another, in parallel processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.engine.shard_notes import digest
from x3spatial.engine.shards import Shard, parse_shard
from x3spatial.errors import UserError
from x3spatial.importers.options import ChoiceOptions, ReadOptions, check_options
from x3spatial.importers.registry import SceneRef, check_read, reader
from x3spatial.importers.results import (
    ImportSummary,
    SceneResult,
    check_splits,
    kept_scenes,
    result_of,
)
from x3spatial.importers.scene import Problem, SceneError
from x3spatial.importers.shards import import_shard
from x3spatial.inpainting import TIMEOUT
from x3spatial.inpainting import open_engine as open_inpainting
from x3spatial.io.files import make_dir
from x3spatial.io.locks import lock_dir
from x3spatial.progress import progress

if TYPE_CHECKING:
    from x3spatial.importers.plan import Plan

_OPTION = "--out"
VERSION = 1
"""Increase it if the same source and settings give other bytes."""


@dataclass(frozen=True)
class SceneJob:
    """One scene to import; picklable. ``folder`` is the split's folder; None: only the choice is made."""

    ref: SceneRef
    read: ReadOptions
    choice: ChoiceOptions
    inpaint: str
    timeout: float
    settings: Mapping[str, Any]
    folder: Path | None


def import_scans(
    kind: str,
    source: str | Path,
    out_dir: str | Path,
    read: ReadOptions | None = None,
    choice: ChoiceOptions | None = None,
    *,
    inpaint: str = "telea",
    inpaint_timeout: float = TIMEOUT,
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    fresh: bool = False,
    dry_run: bool = False,
    shard: str | Shard | None = None,
) -> ImportSummary:
    """Import recorded rooms into the data root ``out_dir``.

    Scenes that an earlier run with the same settings completed are kept. The bytes depend on the source and
    the settings only, not on ``workers`` or interruptions. Scenes that cannot be used are skipped and
    reported.

    Args:
        kind: a name in ``importers.registry.KINDS``.
        source: the recordings, as the kind has them.
        out_dir: the data root to write.
        read: how the source is read; None for the defaults.
        choice: which objects and frames are used; None for the defaults.
        inpaint: the inpainting engine, ``KIND[:ARG]`` of ``x3spatial.inpainting``.
        inpaint_timeout: seconds that an external program has for one image.
        workers: processes; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        fresh: replace the scenes of earlier imports.
        dry_run: make the choice only; nothing is written.
        shard: import only every Nth scene, ``K/N``, for ``x3spatial.merge``; None for all.

    Returns:
        What ``out_dir`` holds of the source now, or would hold; with ``shard`` of the shard's scenes.

    Raises:
        UserError: an option is wrong, the source is not of that kind, or ``out_dir`` cannot be written or
            holds scenes of the same name that are not of an equal import.
        UnitsFailed: a scene met an error that is not one of its data; all others are done.
    """
    source, out_dir = Path(source), Path(out_dir)
    read, choice = read or ReadOptions(), choice or ChoiceOptions()
    check_options(read, choice)
    check_read(kind, read)
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    part = parse_shard(shard)
    inpainting = open_inpainting(inpaint, timeout=inpaint_timeout)
    found = reader(kind).find(source, read)
    settings = {
        "version": VERSION,
        "kind": kind,
        "read": read.to_json(),
        "choice": choice.to_json(),
        "inpaint": None if inpainting is None else inpainting.describe(),
    }
    summary = ImportSummary(out_dir, dry_run)
    if part is None or part.k == 1:
        summary.problems += found.problems  # each problem of the source is told by one shard only

    def job(ref: SceneRef, folder: Path | None) -> SceneJob:
        return SceneJob(ref, read, choice, inpaint, inpaint_timeout, settings, folder)

    def run(
        jobs: list[SceneJob], kept: list[SceneResult], folders: list[Path]
    ) -> list[SceneResult]:
        with open_engine(engine, ray_address) as opened:
            return _run(jobs, kept, opened, workers, [source, *folders])

    refs = list(found.scenes) if part is None else part.of(found.scenes)
    if dry_run:
        return summary.with_scenes(run([job(ref, None) for ref in refs], [], []))
    if out_dir.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{_OPTION} {out_dir}: lies in SOURCE {source}; choose a folder outside it")

    def fill(folder: Path, kept: list[SceneResult]) -> list[SceneResult]:
        """Import the scenes that are not kept into the root ``folder``; the results of all of them."""
        done = {result.ref.key for result in kept}
        todo = [ref for ref in refs if ref.key not in done]
        for split in dict.fromkeys(ref.split for ref in todo):
            make_dir(folder / split, _OPTION)
        results = run([job(ref, folder / ref.split) for ref in todo], kept, [folder])
        for split in {ref.split for ref in todo}:
            if not any((folder / split).iterdir()):
                (folder / split).rmdir()  # an empty split is a problem of the root
        return results

    check_splits(out_dir, found.scenes)
    if part is not None:
        identity = {
            "source": str(source),
            "scenes": digest([[ref.split, ref.name, str(ref.path)] for ref in found.scenes]),
            "read": asdict(read),
            "settings": settings,
        }
        return summary.with_scenes(
            import_shard(part, out_dir, identity, refs, summary.problems, fill, fresh=fresh)
        )
    make_dir(out_dir, _OPTION)
    with lock_dir(out_dir, _OPTION):
        return summary.with_scenes(fill(out_dir, kept_scenes(out_dir, refs, settings, fresh=fresh)))


def _run(
    jobs: list[SceneJob],
    kept: list[SceneResult],
    engine: Engine,
    workers: int | None,
    folders: list[Path],
) -> list[SceneResult]:
    """The results of all scenes, sorted by name."""
    results = {result.ref.key: result for result in kept}

    def name(job: SceneJob) -> str:
        return "/".join(job.ref.key)

    with progress("scenes", len(jobs) + len(kept), done=len(kept)) as advance:
        for result in engine.map(import_scene, jobs, workers=workers, name=name, folders=folders):
            results[result.ref.key] = result
            advance()
    return [results[key] for key in sorted(results)]


def import_scene(job: SceneJob) -> SceneResult:
    """Open, plan and write one scene."""
    from x3spatial.importers.plan import make_plan
    from x3spatial.importers.scene_writer import describe, write_scene
    from x3spatial.io.images import ImageError

    try:
        scene = reader(job.ref.kind).open_scene(job.ref, job.read)
    except SceneError as error:
        return SceneResult(job.ref, problems=(error.problem,), skipped=True)
    if job.read.every > 1:
        scene.frames = scene.frames[:: job.read.every]
    try:
        plan: Plan = make_plan(scene, job.choice, str(job.ref.path))
        if job.folder is None:
            contents = describe(scene, plan, job.settings, list(plan.problems))
        else:
            inpainting = open_inpainting(job.inpaint, timeout=job.timeout)
            contents = write_scene(scene, plan, job.folder, job.settings, inpainting)
    except SceneError as error:
        found = (*dict.fromkeys(scene.problems), error.problem)
        return SceneResult(job.ref, problems=found, skipped=True)
    except ImageError as error:
        problem = Problem(str(job.ref.path), f"changed while it was read: {error.reason}")
        return SceneResult(job.ref, problems=(problem,), skipped=True)
    finally:
        scene.close()
    return result_of(job.ref, contents, kept=False)

"""Audit of a whole data root."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.engine.shards import Shard, parse_shard
from x3spatial.errors import UserError
from x3spatial.io.files import check_output
from x3spatial.progress import progress
from x3spatial.roots import findings
from x3spatial.roots.audit.objects import AuditedObject, AuditJob, audit_object
from x3spatial.roots.audit.report import AuditedRoot, AuditReport
from x3spatial.roots.audit.shards import audit_shard
from x3spatial.roots.findings import Problem
from x3spatial.roots.layout import ObjectKey, RootListing, list_root
from x3spatial.roots.places import place_of
from x3spatial.tasks.spec import TASKS, Views, choose_tasks


def audit(
    data_root: str | Path,
    *,
    tasks: Sequence[str] | None = None,
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    out: str | Path | None = None,
    shard: str | Shard | None = None,
) -> AuditReport:
    """Check every file of every split of a data root.

    Args:
        data_root: the folder that holds the splits.
        tasks: the tasks that will be built, by name or short name; None for those of a default build. What
            none of them needs is not checked.
        workers: threads; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.
        out: a file for the report, as JSON; None for none.
        shard: check only every Nth object, ``K/N``, for ``x3spatial.merge``, which writes ``out``; None for
            all.

    Returns:
        The report; with ``shard`` that of the shard's objects.

    Raises:
        UserError: ``data_root`` does not exist or has no split, a task is unknown, ``out`` cannot be written,
            or there is none with ``shard``.
        UnitsFailed: an object could not be checked.
    """
    data_root = Path(data_root)
    chosen = [TASKS[name] for name in choose_tasks(tasks)]
    use_inpainted = any(task.needs_inpainted for task in chosen)
    use_pairs = any(task.views is Views.TWO for task in chosen)
    part = parse_shard(shard)
    if part is not None and out is None:
        raise UserError(f"--shard {part}: needs -o REPORT, the file that x3 merge writes")
    if out is not None:
        out = Path(os.path.abspath(out))  # noqa: PTH100
        check_output(out, "--out")
    listing = list_root(data_root)
    problems = [*listing.problems, *_places_in_two_splits(listing)]

    def name(job: AuditJob) -> str:
        return "/".join(job.key)

    def audited(keys: Sequence[ObjectKey]) -> Iterator[AuditedObject]:
        jobs = (AuditJob(key, listing.folder(key), use_inpainted, use_pairs) for key in keys)
        with (
            open_engine(engine, ray_address) as opened,
            progress("auditing", len(keys)) as advance,
        ):
            for item in opened.map(
                audit_object, jobs, workers=workers, name=name, threads=True, folders=[data_root]
            ):
                yield item
                advance()

    if part is not None:
        assert out is not None
        names = [task.name for task in chosen]
        return audit_shard(part, out, listing, names, problems, audited)
    found = AuditedRoot()
    for item in audited(listing.objects):
        found.add(item)
    report = found.report(data_root, listing.splits, problems)
    if out is not None:
        report.write(out)
    return report


def _places_in_two_splits(listing: RootListing) -> list[Problem]:
    """One problem per place that is in two splits, at its last scene."""
    members: dict[str, list[tuple[str, str]]] = {}
    for split, scene in dict.fromkeys((key.split, key.scene) for key in listing.objects):
        place = place_of(scene, listing.places.get((split, scene)))
        members.setdefault(place, []).append((split, scene))
    found = []
    for place, scenes in members.items():
        splits = dict.fromkeys(split for split, _ in scenes)
        if len(splits) < 2:
            continue
        path = listing.root.joinpath(*scenes[-1])
        if len({scene for _, scene in scenes}) == 1:
            found.append(findings.SCENE_IN_TWO_SPLITS.at(path, splits=", ".join(splits)))
        else:
            shown = ", ".join("/".join(member) for member in scenes)
            found.append(findings.PLACE_IN_TWO_SPLITS.at(path, place=place, scenes=shown))
    return found

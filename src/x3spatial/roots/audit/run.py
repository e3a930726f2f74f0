"""Audit of a whole data root."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from x3spatial.engine.base import Engine
from x3spatial.engine.registry import open_engine
from x3spatial.progress import progress
from x3spatial.roots import findings
from x3spatial.roots.audit.objects import AuditedObject, AuditJob, audit_object
from x3spatial.roots.findings import Problem, grouped
from x3spatial.roots.layout import RootListing, list_root
from x3spatial.roots.places import place_of
from x3spatial.roots.views import split_missing_inpainted
from x3spatial.tables import Table, Tabular
from x3spatial.tasks.spec import TASKS, Views, choose_tasks

_COUNTS = (
    ("scenes", "scenes"),
    ("objects", "objects"),
    ("views", "views"),
    ("visible", "views_visible"),
    ("not visible", "views_not_visible"),
    ("first view empty", "objects_with_empty_first_view"),
)
"""Heads of the table's columns and the facts in them."""
_PROBLEMS_SHOWN = 5


@dataclass(frozen=True, slots=True, repr=False)
class AuditReport(Tabular):
    """Statistics of a root per split, and its problems and notes sorted by path."""

    root: Path
    splits: dict[str, dict[str, Any]]
    problems: list[Problem]
    """What a build leaves out, and data that would make wrong samples."""
    notes: list[Problem] = field(default_factory=list)
    """What deserves a look, although the data can be used as it is."""

    def table(self) -> Table:
        """A row per split."""
        rows = []
        for split, facts in self.splits.items():
            area = facts["mask_area_fraction"]
            counts = [str(facts[name]) for _, name in _COUNTS]
            median = "-" if area is None else f"{area['median']:.1%}"
            rows.append(
                (split, *counts, ", ".join(facts["sizes"]), median, str(len(facts["labels"])))
            )
        heads = tuple(head for head, _ in _COUNTS)
        found = grouped(self.problems)
        notes = [f"{problem.path}: {problem.reason}" for problem in found[:_PROBLEMS_SHOWN]]
        if len(found) > _PROBLEMS_SHOWN:
            notes.append(f"... and {len(found) - _PROBLEMS_SHOWN} more")
        notes.append(self.counts)
        columns = ("split", *heads, "sizes", "median mask", "labels")
        return Table(str(self.root), columns, tuple(rows), tuple(notes))

    @property
    def counts(self) -> str:
        """The numbers of problems and notes as text."""
        problems, notes = len(self.problems), len(self.notes)
        text = "no problems" if problems == 0 else f"{problems} problem{'s' * (problems > 1)}"
        return f"{text}, {notes} note{'s' * (notes > 1)}" if notes else text

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``x3 audit --json`` prints it."""
        return {
            "data_root": str(self.root),
            "splits": self.splits,
            "problems_total": len(self.problems),
            "problems": [problem._asdict() for problem in self.problems],
            "notes_total": len(self.notes),
            "notes": [note._asdict() for note in self.notes],
        }


def audit(
    data_root: str | Path,
    *,
    tasks: Sequence[str] | None = None,
    workers: int | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
) -> AuditReport:
    """Check every file of every split of a data root.

    Args:
        data_root: the folder that holds the splits.
        tasks: the tasks that will be built, by name or short name; None for those of a default build. What
            none of them needs is not checked.
        workers: threads; None for one per usable CPU.
        engine: a name in ``engine.registry.ENGINES``, or an engine that is open.
        ray_address: for ``ray``: the cluster to join; None to start Ray on this machine.

    Raises:
        UserError: ``data_root`` does not exist or has no split, or a task is unknown.
        UnitsFailed: an object could not be checked.
    """
    data_root = Path(data_root)
    chosen = [TASKS[name] for name in choose_tasks(tasks)]
    use_inpainted = any(task.needs_inpainted for task in chosen)
    use_pairs = any(task.views is Views.TWO for task in chosen)
    listing = list_root(data_root)
    jobs = (AuditJob(key, listing.folder(key), use_inpainted, use_pairs) for key in listing.objects)
    objects: list[AuditedObject] = []
    duplicates = _Duplicates()

    def name(job: AuditJob) -> str:
        return "/".join(job.key)

    with (
        open_engine(engine, ray_address) as opened,
        progress("auditing", len(listing.objects)) as advance,
    ):
        for audited in opened.map(
            audit_object, jobs, workers=workers, name=name, threads=True, folders=[data_root]
        ):
            duplicates.add(audited)
            audited.digests = []
            objects.append(audited)
            advance()
    objects.sort(key=lambda item: item.key)
    problems = [*listing.problems, *_places_in_two_splits(listing), *duplicates.problems()]
    for item in objects:
        problems.extend(item.problems)
    any_inpainted = any(item.any_inpainted for item in objects)
    problems, notes = split_missing_inpainted(data_root, problems, any_inpainted=any_inpainted)
    for item in objects:
        notes.extend(item.notes)
    splits = {
        split: _summary(item for item in objects if item.key.split == split)
        for split in listing.splits
    }
    return AuditReport(data_root, splits, sorted(set(problems)), sorted(set(notes)))


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


class _Duplicates:
    """Finds images with identical bytes in two splits."""

    def __init__(self) -> None:
        self._first: dict[bytes, dict[str, str]] = {}

    def add(self, item: AuditedObject) -> None:
        for digest, path in item.digests:
            paths = self._first.setdefault(digest, {})
            # Keep the smallest path of each split: the result does not depend on the objects' order.
            paths[item.key.split] = min(path, paths.get(item.key.split, path))

    def problems(self) -> list[Problem]:
        found = []
        for paths in self._first.values():
            first, *others = sorted(paths.values())
            found += [findings.SAME_BYTES.at(path, first=first) for path in others]
        return found


def _summary(items: Iterable[AuditedObject]) -> dict[str, Any]:
    objects = list(items)
    views = [view for item in objects for view in item.views]
    visible = [view for view in views if view.visible]
    sizes = Counter(f"{view.size[0]}x{view.size[1]}" for view in views)
    areas = [view.area_fraction for view in visible]
    first_views = [min(item.views, key=lambda view: view.rank) for item in objects if item.views]
    labels = Counter(item.label for item in objects if item.label is not None)
    return {
        "scenes": len({item.key.scene for item in objects}),
        "objects": len(objects),
        "views": len(views),
        "views_per_object": _counted(Counter(str(len(item.views)) for item in objects)),
        "views_visible": len(visible),
        "views_not_visible": len(views) - len(visible),
        "objects_with_empty_first_view": sum(not view.visible for view in first_views),
        "views_with_one_mask_only": sum(item.one_mask_only for item in objects),
        "sizes": _counted(sizes),
        "mask_area_fraction": {
            "min": min(areas),
            "median": statistics.median(areas),
            "max": max(areas),
        }
        if areas
        else None,
        "labels": _counted(labels),
        "objects_without_label": sum(item.label is None for item in objects),
    }


def _counted(counter: Counter[str]) -> dict[str, int]:
    """Return the counts sorted by frequency, descending, then by name."""
    return dict(sorted(counter.items(), key=lambda entry: (-entry[1], entry[0])))

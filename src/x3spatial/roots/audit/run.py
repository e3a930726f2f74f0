"""Audit of a whole data root."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.engine.local import default_workers, map_unordered
from x3spatial.progress import progress
from x3spatial.roots.audit.objects import AuditedObject, AuditJob, audit_object
from x3spatial.roots.layout import Problem, RootListing, list_root
from x3spatial.tables import Table, Tabular
from x3spatial.texts import counted

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
    """Statistics of a root per split, and its problems sorted by path."""

    root: Path
    splits: dict[str, dict[str, Any]]
    problems: list[Problem]

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
        notes = [f"{problem.path}: {problem.reason}" for problem in self.problems[:_PROBLEMS_SHOWN]]
        count = len(self.problems)
        if count > _PROBLEMS_SHOWN:
            notes.append(f"... and {count - _PROBLEMS_SHOWN} more")
        notes.append("no problems" if count == 0 else counted(count, "problem"))
        columns = ("split", *heads, "sizes", "median mask", "labels")
        return Table(str(self.root), columns, tuple(rows), tuple(notes))

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``x3 audit --json`` prints it."""
        return {
            "data_root": str(self.root),
            "splits": self.splits,
            "problems_total": len(self.problems),
            "problems": [problem._asdict() for problem in self.problems],
        }


def audit(data_root: str | Path, *, workers: int | None = None) -> AuditReport:
    """Check every file of every split of a data root.

    Args:
        data_root: the folder that holds the splits.
        workers: threads; None for one per usable CPU.

    Raises:
        UserError: ``data_root`` does not exist or has no split.
    """
    data_root = Path(data_root)
    workers = default_workers() if workers is None else workers
    listing = list_root(data_root)
    jobs = (AuditJob(key, listing.folder(key)) for key in listing.objects)
    objects: list[AuditedObject] = []
    duplicates = _Duplicates()
    with progress("auditing", len(listing.objects)) as advance:
        for audited in map_unordered(audit_object, jobs, workers, threads=True):
            duplicates.add(audited)
            audited.digests = []
            objects.append(audited)
            advance()
    objects.sort(key=lambda item: item.key)
    problems = [*listing.problems, *_scenes_in_two_splits(listing), *duplicates.problems()]
    for item in objects:
        problems.extend(item.problems)
    for split in listing.splits:
        if not any(item.key.split == split for item in objects):
            problems.append(Problem(str(data_root / split), "split has no object"))
    splits = {
        split: _summary(item for item in objects if item.key.split == split)
        for split in listing.splits
    }
    return AuditReport(data_root, splits, sorted(set(problems)))


def _scenes_in_two_splits(listing: RootListing) -> list[Problem]:
    splits: dict[str, list[str]] = {}
    for key in listing.objects:
        seen = splits.setdefault(key.scene, [])
        if key.split not in seen:
            seen.append(key.split)
    return [
        Problem(
            str(listing.root / names[-1] / scene), f"scene is in two splits: {', '.join(names)}"
        )
        for scene, names in splits.items()
        if len(names) > 1
    ]


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
            found += [
                Problem(path, f"same image bytes as {first}, in another split") for path in others
            ]
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

"""The report of an audit, made of its objects in any order."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from x3spatial.formats.typed_json import document
from x3spatial.io.files import write_text
from x3spatial.roots import findings
from x3spatial.roots.audit.objects import AuditedObject
from x3spatial.roots.findings import Problem, grouped
from x3spatial.roots.views import split_missing_inpainted
from x3spatial.tables import Table, Tabular

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

    def write(self, path: Path) -> None:
        """Write the report as ``x3 audit --json`` prints it."""
        write_text(path, document(self.to_json()) + "\n")


class AuditedRoot:
    """Collects audited objects, in any order."""

    def __init__(self) -> None:
        self._objects: list[AuditedObject] = []
        self._duplicates = _Duplicates()

    def add(self, item: AuditedObject) -> None:
        """Add an object; its digests are not kept with it."""
        self._duplicates.add(item)
        item.digests = []
        self._objects.append(item)

    def report(
        self, root: Path, split_names: Iterable[str], problems: Sequence[Problem]
    ) -> AuditReport:
        """The report on the objects.

        Args:
            root: the data root.
            split_names: its splits.
            problems: those of its listing.
        """
        objects = sorted(self._objects, key=lambda item: item.key)
        problems = [*problems, *self._duplicates.problems()]
        for item in objects:
            problems.extend(item.problems)
        any_inpainted = any(item.any_inpainted for item in objects)
        problems, notes = split_missing_inpainted(root, problems, any_inpainted=any_inpainted)
        for item in objects:
            notes.extend(item.notes)
        splits = {
            split: _summary(item for item in objects if item.key.split == split)
            for split in split_names
        }
        return AuditReport(root, splits, sorted(set(problems)), sorted(set(notes)))


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

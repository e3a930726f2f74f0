"""The report of an audit, made of its objects in any order."""

from __future__ import annotations

import statistics
from array import array
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
    """Collects the facts of audited objects, in any order; the objects are not kept."""

    def __init__(self) -> None:
        self._splits: dict[str, _SplitFacts] = {}
        self._duplicates = _Duplicates()
        self._problems: list[Problem] = []
        self._notes: list[Problem] = []
        self._any_inpainted = False

    def add(self, item: AuditedObject) -> None:
        """Add an object."""
        self._duplicates.add(item)
        self._splits.setdefault(item.key.split, _SplitFacts()).add(item)
        self._problems += item.problems
        self._notes += item.notes
        self._any_inpainted |= item.any_inpainted

    def report(
        self, root: Path, split_names: Iterable[str], problems: Sequence[Problem]
    ) -> AuditReport:
        """The report on the objects.

        Args:
            root: the data root.
            split_names: its splits.
            problems: those of its listing.
        """
        found = [*problems, *self._duplicates.problems(), *self._problems]
        found, notes = split_missing_inpainted(root, found, any_inpainted=self._any_inpainted)
        splits = {split: self._splits.get(split, _SplitFacts()).to_json() for split in split_names}
        return AuditReport(root, splits, sorted(set(found)), sorted({*notes, *self._notes}))


class _Duplicates:
    """Finds images with identical bytes in two splits."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[bytes, str]] = {}
        """Split → digest → the smallest path: the result does not depend on the objects' order."""

    def add(self, item: AuditedObject) -> None:
        paths = self._paths.setdefault(item.key.split, {})
        for digest, path in item.digests:
            paths[digest] = min(path, paths.get(digest, path))

    def problems(self) -> list[Problem]:
        found = []
        for digest in {
            digest for paths in self._paths.values() for digest in paths if self._twice(digest)
        }:
            first, *others = sorted(
                paths[digest] for paths in self._paths.values() if digest in paths
            )
            found += [findings.SAME_BYTES.at(path, first=first) for path in others]
        return found

    def _twice(self, digest: bytes) -> bool:
        return sum(digest in paths for paths in self._paths.values()) > 1


class _SplitFacts:
    """The facts of a split's objects."""

    def __init__(self) -> None:
        self._scenes: set[str] = set()
        self._objects = self._visible = self._empty_first = self._one_mask = self._unlabelled = 0
        self._per_object: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._areas = array("d")
        """Share of the mask in every view that shows its object."""

    def add(self, item: AuditedObject) -> None:
        visible = [view for view in item.views if view.visible]
        self._scenes.add(item.key.scene)
        self._objects += 1
        self._visible += len(visible)
        self._one_mask += item.one_mask_only
        self._per_object[str(len(item.views))] += 1
        self._sizes.update(f"{view.size[0]}x{view.size[1]}" for view in item.views)
        self._areas.extend(view.area_fraction for view in visible)
        if item.views:
            self._empty_first += not min(item.views, key=lambda view: view.rank).visible
        if item.label is None:
            self._unlabelled += 1
        else:
            self._labels[item.label] += 1

    def to_json(self) -> dict[str, Any]:
        """The facts as the report has them."""
        views, areas = self._sizes.total(), self._areas
        return {
            "scenes": len(self._scenes),
            "objects": self._objects,
            "views": views,
            "views_per_object": _counted(self._per_object),
            "views_visible": self._visible,
            "views_not_visible": views - self._visible,
            "objects_with_empty_first_view": self._empty_first,
            "views_with_one_mask_only": self._one_mask,
            "sizes": _counted(self._sizes),
            "mask_area_fraction": {
                "min": min(areas),
                "median": statistics.median(areas),
                "max": max(areas),
            }
            if areas
            else None,
            "labels": _counted(self._labels),
            "objects_without_label": self._unlabelled,
        }


def _counted(counter: Counter[str]) -> dict[str, int]:
    """Return the counts sorted by frequency, descending, then by name."""
    return dict(sorted(counter.items(), key=lambda entry: (-entry[1], entry[0])))

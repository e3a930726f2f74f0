"""What a build left in its output folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.builder.not_made import NotMade, read_not_made, remarks
from x3spatial.tables import Table, Tabular
from x3spatial.texts import counted, shown_path

_COUNTS = (
    "objects", "views", "views_not_visible", "views_left_out", "pairs", "pairs_with_empty_reference",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class BuildSummary(Tabular):
    """What a build left in its output folder."""

    out_dir: Path
    manifest: dict[str, Any]
    objects_built: int
    """Number of objects that this run built; the others were reused from an earlier run."""

    @property
    def records(self) -> int:
        """Number of samples in all task files."""
        counts = self.manifest["counts"].values()
        return sum(int(number) for split in counts for number in split["samples"].values())

    @property
    def not_made(self) -> tuple[NotMade, ...]:
        """The sets that were asked for by name but have no samples in a split, and why."""
        return read_not_made(self.manifest)

    @property
    def remarks(self) -> list[str]:
        """``not_made``, and negatives of which there are fewer than asked for, as lines of text."""
        return remarks(self.not_made, self.manifest["counts"])

    @property
    def objects(self) -> int:
        """Objects of all splits."""
        counts = self.manifest["counts"].values()
        return sum(int(split.get("objects", 0)) for split in counts)

    @property
    def conditions(self) -> str:
        """What the samples depend on: ``dilated masks preferred, seed 42``."""
        parameters = self.manifest["parameters"]
        kind = "dilated" if parameters["use_dilated_mask"] else "tight"
        return f"{kind} masks preferred, seed {parameters['seed']}"

    def table(self) -> Table:
        """A row per split: what it holds, and the samples of each task."""
        counts = self.manifest["counts"]
        tasks = list(next(iter(counts.values()))["samples"])
        rows = tuple(
            (
                split,
                *(str(found.get(name, 0)) for name in _COUNTS),
                *(str(found["samples"][task]) for task in tasks),
            )
            for split, found in counts.items()
        )
        columns = ("split", *(name.replace("_", " ") for name in _COUNTS), *tasks)
        note = (
            f"{counted(self.records, 'sample')} of {counted(self.objects, 'object')}"
            f" ({self.objects_built} built now), {counted(self.manifest['skipped_total'], 'problem')}"
        )
        notes = (note, *self.remarks)
        return Table(f"{shown_path(self.out_dir)}: {self.conditions}", columns, rows, notes)

"""The result of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.tables import Table, Tabular


@dataclass(frozen=True, slots=True, repr=False)
class ExportSummary(Tabular):
    """The result of an export."""

    out_dir: Path
    manifest: dict[str, Any]
    written: bool
    """False if a finished export of the same task files and options already existed."""

    @property
    def records(self) -> int:
        """Number of samples in all files."""
        return sum(int(file.get("records", 0)) for file in self.manifest["files"].values())

    def table(self) -> Table:
        """A row per file."""
        files = self.manifest["files"].items()
        rows = tuple((name, str(file.get("records", "-"))) for name, file in files)
        return Table(str(self.out_dir), ("file", "samples"), rows)

"""What card and metadata say of an export: the sets in it, and the files that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from x3spatial.exporters.samples import Sample
from x3spatial.formats.hub import SPLITS
from x3spatial.tasks.spec import TASKS, says_absent

_OTHER = "test"
"""The split of a task file whose name has none."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One Parquet file."""

    path: str
    """Relative to the export."""
    bytes: int
    sha256: str


@dataclass(slots=True)
class HubSet:
    """One task file: a split of a configuration."""

    config: str
    split: str
    folder: str
    """Name of its folder in the export."""
    rows: int = 0
    absent: int = 0
    """Rows whose answer is the absent token."""
    scenes: set[str] = field(default_factory=set)
    tasks: dict[str, None] = field(default_factory=dict)
    """The tasks of its rows, in the order of their first rows."""
    shards: list[Shard] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Configuration and split in one word."""
        return f"{self.config}_{self.split}"

    @property
    def pattern(self) -> str:
        """The pattern of its files."""
        return f"{self.folder}/*.parquet"

    def counted(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        """Pass ``samples`` on and count them."""
        for sample in samples:
            record = sample.record
            self.rows += 1
            self.absent += says_absent(record.answer)
            scene = record.place or record.scene
            if scene is not None:
                self.scenes.add(scene)
            self.tasks.setdefault(record.task)
            yield sample


def set_of(stem: str) -> HubSet:
    """The configuration and the split of a task file ``{stem}.json``."""
    for task, spec in TASKS.items():
        for short, split in SPLITS.items():
            if Path(spec.file(short)).stem == stem:
                return HubSet(task, split, stem)
    return HubSet(re.sub(r"[^\w.-]", "_", stem), _OTHER, stem)

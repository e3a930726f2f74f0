"""A small build and its pack, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.paths import FIXTURES
from x3spatial.builder.run import build_tasks
from x3spatial.packs.run import pack

pytest.importorskip("pyarrow")

SETS = ("t1_val_multi", "t2b_val_multi", "t2a_val_multi")


@dataclass(frozen=True)
class Packed:
    """Task files and their pack; read only."""

    tasks: Path
    pack: Path

    def json(self, name: str = "t1_val_multi") -> Path:
        return self.tasks / f"{name}.json"

    def set(self, name: str = "t1_val_multi") -> Path:
        return self.pack / name


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("packed")
    root = FIXTURES / "x3-small" / "root"
    build_tasks(root, folder / "tasks", mode="allpairs", use_dilated_mask=True, workers=2)
    names = [folder / "tasks" / f"{name}.json" for name in SETS]
    pack([*names, folder / "tasks" / "t1_train_multi.json"], folder / "pack", workers=2)
    return Packed(folder / "tasks", folder / "pack")

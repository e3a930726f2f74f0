"""Shared code of the training tests: the reference fixture, small data sets, a run in this process."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import FIXTURES

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from safetensors.torch import load_file  # noqa: E402

torch.set_num_threads(1)

FIXTURE = FIXTURES / "roborefer-tiny"
CHECKPOINT = FIXTURE / "checkpoint"


def expected(name: str) -> Any:
    return json.loads((FIXTURE / "expected" / name).read_text())


def records(name: str = "samples_rgb.json") -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in json.loads((FIXTURE / name).read_text())}


RGB = ("t1_visible", "t1_not_visible", "concat_single_string", "text_only")
"""The fixture's records whose own text has no stray tags."""


def write_data(path: Path, chosen: Iterable[Any]) -> Path:
    """A task file of fixture records (by id) or of given ones."""
    known = records()
    path.write_text(json.dumps([known[c] if isinstance(c, str) else c for c in chosen]))
    return path


def options(data: Path, out: Path, **more: Any) -> list[str]:
    """Options of a short run in float32 on the fixture checkpoint."""
    values: dict[str, Any] = {
        "model_name_or_path": CHECKPOINT,
        "data_path": data,
        "image_folder": FIXTURE,
        "output_dir": out,
        "text_samples": "keep",
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_num_workers": 0,
        "logging_steps": 1,
        "max_steps": 3,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "warmup_ratio": 0,
        **more,
    }
    return [piece for name, value in values.items() for piece in (f"--{name}", str(value))]


def weights(folder: Path) -> dict[str, Any]:
    """Every tensor of a checkpoint in the published layout, by part and name."""
    found = {}
    for file in sorted(folder.glob("*/model.safetensors")):
        for name, value in load_file(file).items():
            found[f"{file.parent.name}/{name}"] = value
    assert found, f"{folder} holds no weights"
    return found


def history(run: Path) -> list[dict[str, Any]]:
    """Log entries of a run's newest checkpoint."""
    newest = max(run.glob("checkpoint-*"), key=lambda f: int(f.name.partition("-")[2]))
    state = json.loads((newest / "trainer_state.json").read_text())
    log: list[dict[str, Any]] = state["log_history"]
    return log

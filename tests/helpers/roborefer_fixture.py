"""The reference fixture: a tiny checkpoint and what RoboRefer's public code computed from it.

Imported first by every test here: without the packages the model needs, the module is skipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import FIXTURES

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file  # noqa: E402

torch.set_num_threads(1)

FIXTURE = FIXTURES / "roborefer-tiny"
CHECKPOINT = FIXTURE / "checkpoint"


def expected_json(name: str) -> Any:
    return json.loads((FIXTURE / "expected" / name).read_text())


def expected_tensors(name: str) -> dict[str, Any]:
    return load_file(FIXTURE / "expected" / name)


def samples(name: str = "samples_rgb.json") -> dict[str, Any]:
    return {record["id"]: record for record in json.loads((FIXTURE / name).read_text())}


def image_path(name: str) -> Path:
    return FIXTURE / "images" / f"{name}.png"

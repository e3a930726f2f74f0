"""Which ways to install are measured, and what becomes of the measurements."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from helpers.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
from figure_tools import install
from figure_tools.files import FigureError, table_text, write_figures

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_extra_of_users_is_measured() -> None:
    ways = {way.name: way.steps for way in install.ways(Path("dist"), install.CPU_TORCH.split())}
    named = {name.removesuffix(".cpu") for name in ways}
    assert set(PROJECT["optional-dependencies"]) - named <= set(install.NOT_MEASURED)
    assert not named & set(install.NOT_MEASURED)
    assert ways["base"] == (("--find-links", "dist", "x3spatial"),)
    first, second = ways["hf-torchvision.cpu"]
    assert first[0] == "torch" and first[-1] == "torchvision"
    assert second[-1] == "x3spatial[hf-torchvision]"
    assert (
        "--constraint" in ways["clone.render.pinned"][0]
        and "--editable" in ways["clone.render.pinned"][0]
    )
    bring_torch = {
        extra
        for extra, wanted in PROJECT["optional-dependencies"].items()
        if any(line.startswith(("torch>", "x3spatial[hf]")) for line in wanted)
    }
    assert bring_torch == set(install.TORCH)


def test_measurements_become_values_and_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(*arguments: object, **options: object) -> Path:
        return write_figures(*arguments, **options, folder=tmp_path)  # type: ignore[arg-type]

    monkeypatch.setattr(install, "write_figures", here)
    results = [
        install.Installed("base", 26.0, 287_700_000, 17),
        install.Installed("hf.cpu", 221.6, 1_317_700_000, 45),
        install.Installed("clone.train.pinned", 300.0, 1_500_000_000, 60),
    ]
    content = json.loads(install.write(results, "a command").read_text(encoding="utf-8"))
    assert content["values"]["hf.cpu.disk"] == {"value": 1_317_700_000, "unit": "B"}
    assert content["values"]["base.seconds"] == {"value": 26.0, "unit": "s"}
    assert table_text("install", content, "sizes", "en").splitlines()[2:] == [
        "| `x3spatial` | 17 | 288 MB | 26 s |",
        "| the CPU build of torch, then `x3spatial[hf]` | 45 | 1.3 GB | 3.7 min |",
        "| `.[train]` from a clone, pinned versions | 60 | 1.5 GB | 5.0 min |",
    ]
    assert "CPU 版" in table_text("install", content, "sizes", "zh")
    with pytest.raises(FigureError, match=r"hf\.cpu: pip install: no such package"):
        install.write([install.Installed("hf.cpu", 1, 1, 1, "pip install: no such package")], "")

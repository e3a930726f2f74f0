"""``x3 zeroshot --model roborefer:TINY`` over a small data root, whole and interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.roborefer_fixture import torch
from x3spatial.models.roborefer.model import RoboReferModel
from x3spatial.models.roborefer.tiny import make_tiny
from x3spatial.pipeline import zero_shot_sets, zeroshot


def outputs(folder: Path) -> dict[str, Any]:
    files = {name: json.loads((folder / name).read_text()) for _, name in zero_shot_sets()}
    return {name: (value["metrics"], value["results"]) for name, value in files.items()}


def test_the_whole_pipeline_interrupted_and_resumed(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = make_tiny(out=tmp_path / "tiny")

    def run(folder: str) -> Any:
        return zeroshot(
            models=[f"roborefer:{tiny}"],
            data_root=small_root,
            out_dir=tmp_path / "tasks",
            eval_dir=tmp_path / folder,
            max_new_tokens=6,
            batch_size=4,
            workers=1,
        )

    summary = run("whole")
    assert summary.errors == 0
    whole = outputs(tmp_path / "whole")
    assert any(results for _, results in whole.values())

    plain, asked = RoboReferModel.answer, [0]

    def interrupted(self: RoboReferModel, questions: Any, prepared: Any) -> Any:
        asked[0] += 1
        if asked[0] == 3:
            raise KeyboardInterrupt
        return plain(self, questions, prepared)

    monkeypatch.setattr(RoboReferModel, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("resumed")
    run("resumed")
    assert outputs(tmp_path / "resumed") == whole
    calls = asked[0]
    run("resumed")  # nothing left to ask
    assert asked[0] == calls
    assert torch.get_num_threads() == 1

"""How many threads torch gets, and that the results say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from helpers.roborefer_fixture import CHECKPOINT
from x3spatial.models.local import runtime
from x3spatial.models.local.runtime import SMALL_MODEL, choose_threads
from x3spatial.models.roborefer.model import RoboReferModel


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("parameters", "busy", "cores", "threads"),
    [
        (SMALL_MODEL - 1, 0, 8, 1),
        (SMALL_MODEL, 1, 8, 7),
        (SMALL_MODEL, 0, 8, 8),
        (SMALL_MODEL, 1, 1, 1),
    ],
)
def test_threads_and_workers_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, parameters: int, busy: int, cores: int, threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(runtime, "cores_per_process", lambda: cores)
    assert choose_threads(parameters, busy=busy) == threads


def test_what_the_user_sets_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)  # as torch does it at its start
    assert choose_threads(10, busy=1) == 3


def test_a_model_restores_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    model = RoboReferModel(CHECKPOINT)
    assert model.runtime() == {"torch_threads": 2}
    _ = model.model
    assert torch.get_num_threads() == 2
    model.answer([], model.prepare([]))
    assert torch.get_num_threads() == 1 and model.runtime() == {"torch_threads": 1}
    model.close()
    assert torch.get_num_threads() == 2


def test_results_record_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from helpers.roborefer_fixture import FIXTURE
    from x3spatial.evaluation.run import evaluate

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "t.json").write_text("[]")
    out = tmp_path / "out.json"
    assert FIXTURE.is_dir()
    evaluate(data_json=tmp_path / "t.json", output_json=out, model=f"roborefer:{CHECKPOINT}")
    run = json.loads(out.read_text())["run"]
    assert run["usable_cores"] >= 1 and run["torch_threads"] == torch.get_num_threads()

"""Progress of a training run, and the options of every command in those that parse their own."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("torch")

from transformers.trainer_callback import TrainerState

from x3spatial import progress
from x3spatial.cli import run
from x3spatial.training import step_progress
from x3spatial.training.step_progress import StepProgress


def test_steps_are_counted_from_where_the_run_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    @contextmanager
    def noting(label: str, total: int, *, done: int = 0) -> Any:
        seen.append((label, total, done))
        yield lambda n=1: seen.append(n)
        seen.append("end")

    monkeypatch.setattr(step_progress, "progress", noting)
    state = TrainerState(global_step=40, max_steps=100)
    with pytest.raises(RuntimeError), StepProgress() as steps:
        steps.on_train_begin(None, state, None)
        steps.on_step_end(None, state, None)
        steps.on_step_end(None, state, None)
        raise RuntimeError  # the bar is removed on errors too
    assert seen == [("training", 100, 40), 1, 1, "end"]


@pytest.mark.parametrize("words", ["sft", "check-data", "data list", "recipe run"])
def test_help_names_the_quiet_option(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert run([*words.split(), "--help"]) == 0
    except SystemExit as stop:  # argparse's own
        assert stop.code == 0
    assert "-q, --quiet" in capsys.readouterr().out


@pytest.mark.parametrize("quiet", ["-q", "--quiet"])
@pytest.mark.parametrize(
    "words", ["sft --model-name-or-path nowhere --data-path d.json --output-dir o",
              "check-data --data-path d.json", "data list --data-registry r.yaml"],
)  # fmt: skip
def test_quiet_is_accepted_and_takes_effect(
    words: str,
    quiet: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    monkeypatch.chdir(tmp_path)
    shown: list[bool] = []
    levels: list[int] = []
    monkeypatch.setattr(progress, "show_bars", shown.append)
    set_level = logging.Logger.setLevel

    def noting(self: logging.Logger, level: Any) -> None:
        if self.name == "x3spatial":
            levels.append(level)
        set_level(self, level)

    monkeypatch.setattr(logging.Logger, "setLevel", noting)
    assert run([*words.split(), quiet]) == 2  # a file is missing, not an unknown option
    assert "quiet" not in capsys.readouterr().err
    assert shown[0] is False and logging.WARNING in levels

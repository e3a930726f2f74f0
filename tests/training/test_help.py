"""The help of the training commands."""

from __future__ import annotations

import re

import pytest

from x3spatial.training.arguments import REFUSED
from x3spatial.training.commands import main
from x3spatial.training.sft import sft, share_cores
from x3spatial.training.sft_help import FIXED, GROUPS, own_fields


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    try:
        assert main([*command]) == 0
    except SystemExit as stop:  # argparse's own
        assert stop.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["sft", "--help"], ["sft", "-h"], ["sft", "--help-all"], ["check-data", "--help"],
        ["data-list", "--help"], ["recipe-run", "--help"],
    ],
)  # fmt: skip
def test_help_is_narrow_dashed_and_ends_with_examples(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    text = help_of(capsys, *command)
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"--[a-z]+_", text)
    examples = text.partition("examples:\n")[2]
    assert len(re.findall(r"^  \S", examples, re.M)) == 2
    assert "``" not in text and "Raises" not in text


def test_every_own_option_is_in_one_group() -> None:
    listed = [name for names in GROUPS.values() for name in names] + list(FIXED)
    assert sorted(listed) == sorted(own_fields())


def test_the_trainers_options_are_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    short, long = help_of(capsys, "sft", "--help"), help_of(capsys, "sft", "--help-all")
    assert "--adam-beta2" in long and "--adam-beta2" not in short
    assert short.splitlines()[-1] == long.splitlines()[-1]
    options = re.findall(r"^  (?:-h, )?(--[a-z0-9-]+)", long, re.M)
    assert len(options) == len(set(options)) > 100
    assert not {f"--{name.replace('_', '-')}" for name in REFUSED} & set(options)
    sft(["--help_all"])
    assert capsys.readouterr().out == long


def test_workers_and_torch_threads_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert share_cores(4, 16) == (4, 12)
    assert share_cores(4, 2) == (1, 1)
    assert share_cores(0, 2) == (0, 2)
    assert share_cores(4, 1) == (0, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.setattr("torch.get_num_threads", lambda: 5)
    assert share_cores(9, 4) == (3, 5)

"""Stopping and going on: the same command reaches the weights of a run that was never stopped."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import SRC
from x3spatial.errors import UserError

from .common import RGB, history, options, torch, weights, write_data

# Two and a half epochs, so that a stop falls into the middle of one.
RUN = {"max_steps": 5, "save_steps": 2, "gradient_accumulation_steps": 2, "save_total_limit": 2}


def run(*args: Any, **more: Any) -> int:
    from x3spatial.training.sft import sft

    return sft(options(*args, **{**RUN, **more}))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "d.json", RGB)


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``stop_at(N)``: the next run in this process is interrupted in optimizer step N."""
    from x3spatial.training.trainer import SpatialTrainer

    real: Any = SpatialTrainer.training_step

    def arrange(number: int) -> None:
        def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = real(self, *args, **kwargs)
            if self.state.global_step == number:
                monkeypatch.setattr(SpatialTrainer, "training_step", real)
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(SpatialTrainer, "training_step", training_step)

    return arrange


def same(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert set(first) == set(second)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize(
    ("where", "number", "left"),
    [
        ("step", 3, ["checkpoint-2"]),
        # Three parts each: the fifth file is torn in checkpoint-4, the eleventh in the final model.
        ("write", 5, [".saving-4", "checkpoint-2"]),
        pytest.param(
            "write", 11, [".saving-final", "checkpoint-4", "checkpoint-5"], marks=pytest.mark.slow
        ),
    ],
)
def test_killed_and_started_again(
    tmp_path: Path, data: Path, where: str, number: int, left: list[str]
) -> None:
    run(data, tmp_path / "whole")
    command = [sys.executable, str(Path(__file__).with_name("killed.py")), where, str(number)]
    killed = subprocess.run(
        [*command, *options(data, tmp_path / "run", **RUN)],
        env={
            "PYTHONPATH": str(SRC),
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "CUDA_VISIBLE_DEVICES": "",
        },
        stdout=subprocess.DEVNULL,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL
    folders = [f.name for f in (tmp_path / "run").iterdir() if f.name.startswith((".s", "ch"))]
    assert sorted(folders) == left
    run(data, tmp_path / "run")
    same(tmp_path / "whole", tmp_path / "run")
    for step in (4, 5):
        same(tmp_path / "whole" / f"checkpoint-{step}", tmp_path / "run" / f"checkpoint-{step}")
    losses = [[e["loss"] for e in history(tmp_path / n) if "loss" in e] for n in ("whole", "run")]
    assert losses[0] == losses[1] and len(losses[0]) == 5
    assert not list((tmp_path / "run").glob(".saving*"))


@pytest.mark.parametrize(
    "more",
    [
        {"lora_enable": True, "lora_dropout": 0.3, "lora_r": 4},
        {"lora_enable": True, "lora_dropout": 0.3, "lora_r": 4, "lora_save": "adapter"},
        {"group_by_length": True, "dataloader_num_workers": 1, "lr_scheduler_type": "cosine"},
    ],
    ids=["lora", "lora adapter only", "grouped, workers, cosine"],
)
def test_interrupted_and_started_again(
    tmp_path: Path, data: Path, stop_at: Any, more: dict[str, Any]
) -> None:
    run(data, tmp_path / "whole", **more)
    for number in (1, 3, 4):
        stop_at(number)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "run", **more)
    run(data, tmp_path / "run", **more)
    if more.get("lora_save") == "adapter":
        adapters = [
            (tmp_path / name / "adapter" / "adapter_model.safetensors").read_bytes()
            for name in ("whole", "run")
        ]
        assert adapters[0] == adapters[1]
        return
    same(tmp_path / "whole", tmp_path / "run")


def test_a_finished_run_says_so(tmp_path: Path, data: Path, capsys: Any) -> None:
    run(data, tmp_path / "run", max_steps=1)
    before = (tmp_path / "run" / "train.log").read_text()
    capsys.readouterr()
    assert run(data, tmp_path / "run", max_steps=1) == 0
    assert "is finished (1 steps); nothing to do" in capsys.readouterr().out
    assert (tmp_path / "run" / "train.log").read_text() == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"learning_rate": 2e-3}, "--learning-rate was 0.001, is 0.002"),
        ({"tune_vision_tower": False}, "--tune-vision-tower was True, is False"),
        ({"max_steps": 7}, "--max-steps was 1, is 7"),
    ],
)
def test_the_folder_of_another_run_is_refused(
    tmp_path: Path, data: Path, more: dict[str, Any], message: str
) -> None:
    run(data, tmp_path / "run", max_steps=1)
    with pytest.raises(UserError, match=f"contains another run .{message}"):
        run(data, tmp_path / "run", **{"max_steps": 1, **more})
    # What does not decide the weights may change.
    assert run(data, tmp_path / "run", max_steps=1, logging_steps=3) == 0


def test_other_data_is_another_run(tmp_path: Path, data: Path) -> None:
    run(data, tmp_path / "run", max_steps=1)
    write_data(data, RGB[:2])
    with pytest.raises(UserError, match=rf"another run \(the content of {data} was"):
        run(data, tmp_path / "run", max_steps=1)


def test_a_foreign_folder_is_refused(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "train.log").write_text("from the shell\n")
    run(data, out, max_steps=1)
    assert (out / "train.log").read_text().startswith("from the shell\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    with pytest.raises(
        UserError, match=r"other: contains config\.json, which x3 sft did not write"
    ):
        run(data, other, max_steps=1)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, data: Path, stop_at: Any) -> None:
    run(data, tmp_path / "whole")
    stop_at(4)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "bare")
    torn = tmp_path / "run" / "checkpoint-4" / "llm" / "model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-9])
    (tmp_path / "bare" / "checkpoint-4" / "optimizer.pt").write_bytes(b"PK")
    for name in ("run", "bare"):
        folder = tmp_path / name
        record = json.loads((folder / "x3_run.json").read_text())
        assert record["finished"] is False
        assert run(data, folder) == 0
        same(tmp_path / "whole", folder)
        assert "checkpoint-4: damaged, not used" in (folder / "train.log").read_text()


def _stopped(tmp_path: Path, data: Path, stop_at: Any) -> Path:
    """A run with two checkpoints that was interrupted."""
    stop_at(4)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "run")
    return tmp_path / "run"


STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def _damage(file: Path, offset: int = 40) -> None:
    """Change bytes in the middle; the size stays."""
    data = bytearray(file.read_bytes())
    for place in range(offset, min(offset + 200, len(data) - 1)):
        data[place] ^= 0x5A
    file.write_bytes(data)


def test_damage_of_the_same_size_is_noticed(tmp_path: Path, data: Path, stop_at: Any) -> None:
    run(data, tmp_path / "whole")
    stopped = _stopped(tmp_path, data, stop_at)
    for name in (*STATES, "llm/model.safetensors"):
        folder = Path(shutil.copytree(stopped, tmp_path / name.replace("/", "-")))
        file = folder / "checkpoint-4" / name
        _damage(file, offset=file.stat().st_size // 2)
        assert run(data, folder) == 0, name
        assert "checkpoint-4: damaged, not used" in (folder / "train.log").read_text(), name
        same(tmp_path / "whole", folder)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"evil"])
def test_states_that_cannot_be_read_are_one_line(
    tmp_path: Path, data: Path, stop_at: Any, capsys: Any, content: bytes | None
) -> None:
    """Checkpoints without sums, as version 0.1 wrote them."""
    from x3spatial.training.sft import main

    stopped = _stopped(tmp_path, data, stop_at)
    for name in STATES:
        folder = Path(shutil.copytree(stopped, tmp_path / name))
        target = folder / "checkpoint-4"
        if content is None:
            _damage(target / name)
        elif content == b"evil":
            (target / name).write_bytes(pickle.dumps({"state": _Evil(tmp_path / "ran")}))
        else:
            (target / name).write_bytes(content)
        note = json.loads((target / "x3_training.json").read_text())
        del note["crc32"]
        note["files"][name] = (target / name).stat().st_size
        (target / "x3_training.json").write_text(json.dumps(note))
        capsys.readouterr()
        assert main(options(data, folder, **RUN)) == 2, name
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "checkpoint-4: its optimizer, scheduler or" in error
        assert "weights_only" not in error
    assert not (tmp_path / "ran").exists()


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.path,)


def test_a_checkpoint_that_is_not_finite_is_not_continued(
    tmp_path: Path, data: Path, stop_at: Any
) -> None:
    from safetensors.torch import load_file, save_file

    folder = _stopped(tmp_path, data, stop_at)
    file = folder / "checkpoint-4" / "llm" / "model.safetensors"
    values = load_file(file)
    values["model.norm.weight"][0] = float("nan")
    save_file(values, file, {"format": "pt"})
    note = json.loads((folder / "checkpoint-4" / "x3_training.json").read_text())
    del note["crc32"]
    (folder / "checkpoint-4" / "x3_training.json").write_text(json.dumps(note))
    with pytest.raises(UserError, match=r"checkpoint-4: llm\.model\.norm\.weight is not finite"):
        run(data, folder)


def test_two_runs_do_not_share_a_folder(tmp_path: Path, data: Path) -> None:
    (tmp_path / "run").mkdir()
    code = (
        "import sys, time; from pathlib import Path; from x3spatial.io.locks import lock_dir\n"
        f"with lock_dir(Path({str(tmp_path / 'run')!r}), 'x'): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another x3 run is writing there"):
            run(data, tmp_path / "run")
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("room", [60_000, 200_000])
def test_a_full_disk_is_one_line_and_the_same_command_continues(tmp_path: Path, room: int) -> None:
    resource = pytest.importorskip("resource")
    from x3spatial.training.sft import sft

    data, out = write_data(tmp_path / "d.json", RGB[:1]), tmp_path / "o"
    given = options(data, out, max_steps=2, save_steps=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(
            UserError, match=rf"^--output-dir {out}: cannot write there: .*make room"
        ):
            sft(given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (out / "config.json").exists() and not list(out.glob("checkpoint-*"))
    assert sft(given) == 0
    assert (out / "config.json").exists()

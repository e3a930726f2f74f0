"""A run is another run if its settings mean something else, and the refusal has the user's words."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import REPOSITORY
from x3spatial.errors import UserError
from x3spatial.models.roborefer.processing import load_processor
from x3spatial.training.arguments import ModelArguments, SftArguments, parse
from x3spatial.training.checkpoints import open_run, write_run
from x3spatial.training.data_arguments import DataArguments
from x3spatial.training.data_module import make_supervised_data_module
from x3spatial.training.identity import RunIdentity, run_identity
from x3spatial.training.options import _VARIABLES
from x3spatial.training.setup import read_base

from .common import CHECKPOINT, FIXTURE, RGB, options, write_data

SCRIPT = "scripts/run_sft_t1_x3.sh"


def identity(data: Path, world: int = 1, **more: Any) -> RunIdentity:
    chosen = parse(options(data, data.parent / "run", **more))
    base = read_base(chosen.model)
    module = make_supervised_data_module(load_processor(base), chosen.data, model_max_length=999)
    return run_identity(chosen, base, module, world)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "d.json", RGB)


def changes(was: RunIdentity, now: RunIdentity) -> list[str]:
    return now.changes(json.loads(json.dumps(was.values)))


def test_the_same_settings_in_another_spelling_are_the_same_run(data: Path, tmp_path: Path) -> None:
    plain = identity(data)
    layer = json.loads((CHECKPOINT / "config.json").read_text())["mm_vision_select_layer"]
    (tmp_path / "link").symlink_to(CHECKPOINT)
    (tmp_path / "again").mkdir()
    copy = Path(shutil.copy(data, tmp_path / "again" / "other.json"))
    shutil.copytree(CHECKPOINT, tmp_path / "copy")
    spellings: tuple[dict[str, Any], ...] = (
        {"mm_vision_select_layer": layer},
        {"model_name_or_path": f"{CHECKPOINT}/"},
        {"model_name_or_path": os.path.relpath(CHECKPOINT)},
        {"model_name_or_path": tmp_path / "link"},
        {"model_name_or_path": tmp_path / "copy"},
        {"data_path": os.path.relpath(data)},
        {"data_path": copy},
        {"data_path": "", "data_mixture": data},
        {"lora_r": 4, "lora_alpha": 3},  # without --lora-enable they decide nothing
        {"vision_tower_lr": 1e-3},  # the learning rate that it has anyway
        {"num_train_epochs": 7},  # --max-steps decides
        {"model_max_length": 10**6},  # more than the model has
        {"tune_vision_tower": True, "weight_decay": 0, "seed": 42},
        {"image_folder": f"{FIXTURE}/."},
    )
    for more in spellings:
        assert changes(plain, identity(data, **more)) == [], more
    lora: dict[str, Any] = {"lora_enable": True, "lora_target_modules": "q_proj,k_proj"}
    assert changes(
        identity(data, **lora), identity(data, **{**lora, "lora_target_modules": "k_proj, q_proj"})
    ) == []  # fmt: skip


def test_every_setting_is_told_in_words_of_the_user(data: Path) -> None:
    now = identity(data, lora_enable=True, max_steps=-1)
    classes = (ModelArguments, DataArguments, SftArguments)
    known = {f"--{f.name.replace('_', '-')}" for c in classes for f in dataclasses.fields(c)}
    known |= {"the number of processes (torchrun --nproc-per-node)"}
    # These decide nothing here: no depth, the same files elsewhere, and all other LoRA options.
    silent = {("model", "use_depth_tower"), ("base", "path"), ("model", "lora_enable")}
    places = [
        (section, key)
        for section, value in now.values.items()
        for key in (value if isinstance(value, dict) else [""])
        if section != "data" and (section, key) not in silent
    ]
    assert len(places) > 40
    for section, key in places:
        stored = json.loads(json.dumps(now.values))
        value = {"max_steps": 7, "model_max_length": 1}.get(key, "other")
        if key:
            stored[section][key] = value
        else:
            stored[section] = value
        told = now.changes(stored)
        assert told, (section, key)
        name = told[0].partition(" was ")[0]
        assert name.removeprefix("the content of ") in known, told


def test_changed_data_is_told_once_for_each_file(data: Path, tmp_path: Path) -> None:
    before = identity(data)
    write_data(data, RGB[:2])
    (told,) = changes(before, identity(data))
    assert told.startswith(f"the content of {data} was ")
    (told,) = changes(before, identity(data, data_path="", data_mixture=f"{data}+{data}"))
    two = write_data(tmp_path / "e.json", RGB[:1])
    (told,) = changes(before, identity(data, data_path="", data_mixture=f"{data}+{two}"))
    assert told.startswith("--data-path (or --data-mixture) was ")


def test_a_rebuilt_folder_with_another_date_is_the_same_data(data: Path) -> None:
    manifest = {"format": 1, "parameters": {"alpha": 0.45}, "prompts": {}, "run": {"seconds": 1.0}}
    beside = data.with_name("build.json")
    beside.write_text(json.dumps(manifest))
    before = identity(data)
    beside.write_text(json.dumps({**manifest, "run": {"seconds": 2.0}}))
    assert changes(before, identity(data)) == []
    beside.write_text(json.dumps({**manifest, "parameters": {"alpha": 0.5}}))
    (told,) = changes(before, identity(data))
    assert told.startswith(f"the parameters of the build of {data} was ")
    # A run of an earlier version recorded the hash of the file alone.
    old = json.loads(json.dumps(before.values))
    del old["data"][0]["build"]
    assert identity(data).changes(old)[0].startswith(f"the build.json of {data} was ")


def test_the_script_is_refused_in_its_own_words(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint-1").mkdir()  # without one there is nothing to continue
    write_run(run, identity(data, tune_vision_tower=False), finished=False)
    other = identity(data, tune_vision_tower=True, world=2)
    with pytest.raises(UserError) as plain:
        open_run(run, other)
    assert str(plain.value) == (
        f"--output-dir {run}: contains another run (--tune-vision-tower was False, is True; the number of"
        " processes (torchrun --nproc-per-node) was 1, is 2); name a new folder with --output-dir, or repeat"
        " the earlier command to continue it"
    )
    monkeypatch.setenv("X3_SCRIPT", SCRIPT)
    with pytest.raises(UserError) as scripted:
        open_run(run, other)
    assert str(scripted.value) == (
        f"RUN_DIR {run}: contains another run (FREEZE_VISION was 1, is 0; NPROC was 1, is 2); name a new"
        " folder with RUN_DIR, or repeat the earlier command to continue it"
    )


def test_the_variables_of_the_script_exist() -> None:
    for script, variables in _VARIABLES.items():
        text = (REPOSITORY / script).read_text()
        assert f"X3_SCRIPT={script}" in text
        for option, variable in variables.items():
            assert re.search(rf"\b{variable.name}\b", text), variable
            if option != "world_size":
                assert f"--{option} " in text, option

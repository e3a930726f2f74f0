"""Data sets of some strata, and recipes that make a curriculum of them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.paths import REPOSITORY
from x3spatial.errors import UserError
from x3spatial.tasks.strata import ABSENCES, STRATA, Strata

from .common import CHECKPOINT, FIXTURE, options, records, write_data

from x3spatial.training.data_arguments import CheckArguments  # isort: skip
from x3spatial.training.data_check import check_data  # isort: skip
from x3spatial.training.mixtures import list_data  # isort: skip
from x3spatial.training.recipe import read_recipe, run_recipe  # isort: skip
from x3spatial.training.sft import sft  # isort: skip
from x3spatial.training.where import parse_where, select  # isort: skip

ANGLES = (0.0, 19.9, 20.0, 60.0, 180.0, None)


def write_angles(path: Path, record: str = "t1_visible", **more: Any) -> Path:
    """A task file of one fixture record at each of ``ANGLES``."""
    base = records()[record]
    return write_data(
        path,
        [
            {**base, "id": f"{record}{n}", "strata": {"angle_deg": angle}, **more}
            for n, angle in enumerate(ANGLES)
        ],
    )


@given(
    angles=st.lists(st.none() | st.floats(0, 180), max_size=20),
    least=st.none() | st.integers(-5, 185),
    most=st.none() | st.integers(-5, 185),
    absences=st.lists(st.sampled_from(ABSENCES), unique=True),
)
def test_exactly_the_records_of_the_strata_are_selected(
    angles: list[float | None], least: int | None, most: int | None, absences: list[str]
) -> None:
    samples = [
        SimpleNamespace(
            strata=None if n % 5 == 4 else Strata(angle_deg=angle),
            absence=ABSENCES[n % 4] if n % 3 else None,
            mask_area_fraction=None,
        )
        for n, angle in enumerate(angles)
    ]
    low, high = -math.inf if least is None else least, math.inf if most is None else most
    where: dict[str, Any] = {"angle": [least, most], **({"absence": absences} if absences else {})}
    if not low < high:
        with pytest.raises(UserError, match="contains nothing"):
            parse_where(where, "x")
        return
    found = select(samples, parse_where(where, "x"))

    def fits(sample: Any) -> bool | None:
        angle = None if sample.strata is None else sample.strata.angle_deg
        if angle is None or (absences and sample.absence is None):
            return None
        inside = low <= angle and (angle < high or angle == 180 == high)
        return inside and (not absences or sample.absence in absences)

    wanted = [fits(sample) for sample in samples]
    assert list(found.kept) == [n for n, fit in enumerate(wanted) if fit]
    assert found.outside == wanted.count(False)
    assert sum(found.unknown.values()) == wanted.count(None)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{angel: [0, 60]}", f"where angel: unknown stratum; known are {', '.join(STRATA)}"),
        ("{absence: [hidden]}", "where absence: 'hidden' is unknown; known are framing, occlusion"),
        ("{absence: []}", "where absence is []; expected a list of framing"),
        ("{absence: [[both]]}", "where absence: ['both'] is unknown"),
        ("{angle_deg: 60}", "where angle_deg is 60; expected [FROM, TO], numbers or null"),
        ("{angle_deg: [0, 20, 60]}", "expected [FROM, TO], numbers or null"),
        ("{angle_deg: [0, .inf]}", "expected [FROM, TO], numbers or null"),
        ("{angle_deg: [0, true]}", "expected [FROM, TO], numbers or null"),
        ("{angle_deg: [60, 0]}", "where angle_deg is [60, 0], which contains nothing"),
        ("{angle_deg: [0, 60], angle: [0, 20]}", "where angle: angle_deg is given twice"),
        ("{}", "where must map strata to ranges or names"),
        ("near", "where must map strata to ranges or names"),
        ("{lookalikes: [5, null]}", "no record is where lookalikes from 5: 6 of unknown lookalikes"
         "; only scene.json would say it"),
        ("{angle: [90, 100]}", "no record is where angle_deg from 90 to 100: 5 outside, 1 of unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_line(tmp_path: Path, where: str, message: str) -> None:
    write_angles(tmp_path / "d.json")
    registry = tmp_path / "r.yaml"
    registry.write_text(f"datasets: {{a: {{data_path: {tmp_path}/d.json, where: {where}}}}}")
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        check_data(
            CheckArguments(data_registry=str(registry), data_mixture="a", image_folder=str(FIXTURE))
        )
    assert "'a'" in str(raised.value) and "\n" not in str(raised.value)


def test_what_was_left_out_is_counted_and_printed(tmp_path: Path) -> None:
    write_angles(tmp_path / "d.json")
    registry = tmp_path / "r.yaml"
    text = f"datasets: {{a: {{data_path: {tmp_path}/d.json, where: {{angle_deg: [20, null]}}}}}}"
    registry.write_text(text)
    lines: list[str] = []
    found = check_data(
        CheckArguments(data_registry=str(registry), data_mixture="a*2", image_folder=str(FIXTURE)),
        echo=lines.append,
    )
    assert found["samples"] == 3
    assert lines[0] == (
        "a: where angle_deg from 20: 3 samples; left out: 2 outside, 1 of unknown angle_deg"
    )
    (row,) = list_data(registry)
    assert row.samples == 3 and row.definition.endswith("d.json (angle_deg from 20)")
    # Sizes are known without scene.json; an object that is not visible has none.
    shares = [0.0, 0.002, 0.01, None]
    base = records()["t1_visible"]
    write_data(
        tmp_path / "d.json",
        [{**base, "id": str(n), "mask_area_fraction": share} for n, share in enumerate(shares)],
    )
    registry.write_text(text.replace("angle_deg: [20, null]", "size: [0, 0.01]"))
    (row,) = list_data(registry)
    assert row.samples == 1


def test_another_selection_is_another_run(tmp_path: Path) -> None:
    write_angles(tmp_path / "d.json")
    registry = tmp_path / "r.yaml"

    def train(angles: str) -> None:
        text = f"{{data_path: {tmp_path}/d.json, where: {{angle: {angles}}}}}"
        registry.write_text(f"datasets: {{a: {text}}}")
        given_options = options(tmp_path, tmp_path / "out", max_steps=1)
        at = given_options.index("--data_path")
        given_options[at : at + 2] = ["--data_mixture", "a", "--data_registry", str(registry)]
        sft(given_options)

    train("[0, 20]")
    log = (tmp_path / "out" / "train.log").read_text()
    assert "a: where angle_deg from 0 to 20: 2 samples; left out: 3 outside, 1 of unknown" in log
    train("[0.0, 20]")  # the same, finished
    with pytest.raises(
        UserError, match=r"the selection \(where\) of .*d.json was angle_deg from 0"
    ):
        train("[20, 90]")  # also two samples


def curriculum(tmp_path: Path) -> tuple[Path, Path]:
    """The recipe that is shipped, cut to single steps, and data for it."""
    data = tmp_path / "data"
    data.mkdir()
    near = {"angle_deg": 10.0, "visible_b": 0.9}
    known = records()
    multi = [
        {**known[name], "id": f"{name}{n}", "strata": {**near, "angle_deg": angle}}
        for name in ("t1_visible", "t1_not_visible")
        for n, angle in enumerate((10.0, 60.0, 120.0))
    ]
    write_data(data / "t1_train_multi.json", multi)
    write_data(data / "t1_val_multi.json", multi[:1])
    absent = known["t1_not_visible"]
    negatives = [
        {**absent, "id": f"n{n}", "absence": absence, "strata": near if n else {}}
        for n, absence in enumerate(("other_scene", "occlusion", "both", "framing"))
    ]
    write_data(data / "t1_train_negatives.json", negatives)
    write_data(data / "t1_train_counterfactual.json", [{**absent, "strata": near}])
    text = (REPOSITORY / "configs" / "curriculum.yaml").read_text()
    text = re.sub(r"max_steps: \d+", "max_steps: 1", text)
    text = text.replace("size: 16", "size: 1").replace(
        "options:\n",
        f"options:\n  image_folder: {FIXTURE}\n  bf16: false\n  dataloader_num_workers: 0\n"
        "  gradient_checkpointing: false\n",
        1,
    )
    recipe = tmp_path / "curriculum.yaml"
    recipe.write_text(text)
    return recipe, data


def test_the_shipped_curriculum_goes_from_near_views_to_hard_negatives(tmp_path: Path) -> None:
    recipe, data = curriculum(tmp_path)
    lines: list[str] = []
    out = tmp_path / "out"
    run_recipe(
        recipe=recipe, base=CHECKPOINT, data_dir=data, output_dir=out, echo=lines.append
    )  # fmt: skip
    logs = [(out / name / "train.log").read_text() for name in ("01-near", "02-wide", "03-hard")]
    assert (
        "seen: where angle_deg from 0 to 40, visible_b from 0.5 to 1: 1 sample; left out: 2 outside"
    ) in logs[0]
    assert "seen: where angle_deg from 0 to 90: 2 samples; left out: 1 outside" in logs[1]
    assert "absent: where angle_deg from 0 to 90: 2 samples; left out: 1 outside" in logs[1]
    assert "elsewhere: where absence other_scene: 1 sample; left out: 3 outside" in logs[2]
    assert "hidden: where absence occlusion or both: 2 samples; left out: 2 outside" in logs[2]
    assert "answers: 68% of an epoch's are NOT_VISIBLE" in logs[2]  # 6.5 of 9.5
    assert ["01-near-datasets.yaml" in lines[0], "datasets.yaml" in lines[2]] == [True, True]
    registry = json.loads((out / "02-wide-datasets.yaml").read_text())["datasets"]
    assert registry["absent"]["only"] == "not_visible"
    assert registry["absent"]["where"] == {"angle_deg": [0, 90]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("where: {angle_deg: [0, 90]}", "where: {angle_degrees: [0, 90]}",
         "stage 2: where angle_degrees: unknown stratum; known are angle_deg"),
        ("removed*0.5", "removed*0.5\n    where: {absence: framing}",
         "stage 3: where absence: data set 'elsewhere' has its own; give one of them"),
        ("where: {angle_deg: [0, 90]}", "where:", "stage 2: where must map strata"),
        ("{absence: other_scene}", "{absence: other}", "data set 'elsewhere': where absence: 'other'"),
    ],
)  # fmt: skip
def test_a_wrong_curriculum_is_refused_before_anything_runs(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    recipe, data = curriculum(tmp_path)
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=re.escape(message)):
        run_recipe(recipe=recipe, base=CHECKPOINT, data_dir=data, output_dir=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_stage_narrows_paths_too(tmp_path: Path) -> None:
    """A stage may name a task file instead of a data set."""
    path = write_angles(tmp_path / "d.json")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"datasets: {{a: d.json}}\noptions: {{image_folder: {FIXTURE}, max_steps: 1, bf16: false,"
        " gradient_checkpointing: false, dataloader_num_workers: 0}\nstages:\n"
        f"  - {{name: one, mixture: '{path}*2', where: {{angle: [20, 90]}}}}\n"
    )
    assert read_recipe(recipe).stages[0].where == {"angle": [20, 90]}
    last = run_recipe(recipe=recipe, base=CHECKPOINT, data_dir=tmp_path, output_dir=tmp_path / "o")
    log = (last / "train.log").read_text()
    assert "2 samples x 2" in log and "2 samples; left out: 3 outside, 1 of unknown" in log

"""Models that point with special tokens: their own code decodes the points, which are not in the text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from helpers.hf_common import ask, question
from helpers.tiny_vlms import make_pointing_model
from x3spatial.conventions.registry import find_convention
from x3spatial.errors import UserError
from x3spatial.evaluation.check_model.questions import draw
from x3spatial.evaluation.check_model.run import check_model
from x3spatial.io.images import encode_png
from x3spatial.models.huggingface.model import HuggingFaceModel
from x3spatial.tasks.answers import AnswerKind
from x3spatial.tasks.geometry import Point


@pytest.fixture(scope="module")
def pointing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pointing_model(tmp_path_factory.mktemp("pointing") / "molmo-point")


@pytest.fixture(autouse=True)
def own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of the folders' code go into the test's folder."""
    modules = str(tmp_path / "modules")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", modules)
    monkeypatch.syspath_prepend(modules)


def dot(folder: Path, name: str, size: tuple[int, int], at: Point | None) -> Path:
    path = folder / f"{name}.png"
    path.write_bytes(encode_png(draw(size, at, "dark")[0]))
    return path


def test_points_are_decoded_and_written_down(pointing: Path, tmp_path: Path) -> None:
    model = HuggingFaceModel(pointing, trust_remote_code=True)
    assert model.convention == "molmo-point"
    first = dot(tmp_path, "first", (640, 480), Point(0.2, 0.2))
    second = dot(tmp_path, "second", (1280, 720), Point(0.7, 0.4))
    nothing = dot(tmp_path, "nothing", (640, 480), None)
    asked = [
        question("two", first, second),
        question("none", second, nothing),
        question("one", first),
    ]
    outputs = ask(model, asked, 3)
    convention = find_convention("molmo-point")
    for one, point in zip(asked, (Point(0.7, 0.4), None, Point(0.2, 0.2)), strict=True):
        output = outputs[one.id]
        read = convention.parse(output.text, one)
        if point is None:
            assert output.text == "There are none." and read.kind is AnswerKind.NOT_VISIBLE
            continue
        assert re.fullmatch(
            rf'<points coords="{len(one.images)} 1 \d+\.\d\d \d+\.\d\d">object</points>',
            output.text,
        )
        assert read.point is not None
        # Half a place of the stand-in's grid of 36 x 36.
        assert read.point.x == pytest.approx(point.x, abs=0.02)
        assert read.point.y == pytest.approx(point.y, abs=0.02)
        # The tokens alone say nothing: they are kept, and are no answer.
        generated = output.details["generated"]
        assert re.fullmatch(r"(<POINT_\d+>){3}1", generated)
        assert convention.parse(generated, one).kind is AnswerKind.UNPARSED
    # Asked one by one, whatever the size of the batch.
    assert ask(model, asked, 1) == outputs


def test_the_dot_test(pointing: Path) -> None:
    model = HuggingFaceModel(pointing, trust_remote_code=True)
    checked = check_model(model, dots=4)
    assert checked.passed, checked.table().text()
    assert checked.convention == "molmo-point"


def test_its_code_is_needed_and_runs_only_if_trusted(pointing: Path) -> None:
    with pytest.raises(UserError, match=r"'molmo_point' needs code .* give --trust-remote-code"):
        HuggingFaceModel(pointing)
    with pytest.raises(UserError, match=r"--convention fraction: .* points with special tokens"):
        HuggingFaceModel(pointing, convention="fraction", trust_remote_code=True)


def changed(pointing: Path, out: Path, old: str, new: str) -> HuggingFaceModel:
    """The model with a change of its code."""
    out.mkdir()
    for file in pointing.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    code = out / "pointing_model.py"
    text = code.read_text()
    assert old in text
    code.write_text(text.replace(old, new))
    return HuggingFaceModel(out, trust_remote_code=True)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (
            "def extract_image_points",
            "def other",
            UserError,
            "its code has no extract_image_points",
        ),
        ('"subpatch_mapping": [', '"other": [', ValueError, "no subpatch_mapping to decode points"),
        ("[number, image, x", "[number, image + 7, x", ValueError, "lies in image 7 of 1"),
    ],
)
def test_code_of_another_version(
    pointing: Path, tmp_path: Path, old: str, new: str, error: Any, message: str
) -> None:
    model = changed(pointing, tmp_path / "changed", old, new)
    asked = [question("q", dot(tmp_path, "dot", (96, 64), Point(0.5, 0.5)))]
    with pytest.raises(error, match=message):
        model.answer(asked, None)


def test_its_description_says_that_code_was_run(pointing: Path) -> None:
    told = HuggingFaceModel(pointing, trust_remote_code=True).describe()
    assert (told["model_type"], told["trust_remote_code"]) == ("molmo_point", True)
    assert json.loads((pointing / "config.json").read_text())["auto_map"]

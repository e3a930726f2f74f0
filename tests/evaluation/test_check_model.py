"""Checking a model: a finder of dots that is asked and read right passes, a broken one fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from x3spatial.cli import run as x3
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.conventions.resize import smart_resize
from x3spatial.errors import UserError
from x3spatial.evaluation.check_model.faults import RIGHT, Observation, explain
from x3spatial.evaluation.check_model.questions import SIZES, write_questions
from x3spatial.evaluation.check_model.run import ModelCheck, check_model
from x3spatial.io.files import sha256_file
from x3spatial.io.images import read_rgb
from x3spatial.models.base import Model, Output
from x3spatial.tasks.answers import NOT_VISIBLE, parse_unit
from x3spatial.tasks.boxes import Box
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.question import Question, Size

THOUSAND, PERCENT, Y_FIRST = "thousand", "percent", "gemini-yx-1000"
RESIZED, SENT = "qwen2.5-px", "pixel"


@pytest.fixture(autouse=True, scope="module")
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The pictures are the same for every model: drawing them each time would be most of the time."""
    folder = tmp_path_factory.mktemp("drawn")
    probes = write_questions(folder, dots=6, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "x3spatial.evaluation.check_model.run.write_questions",
            lambda folder, *, dots, seed: (
                probes
                if (dots, seed) == (6, 0) and "x3-check-model-" in str(folder)
                else write_questions(folder, dots=dots, seed=seed)
            ),
        )
        yield


@cache
def green_dot(path: Path) -> Point | None:
    """The middle of what is green, as a fraction."""
    image = read_rgb(path).astype(int)
    rows, columns = np.nonzero(
        image[..., 1] - image.max(axis=2, where=[True, False, True], initial=0) > 60
    )
    if not rows.size:
        return None
    height, width = image.shape[:2]
    return Point((columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height)


@cache
def size_of(path: Path) -> Size:
    height, width = read_rgb(path).shape[:2]
    return width, height


def resized(path: Path) -> Size:
    return smart_resize(size_of(path), factor=28, min_pixels=56 * 56, max_pixels=600 * 28 * 28)


Write = Callable[[Point, Question], tuple[float, float]]

WRITERS: dict[str, Write] = {
    "unit": lambda p, q: (p.x, p.y),
    "thousand": lambda p, q: (round(p.x * 1000), round(p.y * 1000)),
    "percent": lambda p, q: (round(p.x * 100, 1), round(p.y * 100, 1)),
    "yx": lambda p, q: (round(p.y * 1000), round(p.x * 1000)),
    "xy swapped": lambda p, q: (p.y, p.x),
    "resized": lambda p, q: in_pixels(p, resized(q.images[-1])),
    "resized swapped": lambda p, q: in_pixels(p, resized(q.images[-1]))[::-1],
    "sent": lambda p, q: in_pixels(p, size_of(q.images[-1])),
    "from the right": lambda p, q: (1 - p.x, p.y),
    "padded": lambda p, q: padded(p, size_of(q.images[-1])),
    "shifted": lambda p, q: (p.x + 24 / size_of(q.images[-1])[0], p.y),
}


def in_pixels(point: Point, size: Size) -> tuple[int, int]:
    return round(point.x * size[0]), round(point.y * size[1])


def padded(point: Point, size: Size) -> tuple[float, float]:
    side = max(size)
    return tuple((f * s + (side - s) / 2) / side for f, s in zip(point, size, strict=True))  # type: ignore[return-value]


class Finder(Model):
    """Sees the dot of the last image, and writes it as it is told."""

    name = "finder"

    def __init__(
        self,
        writer: str = "unit",
        convention: str = "unit",
        *,
        names: Callable[[Path], Size] | None = None,
        image: int = -1,
    ) -> None:
        self.writer = WRITERS[writer]
        self.convention = convention
        self.names = names
        self.image = image
        self.prompts: list[str] = []

    def point(self, question: Question) -> Point | None:
        return green_dot(question.images[self.image])

    def text(self, question: Question) -> str:
        point = self.point(question)
        if point is None:
            return NOT_VISIBLE
        first, second = self.writer(point, question)
        return f"[({first:.6g}, {second:.6g})]"

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str | Output]:
        answers: list[str | Output] = []
        for question in questions:
            sizes = tuple(self.names(path) for path in question.images) if self.names else ()
            self.prompts.append(CONVENTIONS[self.convention].prompt(question, sizes))
            answers.append(Output(self.text(question), sizes))
        return answers


def verdicts(checked: ModelCheck) -> dict[str, str]:
    return {check.name: check.verdict for check in checked.checks}


def details(checked: ModelCheck) -> dict[str, str]:
    return {check.name: check.detail for check in checked.checks}


def test_unused_sizes_have_no_effect() -> None:
    checked = check_model(model=Finder("thousand", names=resized))
    assert details(checked)[SCALE] == "one image and two images: 0 to 1000, read as 0 to 1"


class Speaker(Finder):
    """Writes as its convention does."""

    def __init__(self, convention: str) -> None:
        pixels = CONVENTIONS[convention].pixels
        ways: dict[str, Callable[[Path], Size]] = {"sent": size_of, "resized": resized}
        names = None if pixels is None else ways[pixels]
        super().__init__(convention=convention, names=names)

    def text(self, question: Question) -> str:
        convention, point = CONVENTIONS[self.convention], self.point(question)
        sizes = [self.names(path) for path in question.images] if self.names else []
        if point is None:
            return convention.absent
        if (
            convention.answers == "box"
        ):  # around the dot, whose radius is a part of the shorter side
            width, height = size_of(question.images[-1])
            x, y = (0.035 * min(width, height) / side for side in (width, height))
            box = Box(point.x - x, point.y - y, point.x + x, point.y + y)
            return convention.format_box(box, question, sizes)[0]
        return convention.format_answer(point, question, sizes)[0]


@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
def test_what_is_right_passes(convention: str) -> None:
    speaker = Speaker(convention)
    checked = check_model(model=speaker)
    assert set(verdicts(checked).values()) == {"pass"}, details(checked)
    assert checked.outcome == "pass" and checked.convention == convention
    assert all(row.median_part is not None and row.median_part < 0.01 for row in checked.sizes)
    absent = CONVENTIONS[convention].absent
    for prompt in speaker.prompts:  # RoboRefer is asked with the record's own
        assert "green dot" in prompt and absent in prompt and "<image>" not in prompt
        assert convention != "unit" or "[(x, y)]" in prompt


AXES, SCALE, IMAGE, RESIZE = "axes", "scale", "which image", "resized image"


@pytest.mark.parametrize(
    ("broken", "guilty", "says"),
    [
        (Finder("xy swapped"), {AXES}, "x and y are swapped"),
        (Finder("yx", THOUSAND), {AXES}, "x and y are swapped"),
        (Finder("resized swapped", RESIZED, names=resized), {AXES}, "x and y are swapped"),
        (Finder("from the right"), {AXES}, "x is counted from the right"),
        (Finder("thousand"), {SCALE}, "0 to 1000, read as 0 to 1"),
        (Finder("unit", THOUSAND), {SCALE}, "0 to 1, read as 0 to 1000"),
        (Finder("percent"), {SCALE}, "percent, read as 0 to 1"),
        (Finder("percent", THOUSAND), {SCALE}, "percent, read as 0 to 1000"),
        (Finder("sent"), {SCALE}, "pixels of the image file, read as 0 to 1"),
        (Finder("sent", THOUSAND), {SCALE}, "pixels of the image file, read as 0 to 1000"),
        (
            Finder("thousand", SENT, names=size_of),
            {SCALE},
            "0 to 1000, read as pixels of the size that the adapter names",
        ),
        (Finder("yx"), {AXES, SCALE}, "x and y are swapped; 0 to 1000, read as 0 to 1"),
        (
            Finder("sent", RESIZED, names=resized),
            {RESIZE},
            "pixels of the image file, read as pixels of the size that the adapter names",
        ),
        (Finder("resized", SENT, names=size_of), {RESIZE}, r"2048x1024 as if about 95\dx47\d"),
        (Finder("padded"), {RESIZE}, "padded to a square"),
        (Finder("shifted"), {RESIZE}, r"shifted by \(\+24, \+0\)"),
        (Finder(image=0), {IMAGE}, "the first image's dot"),
    ],
)  # fmt: skip
def test_what_is_broken_fails_for_its_reason(broken: Finder, guilty: set[str], says: str) -> None:
    checked = check_model(model=broken)
    found = verdicts(checked)
    assert {name for name in (AXES, SCALE, IMAGE, RESIZE) if found[name] != "pass"} == guilty, (
        details(checked)
    )
    for name in guilty:
        assert re.search(says, details(checked)[name]), details(checked)
    assert found["points"] == "fail" and checked.outcome == "fail"
    assert found["asked twice"] == found["batches"] == found["answers"] == "pass"


def test_sizes_named_in_the_wrong_order() -> None:
    class Reversed(Finder):
        def answer(self, questions: Sequence[Question], prepared: Any) -> list[str | Output]:
            answers = super().answer(questions, prepared)
            return [Output(a.text, a.sizes[::-1]) for a in answers if isinstance(a, Output)]

    checked = check_model(model=Reversed("sent", SENT, names=size_of))
    assert verdicts(checked)[RESIZE] == "fail"
    assert details(checked)[RESIZE].startswith("two images: ")


def test_a_convention_for_other_sizes_of_some_images_only() -> None:
    """Small images come to the model as they are, large ones made smaller: only those are off."""

    def at_most(path: Path) -> Size:
        width, height = size_of(path)
        return (1000, 1000 * height // width) if width > 1000 else (width, height)

    WRITERS["at most"] = lambda p, q: in_pixels(p, at_most(q.images[-1]))
    checked = check_model(model=Finder("at most", SENT, names=size_of))
    assert verdicts(checked)[RESIZE] == "fail"
    assert "2048x1024 as if about 1000x500" in details(checked)[RESIZE]
    assert "640x480 as" not in details(checked)[RESIZE]


class Shaky(Finder):
    """Another answer each time."""

    calls = 0

    def text(self, question: Question) -> str:
        self.calls += 1
        return f"{super().text(question)} #{self.calls}"


class BatchBound(Finder):
    """Answers the rest of a batch from its first question's image."""

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str | Output]:
        return [super(BatchBound, self).answer(questions[:1], None)[0] for _ in questions]


class Rounding(Finder):
    """Last digits depend on the batch, as in half precision."""

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str | Output]:
        self.writer = lambda p, q: (p.x + 0.001 * (len(questions) > 1), p.y)
        return super().answer(questions, prepared)


def test_another_answer_each_time() -> None:
    checked = check_model(model=Shaky())
    found = verdicts(checked)
    assert (found["asked twice"], found["batches"]) == ("fail", "cannot tell")
    assert found["points"] == "pass" and checked.outcome == "fail"


def test_answers_that_depend_on_the_batch() -> None:
    checked = check_model(model=BatchBound())
    found = verdicts(checked)
    assert (found["asked twice"], found["batches"]) == ("pass", "fail")


def test_rounding_between_batch_sizes_is_no_fault() -> None:
    checked = check_model(model=Rounding())
    assert checked.outcome == "pass"
    assert "by rounding" in details(checked)["batches"]


class Fixed(Finder):
    """The same text to everything."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.fixed = answer

    def text(self, question: Question) -> str:
        return self.fixed


@pytest.mark.parametrize(
    ("model", "points", "why", "absent"),
    [
        (Fixed(NOT_VISIBLE), "cannot tell", "54 are NOT_VISIBLE", "fail"),
        (Fixed("I see it."), "cannot tell", "'I see it.'", "fail"),
        (Fixed("[(0.5, 0.5)]"), "cannot tell", "the same point", "fail"),
        (Fixed("[(1e300, 1e300)]"), "cannot tell", "the same point", "fail"),
        ("uniform", "cannot tell", "no known fault explains", "fail"),
    ],
)
def test_a_weak_model_is_undecided(model: Any, points: str, why: str, absent: str) -> None:
    checked = check_model(model=model)
    found = verdicts(checked)
    assert found["points"] == points and why in details(checked)["points"], details(checked)
    assert {found[name] for name in (AXES, SCALE, IMAGE, RESIZE)} == {"cannot tell"}
    assert found["NOT_VISIBLE"] == absent


def test_dots_that_are_not_there() -> None:
    class Seeing(Finder):
        def point(self, question: Question) -> Point | None:
            return super().point(question) or Point(0.2, 0.9)

    checked = check_model(model=Seeing())
    assert {name for name, v in verdicts(checked).items() if v != "pass"} == {"NOT_VISIBLE"}
    assert "one says '[(0.2, 0.9)]'" in details(checked)["NOT_VISIBLE"]
    assert checked.outcome == "fail"


def test_questions_without_an_answer() -> None:
    class Failing(Finder):
        def text(self, question: Question) -> str:
            if "2048" in question.id:
                raise RuntimeError("too large")
            return super().text(question)

    checked = check_model(model=Failing())
    found = verdicts(checked)
    assert found["answers"] == "fail" and "too large" in details(checked)["answers"]
    assert found["points"] == "pass"


def test_questions_are_the_same_bytes_and_right(tmp_path: Path) -> None:
    probes = write_questions(tmp_path / "a", dots=6, seed=1)
    write_questions(tmp_path / "b", dots=6, seed=1)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all(
        sha256_file(tmp_path / "a" / name) == sha256_file(tmp_path / "b" / name) for name in names
    )
    for one in probes:
        found = green_dot(Path(one.record.images[-1]))
        assert (found is None) == (one.dot is None)
        if found is not None and one.dot is not None:
            assert abs(found.x - one.dot.x) * one.size[0] < 0.6
            assert abs(found.y - one.dot.y) * one.size[1] < 0.6
            assert parse_unit(one.record.answer).point == pytest.approx(one.dot, abs=1e-5)


def observations(
    rng: np.random.Generator, noise: float, wild: int, *, swapped: bool = False
) -> list[Observation]:
    """Points of a model that is ``noise`` off, in sides, and anywhere in ``wild`` of six of its answers."""
    found = []
    for size in SIZES:
        for number, dot in enumerate(rng.uniform(0.1, 0.9, (6, 2))):
            x, y = rng.random(2) if number < wild else dot + rng.normal(0, noise, 2)
            found.append(Observation(size, Point(*dot), Point(y, x) if swapped else Point(x, y)))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_noise_is_neither_taken_for_a_fault_nor_hides_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert explain(observations(rng, 0.01, 0)) is RIGHT
    assert explain(observations(rng, 0.01, 1)) is RIGHT
    fault = explain(observations(rng, 0.01, 1, swapped=True))
    assert fault is not None and fault.kinds == {"axes"}
    assert explain(observations(rng, 0.06, 1)) is None
    assert explain(observations(rng, 0.01, 6)) is None


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "kept"
    assert x3(["check-model", "--model", "oracle", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert (
        "1280x720 + 480x640" in printed and printed.rstrip().splitlines()[-2] == "check-model: pass"
    )
    assert (out / "batched.json").is_file() and len(list((out / "images").glob("*.png"))) > 100
    assert x3(["check-model", "--model", "centre", "--json", "--out", str(out)]) == 1
    value = json.loads(capsys.readouterr().out)
    assert value["outcome"] == "cannot tell" and value["thresholds"]
    assert x3(["check-model", "--model", "pixel-diff"]) == 2
    assert "--model pixel-diff cannot answer check-model's" in capsys.readouterr().err
    assert x3(["check-model", "--model", "sift"]) == 2
    assert "--model sift cannot answer check-model's" in capsys.readouterr().err
    assert x3(["check-model", "--model", "openai:M", "--cache", str(out / "c.db")]) == 2
    assert "--cache: kept answers say nothing" in capsys.readouterr().err
    for arguments, named in (
        (["--dots", "3"], "--dots 3"),
        (["--batch-size", "1"], "--batch-size 1"),
        ([], "--model"),
    ):
        model = ["--model", "oracle"] if arguments else []
        assert x3(["check-model", *model, *arguments]) == 2
        assert named in capsys.readouterr().err


def test_other_files_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "batched.json").write_text("mine")
    with pytest.raises(UserError, match="batched"):
        check_model(model="oracle", out=tmp_path)
    assert (tmp_path / "batched.json").read_text() == "mine"


def test_one_process_is_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert x3(["check-model", "--model", "centre"]) == 2
    assert "without torchrun" in capsys.readouterr().err

"""Adding a task, a family, an outside model, a metric and an export: each with a toy, end to end.

Nothing but the toy itself is touched: it is registered, run from build to preview, and taken out again.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.paths import SRC
from helpers.roots import make_root
from x3spatial.arrays import Bool
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.cli import run as run_command
from x3spatial.conventions import registry as conventions
from x3spatial.conventions.brackets import find_pair
from x3spatial.conventions.family import Family
from x3spatial.errors import UserError
from x3spatial.evaluation.questions import question_of
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.statistics import metrics
from x3spatial.exporters.base import Format
from x3spatial.exporters.registry import FORMATS
from x3spatial.exporters.run import export
from x3spatial.exporters.samples import Sample
from x3spatial.formats.task_file import read_records
from x3spatial.io.files import write_text
from x3spatial.io.images import read_mask
from x3spatial.models import registry
from x3spatial.models.base import Model
from x3spatial.reports.preview import preview
from x3spatial.tasks import spec
from x3spatial.tasks.answers import (
    UNPARSED,
    Answer,
    AnswerKind,
    AnswerType,
    Reader,
    answer_text,
    says_token,
)
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, hits
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.question import Question
from x3spatial.tasks.samples import Draft, Inpainted, Marked, Original, Pairs, SpatialObject
from x3spatial.tasks.spec import TaskSpec, Views


class Says(Model):
    """Answers every question with one text, or with what a function makes of the question."""

    privileged = True

    def __init__(self, text: Any, convention: str = "unit") -> None:
        self.text = text
        self.convention = convention
        self.prompts: list[str] = []

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        convention = conventions.find_convention(self.convention)
        self.prompts += [convention.prompt(q, q.image_sizes) for q in questions]
        return [self.text(q) if callable(self.text) else self.text for q in questions]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root", scenes=2, objects=2, views=3)


# --- a task answered by a point: where was the object, with the images in the other order


def draft_added(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    for view in item.views:
        if view.target is not None and view.has_inpainted:
            yield Draft(
                id=f"TOY_ADDED_{item.scene}_uid{item.uid}_K{view.name}",
                task="toy_added",
                images=(Inpainted(view), Original(view)),
                reference=view,
                query=view,
                question=template.question,
                prompt=template.render(),
                answer=answer_text(view.target, view.mask, Frame.IMAGE),
            )


PROMPT = "[question]\nOne object was added.\n[format]\nAnswer with one point on it, [(x, y)].\n"


def toy_task(tmp_path: Path, **changes: Any) -> TaskSpec:
    prompt = tmp_path / "toy.txt"
    prompt.write_text(changes.pop("prompt", PROMPT))
    given: dict[str, Any] = {
        "name": "toy_added",
        "group": "toy",
        "title": "Toy",
        "summary": "point to what was added",
        "file_name": "toy_{split}_added.json",
        "draft": draft_added,
        "views": Views.TWICE,
        "template": "toy",
        "template_file": prompt,
        "format_section": "added",
        "format_text": "Answer with one point on what was added {form}.",
        "answer_image": "the second image",
        "optional_in_train": True,
        "by_default": False,
        "zero_shot": True,
    }
    return TaskSpec(**given | changes)


def test_a_task_from_build_to_preview(root: Path, tmp_path: Path) -> None:
    with spec.registered(toy_task(tmp_path)):
        out = tmp_path / "tasks"
        build_tasks(data_root=root, out_dir=out, options=BuildOptions(tasks=("toy",)))
        data = out / "toy_val_added.json"
        records = read_records(data)
        assert len(records) == 8  # two scenes, two objects, the two views that show them
        assert {len(record.images) for record in records} == {2}

        oracle = evaluate(data_json=data, output_json=tmp_path / "o.json", model="oracle")
        assert oracle.metrics["hit_at_mask"] == 1.0 and oracle.metrics["errors"] == 0
        diff = evaluate(data_json=data, output_json=tmp_path / "d.json", model="pixel-diff")
        assert diff.metrics["hit_at_mask"] == 1.0
        # The families are asked in the task's words, not told that the object may be absent.
        model = Says("[[500, 500]]", "internvl-1000")
        evaluate(data_json=data, output_json=tmp_path / "i.json", model=model)
        assert all("one point on what was added as [[x, y]]" in prompt for prompt in model.prompts)
        assert not any("NOT_VISIBLE" in prompt for prompt in model.prompts)
        # Task1's baselines do not take it for theirs.
        with pytest.raises(UserError, match="cannot answer toy_added"):
            evaluate(data_json=data, output_json=tmp_path / "s.json", model="sift")

        for to, points in (("sharegpt", "qwen3-1000"), ("ms-swift", None), ("trl", "unit")):
            export(data_json=[data], out_dir=tmp_path / to, to=to, point_format=points)
        text = (tmp_path / "sharegpt" / "toy_val_added.json").read_text()
        assert "on what was added" in text and "NOT_VISIBLE" not in text
        sheet = preview(data_json=data, output=tmp_path / "sheet.png", results=tmp_path / "o.json")
        assert sheet.path.stat().st_size > 1000
        assert [task.name for task in spec.zero_shot_tasks()][-1] == "toy_added"
    assert "toy_added" not in spec.TASKS
    with pytest.raises(UserError, match="'toy_added'"):
        read_records(data)


def test_a_task_needs_a_unique_name(tmp_path: Path) -> None:
    for changes in ({"name": "t1_multi"}, {"file_name": "t1_{split}_multi.json"}):
        with pytest.raises(ValueError, match="taken"):
            spec.register(toy_task(tmp_path, **changes))
    with pytest.raises(ValueError, match=r"\{split\}"):
        toy_task(tmp_path, file_name="toy.json")
    assert "toy_added" not in spec.TASKS and len(spec.TASKS) == 9


# --- other kinds of answers: yes or no, and a list of points


def parse_yes_no(text: str, reader: Reader, absent_token: str) -> Answer:
    found = [word for word in ("yes", "no") if says_token(text, word)]
    return Answer(AnswerKind.VALUE, value=found[0] == "yes") if len(found) == 1 else UNPARSED


YES_NO = AnswerType(
    "yes_no",
    parse_yes_no,
    is_right=lambda answer, truth, mask: answer.value is truth.value,
    in_family_format=False,
)


def draft_yes_no(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    for a, b in pairs.pairs:
        yield Draft(
            id=f"TOY_SEEN_{item.scene}_uid{item.uid}_A{a.name}_B{b.name}",
            task="toy_added",
            images=(Marked(a), Original(b)),
            reference=a,
            query=b,
            question=template.question,
            prompt=template.render(),
            answer="no" if b.target is None else "yes",
        )


def test_a_task_answered_by_yes_or_no(root: Path, tmp_path: Path) -> None:
    task = toy_task(
        tmp_path,
        draft=draft_yes_no,
        views=Views.TWO,
        answer=YES_NO,
        prompt="[question]\nIs it in the second image?\n[format]\nAnswer yes or no.\n",
    )
    with spec.registered(task):
        out = tmp_path / "tasks"
        build_tasks(
            data_root=root, out_dir=out, options=BuildOptions(tasks=("toy",), mode="allpairs")
        )
        data = out / "toy_val_added.json"
        count = len(read_records(data))
        right = evaluate(data_json=data, output_json=tmp_path / "o.json", model="oracle")
        assert right.metrics["accuracy"] == 1.0 and right.metrics["total"] == count == 16
        # Of each object's four pairs two show it.
        for text, accuracy, unparsed in (("Yes.", 0.5, 0), ("yes and no", 0.0, count)):
            for convention in ("unit", "gemini-yx-1000", "molmo2-1000"):
                model = Says(text, convention)
                run = evaluate(
                    data_json=data,
                    output_json=tmp_path / f"{convention}{unparsed}.json",
                    model=model,
                )
                assert run.metrics["accuracy"] == accuracy
                assert run.metrics["parse_failures"] == unparsed
                # Nothing of a point is claimed.
                for name in ("hit_at_mask", "success_010", "mean_l2_error", "balanced_accuracy"):
                    assert run.metrics[name] is None
                assert set(model.prompts) == {"Is it in the second image?\nAnswer yes or no."}
        stored = json.loads((tmp_path / "unit0.json").read_text())["results"]
        assert {entry["pred_parsed"]["value"] for entry in stored} == {True}
        assert {entry["correct"] for entry in stored} == {True, False}
        export(data_json=[data], out_dir=tmp_path / "e", to="sharegpt", point_format="qwen3-1000")
        assert "Answer yes or no." in (tmp_path / "e" / "toy_val_added.json").read_text()
        preview(data_json=data, output=tmp_path / "y.png", results=tmp_path / "unit0.json")


PAIR = re.compile(r"[(\[]\s*([0-9.]+)\s*,\s*([0-9.]+)\s*[)\]]")


def parse_points(text: str, reader: Reader, absent_token: str) -> Answer:
    if says_token(text, absent_token):
        return Answer(AnswerKind.NOT_VISIBLE)
    points = [list(reader.to_point(float(x), float(y))) for x, y in PAIR.findall(text)]
    return Answer(AnswerKind.VALUE, value=points) if points else UNPARSED


def all_hit(answer: Answer, truth: Answer, mask: Bool | None) -> bool:
    if mask is None or truth.value is None or answer.value is None:
        return answer.kind is truth.kind
    return all(hits(mask, Point(*point)) for point in answer.value)


def draft_points(item: SpatialObject, pairs: Pairs, template: Template) -> Iterator[Draft]:
    for draft in draft_added(item, pairs, template):
        yield Draft(
            id=draft.id,
            task="toy_added",
            images=draft.images,
            reference=draft.reference,
            query=draft.query,
            question=draft.question,
            prompt=draft.prompt,
            answer=f"[{draft.answer[1:-1]}, {draft.answer[1:-1]}]",
        )


def test_a_task_answered_by_a_list_of_points_in_every_convention(
    root: Path, tmp_path: Path
) -> None:
    task = toy_task(
        tmp_path,
        draft=draft_points,
        answer=AnswerType("points", parse_points, is_right=all_hit),
        format_text="Answer with several points {form}, separated by commas.",
    )
    with spec.registered(task):
        out = tmp_path / "tasks"
        build_tasks(data_root=root, out_dir=out, options=BuildOptions(tasks=("toy",)))
        data = out / "toy_val_added.json"
        records = {record.id: record for record in read_records(data)}
        oracle = evaluate(data_json=data, output_json=tmp_path / "o.json", model="oracle")
        assert oracle.metrics["accuracy"] == 1.0
        for name in ("percent", "thousand", "internvl-1000"):
            scale = 100.0 if name == "percent" else 1000.0

            def two(question: Question, scale: float = scale) -> str:
                pair = PAIR.search(records[question.id].answer)
                assert pair is not None
                x, y = (float(value) * scale for value in pair.groups())
                return f"[({x:.1f}, {y:.1f}), [{x:.1f}, {y:.1f}]]"

            model = Says(two, name)
            run = evaluate(data_json=data, output_json=tmp_path / f"{name}.json", model=model)
            assert run.metrics["accuracy"] == 1.0, name
            assert "Answer with several points as [" in model.prompts[0]
            missed = Says("[(1, 1), (2, 2)]", name)
            run = evaluate(data_json=data, output_json=tmp_path / f"{name}-.json", model=missed)
            assert run.metrics["accuracy"] == 0.0
        with pytest.raises(UserError, match="'points' cannot be rewritten"):
            export(data_json=[data], out_dir=tmp_path / "e", to="llava", point_format="percent")
        export(data_json=[data], out_dir=tmp_path / "u", to="llava")


# --- a model family


TOY_FAMILY = Family(
    name="toy-200",
    describes="{x|y}, x first, 0 to 200 of the image (toy)",
    find=lambda text, images: (
        None if (found := re.search(r"\{([0-9.]+)\|([0-9.]+)\}", text)) is None
        else (float(found[1]), float(found[2]))
    ),
    answer="{{x}|{y}}",
    inline="{{x}|{y}}",
    scale=200.0,
    decimals=1,
    template="[form]\nas a pair in braces\n[scale]\nin two-hundredths of {image}\n",
)  # fmt: skip


def test_a_family(root: Path, tmp_path: Path) -> None:
    conventions.register(TOY_FAMILY, model_types=["toy_vl"])
    try:
        with pytest.raises(ValueError, match="taken"):
            conventions.register(TOY_FAMILY)
        chosen = conventions.choose_convention(None, "toy_vl", model="x")
        assert chosen is TOY_FAMILY
        out = tmp_path / "tasks"
        build_tasks(data_root=root, out_dir=out)
        for name in ("t1_val_multi", "t1_val_concat", "t2b_val_multi"):
            data = out / f"{name}.json"
            answers = {record.id: record for record in read_records(data)}

            def right(question: Question, answers: Any = answers) -> str:
                record = answers[question.id]
                found = conventions.CONVENTIONS["unit"].parse(record.answer, question)
                if found.point is None:
                    return "NOT_VISIBLE"
                return TOY_FAMILY.format_answer(found.point, question, decimals=4)[0]

            model = Says(right, "toy-200")
            run = evaluate(data_json=data, output_json=tmp_path / f"{name}.json", model=model)
            assert run.metrics["parse_failures"] == 0 and run.metrics["errors"] == 0
            assert run.metrics["hit_at_mask"] == 1.0
            assert all("as a pair in braces" in prompt for prompt in model.prompts)
            export(data_json=[data], out_dir=tmp_path / name, to="sharegpt", point_format="toy-200")
            assert "as a pair in braces" in (tmp_path / name / f"{name}.json").read_text()
    finally:
        conventions.unregister("toy-200")
    assert "toy-200" not in conventions.CONVENTIONS and "toy_vl" not in conventions.BY_MODEL_TYPE
    assert find_pair()("[(0.1, 0.2)]", 1) == (0.1, 0.2)


# --- a model outside of the package


OUTSIDE = '''
from x3spatial.models.base import Model

class Corner(Model):
    """Points near the top left corner."""

    options = frozenset({"batch"})

    def answer(self, questions, prepared):
        return ["[(0.010, 0.010)]" for _ in questions]

class NoModel:
    pass
'''


def test_an_outside_model(root: Path, tmp_path: Path) -> None:
    build_tasks(data_root=root, out_dir=tmp_path / "tasks")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "corner.py").write_text(OUTSIDE)
    command = [sys.executable, "-m", "x3spatial", "eval", "--model", "lab.corner:Corner"]
    command += ["--data-json", "tasks/t1_val_multi.json", "--output-json", "r.json"]
    environment = {"PYTHONPATH": str(SRC), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "r.json").read_text())
    assert stored["model"]["name"] == "Corner"
    assert stored["settings"]["model"] == "lab.corner:Corner"
    assert {entry["pred_text"] for entry in stored["results"]} == {"[(0.010, 0.010)]"}


@pytest.mark.parametrize(
    ("spec_text", "message"),
    [
        ("lab_of_nobody.corner:Corner", "cannot import lab_of_nobody.corner"),
        ("json:JSONDecoder", "is not a subclass of x3spatial.Model"),
        ("json.decoder:Nothing", "has no such class"),
        ("nobody:Model", "unknown kind 'nobody'"),
        ("x3spatial.models.baselines.trivial:Centre:3", "takes no argument"),
    ],
)
def test_outside_models_that_cannot_be_imported(spec_text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        registry.create(spec_text)


def test_an_outside_model_by_its_path(root: Path, tmp_path: Path) -> None:
    build_tasks(data_root=root, out_dir=tmp_path / "tasks")
    data = tmp_path / "tasks" / "t1_val_multi.json"
    ours = evaluate(data_json=data, output_json=tmp_path / "a.json", model="centre")
    path = "x3spatial.models.baselines.trivial:Centre"
    theirs = evaluate(data_json=data, output_json=tmp_path / "b.json", model=path)
    assert theirs.metrics == ours.metrics


# --- a metric


def test_a_metric(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def within_20(table: metrics.Table) -> tuple[Any, Any]:
        """L2 of at most 0.2, of the visible samples."""
        near = np.nan_to_num(table.l2, nan=9.0) <= 0.2
        return (near & table.visible).astype(float), table.visible.astype(float)

    monkeypatch.setitem(metrics.RATES, "within_20", within_20)
    monkeypatch.setattr(metrics, "ESTIMATED", (*metrics.ESTIMATED, "within_20"))
    build_tasks(data_root=root, out_dir=tmp_path / "tasks")
    data = tmp_path / "tasks" / "t1_val_multi.json"
    run = evaluate(data_json=data, output_json=tmp_path / "r.json", model="oracle")
    assert run.metrics["within_20"] == 1.0 and "within_20" in run.ci95


# --- an export format


class Lines(Format):
    """One line per sample: its id, its images, its answer."""

    name = "lines"
    describes = "tab-separated lines (toy)"
    paths = ("absolute", "copy")

    def output_name(self, stem: str) -> str:
        return f"{stem}.tsv"

    def write(self, path: Path, samples: Iterable[Sample]) -> None:
        rows = [
            "\t".join([sample.record.id, *sample.image_paths, sample.answer]) for sample in samples
        ]
        write_text(path, "\n".join(rows) + "\n")


def test_an_export_format(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "lines", Lines)
    build_tasks(data_root=root, out_dir=tmp_path / "tasks")
    data = tmp_path / "tasks" / "t2b_val_multi.json"
    done = export(data, tmp_path / "out", to="lines", paths="copy", point_format="percent")
    rows = (tmp_path / "out" / "t2b_val_multi.tsv").read_text().splitlines()
    records = read_records(data)
    assert done.records == len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        name, first, second, answer = row.split("\t")
        assert name == record.id and (tmp_path / "out" / first).is_file() and first != second
        found = conventions.CONVENTIONS["percent"].parse(answer, question_of(record, None))
        assert found.point is not None
        mask = read_mask(Path(record.query_mask or ""))
        assert hits(mask, found.point)
    assert run_command(["export", "--help"]) == 0
    with pytest.raises(UserError, match=r"--paths relative"):
        export(data, tmp_path / "out2", to="lines", paths="relative")

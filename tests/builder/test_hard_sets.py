"""The hard sets: what is asked, what is right, and where each baseline must stand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.paths import FIXTURES
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.errors import UserError
from x3spatial.evaluation.questions import question_of
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.twins import follows
from x3spatial.exporters.points import point_formats
from x3spatial.exporters.run import export
from x3spatial.formats.results_file import read_results
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.io.files import read_json
from x3spatial.io.images import read_mask, read_rgb
from x3spatial.models.base import Model
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import HARD, TASKS, choose_tasks

ROOT = FIXTURES / "x3-small" / "root"
OPTIONS = BuildOptions(tasks=("t1_multi", "t2b_multi", HARD), mode="allpairs")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hard")
    build_tasks(data_root=ROOT, out_dir=out, options=OPTIONS)
    return out


@pytest.fixture(scope="module")
def decoys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("decoys")
    build_tasks(
        data_root=ROOT, out_dir=out, options=BuildOptions(tasks=("t2b_unchanged",), decoys=True)
    )
    return out


class Says(Model):
    """Answers every question with ``text`` of its record."""

    privileged = True
    convention = "unit"

    def __init__(self) -> None:
        self.name = type(self).__name__.lower()

    def __str__(self) -> str:
        return self.name

    def text(self, record: dict[str, Any]) -> str:
        raise NotImplementedError

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        return [self.text(dict(question.record or {})) for question in questions]


def records(folder: Path, name: str) -> list[TaskRecord]:
    return read_records(folder / f"{name}.json")


def metrics(data: Path, model: Any) -> dict[str, Any]:
    out = data.with_name(f"{data.stem}-{model}.json")
    return evaluate(data_json=data, output_json=out, model=model).metrics


def test_the_group_is_named_in_full_or_together() -> None:
    hard = choose_tasks([HARD])
    assert hard == ("t1_counterfactual", "t1_negatives", "t2b_unchanged", "t2b_added")
    assert not set(hard) & set(choose_tasks(None))
    assert choose_tasks(["t1"]) == ("t1_multi", "t1_concat")
    assert choose_tasks(["t2b"]) == ("t2b_multi",)
    assert choose_tasks(["all"]) == tuple(TASKS)


def test_a_counterfactual_is_its_twin_without_the_object(built: Path) -> None:
    plain = {record.id: record for record in records(built, "t1_val_multi")}
    removed = records(built, "t1_val_counterfactual")
    assert {r.twin for r in removed} == {i for i, r in plain.items() if "[" in r.answer}
    for record in removed:
        assert record.twin is not None
        twin = plain[record.twin]
        assert record.id == record.twin.replace("T1_MULTI", "T1_COUNTERFACTUAL")
        assert record.answer == "NOT_VISIBLE" and record.prompt == twin.prompt
        assert record.images[0] == twin.images[0] and record.query_mask == twin.query_mask
        assert record.images[1] == twin.images[1].replace("_original", "_inpainted")
        assert record.query_original == record.images[1]
        assert record.mask_area_fraction == twin.mask_area_fraction


def test_answers_at_the_old_place_are_counted(built: Path) -> None:
    data = built / "t1_val_counterfactual.json"
    twins = {record.id: record for record in records(built, "t1_val_multi")}

    class Remembers(Says):
        """Answers the twin's question, as if the object were still there."""

        def text(self, record: dict[str, Any]) -> str:
            return twins[record["twin"]].answer

    said = metrics(data, Remembers())
    assert said["points_at_removed"] == 1.0 and said["not_visible_accuracy"] == 0.0
    assert said["hit_at_mask"] is None and said["hit_at_mask_total"] == 0
    assert metrics(data, "oracle")["points_at_removed"] == 0.0
    stored = read_results(data.with_name("t1_val_counterfactual-remembers.json"))
    assert {entry.at_removed for entry in stored.results} == {True}
    mask = np.mean([read_mask(Path(r.query_mask or "")).mean() for r in read_records(data)])
    assert stored.chance["uniform"]["points_at_removed"] == pytest.approx(mask)  # type: ignore[index]
    assert "points_at_removed" not in metrics(built / "t1_val_multi.json", "oracle")


def test_added_is_removed_seen_from_the_other_side(built: Path) -> None:
    removed, added = records(built, "t2b_val_multi"), records(built, "t2b_val_added")
    assert [r.images for r in added] == [r.images[::-1] for r in removed]
    assert [r.answer for r in added] == [r.answer for r in removed]
    assert {r.id.replace("T2B_ADDED", "T2B_MULTI") for r in added} == {r.id for r in removed}
    assert metrics(built / "t2b_val_added.json", "oracle")["hit_at_mask"] == 1.0
    assert metrics(built / "t2b_val_added.json", "pixel-diff")["hit_at_mask"] == 1.0


def test_pairs_give_nothing_away(built: Path) -> None:
    pairs: dict[str, dict[str, TaskRecord]] = {}
    for record in records(built, "t2b_train_unchanged"):
        stem, _, kind = record.id.rpartition("_")
        pairs.setdefault(stem, {})[kind] = record
    assert len(pairs) == len(records(built, "t2b_train_multi"))
    for pair in pairs.values():
        same, changed = pair["SAME"], pair["DIFF"]
        assert same.answer == "NO_CHANGE" and "[" in changed.answer
        assert same.prompt == changed.prompt and "NO_CHANGE" in same.prompt
        assert same.images[0] == changed.images[0] and same.images[1] != changed.images[1]
        assert all("/pairs_abs/" in path for record in pair.values() for path in record.images)
        before, after, gone = (
            read_rgb(Path(path)).astype(int) for path in (*same.images, changed.images[1])
        )
        mask = read_mask(Path(changed.query_mask or ""))
        assert np.abs(after - before).max() < 40 and (after != before).any()
        # Outside of what was removed, the two second images were changed alike.
        assert np.median(np.abs(after - gone)[~mask]) <= 1 < np.abs(after - gone)[mask].mean()


def test_decoys_make_any_edit_worthless(built: Path, decoys: Path) -> None:
    plain, masked = built / "t2b_train_unchanged.json", decoys / "t2b_train_unchanged.json"
    assert metrics(plain, "pixel-diff")["balanced_accuracy"] > 0.9
    said = metrics(masked, "pixel-diff")
    assert said["balanced_accuracy"] == 0.5 and said["hit_at_mask"] == 1.0
    kinds = [record.id.rpartition("_")[2] for record in read_records(masked)]
    assert kinds.count("SAME") == kinds.count("DIFF") > 0
    for data in (plain, masked):
        right = metrics(data, "oracle")
        assert right["balanced_accuracy"] == right["hit_at_mask"] == 1.0
        always = metrics(data, "always-not-visible")
        assert always["balanced_accuracy"] == 0.5 and always["parse_failures"] == 0


def test_decoys_of_another_engine(decoys: Path, tmp_path: Path) -> None:
    """The holes are the same, and only the unchanged pairs differ."""
    options = BuildOptions(tasks=("t2b_unchanged",), decoys=True, decoy_engine="patchmatch")
    build_tasks(ROOT, tmp_path, options)
    name = "t2b_train_unchanged.json"
    for one, other in zip(read_records(decoys / name), read_records(tmp_path / name), strict=True):
        same = Path(one.image[-1]).read_bytes() == Path(other.image[-1]).read_bytes()
        assert one.id == other.id and same == one.id.endswith("DIFF")
    assert read_json(tmp_path / "build.json")["parameters"]["decoy_engine"] == "patchmatch"
    with pytest.raises(UserError, match="no effect without --decoys"):
        BuildOptions(decoy_engine="patchmatch")
    with pytest.raises(UserError, match="--decoy-engine folder:x: cannot fill any hole"):
        BuildOptions(decoys=True, decoy_engine="folder:x")
    with pytest.raises(UserError, match=r"--decoy-engine lama:x\.onnx: no such file"):
        build_tasks(ROOT, tmp_path / "b", replace(options, decoy_engine="lama:x.onnx"))


@pytest.mark.parametrize("name", ["centre", "copy-reference", "always-not-visible", "sift"])
def test_baselines_stand_where_theory_puts_them(built: Path, name: str) -> None:
    """Those that always point are wrong on every counterfactual; one that never does follows no object."""
    plain, removed = built / "t1_train_multi.json", built / "t1_train_counterfactual.json"
    with_object, without = metrics(plain, name), metrics(removed, name)
    files = [read_results(d.with_name(f"{d.stem}-{name}.json")) for d in (plain, removed)]
    row = follows(files[0], files[1], read_records(removed))
    if name == "always-not-visible":
        assert without["not_visible_accuracy"] == 1.0 and row.value == 0.0
        assert with_object["hit_at_mask"] == 0.0 and with_object["balanced_accuracy"] == 0.5
        return
    if name == "sift":  # what it matches of an object is not there without it
        assert without["points_at_removed"] <= with_object["hit_at_mask"]
        assert without["not_visible_accuracy"] >= with_object["false_not_visible_rate"]
        return
    assert without["not_visible_accuracy"] == 0.0 and row.value == 0.0
    assert with_object["balanced_accuracy"] == 0.5
    # It answers the same with and without the object: a point on it is a point at its old place.
    assert without["points_at_removed"] == pytest.approx(with_object["hit_at_mask"])


def test_the_other_tasks_word_is_unread(built: Path) -> None:
    class Mistaken(Says):
        def text(self, record: dict[str, Any]) -> str:
            return "NOT_VISIBLE"

    data = built / "t2b_val_unchanged.json"
    said = metrics(data, Mistaken())
    assert said["parse_failures"] == said["total"] and said["not_visible_accuracy"] == 0.0


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_every_family_is_asked_and_exported_in_its_words(
    built: Path, tmp_path: Path, name: str
) -> None:
    convention = CONVENTIONS[name]
    for set_name, token in (("t2b_val_unchanged", "NO_CHANGE"), ("t2b_val_added", None)):
        record = records(built, set_name)[0]
        question = question_of(record, None, privileged=False)
        prompt = convention.prompt(question, record.image_sizes)
        assert "NOT_VISIBLE" not in prompt and "There are none" not in prompt
        assert (token is None) == ("NO_CHANGE" not in prompt)
        if name not in point_formats():  # written by a decoder of its own, not as text
            continue
        export(
            data_json=[built / f"{set_name}.json"],
            out_dir=tmp_path / set_name,
            to="sharegpt",
            point_format=name,
        )
        written = (tmp_path / set_name / f"{set_name}.json").read_text()
        assert "NOT_VISIBLE" not in written and ('"NO_CHANGE"' in written) == (token is not None)
    # Its own sign of absence means the task's word.
    if convention.absent != "NOT_VISIBLE":
        record = records(built, "t2b_val_unchanged")[0]
        question = question_of(record, None, privileged=False)
        assert convention.parse(convention.absent, question, record.image_sizes).kind.value == (
            "not_visible"
        )


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_bytes_for_any_number_of_workers(
    built: Path, tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "tasks"
    build_tasks(data_root=ROOT, out_dir=out, options=OPTIONS, workers=workers)
    for file in sorted(built.glob("pairs_abs/**/*.jpg")):
        assert (out / file.relative_to(built)).read_bytes() == file.read_bytes()
    for name in ("t1_val_counterfactual", "t2b_val_unchanged", "t2b_val_added"):
        text = (out / f"{name}.json").read_text().replace(str(out), str(built))
        assert json.loads(text) == json.loads((built / f"{name}.json").read_text())

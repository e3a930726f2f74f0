"""The pipeline from views to a summary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.roots import make_root
from helpers.server_common import serving
from x3spatial.builder.options import BuildOptions
from x3spatial.errors import UserError
from x3spatial.evaluation.compare import compare
from x3spatial.evaluation.run import evaluate
from x3spatial.models import registry
from x3spatial.pipeline import ZeroshotSummary, zero_shot_sets, zeroshot


def run(tmp: Path, *models: str, root: Path | None = None, **more: object) -> ZeroshotSummary:
    return zeroshot(
        models=models,
        data_root=root,
        out_dir=tmp / "tasks",
        eval_dir=tmp / "eval",
        workers=1,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("mode", ["anchor", "allpairs"])
@pytest.mark.parametrize("dilated", [False, True])
def test_oracle_is_perfect_everywhere(
    mode: str, dilated: bool, small_root: Path, tmp_path: Path
) -> None:
    summary = run(
        tmp_path,
        "oracle",
        root=small_root,
        options=BuildOptions(mode=mode, use_dilated_mask=dilated),
    )
    for part in summary.sets:
        (cell,) = part.cells
        assert cell.result is not None
        metrics = cell.result.metrics
        for name in ("hit_at_mask", "success_002", "success_005", "success_010"):
            assert metrics[name] == (None if part.name == "Task2A" else 1.0)
        assert metrics["not_visible_accuracy"] == (None if part.name == "Task2B" else 1.0)
        assert (metrics["mean_l2_error"] or 0.0) < 1e-12
        assert metrics["errors"] == metrics["parse_failures"] == 0


def test_several_models_get_a_folder_each_and_one_summary(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    summary = run(tmp_path, "centre", "pixel-diff", root=root)
    files = {str(p.relative_to(tmp_path / "eval")) for p in (tmp_path / "eval").rglob("*.json")}
    assert files == {"summary.json", "pixel-diff/t2b_val_multi.json"} | {
        f"centre/{name}" for _, name in zero_shot_sets()
    }
    written = json.loads(summary.summary_json.read_text())
    assert [part["set"] for part in written["sets"]] == [title for title, _ in zero_shot_sets()]
    skipped = [m.get("skipped") for part in written["sets"] for m in part["models"]]
    assert skipped.count("does not answer t1_multi") == 1
    chance = written["sets"][0]["chance"]["centre"]
    model = written["sets"][0]["models"][0]["metrics"]
    assert chance["hit_at_mask"] == model["hit_at_mask"], "the centre is the centre"


def test_a_server_of_one_kind_is_not_asked_in_the_way_of_another(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    root = make_root(tmp_path / "root")
    with serving() as chat_server, serving() as own_server:
        options = {"base_url": [chat_server.base], "convention": "fraction", "retries": 0}
        own = f"roborefer-server:{own_server.url}"
        with pytest.raises(UserError, match="base-url"):  # it has its address already
            run(tmp_path, own, root=root, model_options={"base_url": [chat_server.base]})
        with pytest.raises(UserError, match="unknown option --base-url"):
            registry.create(own, {"base_url": [chat_server.base]})
        run(tmp_path, "openai:M", own, root=root, model_options=options)
        assert set(chat_server.paths) == {"/v1/chat/completions"}
        assert set(own_server.paths) == {"/query"}


def test_a_second_run_asks_nothing_and_new_views_are_built(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    first = run(tmp_path, "centre", root=root)
    again = run(tmp_path, "centre", root=root)
    assert again.built is not None and again.built.objects_built == 0
    for cells in (part.cells for part in again.sets):
        assert cells[0].result is not None and cells[0].result.asked == 0
    assert first.built is not None and first.built.objects_built == 4
    # What zeroshot answered, `x3 eval` of the same model continues.
    single = evaluate(
        data_json=tmp_path / "tasks" / "t1_val_multi.json",
        output_json=tmp_path / "eval" / "t1_val_multi.json",
        model="centre",
        workers=1,
    )
    assert (single.asked, single.kept) == (0, 4)
    # Without a root the task files are taken as they are.
    assert run(tmp_path, "centre").built is None


def test_changed_data_is_not_scored_with_old_answers(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    run(tmp_path, "centre", root=root)
    make_root(root, scenes=2)
    with pytest.raises(UserError, match="--fresh"):
        run(tmp_path, "centre", root=root)
    summary = run(tmp_path, "centre", root=root, fresh=True)
    result = summary.sets[0].cells[0].result
    assert result is not None and result.metrics["total"] == 8


def test_answers_to_other_images_are_asked_again(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    run(tmp_path, "centre", root=root, options=BuildOptions(alpha=0.2))
    before = (tmp_path / "tasks" / "t1_val_multi.json").read_bytes()
    first = (tmp_path / "eval" / "t1_val_multi.json").read_bytes()
    summary = run(tmp_path, "centre", root=root, options=BuildOptions(alpha=0.9))
    assert (tmp_path / "tasks" / "t1_val_multi.json").read_bytes() == before
    asked = {part.name: part.cells[0].result.asked for part in summary.sets if part.cells[0].result}
    # The marked images are others now, and all images of these objects were written again.
    assert asked == {"Task1 multi": 4, "Task1 concat": 4, "Task2A": 2, "Task2B": 0}
    other = tmp_path / "first.json"
    other.write_bytes(first)
    with pytest.raises(UserError, match="other parameters"):
        compare(other, tmp_path / "eval" / "t1_val_multi.json")


def test_an_unfinished_build_is_not_evaluated(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    run(tmp_path, "centre", root=root)
    (tmp_path / "tasks" / "build.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        run(tmp_path, "centre")


def test_no_model_and_no_task_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--model"):
        run(tmp_path)
    with pytest.raises(UserError, match="DATA_ROOT_X3"):
        run(tmp_path, "centre")


def listed(tmp: Path) -> list[tuple[str, str, str]]:
    """(set, model, path) of every result in the summary, paths below the folder of results."""
    sets = json.loads((tmp / "eval" / "summary.json").read_text())["sets"]
    return [
        (part["set"], model["model"], str(Path(model["results"]).relative_to(tmp / "eval")))
        for part in sets
        for model in part["models"]
        if "results" in model
    ]


def test_one_model_writes_the_four_paths_and_another_one_a_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_root(tmp_path / "root")
    run(tmp_path, "centre", root=root)
    four = {name: (tmp_path / "eval" / name).read_bytes() for _, name in zero_shot_sets()}
    assert caplog.messages == []
    run(tmp_path, "uniform", root=root)
    (said,) = caplog.messages
    assert "holds the results of centre" in said and said.endswith(f"{tmp_path}/eval/uniform")
    for name, before in four.items():
        assert (tmp_path / "eval" / name).read_bytes() == before
        assert (tmp_path / "eval" / "uniform" / name).is_file()
    assert {model for _, model, _ in listed(tmp_path)} == {"centre", "uniform"}
    # Each goes on where its results are, and --fresh discards only its own.
    again = run(tmp_path, "uniform", root=root)
    assert [c.result.asked for part in again.sets for c in part.cells if c.result] == [0] * 4
    run(tmp_path, "uniform", fresh=True)
    again = run(tmp_path, "centre", root=root)
    assert [c.result.asked for part in again.sets for c in part.cells if c.result] == [0] * 4
    assert len(listed(tmp_path)) == 8


def test_a_model_of_some_sets_does_not_fill_up_those_of_another(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    run(tmp_path, "copy-reference", root=root)
    run(tmp_path, "pixel-diff", root=root)
    assert not (tmp_path / "eval" / "t2b_val_multi.json").exists()
    assert ("Task2B", "pixel-diff", "pixel-diff/t2b_val_multi.json") in listed(tmp_path)
    assert ("Task2A", "copy-reference", "t2a_val_multi.json") in listed(tmp_path)


def test_calls_with_two_models_are_summarised_together(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    run(tmp_path, "centre", "pixel-diff", root=root)
    run(tmp_path, "uniform", "always-not-visible", root=root)
    models = ["centre", "pixel-diff", "uniform", "always-not-visible"]
    found = [model for name, model, _ in listed(tmp_path) if name == "Task2B"]
    assert sorted(found) == sorted(models) and len(listed(tmp_path)) == 13


def test_results_of_other_task_files_are_listed_and_marked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_root(tmp_path / "root")
    run(tmp_path, "centre", root=root)
    train = tmp_path / "tasks" / "t1_train_multi.json"
    evaluate(train, tmp_path / "eval" / "more" / "train.json", "uniform", workers=1)
    (tmp_path / "eval" / "more" / "bad.json").write_text('{"format": 2, "metrics": {')
    (tmp_path / "eval" / "more" / "other.json").write_text('{"figures": 1}')
    make_root(root, scenes=2)
    run(tmp_path, "uniform", root=root)
    sets = json.loads((tmp_path / "eval" / "summary.json").read_text())["sets"]
    assert [(m["model"], m.get("other_data")) for m in sets[0]["models"]] == [
        ("uniform", None),
        ("centre", True),  # asked before the root grew
    ]
    assert [part["set"] for part in sets[4:]] == ["t1_train_multi.json"]
    assert [m["model"] for m in sets[4]["models"]] == ["uniform"]
    assert [m for m in caplog.messages if "left out of the summary" in m and "bad.json" in m]
    assert not [m for m in caplog.messages if "other.json" in m]


def test_two_models_of_one_name_keep_apart(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    root = make_root(tmp_path / "root")
    with serving() as server:
        options = {"base_url": [server.base], "convention": "fraction", "retries": 0}
        for spec in ("openai:a/M", "openai:b/M", "openai:a/M"):
            run(tmp_path, "centre", spec, root=root, model_options=options)
    names = sorted(path.name for path in (tmp_path / "eval").iterdir() if path.is_dir())
    assert len(names) == 3, names


def test_a_set_that_no_model_was_asked_has_its_samples_and_chance(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    asked = run(tmp_path, "centre", root=root)
    summary = run(tmp_path / "two", "copy-reference", root=root)
    part = next(part for part in summary.sets if part.name == "Task2B")
    assert [cell.result for cell in part.cells] == [None]
    assert (part.samples, part.chance) == (4, asked.sets[3].chance)
    assert part.chance["centre"] is not None

"""``x3 eval --model hf:FOLDER`` over a small data root: whole, resumed, in other batches and orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers.hf_common import folder
from helpers.paths import FIXTURES
from helpers.tiny_vlms import make_text_model
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.cli import run as cli
from x3spatial.errors import UserError
from x3spatial.evaluation.run import evaluate
from x3spatial.models.huggingface.model import HuggingFaceModel
from x3spatial.models.huggingface.processor import Processor
from x3spatial.pipeline import zero_shot_sets, zeroshot

ROOT = FIXTURES / "x3-small" / "root"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tasks")
    build_tasks(data_root=ROOT, out_dir=out, options=BuildOptions())
    return out


def run(data: Path, out: Path, family: str = "qwen2_5_vl", **options: Any) -> dict[str, Any]:
    evaluate(
        data_json=data,
        output_json=out,
        **{
            "model": f"hf:{folder(family)}",
            "max_new_tokens": 6,
            "batch_size": 4,
            "workers": 1,
            **options,
        },
    )
    return json.loads(out.read_text())


def results(output: dict[str, Any]) -> dict[str, Any]:
    return {result["id"]: result for result in output["results"]}


def x3(*arguments: object) -> int:
    return cli([str(argument) for argument in arguments])


def test_the_command_with_its_options(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    command = (
        "eval", "--data-json", tasks / "t1_val_multi.json", "--output-json", out,
        "--model", f"hf:{folder('qwen2_5_vl')}", "--convention", "pixel", "--min-pixels", 4000,
        "--max-pixels", 50_000, "--max-new-tokens", 4, "--dtype", "float32", "--batch-size", 3,
    )  # fmt: skip
    assert x3(*command) == 0
    written = json.loads(out.read_text())
    described = written["model"]["describe"]
    assert written["model"]["convention"] == "pixel"
    assert described["processor"]["max_pixels"] == 50_000
    assert described["decoding"]["max_new_tokens"] == 4
    assert described["trust_remote_code"] is False
    for result in written["results"]:
        assert result["status"] in ("answered", "unparsed")
        assert result["pixel_sizes"] == result["details"]["sent"]
        assert result["details"]["finish"] in ("eos", "max_new_tokens")
        width, height = result["details"]["resized"][-1]
        assert 4000 <= width * height <= 50_000
    assert x3(*command) == 0
    assert "asked 0, kept" in capsys.readouterr().out
    assert x3(*command, "--max-pixels", 60_000) == 2
    said = capsys.readouterr().err
    assert "--fresh" in said and said.count("\n") == 1


def test_mistakes_are_one_line(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = make_text_model(tmp_path / "text")
    capsys.readouterr()
    base = (
        "eval",
        "--data-json",
        tasks / "t1_val_multi.json",
        "--output-json",
        tmp_path / "o.json",
    )
    for arguments, said in (
        (
            ("--model", f"hf:{text}", "--trust-remote-code"),
            "does not answer questions about images",
        ),
        (("--model", "centre", "--trust-remote-code"), "unknown option --trust-remote-code"),
    ):
        assert x3(*base, *arguments) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == [text]


def test_results_depend_on_neither_batch_size_nor_order(tasks: Path, tmp_path: Path) -> None:
    data = tasks / "t1_val_multi.json"
    whole = run(data, tmp_path / "a.json")
    assert results(run(data, tmp_path / "b.json", batch_size=1)) == results(whole)
    backwards = tmp_path / "backwards.json"
    backwards.write_text(json.dumps(json.loads(data.read_text())[::-1]))
    assert results(run(backwards, tmp_path / "c.json", batch_size=7)) == results(whole)
    assert len({result["pred_text"] for result in whole["results"]}) > 1


def test_interrupted_and_resumed(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tasks / "t1_val_multi.json"
    whole = run(data, tmp_path / "whole.json")
    plain, batches = HuggingFaceModel.answer, [0]

    def interrupted(self: HuggingFaceModel, questions: Any, prepared: Any) -> Any:
        batches[0] += 1
        if batches[0] == 2:
            raise KeyboardInterrupt
        return plain(self, questions, prepared)

    monkeypatch.setattr(HuggingFaceModel, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "resumed.json")
    resumed = run(data, tmp_path / "resumed.json")
    assert results(resumed) == results(whole)
    assert resumed["metrics"] == whole["metrics"]
    assert resumed["run"]["asked"] == len(whole["results"]) - 4


def test_what_the_model_is_shown_holds_nothing_private(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    plain = Processor.__call__

    def spy(self: Processor, conversations: Any) -> Any:
        shown.extend(conversations)
        return plain(self, conversations)

    monkeypatch.setattr(Processor, "__call__", spy)
    for _, name in zero_shot_sets():
        run(tasks / name, tmp_path / name, "idefics3", model_options={"convention": "thousand"})
    records = [r for _, name in zero_shot_sets() for r in json.loads((tasks / name).read_text())]
    answers = {turn["value"] for r in records for turn in r["conversations"][1:]}
    secrets = {
        str(r[field])
        for r in records
        for field in ("id", "scene", "query_original", "ref_original", "query_mask", "ref_mask")
        if r[field]
    } | {answer for answer in answers if answer.startswith("[")}
    assert len(shown) > len(records)
    for conversation in shown:
        (message,) = conversation
        *images, text = message["content"]
        assert all(set(image) == {"type", "image"} for image in images)
        assert all(type(image["image"]) is Image.Image for image in images)
        assert set(text) == {"type", "text"}
        assert not [secret for secret in secrets if secret in text["text"]]


def test_every_sample_fails_by_itself(tasks: Path, tmp_path: Path) -> None:
    """One picture that cannot be decoded costs its own samples, whatever the batch."""
    records = json.loads((tasks / "t1_val_multi.json").read_text())
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    records[1]["image"][1] = str(broken)
    data = tmp_path / "t1_val_multi.json"
    data.write_text(json.dumps(records))
    found = results(run(data, tmp_path / "out.json", model_options={"dtype": "float32"}))
    good = results(run(tasks / "t1_val_multi.json", tmp_path / "good.json"))
    bad = records[1]["id"]
    assert found[bad]["status"] == "error"
    assert {id: r for id, r in found.items() if id != bad} == {
        id: r for id, r in good.items() if id != bad
    }


def test_several_models_and_the_options_of_each(tasks: Path, tmp_path: Path) -> None:
    def summary(**options: Any) -> Any:
        return zeroshot(
            models=[f"hf:{folder('qwen3_vl')}", "centre"],
            data_root=None,
            out_dir=tasks,
            eval_dir=tmp_path / "eval",
            max_new_tokens=3,
            workers=1,
            model_options=options,
        )

    assert summary(max_pixels=100_000).errors == 0
    written = json.loads((tmp_path / "eval" / "qwen3_vl" / "t1_val_concat.json").read_text())
    assert written["model"]["convention"] == "qwen3-1000"
    assert written["model"]["describe"]["processor"]["max_pixels"] == 100_000
    with pytest.raises(UserError, match="--depth: none of the models"):
        summary(depth=tmp_path)

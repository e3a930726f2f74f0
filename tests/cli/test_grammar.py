"""Positionals and -o, and every former spelling, hidden: all of them give the verb the same arguments."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from x3spatial.cli import run

P = Path


class _Called(SystemExit):
    """Instead of a verb; the command line does not report it as an error."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the verb was called with, by name; it is not run."""
    found: dict[str, Any] = {}
    # All are imported before one is replaced, because some import others by name.
    homes = [(import_module(f"x3spatial.{module}"), name) for module, name in VERBS]
    for home, name in homes:
        signature = inspect.signature(getattr(home, name))

        def verb(*given: Any, _signature: Any = signature, **named: Any) -> Any:
            found.clear()
            found.update(_signature.bind(*given, **named).arguments)
            raise _Called

        vars(verb)["__signature__"] = signature
        monkeypatch.setattr(home, name, verb)
    for name in ("DATA_ROOT_X3", "OUT_DIR", "EVAL_DIR", "MODEL", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return found


VERBS = (
    ("synth.generate", "render_scenes"),
    ("synth.composites", "make_composites"),
    ("roots.crop_root", "crop_root"),
    ("roots.audit.run", "audit"),
    ("builder.run", "build_tasks"),
    ("reports.preview", "preview"),
    ("exporters.run", "export"),
    ("evaluation.run", "evaluate"),
    ("evaluation.rescore", "score"),
    ("pipeline", "zeroshot"),
    ("evaluation.check_model.run", "check_model"),
    ("models.roborefer.tiny", "make_tiny"),
    ("models.roborefer.resize", "resize_checkpoint"),
)

CASES: list[tuple[str, list[str]]] = [
    ("scenes R", ["scenes -o R", "scenes --out R"]),
    ("composites R --scenes 3", ["scenes-flat R --scenes 3", "composites -o R --scenes 3"]),
    ("crop R -o S --times 1 2",
     ["zoom R S --times 1 2", "crop R S --times 1 2", "zoom R --out S --times 1 2",
      "crop --data-root R -o S --times 1 2"]),
    ("audit R", ["audit --data-root R", "audit --data_root R"]),
    ("build R -o T",
     ["build --data-root R --out-dir T", "build --data_root R --out_dir T", "build R --out-dir T",
      "build -o T R", "build R --out T", "build R -o T --use-tight-mask",
      "build R -o T --no-use-dilated-mask"]),
    ("build R -o T --tasks t1 --emit-concat 0 --crop-reference 1 4",
     ["build R -o T --tasks t1 --emit_concat 0 --closeup 1 4"]),
    ("preview T.json -o p.png",
     ["preview T.json --output p.png", "preview --data-json T.json --out p.png"]),
    ("export T.json U.json --to llava -o E", ["export T.json U.json --to llava --out-dir E"]),
    ("eval T.json -o r.json --model sift",
     ["eval --data-json T.json --output-json r.json --model sift",
      "eval --data_json T.json --output_json r.json --model sift",
      "eval T.json --out r.json --model sift"]),
    ("eval T.json -o r.json --model roborefer:C --process-timeout 5",
     ["eval T.json -o r.json --model_name_or_path C --rank-timeout 5"]),
    ("score r.json T.json -o s.json",
     ["score r.json T.json --output-json s.json", "score r.json T.json --out s.json"]),
    ("zeroshot R -o E --tasks-dir T --model sift",
     ["zeroshot --data-root R --eval-dir E --out-dir T --model sift",
      "zeroshot --data_root R --eval_dir E --out_dir T --model sift --use-dilated-mask"]),
    ("check-model --model oracle -o C", ["check-model --model oracle --out C"]),
    ("model tiny C --size trainable",
     ["model tiny C --size learner", "model tiny -o C --size trainable"]),
    ("model resize C -o D --image-size 216 --rotate-heads 2",
     ["model grow C D --image-size 216 --turn-heads 2", "model resize C D --image_size 216"
      " --rotate_heads 2"]),
]  # fmt: skip


@pytest.mark.parametrize(("canonical", "others"), CASES, ids=[c for c, _ in CASES])
def test_spellings(canonical: str, others: list[str], called: dict[str, Any]) -> None:
    with pytest.raises(_Called):
        run(canonical.split())
    expected = dict(called)
    assert expected
    for other in others:
        with pytest.raises(_Called):
            run(other.split())
        assert called == expected, other


def test_former_spellings_are_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    former = {
        "build": "--data-root --out-dir --closeup --no-use-dilated-mask",
        "eval": "--data-json --output-json --rank-timeout",
        "score": "--output-json",
        "zeroshot": "--data-root --out-dir --eval-dir --rank-timeout DATA_ROOT_X3 OUT_DIR]",
        "preview": "--output",
        "export": "--out-dir",
        "model tiny": "learner",
        "model resize": "--turn-heads",
    }
    for path, spellings in former.items():
        assert run([*path.split(), "--help"]) == 0
        words = capsys.readouterr().out.replace(",", " ").split()
        assert not set(spellings.split()) & set(words), path


@pytest.mark.parametrize(
    ("command", "first", "second"),
    [
        ("audit R --data-root R", "ROOT", "--data-root"),
        ("build R -o a --out-dir b", "--out", "--out-dir"),
        ("build R -o a --out b", "-o", "--out"),
        ("build --data-root R --data_root R", "--data-root", "--data_root"),
        ("eval T -o a --output-json b --model sift", "--out", "--output-json"),
        ("crop R S -o T", "--out", "ROOT2"),
        ("zeroshot R -o a --eval-dir b --model sift", "--out", "--eval-dir"),
        ("scenes R -o R", "OUT", "-o"),
        ("build R --use-dilated-mask --no-use-dilated-mask", "--use-dilated-mask",
         "--no-use-dilated-mask"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_value_are_refused(
    command: str,
    first: str,
    second: str,
    called: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(command.split()) == 2
    assert capsys.readouterr().err == f"x3: {first} and {second} are the same; give one\n"
    assert not called


def test_the_environment(called: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("DATA_ROOT_X3", "R"),
        ("OUT_DIR", "T"),
        ("EVAL_DIR", "E"),
        ("MODEL", "sift"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(_Called):
        run(["zeroshot"])
    given = called["data_root"], called["eval_dir"], called["tasks_dir"], called["models"]
    assert given == (P("R"), P("E"), P("T"), ["sift"])
    # What is typed wins, under any spelling.
    with pytest.raises(_Called):
        run(
            [
                "zeroshot",
                "--data-root",
                "A",
                "--eval-dir",
                "B",
                "--out-dir",
                "C",
                "--model",
                "oracle",
            ]
        )
    given = called["data_root"], called["eval_dir"], called["tasks_dir"], called["models"]
    assert given == (P("A"), P("B"), P("C"), ["oracle"])
    with pytest.raises(_Called):
        run(["build"])
    assert (called["data_root"], called["out_dir"]) == (P("R"), P("T"))


def test_defaults_of_the_document(called: dict[str, Any]) -> None:
    with pytest.raises(_Called):
        run(["build", "R"])
    assert called["out_dir"] == P("tmp/spatial_tasks_x3")
    with pytest.raises(_Called):
        run(["zeroshot", "R"])
    assert called["tasks_dir"] == P("tmp/spatial_tasks_x3")
    assert called["eval_dir"] == P("runs/eval_spatial_x3")
    assert called["models"] == ["roborefer:runs/train/RoboRefer-2B-Depth-Align"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sift", "sift"),
        ("hf:Qwen/Qwen2.5-VL-3B-Instruct", "hf:Qwen/Qwen2.5-VL-3B-Instruct"),
        ("my_package.models:Mine", "my_package.models:Mine"),
        ("my_package.models:Mine:argument", "my_package.models:Mine:argument"),
        ("/no/such/checkpoint", "roborefer:/no/such/checkpoint"),
        ("./runs/x", "roborefer:./runs/x"),
    ],
)
def test_models_by_name(name: str, expected: str, called: dict[str, Any]) -> None:
    with pytest.raises(_Called):
        run(["eval", "T", "-o", "r", "--model", name])
    assert called["model"] == expected

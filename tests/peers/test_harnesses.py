"""Our exports in the real harnesses, each in an environment of its own (make check-lmms-eval, ...).

A scripted model gives 240 answers per set: right and wrong points, the absent token, both, prose. The figures
of the harness are those of ``x3 score``, and its log scores to the same figures again.
"""

from __future__ import annotations

import json
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest

import x3spatial as x3
from helpers.peers import run_peer
from helpers.roots import make_root
from x3spatial.exporters.harnesses.base import TASK_FILE
from x3spatial.exporters.run import export
from x3spatial.harnesses.benchmark import exported

pytestmark = pytest.mark.peer

PEERS = {
    "lmms-eval": ("lmms_eval_peer.py", "X3_PEER_LMMS_EVAL"),
    "inspect": ("inspect_peer.py", "X3_PEER_INSPECT"),
    "vlmevalkit": ("vlmevalkit_peer.py", "X3_PEER_VLMEVALKIT"),
}
SETS = {"t1_val_multi": "x3_t1_multi", "t2b_val_unchanged": "x3_t2b_unchanged"}
SAMPLES = 240


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers")
    root = make_root(folder / "root", splits=("validation",), scenes=16, objects=2, views=5)
    x3.build_tasks(root, folder / "tasks", tasks=["t1", "hard"], mode="allpairs")
    return folder / "tasks"


def answers_of(records: list[Any], kind: str) -> list[str]:
    """The answers of a scripted model; ``oracle`` is always right, ``mixed`` sometimes."""
    if kind == "oracle":
        return [record.answer for record in records]
    draw = random.Random(5)
    texts = []
    for record in records:
        token = record.spec.absent_token
        x, y = draw.random(), draw.random()
        texts.append(
            draw.choice(
                [
                    record.answer,
                    f"The point is {record.answer}.",
                    token,
                    f"[({x:.3f}, {y:.3f})]",
                    f"[({x:.3f}, {y:.3f})] or {token}",
                    "[(1.4, 0.2)]",
                    "no idea",
                ]
            )
        )
    return texts


@pytest.mark.parametrize("kind", ["mixed", "oracle"])
@pytest.mark.parametrize("stem", SETS)
@pytest.mark.parametrize("peer", PEERS)
def test_figures_are_those_of_x3_score(
    peer: str, stem: str, kind: str, tasks: Path, tmp_path: Path
) -> None:
    script, variable = PEERS[peer]
    if variable not in os.environ:
        pytest.skip(f"{variable}: no environment of {peer}; see make check-{peer}")
    folder = tmp_path / "export"
    export(tasks / f"{stem}.json", folder, peer, paths="copy", limit=SAMPLES)
    moved = tmp_path / "moved"  # a folder with copies runs anywhere
    folder.rename(moved)
    records = x3.read_tasks(moved / stem / TASK_FILE)
    assert len(records) >= 200
    texts = answers_of(records, kind)
    (tmp_path / "answers.json").write_text(json.dumps(texts))
    said = run_peer(
        os.environ[variable], script,
        moved, tmp_path / "answers.json", tmp_path / "run", SETS[stem],
        PYTHONPATH=str(Path(x3.__file__).parents[1]), HF_HUB_OFFLINE="1",
    )  # fmt: skip
    given = {record.id: text for record, text in zip(records, texts, strict=True)}
    ours = x3.score_answers(moved / stem / TASK_FILE, given, convention="unit")
    logged = x3.score_answers(moved / stem / TASK_FILE, said["log"], convention="unit")
    assert logged.metrics == ours.metrics
    assert logged.matched is not None and not logged.matched.lines()
    shared = said["metrics"].keys() & ours.metrics.keys()
    assert {"hit_at_mask", "mean_l2_error", "not_visible_accuracy", "balanced_accuracy"} <= shared
    for name in shared:
        assert same(said["metrics"][name], ours.metrics[name]), name
    if kind == "oracle":
        assert said["metrics"]["hit_at_mask"] == said["metrics"]["balanced_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("peer", "family", "metric"),
    [
        *((peer, "qwen3-box-1000", "mean_iou") for peer in PEERS),
        *((peer, "qwen3-pictures-1000", "hit_at_mask") for peer in ("inspect", "vlmevalkit")),
    ],
)
def test_boxes_and_named_images(
    peer: str, family: str, metric: str, tasks: Path, tmp_path: Path
) -> None:
    script, variable = PEERS[peer]
    if variable not in os.environ:
        pytest.skip(f"{variable}: no environment of {peer}; see make check-{peer}")
    folder = tmp_path / "export"
    export(tasks / "t1_val_multi.json", folder, peer, limit=24, point_format=family)
    source = exported(folder / "t1_val_multi")
    rows = source.questions()
    # Every third answer is that of another sample.
    texts = [rows[n - 1 if n % 3 else n]["answer"] for n in range(len(rows))]
    (tmp_path / "answers.json").write_text(json.dumps(texts))
    said = run_peer(
        os.environ[variable], script,
        folder, tmp_path / "answers.json", tmp_path / "run", "x3_t1_multi",
        PYTHONPATH=str(Path(x3.__file__).parents[1]), HF_HUB_OFFLINE="1",
    )  # fmt: skip
    found = source.benchmark.figures({row["id"]: t for row, t in zip(rows, texts, strict=True)})
    assert 0 < found[metric] < 1
    shared = said["metrics"].keys() & source.metrics.keys()
    assert {metric, "balanced_accuracy", "parse_failures"} <= shared
    for name in shared:
        ours = found[name]
        assert same(said["metrics"][name], None if math.isnan(ours) else ours), name


def same(theirs: float | None, ours: float | None) -> bool:
    if ours is None:
        return theirs is None or math.isnan(theirs)
    return theirs == ours

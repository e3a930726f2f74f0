"""Our exports in the real trainers, each in an environment of its own (make check-llamafactory, ...).

One training step with a tiny random LLaVA: the model was fed the images, and the answers as labels.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import x3spatial as x3
from helpers.peers import run_peer
from helpers.roots import make_root
from x3spatial.exporters.run import export

pytestmark = pytest.mark.peer

TRAINERS = {
    "sharegpt": ("llamafactory_peer.py", "X3_PEER_LLAMAFACTORY"),
    "ms-swift": ("ms_swift_peer.py", "X3_PEER_MS_SWIFT"),
}
SETS = {"t1_train_multi": 2, "t1_train_concat": 1}
"""Task file → images of a sample."""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainers")
    root = make_root(folder / "root", splits=("train",), scenes=4, objects=2, views=4)
    x3.build_tasks(root, folder / "tasks", tasks=["t1"], mode="allpairs")
    return folder / "tasks"


@pytest.mark.parametrize("paths", ["absolute", "copy"])
@pytest.mark.parametrize("stem", SETS)
@pytest.mark.parametrize("to", TRAINERS)
def test_one_step(to: str, stem: str, paths: str, tasks: Path, tmp_path: Path) -> None:
    script, variable = TRAINERS[to]
    if variable not in os.environ:
        pytest.skip(f"{variable}: no environment of this trainer; see the targets of make")
    source = tasks / f"{stem}.json"
    export(source, tmp_path / "export", to, paths=paths)
    seen = run_peer(
        os.environ[variable], script, tmp_path / "export", tmp_path / "run", stem,
        cwd=tmp_path, PYTHONPATH=str(Path(__file__).parents[1]), HF_HUB_OFFLINE="1",
    )  # fmt: skip
    batch = seen["batch"]
    assert batch["images_of_rows"] == [SETS[stem]] * 4 and batch["images"] == 4 * SETS[stem]
    assert seen["losses"] and all(0 < loss < 20 for loss in seen["losses"])
    records = x3.read_tasks(source)
    for answer in batch["answers"]:
        text = answer.replace(" ", "").removesuffix("</s>")  # the tokens are characters
        assert is_an_answer(text, to, records), text


def is_an_answer(text: str, to: str, records: list[Any]) -> bool:
    """Whether the labels of a row are the answer of a sample, in the form of the trainer."""
    if to == "sharegpt" or text == "NOT_VISIBLE":
        return text in {record.answer.replace(" ", "") for record in records}
    scored = [x3.score_text(record, text, convention="thousand") for record in records]
    return any(entry.hit_mask == 1 for entry in scored)

"""Settings of two runs are compared by what they mean, not by how they were spelt."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.task_sets import Scripted, make_set
from x3spatial.errors import UserError
from x3spatial.evaluation.result import EvalResult
from x3spatial.evaluation.run import evaluate
from x3spatial.settings import differences


def run(tasks: Path, out: Path, model: Any = None, **options: Any) -> EvalResult:
    model = model or Scripted()
    return evaluate(tasks, out, model, **{"batch_size": 4, "workers": 1, **options})


class Named(Scripted):
    """A model of a folder, as ``--model KIND:FOLDER`` makes it."""

    def __init__(self, folder: str, files: str) -> None:
        super().__init__()
        self.spec = f"roborefer:{folder}"
        self.files = files
        self.folder = folder

    def describe(self) -> dict[str, Any]:
        return {"model": self.folder, "fingerprint": self.files, "dtype": "float32"}


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    "folders", [(Path("/"), None), (None, Path("/")), (None, Path("/no/such"))]
)
def test_the_image_folder_decides_nothing_for_absolute_paths(
    tmp_path: Path, folders: tuple[Path | None, Path | None], finished: bool
) -> None:
    tasks, out = make_set(tmp_path), tmp_path / "r.json"
    first = Scripted()
    if not finished:
        last = json.loads(tasks.read_text())[8]["id"]
        with pytest.raises(UserError, match="stop"):
            run(tasks, out, Scripted({last: UserError("stop")}), image_folder=folders[0])
    else:
        run(tasks, out, first, image_folder=folders[0])
    again = run(tasks, out, image_folder=folders[1])
    assert again.kept == (12 if finished else 8)


def test_the_image_folder_of_relative_paths_is_compared_by_the_folder(tmp_path: Path) -> None:
    made = make_set(tmp_path / "data")
    tasks, out = tmp_path / "data" / "relative.json", tmp_path / "r.json"
    tasks.write_text(made.read_text().replace(f"{tmp_path}/data/", ""))
    shutil.copytree(tmp_path / "data", tmp_path / "other")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    run(tasks, out, image_folder=tmp_path / "data")
    for same in (
        None,
        "/",
        f"{tmp_path}/./data/",
        tmp_path / "link",
        os.path.relpath(tmp_path / "data"),
    ):
        assert run(tasks, out, image_folder=same).kept == 12
    with pytest.raises(UserError, match=r"--image-folder was .*data, is .*other;"):
        run(tasks, out, image_folder=tmp_path / "other")


@pytest.mark.parametrize("spelling", ["ckpt/", "./ckpt", "{here}/ckpt", "link", "{here}/x/../ckpt"])
def test_a_checkpoint_is_its_folder_in_any_spelling(
    tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ckpt").mkdir()
    Path("x").mkdir()
    Path("link").symlink_to("ckpt")
    tasks = make_set(tmp_path / "data")
    run(tasks, tmp_path / "r.json", Named("ckpt", "abc"))
    other = Named(spelling.format(here=tmp_path), "abc")
    assert run(tasks, tmp_path / "r.json", other).kept == 12
    assert json.loads((tmp_path / "r.json").read_text())["settings"]["model"] == other.spec


def test_a_checkpoint_that_was_moved_is_its_files(tmp_path: Path) -> None:
    tasks = make_set(tmp_path / "data")
    run(tasks, tmp_path / "r.json", Named("/gone/ckpt", "abc"))
    assert run(tasks, tmp_path / "r.json", Named("/here/ckpt", "abc")).kept == 12
    with pytest.raises(UserError, match="--model was roborefer:/here/ckpt, is roborefer:/b"):
        run(tasks, tmp_path / "r.json", Named("/b", "other"))


def test_refusals_have_the_words_of_the_user(tmp_path: Path) -> None:
    tasks = make_set(tmp_path / "data")
    run(tasks, tmp_path / "r.json", Named("/a", "abc"))
    with pytest.raises(UserError, match="the content of --model was abc, is def"):
        run(tasks, tmp_path / "r.json", Named("/a", "def"))

    class Half(Named):
        def describe(self) -> dict[str, Any]:
            return {**super().describe(), "dtype": "float16"}

    with pytest.raises(UserError, match=r"settings: --dtype was float32, is float16;"):
        run(tasks, tmp_path / "r.json", Half("/a", "abc"))


def test_values_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    assert differences({"a": 1, "b": [1, 2.0]}, {"a": 1.0, "b": (1.0, 2), "c": None}) == []
    (tmp_path / "f").touch()
    assert differences(str(tmp_path / "f"), f"{tmp_path}/./f") == []
    assert differences({"a": "/no/x"}, {"a": "/no/./x"})[0].keys == ("a",), "nothing exists there"
    assert [str(d) for d in differences({"a": {"b": 1}}, {"a": {"b": 2}})] == ["was 1, is 2"]
    assert [d.keys for d in differences({"a": [1, 2]}, {"a": [1]})] == [("a",)]

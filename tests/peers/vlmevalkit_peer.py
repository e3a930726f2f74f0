"""Runs in an environment of VLMEvalKit: a scripted model's answers through its ``run.py``.

usage: VLMEVALKIT=DIR python vlmevalkit_peer.py EXPORT ANSWERS OUT TASK, where ANSWERS is a JSON list of texts
by row. Prints {"metrics": {name: value}, "log": PATH}.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any


def main(export: Path, answers: Path, out: Path, task: str) -> None:
    out.mkdir(parents=True)
    os.environ.setdefault("LMUData", str(out / "data"))
    import x3spatial.harnesses.vlmevalkit  # noqa: F401 - first, as the exported script does

    sys.path.insert(0, os.environ["VLMEVALKIT"])
    from vlmeval.config import supported_VLM

    texts = json.loads(answers.read_text())

    class ScriptedModel:
        """Answers by row; checks that it is given the images and the question."""

        is_api = False
        INTERLEAVE = True

        def __init__(self, **options: Any) -> None:
            self.row = 0

        def set_dump_image(self, dump: Any) -> None:
            """Part of the interface of models."""

        def use_custom_prompt(self, dataset: str) -> bool:
            return False

        def generate(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
            kinds = [part["type"] for part in message]
            images = [part["value"] for part in message if part["type"] == "image"]
            named = ["text", "image"] * len(images)
            assert kinds in ([*["image"] * len(images), "text"], [*named, "text"]), kinds
            assert all(Path(path).is_file() for path in images)
            if kinds[0] == "text":
                assert [part["value"] for part in message[:3:2]] == ["Picture 1: ", "Picture 2: "]
            self.row += 1
            return str(texts[self.row - 1])

    supported_VLM["scripted"] = ScriptedModel
    sys.argv = [
        str(export / "x3_vlmevalkit.py"), "--data", task, "--model", "scripted", "--work-dir", str(out),
    ]  # fmt: skip
    with contextlib.redirect_stdout(sys.stderr):
        runpy.run_path(sys.argv[0], run_name="__main__")
    (table,) = {path.resolve() for path in out.rglob(f"scripted_{task}_acc.csv")}
    names, values = (line.split(",") for line in table.read_text().splitlines())
    metrics = {
        name.strip('"'): float(value.strip('"')) if value.strip('"') else None
        for name, value in zip(names, values, strict=True)
        if name.strip('"')
    }
    (log,) = {path.resolve() for path in out.rglob(f"scripted_{task}.xlsx")}
    print(json.dumps({"metrics": metrics, "log": str(log)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])

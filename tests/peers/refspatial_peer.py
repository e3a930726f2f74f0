"""RoboRefer's own evaluation on an export for RefSpatial-Bench.

usage: ROBOREFER=CLONE python refspatial_peer.py EXPORT ANSWERS OUT TASK. ANSWERS is a JSON list of texts
by row. Prints {"shares": [a number per answer], "stopped": null or the error of its runner}.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any


def main(export: Path, answers: Path, out: Path, task: str) -> None:
    out.mkdir(parents=True)
    (out / "RefSpatial-Bench").symlink_to(export.absolute())
    texts = json.loads(answers.read_text())
    os.chdir(out)  # its paths are relative
    sys.path.insert(0, str(Path(os.environ["ROBOREFER"]) / "Evaluation"))
    import summarize_acc  # type: ignore[import-not-found]
    import test_benchmark  # type: ignore[import-not-found]

    replies = iter(texts)

    def reply(paths: list[str], prompt: str, url: str, enable_depth: int) -> str:
        assert prompt and not enable_depth
        for path in paths:
            with open(path, "rb") as image:
                assert image.read()
        return str(next(replies))

    stopped = None
    with contextlib.redirect_stdout(sys.stderr):
        try:
            test_benchmark.eval_task(task, "RoboRefer-2B", reply, "", "./outputs")
        except FileNotFoundError as error:
            stopped = str(error)
    if stopped is None:
        lines = (out / f"outputs/RoboRefer-2B/{task}.jsonl").read_text().splitlines()
        asked: list[dict[str, Any]] = [json.loads(line) for line in lines]
    else:
        questions = json.loads((export / task / "question.json").read_text())
        asked = [
            {"question_id": question["id"], "mask_path": question["mask_path"], "text": text}
            for question, text in zip(questions, texts, strict=True)
        ]
    with contextlib.redirect_stdout(sys.stderr):
        summarize_acc.compute_accuracy(asked, task, summarize_acc.text2pts)
    shares = [answer.get("accuracy") for answer in asked]
    print(json.dumps({"shares": shares, "stopped": stopped}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute(), Path(sys.argv[3]), sys.argv[4])

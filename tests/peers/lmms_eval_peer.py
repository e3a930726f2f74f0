"""Runs in an environment of lmms-eval: a scripted model's answers through its command.

usage: python lmms_eval_peer.py EXPORT ANSWERS OUT TASK, where ANSWERS is a JSON list of texts by row. Prints
{"metrics": {name: value}, "log": PATH}.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path


def main(export: Path, answers: Path, out: Path, task: str) -> None:
    texts = json.loads(answers.read_text())
    scripted = out / "scripted"
    scripted.mkdir(parents=True)
    log = {
        "args": {"model": "scripted", "model_args": "", "limit": None},
        "model_configs": {"task": task},
        "logs": [{"doc_id": row, "resps": [[text]]} for row, text in enumerate(texts)],
    }
    (scripted / "scripted.json").write_text(json.dumps(log))
    sys.argv = [
        "lmms_eval", "--include_path", str(export), "--tasks", task, "--model", "from_log",
        "--model_args", f"logs={scripted}", "--log_samples", "--output_path", str(out / "logs"),
    ]  # fmt: skip
    from lmms_eval.__main__ import cli_evaluate

    with contextlib.redirect_stdout(sys.stderr):
        cli_evaluate()
    (results,) = (out / "logs").rglob("*_results.json")
    (samples,) = (out / "logs").rglob(f"*_samples_{task}.jsonl")
    found = json.loads(results.read_text())["results"][task]
    metrics = {name.split(",")[0]: value for name, value in found.items() if name.endswith(",none")}
    print(json.dumps({"metrics": metrics, "log": str(samples)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])

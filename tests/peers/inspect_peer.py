"""Runs in an environment of inspect_ai: a scripted model's answers through its ``eval``.

usage: python inspect_peer.py EXPORT ANSWERS OUT TASK [FORMAT], where ANSWERS is a JSON list of texts by row.
Prints {"metrics": {name: value}, "log": PATH}.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from inspect_ai import eval as run_eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model


def main(export: Path, answers: Path, out: Path, task: str, form: str = "eval") -> None:
    outputs = []
    for text in json.loads(answers.read_text()):
        output = ModelOutput.from_content("mockllm/model", text)
        output.usage = ModelUsage()  # otherwise it counts tokens over the network
        outputs.append(output)
    with contextlib.redirect_stdout(sys.stderr):
        (log,) = run_eval(
            f"{export / 'x3.py'}@{task}",
            model=get_model("mockllm/model", custom_outputs=outputs),
            log_dir=str(out),
            log_format=form,
            log_images=False,
            max_connections=1,
            max_samples=1,  # the scripted outputs are in the order of the samples
            display="none",
        )
    assert log.status == "success", log.error
    assert log.results is not None
    metrics = {n: m.value for score in log.results.scores for n, m in score.metrics.items()}
    print(json.dumps({"metrics": metrics, "log": log.location.removeprefix("file://")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])

"""The functions that a task of lmms-eval names in its YAML file (lmms-eval 0.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from x3spatial.exporters.harnesses.base import BOX_METRICS, METRICS, QUESTIONS
from x3spatial.harnesses.benchmark import exported


class LmmsEvalTask:
    """A folder of ``x3 export --to lmms-eval``; its attributes are what the YAML file refers to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def questions(self) -> str:
        """The file of the samples, so that the folder can be moved."""
        return str(self._folder / QUESTIONS)

    def doc_to_visual(self, doc: Mapping[str, Any]) -> list[Image.Image]:
        """The images of a sample, RGB."""
        source = exported(self._folder)
        return [Image.open(source.path(name)).convert("RGB") for name in doc["images"]]

    def doc_to_text(
        self, doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, Any] | None = None
    ) -> str:
        """The prompt, with the harness' ``pre_prompt`` and ``post_prompt`` around it if they are set."""
        given = lmms_eval_specific_kwargs or {}
        return f"{given.get('pre_prompt', '')}{doc['prompt']}{given.get('post_prompt', '')}"

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
        """What the log keeps of a sample: its id and text, once with the score."""
        answer = {"id": doc["id"], "text": results[0]}
        source = exported(self._folder)
        first, *others = source.metrics
        score = source.benchmark.score(doc["id"], results[0])
        return {first: {**score, **answer}, **dict.fromkeys(others, answer)}

    def aggregation(self, metric: str) -> Callable[[Sequence[Mapping[str, str]]], float]:
        """The function that computes a metric from what ``process_results`` returned for it.

        Raises:
            AttributeError: there is no such metric; modules ask for other names too.
        """
        if metric not in METRICS and metric not in BOX_METRICS:
            raise AttributeError(metric)

        def figure(answers: Sequence[Mapping[str, str]]) -> float:
            texts = {answer["id"]: answer["text"] for answer in answers}
            return exported(self._folder).benchmark.figures(texts)[metric]

        figure.__name__ = metric
        return figure

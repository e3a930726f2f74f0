"""A task of inspect_ai from a folder of ``x3 export --to inspect`` (inspect_ai 0.3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText
from inspect_ai.scorer import (
    CORRECT,
    INCORRECT,
    NOANSWER,
    SampleScore,
    Score,
    Scorer,
    Target,
    metric,
    scorer,
)
from inspect_ai.solver import TaskState, generate

from x3spatial.errors import UserError
from x3spatial.exporters.harnesses.lmms_eval import METRICS
from x3spatial.harnesses.benchmark import exported

_VALUES = {True: CORRECT, False: INCORRECT, None: NOANSWER}


def inspect_task(folder: Path) -> Task:
    """The task of one task file: its samples, one generation each, and the scoring of ``x3 score``.

    Raises:
        UserError: a file of the folder is missing or damaged.
    """
    source = exported(folder)
    samples = [
        Sample(
            id=row["id"],
            input=[
                ChatMessageUser(
                    content=[
                        *(ContentImage(image=path) for path in row["images"]),
                        ContentText(text=row["prompt"]),
                    ]
                )
            ],
            target=row["answer"],
            metadata={name: row[name] for name in ("scene", "label", "absence", "strata")},
        )
        for row in source.questions()
    ]
    return Task(
        dataset=MemoryDataset(samples, name=source.task),
        solver=generate(),
        scorer=pointing(str(folder)),
        name=source.task,
    )


@metric
def figures(folder: str) -> Callable[[list[SampleScore]], dict[str, float]]:
    """The figures of ``x3 score`` on the answers of a run, with its intervals over scenes."""

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        answers = [(score.score.metadata or {}) for score in scores]
        texts = {answer["id"]: answer["text"] for answer in answers}
        if len(texts) < len(answers):
            raise UserError("a sample has several answers; run it with one epoch")
        found = exported(Path(folder)).benchmark.figures(texts)
        return {name: found[name] for name in METRICS}

    return compute


def pointing(folder: str) -> Scorer:
    """A scorer of points, for the folder of one task file."""

    @scorer(metrics=[figures(folder)], name="x3")
    def build() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            text = state.output.completion
            found: dict[str, Any] = exported(Path(folder)).benchmark.score(
                str(state.sample_id), text
            )
            return Score(
                value=_VALUES[found["correct"]],
                answer=text,
                metadata={**found, "text": text},
            )

        return score

    return build()

"""A task of inspect_ai from a folder of ``x3 export --to inspect`` (inspect_ai 0.3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.errors import UserError
from x3spatial.harnesses.benchmark import Exported, exported, interleaved

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.scorer import SampleScore, Score, Scorer, Target
    from inspect_ai.solver import TaskState


def inspect_task(folder: Path) -> Task:
    """The task of one task file: its samples, one generation each, and the scoring of ``x3 score``.

    Raises:
        UserError: a file of the folder is missing or damaged.
    """
    from inspect_ai import Task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessageUser, ContentImage, ContentText
    from inspect_ai.solver import generate

    source = exported(folder)
    samples = [
        Sample(
            id=row["id"],
            input=[
                ChatMessageUser(
                    content=[
                        *interleaved(
                            [ContentText(text=name) for name in source.names(row)],
                            [ContentImage(image=path) for path in row["images"]],
                        ),
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
        scorer=_pointing(source),
        name=source.task,
    )


def _pointing(source: Exported) -> Scorer:
    """Marks an answer as correct or not, and computes the figures of all of them."""
    from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, SampleScore, Score, metric, scorer

    values = {True: CORRECT, False: INCORRECT, None: NOANSWER}

    @metric
    def figures() -> Callable[[list[SampleScore]], dict[str, float]]:
        def compute(scores: list[SampleScore]) -> dict[str, float]:
            answers = [(score.score.metadata or {}) for score in scores]
            texts = {answer["id"]: answer["text"] for answer in answers}
            if len(texts) < len(answers):
                raise UserError("a sample has several answers; run it with one epoch")
            found = source.benchmark.figures(texts)
            return {name: found[name] for name in source.metrics}

        # inspect_ai evaluates the annotation, which as a text would need the name in this module.
        compute.__annotations__["scores"] = list[SampleScore]
        return compute

    @scorer(metrics=[figures()], name="x3")
    def pointing() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            text = state.output.completion
            found: dict[str, Any] = source.benchmark.score(str(state.sample_id), text)
            return Score(
                value=values[found["correct"]], answer=text, metadata={**found, "text": text}
            )

        return score

    return pointing()

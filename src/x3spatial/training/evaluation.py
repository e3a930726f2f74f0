"""Hit@Mask and NOT_VISIBLE of the model being trained, by generation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from x3spatial.errors import UserError
from x3spatial.evaluation.assess import score_run
from x3spatial.evaluation.inference import Reply, ask
from x3spatial.evaluation.questions import question_of
from x3spatial.evaluation.scoring.scores import truth_of
from x3spatial.formats.image_paths import ImagePaths, check_present
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.models.local.model import LocalModel
from x3spatial.models.roborefer.checkpoint import Checkpoint
from x3spatial.models.roborefer.model import RoboReferModel
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration
from x3spatial.models.roborefer.processing import RoboReferProcessor
from x3spatial.models.roborefer.tokens import greedy

LOGGED_METRICS = (
    "hit_at_mask", "not_visible_accuracy", "balanced_accuracy", "mean_l2_error", "success_005",
    "parse_failures", "errors", "total",
)  # fmt: skip
"""Metrics of ``x3 eval`` in the training log."""


class LiveModel(RoboReferModel):
    """``roborefer:`` around a model in memory, asked in the same way as by ``x3 eval``."""

    def __init__(
        self,
        model: RoboReferForConditionalGeneration,
        processor: RoboReferProcessor,
        checkpoint: Checkpoint,
        *,
        depth: Path | None,
        max_new_tokens: int,
    ) -> None:
        self.name = "live"
        self.checkpoint = checkpoint
        self.processor = processor
        self.depth = depth
        self._live = model
        # Not RoboReferModel.__init__, which reads a folder.
        LocalModel.__init__(
            self,
            next(model.parameters()).device,
            greedy(processor.tokenizer, max_new_tokens),
        )

    @property
    def model(self) -> RoboReferForConditionalGeneration:
        """The model being trained."""
        return self._live


def answer_records(
    live: RoboReferModel,
    records: Sequence[TaskRecord],
    *,
    batch_size: int,
) -> dict[str, Reply]:
    """Replies by id; training mode and generation settings of the model are restored."""
    model: Any = live.model
    modes = {name: module.training for name, module in model.named_modules()}
    settings = model.generation_config
    model.eval()
    model.generation_config = live.decoding
    replies: dict[str, Reply] = {}
    try:
        questions = [question_of(record, None) for record in records]
        for some in ask(live, questions, batch_size=batch_size, workers=1):
            replies |= some
    finally:
        model.generation_config = settings
        for name, module in model.named_modules():
            module.training = modes[name]
    return replies


class Evaluation:
    """The questions that are evaluated during training.

    Args:
        data_path: a task file.
        limit: only the first records.
        image_folder, image_root: see ``ImagePaths``.

    Raises:
        UserError: the file cannot be used.
    """

    def __init__(
        self,
        data_path: Path,
        *,
        limit: int | None,
        image_folder: Path,
        image_root: Path | None = None,
    ) -> None:
        images = ImagePaths(data_path, image_folder, image_root)
        self.records = images.records(read_records(data_path)[:limit])
        for record in self.records:  # before the first step, not at the first evaluation
            try:
                truth_of(record)
            except UserError as error:
                raise UserError(f"{data_path}: {error}") from None
        check_present(data_path, (record.images for record in self.records))

    def measure(
        self,
        live: RoboReferModel,
        *,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
    ) -> dict[str, float]:
        """Metrics named ``eval_*``; with several processes each answers its share.

        Metrics with an empty denominator are left out.
        """
        mine = self.records[rank::world]
        replies = answer_records(live, mine, batch_size=batch_size)
        if world > 1:
            gathered: list[dict[str, Reply]] = [{} for _ in range(world)]
            torch.distributed.all_gather_object(gathered, replies)
            replies = {name: reply for part in gathered for name, reply in part.items()}
        scored = score_run(
            self.records,
            replies,
            convention=live.convention,
            rule="x3",
            mask="auto",
            workers=1,
        )
        found = {name: scored.metrics.get(name) for name in LOGGED_METRICS}
        return {f"eval_{name}": float(value) for name, value in found.items() if value is not None}

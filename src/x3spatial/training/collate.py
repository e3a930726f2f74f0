"""Samples to batches: the plain form, and the arguments of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from x3spatial.errors import UserError
from x3spatial.models.roborefer.processing import IGNORE_INDEX, Media, RoboReferProcessor
from x3spatial.training.dataset import Item


class SpatialCollator:
    """Makes the batch that the model's forward takes: media expanded, padding on the right.

    Tags and media must agree for every sample: if only their totals agree, the batch is refused.
    """

    def __init__(self, processor: RoboReferProcessor) -> None:
        self.processor = processor
        vocabulary = processor.tokenizer.get_vocab()
        self._kinds = (
            ("image", vocabulary.get("<image>"), "pixel_values", "image_indices"),
            ("depth", vocabulary.get("<depth>"), "depth_values", "depth_indices"),
        )

    def __call__(self, items: Sequence[Item]) -> dict[str, torch.Tensor]:
        """``input_ids``, ``attention_mask``, ``labels`` ``[B, S]`` with expanded placeholders; with images
        ``pixel_values`` ``[N, 3, H, W]`` and ``image_indices`` ``[B, M]`` (the same as ``depth_*``).

        Raises:
            UserError: a sample's media ids and images do not match.
        """
        rows: list[list[int]] = []
        labels: list[list[int]] = []
        for item in items:
            row, row_labels = self.processor.expand(
                item["input_ids"].tolist(), item["labels"].tolist()
            )
            rows.append(row)
            labels.append(row_labels or [])
        batch: dict[str, torch.Tensor] = self.processor.pad(rows, "right")
        batch["labels"] = _right_padded(labels)
        for kind, token, values, indices in self._kinds:
            media = Media()
            for number, item in enumerate(items):
                pixels = item[kind]
                count = 0 if pixels is None else len(pixels)
                tags = int((item["input_ids"] == token).sum()) if token is not None else 0
                if tags != count:
                    raise UserError(
                        f"sample {number} of a batch: {tags} <{kind}> in the text, {count} in its media"
                    )
                if count:
                    media.add(pixels, number)
            batch |= media.inputs(values, indices, len(items))
        return batch

    def plain(self, items: Sequence[Item], model_max_length: int | None = None) -> dict[str, Any]:
        """The batch with media not yet expanded, as RoboRefer's own collator returns it.

        Args:
            items: samples.
            model_max_length: truncate rows to this length, like upstream before it inserts images.

        Returns:
            ``input_ids``, ``labels`` ``[B, S]``, ``attention_mask`` (bool), and ``media``: per kind the
            list of images ``[3, H, W]`` of the batch.
        """
        padding = int(self.processor.tokenizer.pad_token_id)
        ids = _right_padded([item["input_ids"].tolist() for item in items], padding)
        labels = _right_padded([item["labels"].tolist() for item in items])
        lengths = torch.tensor([len(item["input_ids"]) for item in items])
        mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
        cut = slice(None, model_max_length)
        media = {
            kind: [image for item in items if item[kind] is not None for image in item[kind]]
            for kind in ("image", "depth")
        }
        return {
            "input_ids": ids[:, cut],
            "labels": labels[:, cut],
            "attention_mask": mask[:, cut],
            "media": media,
        }


def _right_padded(rows: Sequence[Sequence[int]], value: int = IGNORE_INDEX) -> torch.Tensor:
    padded = torch.full((len(rows), max(len(row) for row in rows)), value, dtype=torch.long)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = torch.tensor(list(row), dtype=torch.long)
    return padded

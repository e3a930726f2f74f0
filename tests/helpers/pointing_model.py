"""The code of a small stand-in for MolmoPoint; a folder of it holds a copy of this file.

It has the calls of the published code: a processor that returns metadata of the images, a logits processor
that decides which pointing tokens follow, and a decoder that needs both. The weights are noise; it points to
the middle of what is green in the last image that it was given.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    LogitsProcessor,
    LogitsProcessorList,
)

PARTS = 3
"""Rows and columns of places within a patch."""
_TRIPLE = re.compile(r"<POINT_(\d+)> ?<POINT_(\d+)> ?<POINT_(\d+)> ?([0-9]+)")


class PointingConfig(LlavaConfig):
    model_type = "molmo_point"
    first_point_id: int = 0
    """Id of ``<POINT_0>``."""
    none_ids: list[int] | None = None
    """``There are none.`` and the end of the turn."""
    one_ids: list[int] | None = None
    """``1``, the number of the object, and the end of the turn."""


class _Say(LogitsProcessor):
    def __init__(self, prompt: int, ids: list[int]) -> None:
        self.prompt, self.ids = prompt, ids

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        at = input_ids.shape[1] - self.prompt
        said = self.ids[min(at, len(self.ids) - 1)]
        return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor([said]), 0.0)


class PointingModel(LlavaForConditionalGeneration):
    config_class = PointingConfig

    def build_logit_processor_from_inputs(self, inputs: dict[str, torch.Tensor]) -> Any:
        """Select the tokens of the point, from the pixels."""
        config: Any = self.config
        pixels = inputs["pixel_values"].float()
        images, side = pixels.shape[0], config.vision_config.patch_size
        green = pixels[-1, 1] - pixels[-1, 0::2].amax(0)
        weights = torch.where(green > 0.9, 1.0, 0.0)
        ids = list(config.none_ids)
        if weights.sum() > 0:
            rows, columns = torch.meshgrid(*map(torch.arange, weights.shape), indexing="ij")
            y, x = (
                float((part + 0.5).mul(weights).sum() / weights.sum()) for part in (rows, columns)
            )
            across = weights.shape[1] // side
            patches = (weights.shape[0] // side) * across
            patch = (images - 1) * patches + int(y // side) * across + int(x // side)
            place = int(x % side * PARTS // side) * PARTS + int(y % side * PARTS // side)
            tokens = (patch, images * patches, images * patches + 1 + place)
            ids = [*(config.first_point_id + token for token in tokens), *config.one_ids]
        return LogitsProcessorList([_Say(inputs["input_ids"].shape[1], ids)])

    def extract_image_points(
        self, output_text: str, pooling: Any, subpatch_mapping: Any, image_sizes: Any
    ) -> list[list[float]]:
        """[object, image from 0, x, y] of each point, in pixels of the images."""
        points = []
        for match in _TRIPLE.finditer(output_text):
            patch, subpatch, place, number = (int(group) for group in match.groups())
            token = int(pooling[patch, subpatch - pooling.shape[0]])
            place -= pooling.shape[0] + pooling.shape[1]
            for image, (mapping, (width, height)) in enumerate(
                zip(subpatch_mapping, image_sizes, strict=True)
            ):
                found = (mapping == token).nonzero()
                if len(found) == 1:
                    row, column = (int(value) for value in found[0])
                    x = column + (place // PARTS + 0.5) / PARTS
                    y = row + (place % PARTS + 0.5) / PARTS
                    shape = mapping.shape
                    points.append([number, image, x / shape[1] * width, y / shape[0] * height])
        return points


class PointingProcessor(LlavaProcessor):
    def apply_chat_template(  # type: ignore[override]
        self, conversation: Any, *, return_pointing_metadata: bool = False, **kwargs: Any
    ) -> Any:
        inputs: Any = super().apply_chat_template(conversation, **kwargs)
        if return_pointing_metadata:
            # As for one conversation: nothing is said of which conversation an image belongs to.
            assert isinstance(conversation[0], dict), "several conversations"
            shown = [p["image"] for p in conversation[0]["content"] if p["type"] == "image"]
            side = self.image_processor.size["height"] // self.patch_size
            each = side * side
            inputs["metadata"] = {
                "token_pooling": torch.arange(len(shown) * each)[:, None],
                "subpatch_mapping": [
                    torch.arange(each).reshape(side, side) + n * each for n in range(len(shown))
                ],
                "image_sizes": [image.size for image in shown],
            }
        return inputs

"""A tiny random LLaVA on disk, and what a trainer feeds it. Runs in environments of other trainers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from helpers.tiny_llava import IMAGE_TOKENS, tiny_llava, tiny_processor


def save_tiny(folder: Path) -> str:
    """Write model and processor to ``folder``."""
    torch.manual_seed(0)
    processor = tiny_processor()
    tiny_llava(processor).save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def watch() -> dict[str, Any]:
    """Keep what the model's first call in training gets, and the loss of every call."""
    tokenizer = tiny_processor().tokenizer
    image = tokenizer.convert_tokens_to_ids("<image>")
    kind: Any = transformers.LlavaForConditionalGeneration
    forward = kind.forward
    seen: dict[str, Any] = {"losses": []}

    def watched(self: Any, *args: Any, **batch: Any) -> Any:
        out = forward(self, *args, **batch)
        if batch.get("labels") is not None and self.training:
            ids, labels = batch["input_ids"], batch["labels"]
            found = {
                "images": len(batch["pixel_values"]),
                "images_of_rows": ((ids == image).sum(1) // IMAGE_TOKENS).tolist(),
                "answers": [tokenizer.decode(row[row >= 0].tolist()) for row in labels],
                "texts": [tokenizer.decode(row.tolist()) for row in ids],
            }
            seen.setdefault("batch", found)
            seen["losses"].append(float(out.loss.detach()))
        return out

    kind.forward = watched
    return seen

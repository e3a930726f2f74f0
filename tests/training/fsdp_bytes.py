"""Bytes of weights, gradients and optimizer state of a process under FSDP2: a program for torchrun, on CPUs.

Prints what the first process holds after a step, and the same of the tensors' pieces alone, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch.distributed import destroy_process_group, get_rank, init_process_group
from torch.distributed.fsdp import fully_shard

from x3spatial.models.roborefer.checkpoint import load_model
from x3spatial.training.arguments import parse
from x3spatial.training.setup import narrowed


def _local(value: Any) -> torch.Tensor:
    piece: torch.Tensor = value.to_local() if hasattr(value, "to_local") else value
    return piece


def _bytes(values: Any) -> int:
    return sum(_local(value).numel() * _local(value).element_size() for value in values)


def main(arguments: list[str]) -> None:
    init_process_group("gloo")
    chosen = parse(arguments)
    path = Path(chosen.model.model_name_or_path)
    model: Any = narrowed(load_model(path, dtype="float32"), chosen.model)
    layers = [*model.llm.model.layers, *model.vision_tower.encoder.layers]
    for layer in layers:
        fully_shard(layer)
    fully_shard(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    tokens = model.config.tokens_per_image
    ids = torch.full((1, tokens + 5), 5)
    ids[:, :tokens] = model.config.image_token_id
    side = model.config.vision_config.image_size
    model(input_ids=ids, pixel_values=torch.randn(1, 3, side, side), labels=ids).loss.backward()
    optimizer.step()
    state = [value for entry in optimizer.state.values() for value in entry.values()]
    if get_rank() == 0:
        found = {
            "weights": _bytes(model.parameters()),
            "gradients": _bytes(parameter.grad for parameter in trained),
            "optimizer": _bytes(state),
        }
        print(json.dumps(found))
    destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])

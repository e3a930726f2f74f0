"""RoboRefer's forward written out in plain torch from the description of the graph.

Knows nothing of our package or of transformers: it reads the published folder's files itself. Used to
check checkpoints of sizes that the reference fixture does not have.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


class Plain:
    def __init__(self, folder: Path) -> None:
        self.weights = {
            part.name: load_file(part / "model.safetensors")
            for part in folder.iterdir()
            if (part / "model.safetensors").is_file()
        }
        self.configs = {
            part: json.loads((folder / part / "config.json").read_text()) for part in self.weights
        }

    def linear(self, part: str, name: str, x: torch.Tensor) -> torch.Tensor:
        weights = self.weights[part]
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0)

    def norm(self, part: str, name: str, x: torch.Tensor, eps: float) -> torch.Tensor:
        weights = self.weights[part]
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def tower(self, part: str, pixels: torch.Tensor) -> torch.Tensor:
        """[3, H, W] to [patches, C] after the last layer but one."""
        config, weights = self.configs[part], self.weights[part]
        patch, heads, width = (
            config["patch_size"],
            config["num_attention_heads"],
            config["hidden_size"],
        )
        cells = pixels.unfold(1, patch, patch).unfold(2, patch, patch)  # [3, g, g, p, p]
        rows = cells.permute(1, 2, 0, 3, 4).flatten(0, 1).flatten(1)
        at = "vision_model.embeddings"
        kernel = weights[f"{at}.patch_embedding.weight"].flatten(1)
        x = rows @ kernel.T + weights[f"{at}.patch_embedding.bias"]
        x = x + weights[f"{at}.position_embedding.weight"]
        for layer in range(config["num_hidden_layers"] - 1):
            at = f"vision_model.encoder.layers.{layer}"
            y = self.norm(part, f"{at}.layer_norm1", x, config["layer_norm_eps"])
            q, k, v = (
                self.linear(part, f"{at}.self_attn.{n}_proj", y)
                .view(len(y), heads, -1)
                .transpose(0, 1)
                for n in "qkv"
            )
            scores = (q @ k.transpose(1, 2) / math.sqrt(width // heads)).softmax(-1)
            y = (scores @ v).transpose(0, 1).flatten(1)
            x = x + self.linear(part, f"{at}.self_attn.out_proj", y)
            y = self.norm(part, f"{at}.layer_norm2", x, config["layer_norm_eps"])
            y = F.gelu(self.linear(part, f"{at}.mlp.fc1", y), approximate="tanh")
            x = x + self.linear(part, f"{at}.mlp.fc2", y)
        return x

    def projector(self, part: str, x: torch.Tensor) -> torch.Tensor:
        grid, width = math.isqrt(len(x)), x.shape[1]
        cells = -(-grid // 3)
        folded = torch.zeros(cells * cells, 9 * width)
        for row in range(grid):
            for column in range(grid):
                cell = (row // 3) * cells + column // 3
                place = ((row % 3) * 3 + column % 3) * width
                folded[cell, place : place + width] = x[row * grid + column]
        y = self.norm(part, "layers.1", folded, 1e-5)
        y = F.gelu(self.linear(part, "layers.2", y))
        y = self.norm(part, "layers.4", y, 1e-5)
        y = F.gelu(self.linear(part, "layers.5", y))
        return self.linear(part, "layers.7", y)

    def embed(self, ids: list[int]) -> torch.Tensor:
        return self.weights["llm"]["model.embed_tokens.weight"][torch.tensor(ids)]

    def llm(self, x: torch.Tensor) -> torch.Tensor:
        """[S, H] embeddings to [S, V] logits."""
        config, weights = self.configs["llm"], self.weights["llm"]
        heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
        size = config["hidden_size"] // heads
        length = len(x)
        angles = torch.arange(length)[:, None] * config["rope_theta"] ** (
            -torch.arange(0, size, 2) / size
        )
        cos, sin = (torch.cat([f, f], -1) for f in (angles.cos(), angles.sin()))
        future = torch.ones(length, length, dtype=torch.bool).triu(1)

        def rms(name: str, y: torch.Tensor) -> torch.Tensor:
            scaled = y / (y.pow(2).mean(-1, keepdim=True) + config["rms_norm_eps"]).sqrt()
            return scaled * weights[f"{name}.weight"]

        def turn(y: torch.Tensor) -> torch.Tensor:
            left, right = y.chunk(2, -1)
            return y * cos + torch.cat([-right, left], -1) * sin

        for layer in range(config["num_hidden_layers"]):
            at = f"model.layers.{layer}"
            y = rms(f"{at}.input_layernorm", x)
            q, k, v = (
                self.linear("llm", f"{at}.self_attn.{n}_proj", y)
                .view(length, -1, size)
                .transpose(0, 1)
                for n in "qkv"
            )
            k, v = (turn(k), v)
            k, v = (t.repeat_interleave(heads // groups, 0) for t in (k, v))
            scores = turn(q) @ k.transpose(1, 2) / math.sqrt(size)
            y = scores.masked_fill(future, -torch.inf).softmax(-1) @ v
            x = x + self.linear("llm", f"{at}.self_attn.o_proj", y.transpose(0, 1).flatten(1))
            y = rms(f"{at}.post_attention_layernorm", x)
            gate = F.silu(self.linear("llm", f"{at}.mlp.gate_proj", y))
            y = gate * self.linear("llm", f"{at}.mlp.up_proj", y)
            x = x + self.linear("llm", f"{at}.mlp.down_proj", y)
        head: Any = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
        return rms("model.norm", x) @ head.T

"""The order of samples: a function of seed and epoch alone, so that a resumed run sees the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

_GROUP = 50
"""Batches whose samples are sorted together by length: enough to even out, few enough to stay random."""


class MixtureSampler(Sampler[int]):
    """Indices into concatenated data sets for one epoch.

    A weight of 2.5 shows every record of its data set twice and another random half of them. Grouping
    by length sorts within random groups of batches, so that a batch pads little.

    Args:
        sizes: records per data set, in the order of concatenation.
        weights: how often each record is seen per epoch.
        seed: with the epoch, decides everything.
        lengths: of every index, to group by; None for a plain shuffle.
        batch_size: samples per optimizer step, for grouping.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        weights: Sequence[float],
        *,
        seed: int,
        lengths: Sequence[int] | None = None,
        batch_size: int = 1,
    ) -> None:
        self.sizes = list(sizes)
        self.weights = list(weights)
        self.seed = seed
        self.lengths = lengths
        self.batch_size = batch_size
        self.epoch = 0

    def __len__(self) -> int:
        return sum(
            round(size * weight) for size, weight in zip(self.sizes, self.weights, strict=True)
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that iterating gives."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        chosen: list[int] = []
        start = 0
        for number, (size, weight) in enumerate(zip(self.sizes, self.weights, strict=True)):
            times, rest = divmod(round(size * weight), size) if size else (0, 0)
            chosen += list(range(start, start + size)) * times
            drawn = torch.randperm(size, generator=self._generator(f"draw {number}"))[:rest]
            chosen += (drawn + start).tolist()
            start += size
        order = torch.randperm(len(chosen), generator=self._generator("order")).tolist()
        shuffled = [chosen[place] for place in order]
        return iter(shuffled if self.lengths is None else self._grouped(shuffled, self.lengths))

    def _grouped(self, shuffled: list[int], lengths: Sequence[int]) -> list[int]:
        size = self.batch_size * _GROUP
        batches: list[list[int]] = []
        for first in range(0, len(shuffled), size):
            group = sorted(
                shuffled[first : first + size], key=lambda index: lengths[index], reverse=True
            )
            batches += [
                group[place : place + self.batch_size]
                for place in range(0, len(group), self.batch_size)
            ]
        full = [batch for batch in batches if len(batch) == self.batch_size]
        short = [batch for batch in batches if len(batch) != self.batch_size]
        order = torch.randperm(len(full), generator=self._generator("groups")).tolist()
        # A short batch in the middle would shift all that follow it.
        return [index for batch in [*(full[place] for place in order), *short] for index in batch]

    def _generator(self, purpose: str) -> torch.Generator:
        text = f"{self.seed} {self.epoch} {purpose}".encode()
        number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1
        return torch.Generator().manual_seed(number)

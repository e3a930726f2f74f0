"""Why a block of a page is not run by a test: one of a few kinds, and words.

``<!-- not run: weights: RoboRefer-2B -->`` stands right before the block. What only lacks a file of the
reader's (photos, answers, a log) is no kind: ``docs.stand_ins`` has a file in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = {
    "network": r"\b(pip|make|git|docker|conda|uv|uvx|pipx|apt-get|npm|hf|s3|modal)\b|https?://|hf://",
    "weights": r"hf:|roborefer:|--model-name-or-path|\bMODEL=|RoboRefer|lama:|model=\.\.\.|CHECKPOINT",
    "hours": r"\b(x3|make|bash|sh|python)\b",
    "cluster": r"\b(sbatch|srun|ray|ssh|SLURM_\w+)\b|--nnodes",
    "GPU": r"torchrun|accelerate launch|deepspeed|--gpus|cuda",
    "help": r"^x3 ",
    "program": r"https?://|\b(docker|git|npm|\w+ serve|apt-get)\b",
}
"""Kind → what a block of it holds."""
_OF_HELP = ("docs/commands.md",)
"""Made from the help, whose examples have a test."""
_HOURS = re.compile(r"\b(minutes?|hours?|分钟|小时)|(?:分钟|小时)")


@dataclass(frozen=True)
class Reason:
    """Why a block is not run."""

    kind: str
    words: str

    @classmethod
    def parse(cls, text: str) -> Reason:
        """The reason in a comment; a kind that does not exist is found by ``fault``."""
        kind, _, words = text.partition(":")
        return cls(kind.strip(), words.strip())

    def fault(self, block: str, document: str) -> str | None:
        """What is wrong with the reason of a block with this text on a page; None if nothing."""
        if self.kind not in KINDS:
            return f"{self.kind!r} is no kind of reason; there are {', '.join(KINDS)}"
        if not self.words:
            return f"say why in words: <!-- not run: {self.kind}: ... -->"
        if not re.search(KINDS[self.kind], block):
            return f"nothing in the block needs that ({self.kind})"
        if self.kind == "help" and document not in _OF_HELP:
            return f"this kind is for {', '.join(_OF_HELP)}"
        if self.kind == "hours" and not _HOURS.search(self.words):
            return "say how many minutes or hours"
        return None

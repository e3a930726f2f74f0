"""The zero-shot evaluation: build the task files, evaluate the sets and summarise."""

from x3spatial.pipeline.run import (
    EVAL_DIR,
    ZeroshotOptions,
    zeroshot,
    zeroshot_build,
)
from x3spatial.pipeline.sets import zero_shot_sets
from x3spatial.pipeline.summary import Cell, SetSummary, ZeroshotSummary

__all__ = [
    "EVAL_DIR",
    "Cell",
    "SetSummary",
    "ZeroshotOptions",
    "ZeroshotSummary",
    "zero_shot_sets",
    "zeroshot",
    "zeroshot_build",
]

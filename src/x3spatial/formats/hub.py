"""What cards of data sets on the Hugging Face Hub have in common."""

from __future__ import annotations

SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Split in the name of a task file → split of the Hub."""
_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
)  # fmt: skip
"""Number of rows below which a data set is of a size, and the Hub's word for it."""
_LARGEST = "1M<n<10M"


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    return next((word for below, word in _SIZES if rows < below), _LARGEST)

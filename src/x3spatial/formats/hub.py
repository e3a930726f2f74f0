"""What cards of data sets on the Hugging Face Hub have in common."""

from __future__ import annotations

import re

from x3spatial.errors import UserError

SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Split in the name of a task file → split of the Hub."""
_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
)  # fmt: skip
"""Number of rows below which a data set is of a size, and the Hub's word for it."""
_LARGEST = "1M<n<10M"
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def check_license(license: str | None) -> str | None:
    """``license``, an identifier of the Hub; they are in small letters. None for none.

    Raises:
        UserError: it cannot be one.
    """
    if license is not None and not _LICENSE.fullmatch(license):
        raise UserError(
            f"--license {license}: must be an identifier of the Hub in small letters, such as cc-by-4.0,"
            " apache-2.0 or other"
        )
    return license


def size_category(rows: int) -> str:
    """The Hub's word for a number of rows."""
    return next((word for below, word in _SIZES if rows < below), _LARGEST)

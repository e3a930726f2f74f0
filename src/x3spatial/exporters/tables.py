"""What the formats made of Arrow tables share: the packages, images as a column, batches of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import islice
from typing import Any

from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import PlacedImage
from x3spatial.io.images import ImageError, read_bytes

ROWS = 32
"""Rows held in memory at once: with two photographs each, some tens of megabytes."""


def require_datasets(name: str) -> dict[str, str]:
    """The versions of the packages that write tables.

    Raises:
        UserError: they are not installed.
    """
    try:
        import datasets
        import pyarrow
    except ImportError:
        raise UserError(
            f"--to {name} needs the datasets package: pip install 'x3spatial[export]'"
        ) from None
    del datasets, pyarrow
    return {package: metadata.version(package) for package in ("datasets", "pyarrow")}


def image_value(image: PlacedImage) -> dict[str, Any]:
    """An image as the Image feature stores it: its bytes, or where to find them.

    Raises:
        UserError: it cannot be read.
    """
    if not image.embed:
        return {"bytes": None, "path": image.written}
    try:
        return {"bytes": read_bytes(image.file), "path": image.file.name}
    except ImageError as error:
        raise UserError(f"image {image.file}: {error.reason}") from None


def batches(rows: Iterable[Mapping[str, Any]], schema: Any) -> Iterator[Any]:
    """Arrow record batches of ``ROWS`` rows, one in memory at a time."""
    import pyarrow

    rows = iter(rows)
    while chunk := list(islice(rows, ROWS)):
        yield pyarrow.RecordBatch.from_pylist(chunk, schema=schema)

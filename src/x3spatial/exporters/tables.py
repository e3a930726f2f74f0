"""Shared code of the formats based on Arrow tables: required packages, image columns, batches of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import islice
from typing import Any

from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import PlacedImage

ROWS = 32
"""Rows per batch in memory: tens of megabytes with two photographs per row."""


def require_datasets(name: str) -> dict[str, str]:
    """The versions of the required packages.

    Raises:
        UserError: a package is not installed.
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
    """The value of an image in a column of type Image: its bytes or its path."""
    if image.embedded is None:
        return {"bytes": None, "path": image.written}
    data, name = image.embedded
    return {"bytes": data, "path": name}


def batches(rows: Iterable[Mapping[str, Any]], schema: Any) -> Iterator[Any]:
    """Arrow record batches of ``ROWS`` rows; only one is in memory at a time."""
    import pyarrow

    rows = iter(rows)
    while chunk := list(islice(rows, ROWS)):
        yield pyarrow.RecordBatch.from_pylist(chunk, schema=schema)

"""Shared code of the formats based on Arrow tables: required packages, image columns, batches of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import islice
from typing import Any, get_type_hints

from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import PlacedImage
from x3spatial.formats.record_fields import KNOWN
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.strata import Strata

_STRATA = {
    name: "int64" if hint == int | None else "float64"
    for name, hint in get_type_hints(Strata).items()
}
"""Field of ``strata`` → type of its column."""
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


def known_features(datasets: Any) -> dict[str, Any]:
    """The columns of what only some records have: texts, and the numbers of ``strata`` together.

    All tables have them, so that tables of several task files can be read as one.
    """
    strata = {name: datasets.Value(kind) for name, kind in _STRATA.items()}
    return {**dict.fromkeys(KNOWN, datasets.Value("string")), "strata": strata}


def known_values(record: TaskRecord) -> dict[str, Any]:
    """The values of these columns; None where the record does not have them."""
    strata = None if record.strata is None else record.strata.to_json()
    return {**{name: getattr(record, name) for name in KNOWN}, "strata": strata}


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

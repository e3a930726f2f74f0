"""Shared code of the formats based on Arrow tables: required packages, image columns, batches of rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any, get_type_hints

from x3spatial.errors import UserError
from x3spatial.exporters.image_paths import PlacedImage
from x3spatial.exporters.samples import Sample
from x3spatial.formats.record_fields import KNOWN, SOURCE
from x3spatial.tasks.strata import Strata

_STRATA = {
    name: "int64" if hint == int | None else "float64"
    for name, hint in get_type_hints(Strata).items()
}
"""Field of ``strata`` → type of its column."""
SHARD_BYTES = 400_000_000
"""Size at which a file of a set that has several ends."""
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


def common_features(datasets: Any) -> dict[str, Any]:
    """The columns of every table: what asks, what is right, and what scoring an answer needs.

    All tables have all of them, so that tables of several task files can be read as one.
    """
    text = datasets.Value("string")
    sizes = datasets.List(datasets.List(datasets.Value("int32")))
    strata = {name: datasets.Value(kind) for name, kind in _STRATA.items()}
    return {
        "id": text,
        "task": text,
        "images": datasets.List(datasets.Image()),
        "answer": text,
        "convention": text,
        "query_mask": datasets.Image(),
        "mask_area_fraction": datasets.Value("float64"),
        "image_sizes": sizes,
        "pixel_sizes": sizes,
        **dict.fromkeys(KNOWN, text),
        "strata": strata,
    }


def common_values(sample: Sample, convention: str) -> dict[str, Any]:
    """The values of these columns; None where a record does not have them."""
    record = sample.record
    return {
        "id": record.id,
        "task": record.task,
        "images": [image_value(image) for image in sample.images],
        "answer": sample.answer,
        "convention": convention,
        "query_mask": None if sample.query_mask is None else image_value(sample.query_mask),
        "mask_area_fraction": record.mask_area_fraction,
        "image_sizes": [list(size) for size in record.image_sizes] or None,
        "pixel_sizes": [list(size) for size in sample.sizes] or None,
        **{name: getattr(record, name) for name in KNOWN},
        "strata": None if record.strata is None else record.strata.to_json(),
    }


def row_features(datasets: Any, *, named: bool = False) -> Any:
    """The columns of a table that is read without a trainer in mind: also question and provenance.

    ``named``: also ``image_names``, what each image is called in the message; empty for a single image.
    """
    text = datasets.Value("string")
    return datasets.Features(
        {
            **common_features(datasets),
            "prompt": text,
            **({"image_names": datasets.List(text)} if named else {}),
            "question": text,
            "reference_point": datasets.List(datasets.Value("float64")),
            **dict.fromkeys(SOURCE, text),
        }
    )


def table_rows(samples: Iterable[Sample], convention: str) -> Iterator[dict[str, Any]]:
    """The rows of such a table."""
    for sample in samples:
        record = sample.record
        point = record.reference_point
        yield {
            **common_values(sample, convention),
            "prompt": sample.prompt,
            "image_names": list(sample.names),
            "question": record.question,
            "reference_point": None if point is None else list(point),
            **{name: getattr(record, name) for name in SOURCE},
        }


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


def write_shards(folder: Path, name: str, tables: Iterable[Any], schema: Any) -> list[Path]:
    """Write record batches as ``{name}-00000-of-00002.parquet`` and so on into ``folder``.

    A file ends with the batch that makes it larger than ``SHARD_BYTES``; there is always at least one. Each
    batch is a row group.
    """
    from pyarrow import parquet

    parts: list[Path] = []
    tables = iter(tables)
    following = next(tables, None)
    while following is not None or not parts:
        part = folder / f"{name}-{len(parts):05d}.parquet"
        parts.append(part)
        with open(part, "xb") as file, parquet.ParquetWriter(file, schema) as table:
            while following is not None:
                table.write_batch(following)
                following = next(tables, None)
                if file.tell() >= SHARD_BYTES:
                    break
            table.close()
            file.flush()
            os.fsync(file.fileno())
    named = [part.with_name(f"{part.stem}-of-{len(parts):05d}.parquet") for part in parts]
    for part, target in zip(parts, named, strict=True):
        part.rename(target)
    return named

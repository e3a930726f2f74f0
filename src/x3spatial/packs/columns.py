"""The columns of a shard, and how ``datasets`` sees them."""

from __future__ import annotations

import json
from typing import Any

from x3spatial.formats.record_fields import KNOWN, SOURCE
from x3spatial.formats.task_file import TaskRecord
from x3spatial.io.packs import RECORD

TEXTS = ("id", "task", "prompt", "question", "answer", *SOURCE, *KNOWN)
"""Columns with a text of the record."""
IMAGES = "images"
"""The images of the question, in prompt order."""
MASKS = ("ref_mask", "query_mask")
OTHERS = "other_images"
"""What else the record names or scoring may read: the unmarked reference view, the mask of the other kind.
Each is stored once in a shard, in the first row that needs it."""
IMAGE_COLUMNS = (IMAGES, *MASKS, OTHERS)
LISTS = (IMAGES, OTHERS)
"""Image columns that hold several."""
POINT = "reference_point"
AREA = "mask_area_fraction"
PLAIN = (*TEXTS, POINT, AREA, RECORD)
"""The columns without images, in order."""


def bytes_leaf(column: str) -> str:
    """The Parquet path of the bytes of an image column."""
    return f"{column}.list.element.bytes" if column in LISTS else f"{column}.bytes"


def leaves() -> list[str]:
    """The Parquet paths of all columns."""
    found = [*TEXTS, f"{POINT}.list.element", AREA, RECORD]
    for column in IMAGE_COLUMNS:
        leaf = bytes_leaf(column)
        found += [leaf, f"{leaf.removesuffix('bytes')}path"]
    return found


def features() -> str:
    """The value of the key ``huggingface`` in a shard's metadata, which makes images of the columns."""
    image = {"_type": "Image"}
    found: dict[str, Any] = {name: {"dtype": "string", "_type": "Value"} for name in TEXTS}
    found[POINT] = {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "List"}
    found[AREA] = {"dtype": "float64", "_type": "Value"}
    found[RECORD] = {"dtype": "string", "_type": "Value"}
    found[IMAGES] = {"feature": image, "_type": "List"}
    found |= dict.fromkeys(MASKS, image)
    found[OTHERS] = {"feature": image, "_type": "List"}
    return json.dumps({"info": {"features": found}})


def plain_values(record: TaskRecord, text: str) -> dict[str, Any]:
    """The values of a row without its images."""
    point = record.reference_point
    return {
        **{name: getattr(record, name) for name in TEXTS},
        POINT: None if point is None else list(point),
        AREA: record.mask_area_fraction,
        RECORD: text,
    }

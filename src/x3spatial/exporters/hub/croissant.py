"""Croissant metadata (MLCommons, version 1.0): files with their checksums, and the columns of every set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from x3spatial.exporters.base import CardOptions
from x3spatial.exporters.hub.sets import HubSet, Shard
from x3spatial.exporters.tables import row_features

_CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_VERSION = "1.0.0"
"""Of the data set, which the user raises with the next upload."""
_PARQUET = "application/x-parquet"
_TYPES = {"string": "sc:Text", "float64": "sc:Float", "int64": "sc:Integer", "int32": "sc:Integer"}
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""Names of the vocabulary; every file of the format has them."""


def croissant(sets: Sequence[HubSet], card: CardOptions) -> dict[str, Any]:
    """The value of ``croissant.json``; its paths are relative to it."""
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS_TO,
        "name": card.title,
        "description": (
            "Spatial questions over views of one scene, with images, the mask of the right points, and what"
            " is known of each question."
        ),
        "license": card.license,
        "version": _VERSION,
        "distribution": [part for found in sets for part in _distribution(found)],
        "recordSet": [_record_set(found) for found in sets],
    }


def _distribution(found: HubSet) -> list[dict[str, Any]]:
    """The files of a set, and all of them together."""
    return [
        *map(_file, found.shards),
        {
            "@type": "cr:FileSet",
            "@id": f"{found.name}_files",
            "name": f"{found.name}_files",
            "encodingFormat": _PARQUET,
            "includes": found.pattern,
        },
    ]


def _file(shard: Shard) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": shard.path,
        "name": shard.path,
        "contentUrl": shard.path,
        "contentSize": f"{shard.bytes} B",
        "encodingFormat": _PARQUET,
        "sha256": shard.sha256,
    }


def _record_set(found: HubSet) -> dict[str, Any]:
    import datasets

    fields = [_field(found, name, kind) for name, kind in row_features(datasets).items()]
    return {
        "@type": "cr:RecordSet",
        "@id": found.name,
        "name": found.name,
        "description": f"Configuration {found.config}, split {found.split}: {found.rows} questions.",
        "key": {"@id": f"{found.name}/id"},
        "field": fields,
    }


def _field(found: HubSet, name: str, kind: Any) -> dict[str, Any]:
    """A column; ``kind`` is its feature of the ``datasets`` package."""
    source: dict[str, Any] = {
        "fileSet": {"@id": f"{found.name}_files"},
        "extract": {"column": name},
    }
    field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{found.name}/{name}", "name": name}
    if isinstance(kind, dict):
        field["subField"] = [
            {
                "@type": "cr:Field",
                "@id": f"{found.name}/{name}/{part}",
                "name": f"{name}/{part}",
                "dataType": _TYPES[feature.dtype],
                "source": {**source, "transform": {"jsonPath": part}},
            }
            for part, feature in kind.items()
        ]
        return field
    if hasattr(kind, "feature"):
        field["repeated"] = True
        kind = kind.feature
    if hasattr(kind, "feature"):  # a list of pairs
        kind = kind.feature
    if type(kind).__name__ == "Image":
        return {
            **field,
            "dataType": "sc:ImageObject",
            "source": {**source, "transform": {"jsonPath": "bytes"}},
        }
    return {**field, "dataType": _TYPES[kind.dtype], "source": source}

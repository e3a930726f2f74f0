"""JSON Schemas (draft 2020-12) of dataclasses that ``typed_json`` stores.

Descriptions are the docstrings of classes and the strings below fields.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from x3spatial.formats.typed_json import Json, stored_fields

_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def type_schema(hint: Any, defs: dict[str, Json]) -> Json:
    """The schema of a type; dataclasses are added to ``defs`` and referenced."""
    if hint is Any:
        return {}
    if is_dataclass(hint):
        return _reference(hint, defs)
    if hint in _NAMES:
        return {"type": _NAMES[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(arguments, defs)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple and arguments[-1] is ...:
        return {"type": "array", "items": type_schema(arguments[0], defs)}
    if origin is tuple:
        parts = [type_schema(argument, defs) for argument in arguments]
        size = {"minItems": len(parts), "maxItems": len(parts)}
        if all(part == parts[0] for part in parts):
            return {"type": "array", "items": parts[0], **size}
        return {"type": "array", "prefixItems": parts, **size}
    if origin is dict:
        return {"type": "object", "additionalProperties": type_schema(arguments[1], defs)}
    raise TypeError(f"no schema for {hint}")


def _reference(cls: Any, defs: dict[str, Json]) -> Json:
    if cls.__name__ not in defs:
        defs[cls.__name__] = {}  # reserved first: a dataclass may contain itself
        defs[cls.__name__] = object_schema(cls, defs)
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _union(options: tuple[Any, ...], defs: dict[str, Json]) -> Json:
    if all(option in _NAMES for option in options):
        names = [_NAMES[option] for option in options]
        if "number" in names and "integer" in names:
            names.remove("integer")
        return {"type": names}
    if len(options) == 2 and get_origin(options[0]) is Literal and options[1] is type(None):
        return {"enum": [*get_args(options[0]), None]}
    return {"anyOf": [type_schema(option, defs) for option in options]}


def object_schema(cls: type, defs: dict[str, Json]) -> Json:
    """The schema of a dataclass; fields that are always written are required, unknown ones are rejected."""
    texts = field_texts(cls)
    stored = stored_fields(cls)
    return {
        "description": class_text(cls),
        "type": "object",
        "properties": {
            one.key: {**described_type(one.type, texts.get(one.name), defs), **one.schema}
            for one in stored
        },
        "required": [one.key for one in stored if one.required],
        "additionalProperties": False,
    }


def described_type(hint: Any, text: str | None, defs: dict[str, Json]) -> Json:
    """The schema of a type, with ``text`` as its description."""
    return {**({} if text is None else {"description": text}), **type_schema(hint, defs)}


def class_text(cls: type) -> str:
    """A class's docstring in one line."""
    return _one_line(inspect.getdoc(cls) or "")


@cache
def field_texts(cls: type) -> dict[str, str]:
    """Field name → the string below it in the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[before.target.id] = _one_line(after.value.value)
    return found


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "").split())

"""Write docs/schemas.md, the schemas of docs/schemas as tables: python scripts/make_schemas.py [FILE]."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from markdown_text import escaped

from x3spatial.formats.schemas import results_schema, task_schema

HEAD = """# Schemas

Made from the dataclasses of the formats by `scripts/make_schemas.py`; do not edit by hand.

The fields of the two main files as tables. The JSON Schemas themselves (draft 2020-12), for any validator,
are [task.schema.json](schemas/task.schema.json) and [results.schema.json](schemas/results.schema.json). What
the fields mean together is explained in [data formats](formats.md). Fields with a star are always there.
"""


def main() -> None:
    """Write the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/schemas.md")
    path.write_text(schemas_markdown(), encoding="utf-8")


def schemas_markdown() -> str:
    """The whole page."""
    tasks, results = task_schema(), results_schema()
    parts = [HEAD, "## Task file\n", "A JSON array of records, each a `TaskRecord`.\n"]
    parts += [_object(name, body) for name, body in tasks["$defs"].items()]
    parts += ["## Results file\n", f"{escaped(results['description'])}\n", _table(results)]
    parts += [_object(name, body) for name, body in results["$defs"].items()]
    return "\n".join(parts)


def _object(name: str, body: dict[str, Any]) -> str:
    described = body.get("description", "")
    return f"### `{name}`\n\n" + (f"{escaped(described)}\n\n" if described else "") + _table(body)


def _table(body: dict[str, Any]) -> str:
    required = body.get("required", [])
    lines = ["| field | type | |", "|---|---|---|"]
    for name, kind in body["properties"].items():
        star = "\\*" if name in required else ""
        lines.append(f"| `{name}`{star} | {_type(kind)} | {escaped(kind.get('description', ''))} |")
    return "\n".join([*lines, ""])


def _type(kind: dict[str, Any]) -> str:
    """A type in a few words; objects of the schema are links."""
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[`{name}`](#{name.lower()})"
    if "anyOf" in kind:
        return " or ".join(_type(one) for one in kind["anyOf"])
    if "enum" in kind or "const" in kind:
        values = kind.get("enum", [kind.get("const")])
        return ", ".join("null" if value is None else f"`{value}`" for value in values)
    if isinstance(kind.get("type"), list):
        return " or ".join(_type({**kind, "type": one}) for one in kind["type"])
    if kind.get("type") == "array":
        if "prefixItems" in kind:
            return "list of turns"
        count = kind.get("minItems") if kind.get("minItems") == kind.get("maxItems") else None
        return f"list of {count or ''} {_several(kind['items'])}".replace("  ", " ")
    if kind.get("type") == "object":
        values = kind.get("additionalProperties")
        return f"object of {_several(values)}" if isinstance(values, dict) and values else "object"
    return str(kind.get("type", "any value"))


def _several(kind: dict[str, Any]) -> str:
    """The type of many values: ``numbers``, ``(string or null)``."""
    name = _type(kind)
    if " or " in name or ", " in name:
        return f"({name})"
    first, blank, rest = name.partition(" ")
    return f"{first}s{blank}{rest}" if first.isalpha() else name


if __name__ == "__main__":
    main()

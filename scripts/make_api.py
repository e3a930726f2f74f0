"""Write docs/api.md from the docstrings of the public API: python scripts/make_api.py [FILE]."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

import x3spatial as x3

HEAD = """# Python API

Made from the docstrings by `scripts/make_api.py`; do not edit by hand.

```python
import x3spatial as x3
```

Importing it loads nothing heavy: each name is imported when it is first used. Paths may be strings.
A mistake that the user can correct is an `x3.UserError`. Results print a small table, also in a
notebook, and `.to_dataframe()` gives their samples (`pip install "x3spatial[dataframe]"`).
"""
_SECTION = re.compile(r"^(Args|Raises|Returns|Yields):$")
_ITEM = re.compile(r"^    ([*\w]+(?:, [*\w]+)*): (.*)$")


def main() -> None:
    """Write the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/api.md")
    path.write_text(api_markdown(), encoding="utf-8")


def api_markdown() -> str:
    """The whole page: functions first, then classes, each in the order of ``__all__``."""
    names = sorted(x3.__all__, key=lambda name: (inspect.isclass(getattr(x3, name)), name.lower()))
    parts = [HEAD]
    for name in names:
        value = getattr(x3, name)
        parts.append(_class(name, value) if inspect.isclass(value) else _function(name, value))
    return "\n".join(parts)


def _function(name: str, value: Any) -> str:
    return f"## `x3.{name}`\n\n```text\n{_signature(name, value)}\n```\n\n{_prose(value)}"


def _class(name: str, value: type) -> str:
    text = f"## `x3.{name}`\n\n{_prose(value)}"
    if dataclasses.is_dataclass(value):
        docs = _field_docs(value)
        rows = [
            f"| `{field.name}` | {_default(field)} | {docs.get(field.name, '')} |"
            for field in dataclasses.fields(value)
        ]
        text += "\n".join(["", "| field | default | |", "|---|---|---|", *rows]) + "\n"
    elif not issubclass(value, Exception):
        for method, found in vars(value).items():
            function = getattr(found, "__func__", found)
            if inspect.isfunction(function) and not method.startswith("_"):
                text += f"\n### `{name}.{method}`\n\n"
                text += f"```text\n{_signature(method, function)}\n```\n\n{_prose(function)}"
        docs = _field_docs(value)
        rows = [f"| `{field}` | {doc} |" for field, doc in docs.items()]
        text += "\n".join(["", "| attribute | |", "|---|---|", *rows]) + "\n"
    return text


def _signature(name: str, function: Any) -> str:
    """The signature, one parameter a line where it is long; annotations as they are written."""
    signature = inspect.signature(function)
    parts, star = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        star = star or parameter.kind is parameter.VAR_POSITIONAL
        parts.append(str(parameter).replace("'", ""))
    returns = signature.return_annotation
    after = "" if returns is inspect.Signature.empty else f" -> {returns}"
    line = f"{name}({', '.join(parts)}){after}"
    if len(line) <= 88:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){after}"])


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()!r}`"
    return "required"


def _field_docs(value: type) -> dict[str, str]:
    """Field → the string that stands below it in the source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    found: dict[str, str] = {}
    for node, after in pairwise(body):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[node.target.id] = _inline(" ".join(after.value.value.split()))
    return found


def _prose(value: Any) -> str:
    """A docstring in Markdown: sections become lists."""
    lines = (inspect.getdoc(value) or "").splitlines()
    out: list[str] = []
    for line in lines:
        section, item = _SECTION.match(line), _ITEM.match(line)
        if section:
            out += [f"{section[1]}:", ""]
        elif item:
            names = ", ".join(f"`{name}`" for name in item[1].split(", "))
            out.append(f"- {names}: {_inline(item[2])}")
        else:
            out.append(_inline(line[4:] if line.startswith("     ") else line))
    return "\n".join(out).strip() + "\n"


def _inline(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    main()

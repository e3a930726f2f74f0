"""Reading of YAML files that may be damaged or hostile.

A few hundred bytes of YAML can stand for terabytes (aliases of aliases) or exhaust the stack (nesting), and
the library's constructors raise whatever the conversion of a value raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
"""Values of a file, each as often as aliases repeat it."""


def read_yaml(path: Path, what: str) -> Any:
    """The value of a YAML file; ``what`` names it in errors.

    Raises:
        UserError: the file is missing, no regular file, larger than ``MAX_BYTES``, not YAML, has a key twice,
            or stands for more than ``MAX_VALUES`` values.
    """
    import yaml

    try:
        return _parse(_read(path))
    except FileNotFoundError:
        raise UserError(f"{what} {path}: no such file") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{what} {path}: cannot be read: {reason}") from None
    except RecursionError:
        raise UserError(f"{what} {path}: cannot be read as YAML: nested too deep") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{what} {path}: cannot be read as YAML: {reason}") from None
    except Exception as error:  # a date of month 13 is a ValueError, another one an AttributeError
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{what} {path}: a value cannot be read as YAML: {reason}") from None


def _read(path: Path) -> str:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError("not a regular file")  # a pipe would block, a device may have no end
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError(f"more than {MAX_BYTES:,} bytes")
    return data.decode("utf-8-sig")


def _parse(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        ValueError: a key occurs twice in a mapping, or aliases stand for too many values.
        yaml.YAMLError: it is not YAML.
        RecursionError: it is nested too deep.
    """
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check(root: Any) -> None:
    """Refuse a graph of nodes that stands for too many values, or that is nested within itself.

    Raises:
        ValueError: see there.
    """
    counts: dict[int, int] = {}
    under_way: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, expanded = stack.pop()
        key = id(node)
        if expanded:
            under_way.discard(key)
            counts[key] = 1 + sum(counts[id(child)] for child in _children(node))
            if counts[key] > MAX_VALUES:
                raise ValueError(f"more than {MAX_VALUES:,} values (aliases of aliases?)")
        elif key in under_way:
            raise ValueError("an alias stands for what it is a part of")
        elif key not in counts:
            _check_keys(node)
            under_way.add(key)
            stack.append((node, True))
            stack.extend((child, False) for child in _children(node))


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node.value, list):
        for part in node.value:
            yield from part if isinstance(part, tuple) else (part,)


def _check_keys(node: Any) -> None:
    seen: set[tuple[str, str]] = set()
    for part in node.value if isinstance(node.value, list) else ():
        if isinstance(part, tuple) and isinstance(part[0].value, str) and part[0].value != "<<":
            key = (part[0].tag, part[0].value)
            if key in seen:
                raise ValueError(f"key {part[0].value[:80]!r} occurs twice")
            seen.add(key)

"""Reading YAML files of bounded size, whoever wrote them: registries of data sets and recipes.

A file of a few hundred bytes can stand for billions of values by aliases of aliases, and a parser that calls
itself for each level is ended by a few thousand brackets. So a file is measured before its values are made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.errors import UserError

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 1 << 20
MOST_DEPTH = 32
"""Levels of lists and mappings in each other."""
MOST_VALUES = 20_000
"""With every alias counted as what it stands for."""


def read_yaml(path: Path, what: str) -> Any:
    """The value of a YAML file; ``what`` names it in errors.

    Raises:
        UserError: the file is missing, not YAML, larger or deeper than the limits of this module, or gives
            a key twice.
    """
    import yaml

    try:
        if not path.is_file():
            raise UserError(
                f"{what} {path}: {'is not a file' if path.exists() else 'no such file'}"
            )
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UserError(f"{what} {path}: is larger than {MOST_BYTES:,} bytes")
        text = data.decode("utf-8-sig")
        _check_depth(yaml.parse(text, yaml.SafeLoader))
        node = yaml.compose(text, yaml.SafeLoader)
        if node is not None:
            _Measure().size(node)
        return yaml.safe_load(text)
    except UserError:
        raise
    except _Refused as error:
        raise UserError(f"{what} {path}: {error}") from None
    except (
        Exception
    ) as error:  # a date of month 13 is a ValueError, text as a date an AttributeError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{what} {path}: cannot be read as YAML: {reason}") from None


class _Refused(Exception):
    """The message says what a file has too much of."""


def _check_depth(events: Any) -> None:
    import yaml

    depth = 0
    for number, event in enumerate(events):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            raise _Refused(f"is nested more than {MOST_DEPTH} deep")
        if number > 2 * MOST_VALUES:
            raise _Refused(f"holds more than {MOST_VALUES:,} values")


class _Measure:
    """Counts the values of a graph of nodes without visiting any of them twice."""

    def __init__(self) -> None:
        self._sizes: dict[int, int | None] = {}

    def size(self, node: yaml.Node) -> int:
        """The number of values that ``node`` stands for.

        Raises:
            _Refused: too many, a node inside itself, or a key twice.
        """
        import yaml

        known = self._sizes.get(id(node), 0)
        if known is None:
            raise _Refused(f"line {node.start_mark.line + 1}: an alias of what it stands in")
        if known:
            return known
        self._sizes[id(node)] = None
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            children = [entry for pair in node.value for entry in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        total = 1 + sum(map(self.size, children))
        if total > MOST_VALUES:
            raise _Refused(f"its aliases stand for more than {MOST_VALUES:,} values")
        self._sizes[id(node)] = total
        return total


def _check_keys(node: yaml.MappingNode) -> None:
    """Raise ``_Refused`` for a key that is given twice; YAML forbids it, PyYAML takes the last."""
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key.value, str):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise _Refused(f"line {line}: {key.value!r} is given twice; remove one")
            seen.add(key.value)

"""Declaration of commands: functions whose defaults are those of the verb that they call.

A command is a function with annotated parameters, decorated with ``@command``. ``build`` converts it to a
Typer command when it is needed. Its defaults are read from the options object or the signature of the verb
(``DEFAULT``, ``Default``, ``Expand``), and former spellings become hidden options (``Also``).
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from typing import Any, get_type_hints


@dataclass(frozen=True)
class Command:
    """A declared command."""

    function: Callable[..., Any]
    """The function; its docstring is the text below the summary in the help."""
    usage: str
    """The arguments in the usage line."""
    examples: tuple[str, ...]
    defaults: str | None = None
    """``module:attribute`` of the options object or function that has its defaults."""
    raw: bool = False
    """Whether it parses its arguments itself."""


def command(
    usage: str, *examples: str, defaults: str | None = None, raw: bool = False
) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command; see ``Command``."""
    return lambda function: Command(function, usage, examples, defaults, raw)


@dataclass(frozen=True)
class Also:
    """Former spellings of a parameter, which are accepted but not shown in help.

    ``--name`` is an option, ``/--name`` the negative of a flag, ``NAME`` a positional.
    """

    spellings: tuple[str, ...]

    def __init__(self, *spellings: str) -> None:
        object.__setattr__(self, "spellings", spellings)


@dataclass(frozen=True)
class Default:
    """A parameter default that is taken from the verb."""

    name: str | None = None
    """The name of the parameter in the verb; None: the same name."""
    of: str | None = None
    """``module:attribute`` of its source; None: that of the command's ``defaults``."""

    def resolve(self, parameter: str, defaults: str | None) -> Any:
        """The value of the default.

        Raises:
            TypeError: neither the default nor the command names a source.
        """
        source = self.of or defaults
        if source is None:
            raise TypeError(f"{parameter}: the command names nothing that has its default")
        return default_of(load(source), self.name or parameter)


DEFAULT: Any = Default()
"""The default of the parameter with the same name in the verb."""


@dataclass(frozen=True)
class Expand:
    """A parameter that is an options object: each of its fields becomes an option of the command."""

    of: str
    """``module:attribute``: the class, or a function without arguments that makes the object."""
    panel: str
    skip: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """Field → parameter, where they differ."""
    types: Mapping[str, Any] = field(default_factory=dict)
    """Field → annotation, if it cannot be derived from the field's type and docstring."""
    parse: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """Field → conversion of the value on the command line."""

    def base(self) -> Any:
        """The options object with all of its defaults."""
        return load(self.of)()

    def fields(self) -> list[str]:
        """The fields that become options."""
        found = [f.name for f in dataclasses.fields(self.base())]
        return [
            name
            for name in found
            if name not in self.skip and (self.only is None or name in self.only)
        ]

    def name(self, field_name: str) -> str:
        """The parameter of a field."""
        return self.names.get(field_name, field_name)

    def collect(self, given: Mapping[str, Any]) -> Any:
        """The options object with the ``given`` values, by parameter."""
        base = self.base()
        changes = {}
        for name in self.fields():
            value = given[self.name(name)]
            if name in self.parse:
                value = self.parse[name](value)
            if value is not None or getattr(base, name) is None:
                changes[name] = value
        return dataclasses.replace(base, **changes)


@dataclass(frozen=True)
class Gather:
    """A parameter that is a mapping of the given options."""

    table: Callable[[], Mapping[str, Any]]
    """Returns name → annotation; called when help or a run needs them."""

    def collect(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The mapping, by parameter."""
        values = {name: given[name] for name in self.table()}
        return {name: value for name, value in values.items() if value not in (None, [])}


def load(source: str) -> Any:
    """The object that ``module:attribute`` names, below ``x3spatial``."""
    module, _, attribute = source.partition(":")
    return getattr(import_module(f"x3spatial.{module}"), attribute)


def default_of(source: Any, name: str) -> Any:
    """The default that a mapping, an options class or object, or a function has for ``name``."""
    if isinstance(source, Mapping):
        return source[name]
    if inspect.isfunction(source):
        return inspect.signature(source).parameters[name].default
    return getattr(source() if inspect.isclass(source) else source, name)


def field_help(kind: type) -> dict[str, str]:
    """The docstring below each field of a dataclass, its bases' included, as one line of plain text."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        assert isinstance(tree.body[0], ast.ClassDef)
        body = tree.body[0].body
        for entry, after in pairwise(body):
            if (
                isinstance(entry, ast.AnnAssign)
                and isinstance(entry.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                text = " ".join(str(after.value.value).split())
                found[entry.target.id] = text.replace("``", "")
    return found


def field_types(kind: type) -> dict[str, Any]:
    """The type of each field of a dataclass."""
    return get_type_hints(kind)

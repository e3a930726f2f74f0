"""Conversion of declared commands to Typer: signature, defaults, hidden spellings, logging options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from x3spatial.cli import logs, output
from x3spatial.cli.declare import Also, Command, Default, Expand, Gather, field_help, field_types
from x3spatial.cli.help import HelpfulCommand
from x3spatial.cli.table import Entry
from x3spatial.errors import UserError, flag

_CONTEXT = "context"
_RAW: dict[str, Any] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
    "token_normalize_func": None,
}
_LOGGING: dict[str, Any] = {"quiet": logs.Quiet, "log_level": logs.LogLevel}
_JSON = "as_json"


@dataclass(frozen=True)
class _Spelling:
    """A Typer parameter that sets a parameter of the command."""

    parameter: str
    shown: str
    """Its name in messages."""


class _Signature:
    """The Typer parameters of a command, and the conversion to the command's parameters."""

    def __init__(self, declared: Command, *, has_json: bool) -> None:
        self.parameters: list[inspect.Parameter] = []
        self.spellings: dict[str, list[_Spelling]] = {}
        self.required: set[str] = set()
        self.collected: dict[str, tuple[Expand | Gather, list[str]]] = {}
        self.plain: list[str] = []
        self._defaults = declared.defaults
        hints = get_type_hints(declared.function, include_extras=True)
        for name, parameter in inspect.signature(declared.function).parameters.items():
            annotation = hints[name]
            marks = getattr(annotation, "__metadata__", ())
            group = next((m for m in marks if isinstance(m, (Expand, Gather))), None)
            if group is not None:
                self._expand(name, group)
            elif annotation is not typer.Context:
                self._add(name, annotation, parameter.default)
                self.plain.append(name)
        self._put(_CONTEXT, typer.Context, inspect.Parameter.empty)
        if has_json:
            self._put(_JSON, output.AsJson, False)
        for name, annotation in _LOGGING.items():
            self._put(name, annotation, logs.DEFAULTS[name])

    def _expand(self, name: str, group: Expand | Gather) -> None:
        names = []
        if isinstance(group, Gather):
            for option, annotation in group.table().items():
                self._add(option, annotation, None)
                names.append(option)
        else:
            base = group.base()
            types, texts = field_types(type(base)), field_help(type(base))
            for field_name in group.fields():
                annotation = group.types.get(field_name)
                default = getattr(base, field_name)
                if annotation is None:
                    option = typer.Option(help=texts[field_name], rich_help_panel=group.panel)
                    annotation = Annotated[types[field_name], option]
                elif field_name in group.parse and not isinstance(default, (int, float, str)):
                    default = None  # that of the object, whose type the option cannot represent
                elif field_name in group.parse and isinstance(default, bool):
                    default = int(default)
                names.append(group.name(field_name))
                self._add(names[-1], annotation, default)
        self.collected[name] = group, names

    def _add(self, name: str, annotation: Any, default: Any) -> None:
        if isinstance(default, Default):
            default = default.resolve(name, self._defaults)
        kind, *marks = get_args(annotation)
        also = [spelling for mark in marks if isinstance(mark, Also) for spelling in mark.spellings]
        info = next(mark for mark in marks if not isinstance(mark, Also))
        if also:
            if default is inspect.Parameter.empty:
                self.required.add(name)
                default, kind = None, kind | None
            self.spellings[name] = [_Spelling(name, _shown(name, info))]
            for number, spelling in enumerate(also):
                hidden = f"{name}_also_{number}"
                self.spellings[name].append(_Spelling(hidden, spelling.strip("/ ")))
                if spelling.strip("/ ").startswith("-"):
                    declaration = f" {spelling}" if spelling.startswith("/") else spelling
                    mark = typer.Option(declaration, hidden=True)
                else:
                    mark = typer.Argument(metavar=spelling, hidden=True)
                self._put(hidden, Annotated[kind | None, mark], None)
        # A positional argument must precede hidden positional arguments of the same command.
        self._put(name, Annotated[kind, info], default, first=bool(also))

    def _put(self, name: str, annotation: Any, default: Any, *, first: bool = False) -> None:
        parameter = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        if first:
            place = min(
                (n for n, p in enumerate(self.parameters) if p.name.startswith(f"{name}_also_")),
                default=len(self.parameters),
            )
            self.parameters.insert(place, parameter)
        else:
            self.parameters.append(parameter)

    def values(self, context: typer.Context, given: Mapping[str, Any]) -> dict[str, Any]:
        """Convert Typer's arguments to those of the command.

        Raises:
            UserError: a value is missing, or was given in two spellings.
        """
        merged = dict(given)
        for name, spellings in self.spellings.items():
            used = [s for s in spellings if _source(context, s.parameter) == "COMMANDLINE"]
            if len(used) > 1:
                raise UserError(f"{used[0].shown} and {used[1].shown} are the same; give one")
            if used:
                merged[name] = given[used[0].parameter]
            elif name in self.required and given[name] is None:
                raise UserError(
                    f"{spellings[0].shown} is missing (see {context.command_path} --help)"
                )
        values = {name: merged[name] for name in self.plain if name in merged}
        for name, (group, _) in self.collected.items():
            values[name] = group.collect(merged)
        return values


def _source(context: typer.Context, parameter: str) -> str:
    source = context.get_parameter_source(parameter)
    return "" if source is None else source.name


def _shown(name: str, info: Any) -> str:
    """Name of a parameter in messages: its long spelling, or the metavar of a positional argument."""
    # Typer stores the first declaration of an annotation as its default.
    for text in (info.default, *(info.param_decls or ())):
        if isinstance(text, str) and text.startswith("--"):
            return text.partition("/")[0]
    if isinstance(info, OptionInfo) or not info.metavar:
        return flag(name)
    return str(info.metavar)


def build(entry: Entry, declared: Command) -> Any:
    """The click command of a declared command."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    details = inspect.cleandoc(declared.function.__doc__ or "")
    text = f"{entry.summary}\n\n{details}"
    name = entry.path.rpartition(" ")[2]
    if declared.raw:
        app.command(name, help=text, context_settings=_RAW, hidden=entry.hidden)(declared.function)
        return typer.main.get_command(app)
    app.command(name, cls=HelpfulCommand, help=text, hidden=entry.hidden)(
        _callback(declared, has_json=not entry.without_json)
    )
    made = typer.main.get_command(app)
    assert isinstance(made, HelpfulCommand)
    made.usage, made.examples = declared.usage, declared.examples
    return made


def _callback(declared: Command, *, has_json: bool) -> Callable[..., Any]:
    signature = _Signature(declared, has_json=has_json)
    wants_context = [
        name for name, hint in get_type_hints(declared.function).items() if hint is typer.Context
    ]

    def run(**given: Any) -> Any:
        context: typer.Context = given[_CONTEXT]
        logs.set_level(context, given.pop("quiet"), given.pop("log_level"))
        as_json = given.pop(_JSON, False)
        values = signature.values(context, given) | dict.fromkeys(wants_context, context)
        return output.run(lambda: declared.function(**values), as_json=as_json)

    vars(run)["__signature__"] = inspect.Signature(signature.parameters)
    # Typer reads types from the annotations and names from the signature.
    run.__annotations__ = {p.name: p.annotation for p in signature.parameters}
    return run

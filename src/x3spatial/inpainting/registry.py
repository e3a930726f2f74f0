"""The registry of inpainting engines: one line in ``ENGINES`` and one module each, imported on demand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType

from x3spatial.errors import UserError, packages_of
from x3spatial.inpainting.base import TIMEOUT, TIMEOUT_MAX, Engine, EngineError

DEFAULT = "telea"
OPTION = "--inpaint"
"""The option that names an engine."""
NONE = "none"
"""The engine that makes no images."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The location and requirements of a kind of engine."""

    module: str | None
    """Module below ``x3spatial.inpainting``; None for ``none``."""
    attribute: str
    """The ``Engine`` subclass in it."""
    form: str
    """How it is written: ``lama:WEIGHTS``."""
    summary: str
    any_hole: bool = False
    """Whether it fills any hole of any image, without a name and without fail."""
    extra: str | None = None
    """The optional dependency group that it needs."""


_ENGINES = {
    "telea": Kind("telea", "Telea", "telea", "continues colours and edges inwards; fast", True),
    "patchmatch": Kind(
        "patchmatch",
        "PatchMatch",
        "patchmatch",
        "copies patches of the image",
        True,
        extra="inpaint",
    ),
    "lama": Kind(
        "lama", "Lama", "lama:WEIGHTS", "your LaMa network, an ONNX or TorchScript file", True
    ),
    "command": Kind(
        "command", "Command", "command:PROGRAM", "any program: {image} {mask} {out} are files"
    ),
    "folder": Kind("folder", "Folder", "folder:DIR", "images that were made elsewhere"),
    NONE: Kind(None, "", NONE, "no inpainted images, and so no Task2B"),
}
ENGINES: Mapping[str, Kind] = MappingProxyType(_ENGINES)
"""All kinds of engines by name."""

ENGINE_HELP = f"Inpainting engine: {', '.join(kind.form for kind in _ENGINES.values())}."
"""Help of the option that names an engine."""


def split_spec(spec: str, option: str = OPTION) -> tuple[str, str | None]:
    """Split ``KIND[:ARGUMENT]``; the argument may contain colons.

    Raises:
        UserError: there is no such kind.
    """
    kind, colon, argument = spec.partition(":")
    if kind not in ENGINES:
        near = get_close_matches(kind.lower(), ENGINES, n=1)
        known = ", ".join(entry.form for entry in ENGINES.values())
        hint = f"did you mean {ENGINES[near[0]].form}?" if near else f"known are {known}"
        raise UserError(f"{option} {spec}: unknown engine {kind!r}; {hint}")
    if kind == NONE and colon:
        raise UserError(f"{option} {spec}: {kind} takes no argument; write {option} {kind}")
    return kind, argument if colon else None


def open_engine(spec: str, *, option: str = OPTION, timeout: float = TIMEOUT) -> Engine | None:
    """The engine of ``spec``; None for ``none``. Each process creates it once.

    Args:
        spec: ``KIND[:ARG]`` of ``ENGINES``.
        option: the option that has it, for messages.
        timeout: seconds that an external program has for one image.

    Raises:
        UserError: the kind or its argument is wrong, the timeout is out of range, or a package, file or
            program is missing.
    """
    split_spec(spec, option)
    if not 0 < timeout < TIMEOUT_MAX:
        raise UserError(
            f"--inpaint-timeout {timeout:g}: must be above 0 and below {TIMEOUT_MAX:g} seconds"
        )
    try:
        return _opened(spec, float(timeout))
    except EngineError as error:
        raise UserError(f"{option} {spec}: {error}") from None


def check_engine(spec: str, *, option: str = OPTION, any_hole: bool = False) -> str:
    """``spec`` if its kind exists, without opening it.

    Args:
        spec: ``KIND[:ARG]``.
        option: the option that has it, for messages.
        any_hole: whether it must fill any hole of any image without fail.

    Raises:
        UserError: it is unknown, or cannot be used here.
    """
    kind, _ = split_spec(spec, option)
    if any_hole and not ENGINES[kind].any_hole:
        able = ", ".join(entry.form for entry in ENGINES.values() if entry.any_hole)
        raise UserError(f"{option} {spec}: cannot fill any hole of any image; use one of {able}")
    return spec


@lru_cache(maxsize=8)
def _opened(spec: str, timeout: float) -> Engine | None:
    name, argument = split_spec(spec)
    kind = ENGINES[name]
    if kind.module is None:
        return None
    with nullcontext() if kind.extra is None else packages_of(kind.extra, name):
        module = import_module(f"x3spatial.inpainting.{kind.module}")
        engine: Engine = getattr(module, kind.attribute).create(argument, timeout=timeout)
    engine.spec = spec
    return engine

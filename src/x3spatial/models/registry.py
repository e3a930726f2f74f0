"""The registry of models. Modules of models are imported on demand.

A model of this package is one line in ``KINDS``. A model of another package needs no entry: ``--model
package.module:Class`` names any subclass of ``Model``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError, flag, packages_of
from x3spatial.models.base import Model

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMON_OPTIONS = frozenset({"max_new_tokens", "seed"})


@dataclass(frozen=True, slots=True)
class Kind:
    """The location and requirements of a kind of model."""

    module: str
    """Module below ``x3spatial.models``."""
    attribute: str
    """The ``Model`` subclass in it."""
    summary: str
    extra: str | None = None
    """The required optional dependency group: ``pip install "x3spatial[extra]"``."""


KINDS: dict[str, Kind] = {
    "oracle": Kind(
        "baselines.oracle", "Oracle", "the right answer, in the form oracle:CONVENTION (privileged)"
    ),
    "centre": Kind("baselines.trivial", "Centre", "the centre of the query image"),
    "uniform": Kind("baselines.trivial", "Uniform", "a uniform point of the query image, seeded"),
    "always-not-visible": Kind("baselines.trivial", "AlwaysNotVisible", "always NOT_VISIBLE"),
    "copy-reference": Kind(
        "baselines.copy_reference",
        "CopyReference",
        "the reference point's coordinates, in the query image (privileged; Task1, Task2A)",
    ),
    "pixel-diff": Kind(
        "baselines.pixel_diff", "PixelDiff", "the largest change between two images (Task2B)"
    ),
    "sift": Kind(
        "baselines.sift", "Sift", "SIFT matching of the marked object (privileged; Task1, Task2A)"
    ),
    "xfeat": Kind(
        "baselines.xfeat",
        "XFeat",
        "XFeat + LighterGlue matching of the marked object (privileged; Task1, Task2A)",
        extra="matching",
    ),
    "roborefer": Kind(
        "roborefer.model",
        "RoboReferModel",
        "a RoboRefer checkpoint, roborefer:FOLDER (docs/models.md)",
        extra="roborefer",
    ),
    "hf": Kind(
        "huggingface.model",
        "HuggingFaceModel",
        "an image-text model of transformers, hf:FOLDER or hf:ORG/NAME (docs/models.md)",
        extra="hf",
    ),
    "openai": Kind(
        "servers.openai",
        "OpenAIModel",
        "a model behind an OpenAI-compatible server, openai:MODEL --base-url URL (docs/servers.md)",
        extra="openai",
    ),
    "roborefer-server": Kind(
        "servers.roborefer",
        "RoboReferServer",
        "RoboRefer behind its own server, roborefer-server:URL (docs/servers.md)",
        extra="openai",
    ),
}


INSIDE: dict[str, str] = {
    "roborefer:x3-tiny": "a RoboRefer model of 1.3 M parameters inside the package, for demonstrations",
}
"""Models that need no download: name for ``--model`` → summary."""


def is_outside(spec: str) -> bool:
    """Whether ``spec`` names a class of another package, ``package.module:Class``."""
    module, colon, rest = spec.partition(":")
    name = rest.partition(":")[0]
    parts = module.split(".")
    return bool(
        module not in KINDS and colon and name.isidentifier() and all(map(str.isidentifier, parts))
    )


def split_spec(spec: str) -> tuple[str, str | None]:
    """Split ``KIND[:ARGUMENT]``; the argument may contain colons.

    The kind of a model of another package is ``package.module:Class``.

    Raises:
        UserError: there is no such kind.
    """
    if isinstance(spec, type):
        raise UserError(f"model {spec.__name__}: a class; create it: model={spec.__name__}()")
    kind, colon, argument = spec.partition(":")
    if is_outside(spec):
        name, colon, argument = argument.partition(":")
        return f"{kind}:{name}", argument if colon else None
    if kind not in KINDS:
        raise UserError(f"--model {spec}: {unknown_kind(spec)}")
    return kind, argument if colon else None


def is_hub_name(name: str) -> bool:
    """Whether ``name`` looks like ORG/NAME of the Hugging Face Hub."""
    return _HUB_NAME.fullmatch(name) is not None


def unknown_kind(spec: str) -> str:
    """What is wrong with a ``spec`` whose kind does not exist, and what was probably meant."""
    kind = spec.partition(":")[0]
    if is_hub_name(spec):
        return f"no such folder; for a model of the Hugging Face Hub write hf:{spec}"
    inside = {name.partition(":")[2]: name for name in INSIDE}
    near = get_close_matches(kind.lower(), [*KINDS, *inside], n=1)
    known = f"known are {', '.join(KINDS)}"
    hint = f"did you mean {inside.get(near[0], near[0])}?" if near else known
    return f"unknown kind {kind!r}; {hint} (see x3 models)"


def own_options(spec: str) -> frozenset[str]:
    """The options of ``spec`` in addition to those of every kind.

    Raises:
        UserError: there is no such kind, or its packages are not installed.
    """
    kind, argument = split_spec(spec)
    return _model_class(kind).options_for(argument)


def is_privileged(kind: str) -> bool:
    """Whether the model of a kind without extra packages reads masks or right answers."""
    return _model_class(kind).privileged


def create(spec: str, options: Mapping[str, Any] | None = None) -> Model:
    """Create the model of ``spec``, ``KIND[:ARGUMENT]``.

    Every kind accepts ``max_new_tokens`` and ``seed``; other options must belong to the kind.

    Raises:
        UserError: the kind or an option is unknown, the argument is invalid, or a package is not installed.
    """
    name, argument = split_spec(spec)
    model = _model_class(name)
    given = dict(options or {})
    understood = model.options_for(argument)
    unknown = sorted(set(given) - _COMMON_OPTIONS - understood)
    if unknown:
        known = ", ".join(flag(option) for option in sorted(understood)) or "none"
        raise UserError(f"--model {name}: unknown option {flag(unknown[0])}; its own are: {known}")
    with _packages_of(name):
        made = model.create(argument, given)
    made.spec = spec
    return made


def _model_class(name: str) -> type[Model]:
    if name not in KINDS:
        return _outside_class(name)
    kind = KINDS[name]
    with _packages_of(name):
        module = import_module(f"x3spatial.models.{kind.module}")
    found: type[Model] = getattr(module, kind.attribute)
    return found


def _outside_class(name: str) -> type[Model]:
    module_name, _, class_name = name.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # python -m adds it, the x3 script does not
    if "." not in module_name and find_spec(module_name) is None:
        raise UserError(
            f"--model {name}: {unknown_kind(name)}; there is no module of that name either"
        )
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise UserError(f"--model {name}: cannot import {module_name}: {error}") from None
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, Model)):
        what = "has no such class" if found is None else "is not a subclass of x3spatial.Model"
        raise UserError(f"--model {name}: {module_name}.{class_name} {what}")
    return found


def _packages_of(name: str) -> AbstractContextManager[None]:
    extra = KINDS[name].extra if name in KINDS else None
    return nullcontext() if extra is None else packages_of(extra, f"--model {name}")

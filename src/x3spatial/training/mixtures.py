"""Data mixtures: a registry in YAML and the command-line syntax ``a+b*3``.

A registry file::

    datasets:
      t1_multi:
        data_path: tmp/spatial_tasks_x3/t1_train_multi.json
        image_folder: /            # optional
        depth_folder: depth_maps   # optional
        weight: 0.5                # optional: how often each record is seen per epoch
        only: visible              # optional: records answered by a point; not_visible: the others
        where: {angle_deg: [0, 60]}  # optional: records of these strata only (training.where)
    mixtures:
      everything: t1_multi + t2b_multi*2

Relative paths are relative to where the command runs, as everywhere in the document.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.errors import UserError
from x3spatial.tasks.spec import says_absent
from x3spatial.training.where import (
    Condition,
    Selection,
    described,
    parse_where,
    refuse_empty,
    select,
)
from x3spatial.training.yaml_file import read_yaml

if TYPE_CHECKING:
    from x3spatial.training.dataset import Sample

_FIELDS = frozenset(
    {"data_path", "image_folder", "depth_folder", "weight", "repeat", "only", "where"}
)
VISIBLE, NOT_VISIBLE = ONLY = ("visible", "not_visible")
_TIMES = re.compile(r"[0-9]*\.?[0-9]+")
MOST_WEIGHT = 1000.0
"""How often an epoch may hold one record."""
MOST_NESTED = 50
"""Mixtures in each other."""


@dataclass(frozen=True, slots=True)
class Source:
    """One data set of a mixture."""

    name: str
    data_path: Path
    image_folder: Path | None = None
    """None: the run's ``--image-folder``."""
    depth_folder: Path | None = None
    """None: the run's ``--depth-path``."""
    weight: float = 1.0
    """How often each record is seen in one epoch; 0.5 takes another random half every epoch."""
    only: str | None = None
    """One of ``ONLY``: use only these records, to control the share of NOT_VISIBLE."""

    where: tuple[Condition, ...] = ()
    """Use only records that meet these conditions."""

    @property
    def title(self) -> str:
        """Its name, with the part of the file that it is."""
        parts = [self.only] if self.only else []
        parts += [described(self.where)] if self.where else []
        return f"{self.name} ({', '.join(parts)})" if parts else self.name

    def select(self, samples: Sequence[Sample]) -> Selection:
        """The samples that belong to the data set.

        Args:
            samples: those of its file.

        Raises:
            UserError: ``where`` leaves none.
        """
        numbers = list(range(len(samples)))
        if self.only is not None:
            absent = [any(map(says_absent, sample.answers)) for sample in samples]
            numbers = [n for n in numbers if absent[n] == (self.only == NOT_VISIBLE)]
        found = select([samples[number] for number in numbers], self.where)
        refuse_empty(found, self.where, f"data set {self.name!r}: {self.data_path}")
        return replace(found, kept=tuple(numbers[number] for number in found.kept))


@dataclass(frozen=True, slots=True)
class Registry:
    """The data sets and mixtures of a registry file."""

    path: Path
    sources: Mapping[str, Source]
    mixtures: Mapping[str, str]


def read_registry(path: Path) -> Registry:
    """Read a registry file.

    Raises:
        UserError: it is missing or not YAML, or an entry is malformed; the message names the entry.
    """
    value = read_yaml(path, "--data-registry")
    if not isinstance(value, dict) or not isinstance(value.get("datasets"), dict):
        raise UserError(f"{path}: expected a mapping 'datasets' of names to data sets")
    unknown = set(value) - {"datasets", "mixtures"}
    if unknown:
        raise UserError(
            f"{path}: unknown entry {min(map(str, unknown))!r}; expected datasets, mixtures"
        )
    sources = parse_sources(path, value["datasets"])
    mixtures = value.get("mixtures") or {}
    if not isinstance(mixtures, dict):
        raise UserError(f"{path}: 'mixtures' must map names to expressions such as a+b*3")
    _refuse_equal_names(path, mixtures)
    for name, text in mixtures.items():
        if not isinstance(text, str | int | float):
            raise UserError(f"{path}: mixture {str(name)!r}: expected an expression such as a+b*3")
        if str(name) in sources:
            raise UserError(f"{path}: {name!r} is both a data set and a mixture")
    return Registry(path, sources, {str(name): str(text) for name, text in mixtures.items()})


def parse_sources(path: Path, datasets: Mapping[Any, Any]) -> dict[str, Source]:
    """The data sets of a registry's or recipe's ``datasets``.

    Raises:
        UserError: an entry is malformed; the message names it.
    """
    _refuse_equal_names(path, datasets)
    return {str(name): _source(path, str(name), entry) for name, entry in datasets.items()}


def _refuse_equal_names(path: Path, entries: Mapping[Any, Any]) -> None:
    """Raise a ``UserError`` for keys that are the same as text, such as ``1`` and ``"1"``."""
    names = [str(name) for name in entries]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}: {name!r} is given twice; remove one")


def _source(path: Path, name: str, entry: Any) -> Source:
    where = f"{path}: data set {name!r}"
    if isinstance(entry, str):
        entry = {"data_path": entry}
    if not isinstance(entry, dict) or not isinstance(entry.get("data_path"), str):
        raise UserError(f"{where}: needs a data_path")
    unknown = set(entry) - _FIELDS
    if unknown:
        raise UserError(
            f"{where}: unknown field {min(map(str, unknown))!r}; known are {', '.join(sorted(_FIELDS))}"
        )
    if "weight" in entry and "repeat" in entry:
        raise UserError(f"{where}: give weight or repeat, not both")
    weight = entry.get("weight", entry.get("repeat", 1))
    if (
        isinstance(weight, bool)
        or not isinstance(weight, int | float)
        or not 0 < weight <= MOST_WEIGHT
    ):
        raise UserError(
            f"{where}: weight is {weight!r}; expected a number above 0 and at most {MOST_WEIGHT:g}"
        )
    only = entry.get("only")
    if only is not None and not (isinstance(only, str) and only in ONLY):
        raise UserError(f"{where}: only is {only!r}; expected {' or '.join(ONLY)}")
    for name_of in ("image_folder", "depth_folder"):
        if not isinstance(entry.get(name_of) or "", str):
            raise UserError(
                f"{where}: {name_of} is {entry[name_of]!r}; expected the path of a folder"
            )
    folders = [Path(entry[k]) if entry.get(k) else None for k in ("image_folder", "depth_folder")]
    conditions = parse_where(entry["where"], where) if "where" in entry else ()
    return Source(
        name, Path(entry["data_path"]), folders[0], folders[1], float(weight), only, conditions
    )


def resolve_mixture(expression: str, registry: Registry | None) -> list[Source]:
    """The data sets of a mixture ``a+b*3``, in the order of the expression.

    A part is a data set or mixture of the registry, or the path of a task file; ``*N`` multiplies how
    often it is seen (a fraction is possible). A data set named twice is seen that much more often.

    Raises:
        UserError: a part is neither, or a mixture contains itself.
    """
    found = _Resolver(registry).weights(expression, ())
    for source, weight in found.items():
        if not weight <= MOST_WEIGHT:
            raise UserError(
                f"--data-mixture {expression}: every record of {source.name!r} would be seen {weight:,.0f}"
                f" times per epoch; at most {MOST_WEIGHT:g} are possible"
            )
    return [replace(source, weight=weight) for source, weight in found.items()]


class _Resolver:
    """Sums weights instead of lists of data sets, and resolves each mixture once: ``m + m`` thirty times over
    is a large number, not a long list."""

    def __init__(self, registry: Registry | None) -> None:
        self._registry = registry
        self._mixtures: dict[str, dict[Source, float]] = {}

    def weights(self, expression: str, inside: tuple[str, ...]) -> dict[Source, float]:
        """The weight of each data set of an expression.

        Args:
            expression: such as ``a+b*3``.
            inside: the mixtures that it stands in, outermost first.

        Raises:
            UserError: a part is no data set or mixture, or mixtures are nested too deep.
        """
        found: dict[Source, float] = {}
        for part in expression.split("+"):
            name, star, times = part.rpartition("*")
            if star and _TIMES.fullmatch(times.strip()):
                name, factor = name.strip(), float(times)
            else:
                name, factor = part.strip(), 1.0
            if not name or not factor > 0:
                raise UserError(f"--data-mixture {expression}: {part.strip()!r} is not a data set")
            for source, weight in self._named(name, inside, expression).items():
                found[source] = found.get(source, 0.0) + weight * factor
        return found

    def _named(self, name: str, inside: tuple[str, ...], expression: str) -> dict[Source, float]:
        registry = self._registry
        if registry is not None and name in registry.sources:
            source = registry.sources[name]
            return {source: source.weight}
        if registry is not None and name in registry.mixtures:
            if name in inside:
                raise UserError(f"{registry.path}: mixture {name!r} contains itself")
            if len(inside) >= MOST_NESTED:
                raise UserError(
                    f"{registry.path}: mixture {inside[0]!r} is nested more than {MOST_NESTED} deep"
                )
            if name not in self._mixtures:
                text = registry.mixtures[name]
                self._mixtures[name] = self.weights(text, (*inside, name))
            return self._mixtures[name]
        if name.endswith((".json", ".jsonl")) or os.path.isfile(name):  # noqa: PTH113 - any name
            return {Source(name, Path(name)): 1.0}
        known = sorted([*registry.sources, *registry.mixtures]) if registry else []
        hint = f"known are {', '.join(known)}" if known else "give --data-registry FILE for names"
        raise UserError(
            f"--data-mixture {expression}: {name!r} is neither a registered data set nor a .json file;"
            f" {hint}"
        )


def _count(source: Source) -> int:
    """Records per epoch.

    Raises:
        UserError: the file cannot be read, or ``where`` leaves no record.
    """
    from x3spatial.training.dataset import read_samples

    return round(len(source.select(read_samples(source.data_path)).kept) * source.weight)


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One line of ``x3 data list``."""

    name: str
    kind: str
    """``data set`` or ``mixture``."""
    definition: str
    samples: int | None
    """Records per epoch; None where a file is missing."""
    problem: str | None


def list_data(data_registry: Path) -> list[RegistryRow]:
    """List a registry and check that its files exist.

    Raises:
        UserError: the registry cannot be read, or a mixture names an unknown data set.
    """
    registry = read_registry(data_registry)
    counts: dict[str, int | None] = {}
    problems: dict[str, str | None] = {}
    rows = []
    for name, source in registry.sources.items():
        try:
            counts[name] = _count(source)
            problems[name] = None
        except UserError as error:
            counts[name], problems[name] = None, str(error)
        times = "" if source.weight == 1 else f" x{source.weight:g}"
        definition = f"{source.data_path}{times}{source.title.removeprefix(name)}"
        rows.append(RegistryRow(name, "data set", definition, counts[name], problems[name]))
    for name, text in registry.mixtures.items():
        total: int | None = 0
        problem = None
        for source in resolve_mixture(text, registry):
            base = registry.sources.get(source.name)
            if base is None:
                count: int | None = _count(source)
            else:
                count = counts[source.name]
                problem = problem or problems[source.name]
                count = None if count is None else round(count / base.weight * source.weight)
            total = None if total is None or count is None else total + count
        rows.append(RegistryRow(name, "mixture", text, total, problem))
    return rows

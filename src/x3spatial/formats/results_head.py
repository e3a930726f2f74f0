"""The parts of the head of a results file: rows of tables, settings, model, data, run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from x3spatial.formats.typed_json import LEFT_OUT, described, named

ScoringRule = Literal["x3", "roborefer"]
MaskChoice = Literal["auto", "tight", "dilated"]
CiUnit = Literal["scene", "object"]
CiMethod = Literal["bootstrap", "wilson"]
Value = float | int | None
Interval = tuple[float, float]

COUNT = described(minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """The visible samples whose mask covers at least ``area_from`` and less than ``area_to`` of the image."""

    least: float = field(metadata=named("area_from"))
    most: float | None = field(metadata=named("area_to"))
    """Null: no upper bound."""
    samples: int = field(metadata=COUNT)
    """Number of answered samples."""
    metrics: dict[str, float | None]
    ci95: dict[str, Interval | None]
    ci_unit: CiUnit | None
    """The resampling unit of this row's intervals; a row may contain too few scenes."""
    chance: float | None = field(metadata=named("chance_uniform"))
    """Expected Hit@Mask of a uniformly drawn point: the mean share of the image that the masks cover."""
    ci_method: dict[str, CiMethod | None] = field(default_factory=dict, metadata=LEFT_OUT)
    """As in the head of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumRow:
    """The samples of one bin of a stratum."""

    least: float | None = field(metadata=named("from"))
    most: float | None = field(metadata=named("to"))
    """Null: no upper bound, or a stratum of names."""
    name: str | None
    """The name, for a stratum of names."""
    samples: int = field(metadata=COUNT)
    """Number of answered samples."""
    metrics: dict[str, float | None]
    ci95: dict[str, Interval | None]
    ci_method: dict[str, CiMethod | None]
    ci_unit: CiUnit | None
    chance: float | None = field(metadata=named("chance_uniform"))
    """Expected Hit@Mask of a uniformly drawn point; null without visible samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyRow:
    """How often all answers of a unit (a pair of samples, or an object) are right."""

    value: float | None
    """Share of the units; null without one."""
    units: int = field(metadata=COUNT)
    ci95: Interval | None
    ci_method: CiMethod | None
    ci_unit: CiUnit | None
    independent: float | None
    """The share that independent answers with the same rates of single answers would give."""


@dataclass(frozen=True, slots=True)
class ScoringInfo:
    """How answers were scored."""

    rule: ScoringRule
    mask: MaskChoice
    mask_kinds: dict[str, int] = field(default_factory=dict, metadata=LEFT_OUT)
    """Kind of mask → number of samples whose visibility and hits it decides."""


@dataclass(frozen=True, slots=True)
class MaskProblem:
    """A mask that is missing or unreadable."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The settings of a run. A run can only be continued with the same values, except for ``limit``."""

    model: str
    """``KIND[:ARG]`` of ``--model``, or the name of a model object."""
    describe: dict[str, Any]
    """The model's description of itself: files, hashes, data type, decoding."""
    convention: str
    """The point format of the answers."""
    data_sha256: str
    """SHA-256 of the task file."""
    max_new_tokens: int | None
    """Null: unknown, for answers that were made elsewhere; likewise ``seed``."""
    seed: int | None
    image_folder: str | None = None
    """Base folder for relative image paths; null: that of the task file."""
    limit: int | None = None
    """Only the first N records; null: all."""
    image_root: str | None = field(default=None, metadata=LEFT_OUT)
    """Where the data root was, if it had been moved after the build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """The evaluated model."""

    name: str
    kind: str | None = None
    """KIND of ``--model``; null for a model object."""
    convention: str
    """The point format of its answers."""
    privileged: bool = False
    """Whether it reads ground truth or masks; its results are then not comparable with those of models."""
    describe: dict[str, Any] = field(default_factory=dict)
    """Its description: files, hashes, data type, decoding."""


@dataclass(frozen=True, slots=True)
class DataInfo:
    """The evaluated task file."""

    path: str
    sha256: str
    build: str | None = None
    """Hash of the build's parameters and prompts; null without a build.json beside the file."""
    build_seed: int | None = field(default=None, metadata=LEFT_OUT)
    """The build's random seed; null without a build.json beside the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The last call that asked the model; nothing here affects the scores."""

    seconds: float
    samples_per_second: float
    asked: int = field(metadata=COUNT)
    """Number of samples asked by that call; the others were answered before."""
    host: str
    engine: str | None = field(default=None, metadata=LEFT_OUT)
    """``local`` or ``ray``."""
    processes: int = 1
    actors: int | None = field(default=None, metadata=LEFT_OUT)
    """Number of copies of the model on a Ray cluster."""
    workers: int
    batch_size: int | None
    """Null for answers that were made elsewhere."""
    usable_cores: int | None = field(default=None, metadata=LEFT_OUT)
    """Usable CPU cores, limited by the affinity and the control group's quota."""
    torch_threads: int | None = field(default=None, metadata=LEFT_OUT)
    """Number of torch threads, for models that run in this process."""
    date: str
    """UTC, ISO 8601."""

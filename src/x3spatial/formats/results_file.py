"""The results file of ``x3 eval``: its fields, its one reader and its one writer.

Format 1 (x3spatial 0.1) has no ``format``; format 2 has it as its first key and is otherwise the same.
``docs/formats.md`` describes the file, ``docs/schemas/results.schema.json`` is made from this module.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from x3spatial.errors import UserError
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_table import results_table, samples_frame
from x3spatial.formats.typed_json import LEFT_OUT, Malformed, decode, described, encode, named
from x3spatial.io.files import read_json, sha256_file, sha256_json, write_text
from x3spatial.tables import Table, Tabular

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2
"""What ``write_results`` writes; ``read_results`` reads this and everything before it."""

METRICS = (
    "total", "gt_not_visible", "visible_gt",
    "not_visible_accuracy",
    "mean_l2_error", "std_l2_error", "median_l2_error",
    "success_002", "success_005", "success_010",
    "hit_at_mask", "hit_at_mask_count", "hit_at_mask_total",
)  # fmt: skip
"""The metrics that every results file has, first and in this order: those of the source document."""

ScoringRule = Literal["x3", "roborefer"]
MaskChoice = Literal["auto", "tight", "dilated"]
CiUnit = Literal["scene", "object"]
Value = float | int | None
Interval = tuple[float, float]

_LOG = logging.getLogger("x3spatial")
_OUTLINE = ("metrics", "settings", "model", "data", "scoring", "results")
"""Keys by which a results file is known."""
_COUNT = described(minimum=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRow:
    """The visible samples whose mask covers at least ``area_from`` and less than ``area_to`` of the image."""

    least: float = field(metadata=named("area_from"))
    most: float | None = field(metadata=named("area_to"))
    """Null: no bound."""
    samples: int = field(metadata=_COUNT)
    """Answered ones."""
    metrics: dict[str, float | None]
    ci95: dict[str, Interval | None]
    ci_unit: CiUnit | None
    """Of this row's intervals: fewer samples come from fewer scenes."""
    chance: float | None = field(metadata=named("chance_uniform"))
    """Hit@Mask of a uniform point: the mean share that the masks cover."""


@dataclass(frozen=True, slots=True)
class ScoringInfo:
    """How answers were scored."""

    rule: ScoringRule
    mask: MaskChoice


@dataclass(frozen=True, slots=True)
class MaskProblem:
    """A mask that is missing or cannot be read."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What was asked for. All but ``limit`` decide answers: a run is continued only with the same."""

    model: str
    """``KIND[:ARG]`` of ``--model``, or the name of a model object."""
    describe: dict[str, Any]
    """What the model says of itself: files, hashes, data type, decoding."""
    convention: str
    """How the model's answers write points."""
    data_sha256: str
    """Of the task file."""
    max_new_tokens: int
    seed: int
    image_folder: str | None = None
    """Where relative image paths lie; null: the working directory."""
    limit: int | None = None
    """The first so many records only; null: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """The model that answered."""

    name: str
    kind: str | None = None
    """KIND of ``--model``; null for a model object."""
    convention: str
    """How its answers write points."""
    privileged: bool = False
    """Whether it reads ground truth or masks: such results are no model's."""
    describe: dict[str, Any] = field(default_factory=dict)
    """What it says of itself: files, hashes, data type, decoding."""


@dataclass(frozen=True, slots=True)
class DataInfo:
    """The task file that was asked."""

    path: str
    sha256: str
    build: str | None = None
    """Hash of the build's parameters and prompts; null where no build.json lies beside the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The last call that asked; nothing here changes a score."""

    seconds: float
    samples_per_second: float
    asked: int = field(metadata=_COUNT)
    """Samples asked by that call; the others were answered before."""
    host: str
    processes: int = 1
    workers: int
    batch_size: int
    usable_cores: int | None = field(default=None, metadata=LEFT_OUT)
    """Cores that the process might use: its affinity and its control group's quota."""
    torch_threads: int | None = field(default=None, metadata=LEFT_OUT)
    """Threads that torch computed with, of a model that runs in the process."""
    date: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResultsFile(Tabular):
    """A results file of ``x3 eval`` or ``x3 score``."""

    format: int = field(default=FORMAT, metadata=described(always=False, enum=[1, FORMAT]))
    """Version of the file format; absent means 1."""
    metrics: dict[str, Value] = field(metadata=described(required=list(METRICS)))
    """Metric → value; null where there is nothing to divide by."""
    ci95: dict[str, Interval | None]
    """Metric → 95 % interval (bootstrap over ci_unit); null where there are too few clusters."""
    ci_unit: CiUnit | None
    """What was resampled; null: fewer than ten objects."""
    chance: dict[str, dict[str, float | None] | None]
    """Row → metric → what that way of guessing reaches; null where no sample can be guessed so."""
    by_mask_area: tuple[SizeRow, ...] = ()
    """Visible samples by how much of the image their object covers."""
    scoring: ScoringInfo
    problems: tuple[MaskProblem, ...]
    """Masks that are missing or cannot be read, each path once."""
    settings: RunSettings
    versions: dict[str, str]
    """Package → version; ``python`` is the interpreter's."""
    model: ModelInfo
    data: DataInfo
    run: RunInfo
    results: tuple[SampleResult, ...]
    """One entry per sample, in the order of the task file."""

    def table(self) -> Table:
        """The main metrics."""
        title = f"{self.model.name} on {Path(self.data.path).name}"
        return results_table(title, self.metrics, self.ci95, self.ci_unit)

    def to_dataframe(self) -> pd.DataFrame:
        """A row per sample.

        Raises:
            UserError: pandas is not installed (``pip install "x3spatial[dataframe]"``).
        """
        return samples_frame(self.results)


def read_results(path: str | Path) -> ResultsFile:
    """A results file of this format or an earlier one; ``format`` says which. An earlier one is logged.

    Raises:
        UserError: it is missing, is no results file, is of a later format, or is damaged; the message
            names the first part or result that is.
    """
    path = Path(path)
    value, version = _read_outline(path)
    entries = value["results"]
    if not isinstance(entries, list):
        raise UserError(f"{path}: damaged results file: 'results' is not a list")
    where = ""
    try:
        head = decode(ResultsFile, {**value, "format": version, "results": []})
        results = []
        for number, entry in enumerate(entries, start=1):
            where = f"result {number}"
            results.append(decode(SampleResult, entry))
    except Malformed as error:
        colon = ": " if where and error.keys else " " if where else ""
        raise UserError(f"{path}: damaged results file: {where}{colon}{error}") from None
    if version < FORMAT:
        writer = head.versions.get("x3spatial")
        by = "" if writer is None else f" (written by x3spatial {writer})"
        _LOG.warning("%s: format %d%s; it is read as such", path, version, by)
    return replace(head, results=tuple(results))


def write_results(path: str | Path, results: ResultsFile) -> None:
    """Write a results file of format ``FORMAT`` in one step: readable at the top, one result per line.

    Raises:
        ValueError: a number is NaN or infinite; nothing is written.
    """
    head = encode(replace(results, format=FORMAT, results=()))
    del head["results"]
    text = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False)
    lines = [
        json.dumps(encode(entry), ensure_ascii=False, allow_nan=False) for entry in results.results
    ]
    listed = "[]" if not lines else "[\n    " + ",\n    ".join(lines) + "\n  ]"
    write_text(
        Path(path), f'{text.removesuffix("}").rstrip()},\n  "results": {listed}\n}}\n', fsync=True
    )


def check_replaceable(path: Path, option: str = "--out") -> None:
    """Refuse to replace a file that is no results file, whatever it is, or one of a later format.

    Raises:
        UserError: it is refused; the message names ``option``.
    """
    if not path.exists():
        return
    try:
        _read_outline(path)
    except UserError as error:
        raise UserError(f"{option} {error}; remove it, or write elsewhere") from None


def run_identity(path: Path) -> str:
    """A hash of the run that wrote a results file; scoring its answers again does not change it.

    A damaged file is told from others by its bytes.
    """
    try:
        return sha256_json(read_json(path)["run"])
    except (UserError, TypeError, KeyError):
        return sha256_file(path)


def _read_outline(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON object and its format, of what looks like a results file from outside.

    Raises:
        UserError: it is none, or of a later format.
    """
    value = read_json(path, what="results file")
    if not isinstance(value, dict) or not {"metrics", "results"} <= value.keys():
        raise UserError(f"{path}: not a results file of x3 eval")
    version = value.get("format", 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UserError(f"{path}: damaged results file: 'format' is not a version number")
    if version > FORMAT:
        raise UserError(
            f"{path}: results of format {version}; this x3spatial reads formats 1 to {FORMAT}:"
            " install a newer x3spatial"
        )
    if not value.keys() >= set(_OUTLINE):
        raise UserError(f"{path}: not a results file of x3 eval")
    return value, version

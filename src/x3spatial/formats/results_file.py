"""The results file of ``x3 eval``: fields, reader and writer.

Format 1 (x3spatial 0.1) has no key ``format``; format 2 has it as its first key and is otherwise identical.
``docs/formats.md`` describes the file, ``docs/schemas/results.schema.json`` is made from this module.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from x3spatial.errors import UserError
from x3spatial.formats.results_entry import SampleResult
from x3spatial.formats.results_head import (
    CiMethod as CiMethod,
)
from x3spatial.formats.results_head import (
    CiUnit as CiUnit,
)
from x3spatial.formats.results_head import (
    ConsistencyRow as ConsistencyRow,
)
from x3spatial.formats.results_head import (
    DataInfo as DataInfo,
)
from x3spatial.formats.results_head import (
    Interval as Interval,
)
from x3spatial.formats.results_head import (
    MaskChoice as MaskChoice,
)
from x3spatial.formats.results_head import (
    MaskProblem as MaskProblem,
)
from x3spatial.formats.results_head import (
    ModelInfo as ModelInfo,
)
from x3spatial.formats.results_head import (
    RunInfo as RunInfo,
)
from x3spatial.formats.results_head import (
    RunSettings as RunSettings,
)
from x3spatial.formats.results_head import (
    ScoringInfo as ScoringInfo,
)
from x3spatial.formats.results_head import (
    ScoringRule as ScoringRule,
)
from x3spatial.formats.results_head import (
    SizeRow as SizeRow,
)
from x3spatial.formats.results_head import (
    StratumRow as StratumRow,
)
from x3spatial.formats.results_head import (
    Value as Value,
)
from x3spatial.formats.results_table import conditions, results_table, samples_frame
from x3spatial.formats.shared import Shared
from x3spatial.formats.typed_json import LEFT_OUT, Malformed, decode, described, encode
from x3spatial.io.files import read_json, replacing, sha256_file, sha256_json
from x3spatial.io.json_stream import iter_array, unique_keys
from x3spatial.io.opening import open_part, open_regular
from x3spatial.tables import Table, Tabular

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2
"""The format that ``write_results`` writes; ``read_results`` reads it and all earlier ones."""

METRICS = (
    "total", "gt_not_visible", "visible_gt",
    "not_visible_accuracy",
    "mean_l2_error", "std_l2_error", "median_l2_error",
    "success_002", "success_005", "success_010",
    "hit_at_mask", "hit_at_mask_count", "hit_at_mask_total",
)  # fmt: skip
"""The metrics of the source document, which every results file contains, first and in this order."""

_LOG = logging.getLogger("x3spatial")
_OUTLINE = ("metrics", "settings", "model", "data", "scoring", "results")
"""Keys that identify a results file."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResultsFile(Tabular):
    """A results file of ``x3 eval`` or ``x3 score``."""

    format: int = field(default=FORMAT, metadata=described(always=False, enum=[1, FORMAT]))
    """Version of the file format; 1 if absent."""
    metrics: dict[str, Value] = field(metadata=described(required=list(METRICS)))
    """Metric → value; null if its denominator is zero."""
    ci95: dict[str, Interval | None]
    """Metric → 95 % interval over ci_unit; null with too few clusters."""
    ci_unit: CiUnit | None
    """The resampling unit; null with fewer than ten objects."""
    ci_method: dict[str, CiMethod | None] = field(default_factory=dict, metadata=LEFT_OUT)
    """Metric → how its interval was computed: bootstrap; wilson where every cluster has rate 0, or 1."""
    unparsed_reasons: dict[str, int] = field(default_factory=dict, metadata=described(always=False))
    """Reason why an answer could not be read → number of samples; they add up to parse_failures."""
    chance: dict[str, dict[str, float | None] | None]
    """Chance baseline → metric → value; null if the baseline does not apply to any sample."""
    by_mask_area: tuple[SizeRow, ...] = ()
    """Visible samples by the share of the image that the object covers."""
    by_stratum: dict[str, tuple[StratumRow, ...]] = field(default_factory=dict, metadata=LEFT_OUT)
    """Stratum → a row per bin with samples; only for roots whose ``scene.json`` knows something."""
    consistency: dict[str, ConsistencyRow] = field(default_factory=dict, metadata=LEFT_OUT)
    """Figure → how often related answers are right together; only for sets with two views."""
    scoring: ScoringInfo
    problems: tuple[MaskProblem, ...]
    """Masks that are missing or unreadable, each path once."""
    settings: RunSettings
    versions: dict[str, str]
    """Package → version; ``python`` is the interpreter."""
    model: ModelInfo
    data: DataInfo
    run: RunInfo
    results: tuple[SampleResult, ...]
    """One entry per sample, in the order of the task file."""

    def table(self) -> Table:
        """The main metrics."""
        facts = conditions(self.scoring, self.data.build_seed)
        title = f"{self.model.name} on {Path(self.data.path).name}: {facts}"
        return results_table(title, self.metrics, self.ci95, self.ci_unit)

    def to_dataframe(self) -> pd.DataFrame:
        """A row per sample.

        Raises:
            UserError: pandas is not installed (``pip install "x3spatial[dataframe]"``).
        """
        return samples_frame(self.results)


def read_results(path: str | Path) -> ResultsFile:
    """Read a results file of this format or an earlier one (``format``), which is logged.

    Raises:
        UserError: the file is missing, not a results file, of a later format, or damaged; the message
            names the first damaged part or result.
    """
    head, results = open_results(path)
    return replace(head, results=tuple(results))


def open_results(path: str | Path) -> tuple[ResultsFile, Iterator[SampleResult]]:
    """A results file without its samples, and these one at a time, for files of hundreds of thousands.

    Raises:
        UserError: see ``read_results``; damaged samples are found while they are taken.
    """
    path = Path(path)
    found = _written_head(path)
    value, version = found or _read_outline(path)
    head = _head_of(path, value, version)
    entries = iter(value["results"]) if found is None else _entries(path)
    if version < FORMAT:
        writer = head.versions.get("x3spatial")
        by = "" if writer is None else f" (written by x3spatial {writer})"
        _LOG.warning("%s: format %d%s; it is read as such", path, version, by)
    return head, _decoded(path, entries)


def _head_of(path: Path, value: dict[str, Any], version: int) -> ResultsFile:
    if not isinstance(value["results"], list):
        raise UserError(f"{path}: damaged results file: 'results' is not a list")
    try:
        return decode(ResultsFile, {**value, "format": version, "results": []})
    except Malformed as error:
        raise UserError(f"{path}: damaged results file: {error}") from None


def _decoded(path: Path, entries: Iterator[Any]) -> Iterator[SampleResult]:
    """The samples in ``entries``; each id once."""
    seen: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        try:
            result = decode(SampleResult, entry)
            if result.id in seen:
                raise Malformed("occurs twice", "id")
        except Malformed as error:
            colon = ": " if error.keys else " "
            raise UserError(
                f"{path}: damaged results file: result {number}{colon}{error}"
            ) from None
        seen.add(result.id)
        yield result


def _entries(path: Path) -> Iterator[Any]:
    """The samples of a file that is laid out as ``write_results`` does, as JSON values."""
    shared = Shared()

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = unique_keys(pairs)
        for name in _REPEATED:
            if isinstance(text := value.get(name), str):
                value[name] = shared(text)
        return value

    decoder = json.JSONDecoder(object_pairs_hook=object_of)
    yield from iter_array(path, what="results file", decoder=decoder, after=_SAMPLES[:-1])


def write_results(
    path: str | Path, results: ResultsFile, entries: Iterable[SampleResult] | None = None
) -> None:
    """Write a results file of format ``FORMAT`` atomically: an indented head, then one result per line.

    Args:
        path: the file.
        results: the head, and the samples unless they are given apart.
        entries: the samples, each of which is made when it is written; None for those of ``results``.

    Raises:
        ValueError: a number is NaN or infinite; nothing is written.
    """
    head = encode(replace(results, format=FORMAT, results=()))
    del head["results"]
    text = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False)
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
    path = Path(path)
    with replacing(path), io.TextIOWrapper(open_part(path), encoding="utf-8") as file:
        file.write(f"{text.removesuffix('}').rstrip()},{_SAMPLES}")
        before = "\n    "
        for entry in results.results if entries is None else entries:
            file.write(before + encoder.encode(encode(entry)))
            before = ",\n    "
        file.write("]\n}\n" if before[0] == "\n" else "\n  ]\n}\n")
        file.flush()
        os.fsync(file.fileno())


def check_replaceable(path: Path, option: str = "--out") -> None:
    """Check that ``path`` may be replaced: only results files of known formats may be overwritten.

    Raises:
        UserError: ``path`` exists and is not a results file, or is one of a later format; the message names
            ``option``.
    """
    if not path.exists():
        return
    try:
        if _written_head(path) is None:
            _read_outline(path)
    except UserError as error:
        raise UserError(f"{option} {error}; remove it, or write elsewhere") from None


def run_identity(path: Path) -> str:
    """A hash of the run that wrote a results file; scoring its answers again does not change it.

    A damaged file is identified by its bytes.
    """
    try:
        found = _written_head(path)
        return sha256_json((read_json(path) if found is None else found[0])["run"])
    except (UserError, TypeError, KeyError, UnicodeEncodeError):
        return sha256_file(path)


def _read_outline(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON object and the format of a file whose top-level keys are those of a results file.

    Raises:
        UserError: the file is missing or not a results file, or its format is later than ``FORMAT``.
    """
    return _outline(path, read_json(path, what="results file", pairs_hook=unique_keys))


def _outline(path: Path, value: Any) -> tuple[dict[str, Any], int]:
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


_SAMPLES = '\n  "results": ['
"""Where ``write_results`` begins the samples, which come last."""
_REPEATED = ("scene", "uid", "place")
"""Texts that many samples have in common."""
_TAIL = 64


def read_head(path: str | Path) -> ResultsFile:
    """A results file without its samples (``results`` is empty), in a fraction of the time.

    The samples are not checked, but a file that was cut short is noticed.

    Raises:
        UserError: see ``read_results``.
    """
    path = Path(path)
    found = _written_head(path)
    if found is None:  # written by something else: read the whole file
        return replace(read_results(path), results=())
    return _head_of(path, *found)


def _written_head(path: Path) -> tuple[dict[str, Any], int] | None:
    """The head and format of a file that ``write_results`` wrote, with an empty list of samples; None for
    others.

    Raises:
        UserError: not a results file, or its format is later than ``FORMAT``.
    """
    head = _head_bytes(path)
    if head is None:
        return None
    try:
        value = json.loads(head, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        return None
    return _outline(path, value)


def _head_bytes(path: Path) -> bytes | None:
    """The JSON object before the samples; None if the file is not laid out as ``write_results`` does."""
    found, begin = b"", _SAMPLES.encode()
    try:
        with open_regular(path) as file:
            while begin not in found:
                block = file.read(1 << 16)
                if not block:
                    return None
                found += block
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            if not b"".join(file.read().split()).endswith(b"]}"):
                return None
    except OSError:
        return None  # the reader of the whole file says why
    head = found[: found.index(begin)].removeprefix(b"\xef\xbb\xbf")
    return head + begin + b"]}"

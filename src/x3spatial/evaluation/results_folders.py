"""Folders of results: which model's they hold, where another model's go, and every result below a folder."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from x3spatial.engine.shards import is_in_shard
from x3spatial.errors import UserError
from x3spatial.evaluation.journal import journal_path
from x3spatial.evaluation.settings import same_model
from x3spatial.evaluation.statistics.chance import joined_chance
from x3spatial.formats.results_file import ResultsFile, read_results
from x3spatial.formats.task_source import data_sha256, file_name, is_task_source
from x3spatial.formats.typed_json import finite
from x3spatial.io.files import read_json
from x3spatial.io.journal import Journal
from x3spatial.models.base import Model

_LOG = logging.getLogger("x3spatial")
_BEGIN = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"format"\s*:\s*\d+\s*,\s*)?"metrics"\s*:')


def recorded(model: Model) -> dict[str, Any]:
    """The model as the settings of its results record it."""
    described = json.loads(json.dumps(finite(model.describe())))  # the types after reading
    return {"model": model.spec or model.name, "describe": described}


def other_model(folder: Path, names: Sequence[str], model: Mapping[str, Any]) -> str | None:
    """``--model`` of the first results or unfinished run in ``folder`` that another model made, or None.

    Args:
        folder: it may not exist.
        names: names of the results files.
        model: see ``recorded``.
    """
    for name in names:
        for settings in _settings(folder / name):
            if not same_model(settings, model):
                return str(settings["model"])
    return None


def _settings(path: Path) -> Iterator[Mapping[str, Any]]:
    """The settings of a results file and of an unfinished run that would write it, if there are any.

    Files that cannot be read are left to the run that would replace them, which refuses them.
    """
    found: list[Any] = []
    with suppress(UserError, TypeError, KeyError):
        found.append(read_json(path)["settings"])
    with suppress(OSError, TypeError, KeyError):
        lines = [value for _, value in Journal(journal_path(path)).entries()]
        found += [lines[0]["settings"]] if len(lines) > 1 else []  # without answers it is ignored
    yield from (value for value in found if isinstance(value, dict) and value.get("model"))


def folder_of(
    folder: Path, names: Sequence[str], model: Model, taken: Collection[str] = ()
) -> Path:
    """A subfolder of ``folder`` named after the model, which holds its results or none.

    Args:
        folder: the folder for all models.
        names: names of the results files.
        model: the model.
        taken: names of subfolders that other models of the same call have.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", model.name).strip("._") or "model"
    candidate, number = name, 2
    while candidate in taken or other_model(folder / candidate, names, recorded(model)) is not None:
        candidate, number = f"{name}-{number}", number + 1
    return folder / candidate


def add_results_below(folder: Path, sets: list[dict[str, Any]]) -> None:
    """Add every result below ``folder`` that ``sets`` of a summary do not list, in the order of the paths.

    Results on a task file of another name get an entry of their own. Those on other content of a task file
    are marked ``other_data``, because they are not comparable.
    """
    listed = {
        Path(model["results"]) for entry in sets for model in entry["models"] if "results" in model
    }
    places = {file_name(Path(entry["data_json"])): entry for entry in sets}
    hashes = {
        name: data_sha256(Path(entry["data_json"]))
        for name, entry in places.items()
        if is_task_source(Path(entry["data_json"]))
    }
    for path, found in results_below(folder):
        if path in listed:
            continue
        name = file_name(Path(found.data.path))
        if name not in places:
            places[name] = {
                "set": name,
                "data_json": found.data.path,
                "samples": found.metrics["total"],
                "chance": found.chance,
                "models": [],
            }
            sets.append(places[name])
        entry: dict[str, Any] = {
            "model": found.model.name,
            "spec": found.settings.model,
            "results": str(path),
            "metrics": found.metrics,
            "ci95": found.ci95,
            "ci_unit": found.ci_unit,
        }
        if hashes.setdefault(name, found.data.sha256) != found.data.sha256:
            entry["other_data"] = True
        else:
            places[name]["chance"] = joined_chance((places[name]["chance"], found.chance))
        places[name]["models"].append(entry)


def results_below(folder: Path) -> Iterator[tuple[Path, ResultsFile]]:
    """Every results file below ``folder`` in the order of the paths; other files are passed by.

    A results file that is damaged is reported and left out.
    """
    for path in result_paths_below(folder):
        try:
            yield path, read_results(path)
        except UserError as error:
            _LOG.warning("left out of the summary: %s", error)


def result_paths_below(folder: Path) -> Iterator[Path]:
    """The files below ``folder`` that begin as results, in the order of the paths; neither hidden ones nor
    parts of shards.
    """
    for path in sorted(folder.rglob("*.json")):
        hidden = path.name.startswith(".") or is_in_shard(path.relative_to(folder))
        if not hidden and begins_as_results(path):
            yield path


def begins_as_results(path: Path) -> bool:
    """Whether a file has the first keys of a results file, without reading all of it."""
    try:
        with open(path, "rb") as file:
            return bool(path.is_file() and _BEGIN.match(file.read(1024)))
    except OSError:
        return False

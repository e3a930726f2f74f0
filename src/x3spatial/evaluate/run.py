"""``x3 eval``: ask an answerer about every record of a task file and score what it says."""

from __future__ import annotations

import json
import platform
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from x3spatial import __version__
from x3spatial.data.files import check_output, read_manifest, sha256_file, sha256_json
from x3spatial.data.parallel import default_workers
from x3spatial.data.records import TaskRecord, read_records
from x3spatial.errors import UserError
from x3spatial.evaluate.asking import ask
from x3spatial.evaluate.assess import Assessment, assess, write_output
from x3spatial.evaluate.intervals import Interval
from x3spatial.evaluate.masks import check_mask_choice
from x3spatial.evaluate.metrics import Value
from x3spatial.evaluate.questions import check_supported, files_state, question_of
from x3spatial.evaluate.scoring import check_scoring, truth_of
from x3spatial.evaluate.store import Store, check_replaceable, open_store
from x3spatial.models import registry
from x3spatial.models.base import Answerer, Question
from x3spatial.models.conventions.registry import find_convention
from x3spatial.progress import progress

_PACKAGES = ("numpy", "opencv-python-headless")


@dataclass(frozen=True, slots=True)
class EvalResult:
    """What an evaluation or a re-scoring came to."""

    output_json: Path
    model: str
    metrics: dict[str, Value]
    ci95: dict[str, Interval | None]
    ci_unit: str | None
    chance: dict[str, dict[str, Any] | None]
    asked: int
    """Samples asked by this call."""
    kept: int
    """Samples whose answer an earlier run had stored."""
    errors: int
    """Samples that stayed without an answer: the command exits 1 if there are any."""
    first_error: str | None
    problems: tuple[dict[str, str], ...]
    """Masks that are not there or cannot be read: ``path`` and ``reason``."""

    @classmethod
    def of(
        cls, assessment: Assessment, *, output_json: Path, model: str, asked: int, kept: int
    ) -> EvalResult:
        """The outcome of ``assessment``."""
        failures = [f"{s.id}: {s.error}" for s in assessment.scores if s.status == "error"]
        return cls(
            output_json=output_json,
            model=model,
            metrics=assessment.metrics,
            ci95=assessment.ci95,
            ci_unit=assessment.ci_unit,
            chance=assessment.chance,
            asked=asked,
            kept=kept,
            errors=len(failures),
            first_error=failures[0] if failures else None,
            problems=assessment.problems,
        )


def evaluate(
    *,
    data_json: Path,
    output_json: Path,
    model: str | Answerer,
    image_folder: Path | None = None,
    max_new_tokens: int = 64,
    batch_size: int = 8,
    limit: int | None = None,
    workers: int | None = None,
    seed: int = 0,
    scoring: str = "x3",
    mask: str = "auto",
    fresh: bool = False,
    model_options: Mapping[str, Any] | None = None,
) -> EvalResult:
    """Answer and score the records of ``data_json``, and write ``output_json``.

    Answers are journalled as they come. A run that was killed, or that left samples without an answer, is
    continued by the same call: only what is missing is asked. What the answers do not depend on (``scoring``,
    ``mask``, ``batch_size``, ``workers``, a larger ``limit``) may change between calls.

    Args:
        data_json: a task file of ``x3 build``.
        output_json: the results file; replaced in one step at the end.
        model: ``KIND[:ARG]`` of ``models.registry``, or an answerer, which stays open.
        image_folder: where relative image paths lie.
        max_new_tokens: for models that generate.
        batch_size: samples per call of the model.
        limit: the first so many records only.
        workers: threads for a concurrent answerer and for reading masks; default: the CPUs.
        seed: for answerers that draw.
        scoring: ``x3`` or ``roborefer``.
        mask: ``auto``, ``tight`` or ``dilated``.
        fresh: discard an earlier output and journal; a file that is no results file stays.
        model_options: options of the model's kind.

    Raises:
        UserError: bad options or files, an answerer that cannot do the task, or an output made with
            other settings.
    """
    started = time.perf_counter()
    rule, choice = check_scoring(scoring), check_mask_choice(mask)
    workers = default_workers() if workers is None else workers
    for name, number in (
        ("batch_size", batch_size),
        ("workers", workers),
        ("max_new_tokens", max_new_tokens),
        ("limit", 1 if limit is None else limit),
    ):
        if number < 1:
            raise UserError(f"--{name} {number}: must be at least 1")
    everything = read_records(data_json)
    records = everything[:limit]
    for record in records:  # a file that cannot be scored is refused before a model is asked
        try:
            truth_of(record)
        except UserError as error:
            raise UserError(f"{data_json}: {error}") from None
    options = {"max_new_tokens": max_new_tokens, "seed": seed, **(model_options or {})}
    given = isinstance(model, Answerer)
    answerer = model if isinstance(model, Answerer) else registry.create(model, options)
    with nullcontext() if given else closing(answerer):
        find_convention(answerer.convention)
        check_supported(answerer, records, data_json)
        check_output(output_json, "--output_json", [data_json])
        check_replaceable(output_json)
        data_sha256 = sha256_file(data_json)
        settings = {
            "model": answerer.spec or answerer.name,
            "describe": json.loads(json.dumps(answerer.describe())),  # as it will be read back
            "convention": answerer.convention,
            "data_sha256": data_sha256,
            "max_new_tokens": max_new_tokens,
            "seed": seed,
            "image_folder": None if image_folder is None else str(image_folder.absolute()),
        }
        with open_store(output_json, settings, fresh=fresh) as store:
            _check_not_shrunk(store, records, everything, output_json, limit)
            asked, kept = _ask_missing(
                store,
                answerer,
                records,
                image_folder=image_folder,
                batch_size=batch_size,
                workers=workers,
            )
            assessment = assess(
                records,
                store.replies,
                convention=answerer.convention,
                rule=rule,
                mask=choice,
                image_folder=image_folder,
                workers=workers,
            )
            seconds = time.perf_counter() - started
            output = assessment.to_json() | {
                "settings": settings | {"limit": limit},
                "versions": versions(),
                "model": {
                    "name": answerer.name,
                    "kind": answerer.spec and answerer.spec.partition(":")[0],
                    "convention": answerer.convention,
                    "privileged": answerer.privileged,
                    "describe": settings["describe"],
                },
                "data": data_identity(data_json, data_sha256),
                "run": {
                    "seconds": round(seconds, 3),
                    "samples_per_second": round(asked / seconds, 3),
                    "asked": asked,
                    "host": socket.gethostname(),
                    "workers": workers,
                    "batch_size": batch_size,
                    "date": datetime.now(UTC).isoformat(timespec="seconds"),
                },
            }
            write_output(output_json, output)
            store.remove_journal()
    return EvalResult.of(
        assessment, output_json=output_json, model=answerer.name, asked=asked, kept=kept
    )


def _ask_missing(
    store: Store,
    answerer: Answerer,
    records: Sequence[TaskRecord],
    *,
    image_folder: Path | None,
    batch_size: int,
    workers: int,
) -> tuple[int, int]:
    """Ask what has no answer yet, or one given from other images; (samples asked, kept)."""
    questions, states = [], {}
    for record in records:
        question = question_of(record, image_folder, privileged=answerer.privileged)
        state = _state(answerer, question)
        known = store.replies.get(record.id)
        if known is None or known.text is None or known.seen not in (None, state):
            questions.append(question)
            states[record.id] = state
    kept = len(records) - len(questions)
    with progress(answerer.name, len(records), done=kept) as advance:
        for replies in ask(answerer, questions, batch_size=batch_size, workers=workers):
            store.add({id: replace(reply, seen=states[id]) for id, reply in replies.items()})
            advance(len(replies))
    return len(questions), kept


def _state(answerer: Answerer, question: Question) -> str:
    try:
        return files_state(answerer.reads(question))
    except (OSError, ValueError):
        return ""  # a file is not there: the answerer will say which


def _check_not_shrunk(
    store: Store,
    records: Sequence[TaskRecord],
    everything: Sequence[TaskRecord],
    output_json: Path,
    limit: int | None,
) -> None:
    """A smaller limit would drop answers that were paid for."""
    beyond = {record.id for record in everything[len(records) :]}
    lost = sum(reply.text is not None for id, reply in store.replies.items() if id in beyond)
    if lost:
        raise UserError(
            f"--limit {limit}: {output_json} holds {lost} more answers, which this would drop;"
            " use the earlier limit or more, write elsewhere, or use --fresh"
        )


def versions() -> dict[str, str]:
    """What decided the numbers beside the settings."""
    found = {"x3spatial": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # e.g. opencv-contrib in its place
            found[package] = "unknown"
    return found


def data_identity(data_json: Path, sha256: str) -> dict[str, Any]:
    """Which data was asked: path, hash, and the settings of the build beside it, as a hash."""
    manifest = data_json.parent / "build.json"
    return {
        "path": str(data_json.absolute()),
        "sha256": sha256,
        "build": _build_identity(read_manifest(manifest)),
    }


def _build_identity(manifest: dict[str, Any] | None) -> str | None:
    """Hash of what decided the images but cannot be seen in the records, such as the overlay."""
    if manifest is None:
        return None
    prompts = {name: prompt["sha256"] for name, prompt in manifest.get("prompts", {}).items()}
    return sha256_json([manifest.get("format"), manifest.get("parameters"), prompts])

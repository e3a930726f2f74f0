"""Shards of ``x3 eval``: each asks its samples and keeps them as results of its own, beside the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from x3spatial.engine.shard_notes import OpenShard, open_shard
from x3spatial.engine.shards import Shard
from x3spatial.evaluation.inference import Reply
from x3spatial.evaluation.journal import finished_replies
from x3spatial.evaluation.settings import AnswerSettings
from x3spatial.formats.results_file import ModelInfo, RunSettings
from x3spatial.formats.task_file import TaskRecord

KIND = "eval"
RESULTS = "results.json"
"""The results of a shard, in its folder."""


def settings_of(facts: Mapping[str, Any]) -> RunSettings:
    """The settings in a results file.

    Args:
        facts: what decides the results: ``answers`` (``AnswerSettings.values``), ``limit``, ``image_root``.
    """
    return RunSettings(**facts["answers"], limit=facts["limit"], image_root=facts["image_root"])


def model_of(facts: Mapping[str, Any]) -> ModelInfo:
    """The model in a results file.

    Args:
        facts: what decides the results: ``answers``, ``name``, ``spec``, ``privileged``.
    """
    spec = facts["spec"]
    return ModelInfo(
        name=facts["name"],
        kind=spec and spec.partition(":")[0],
        convention=facts["answers"]["convention"],
        privileged=facts["privileged"],
        describe=facts["answers"]["describe"],
    )


def shard_results(shard: Shard, output_json: Path) -> Path:
    """The results of one shard of ``output_json``."""
    return shard.folder(output_json, is_file=True) / RESULTS


def output_of(
    shard: Shard | None, output_json: Path, facts: Mapping[str, Any], *, fresh: bool
) -> AbstractContextManager[OpenShard | None]:
    """The shard that is being made; None for a whole run.

    Raises:
        UserError: see ``open_shard``.
    """
    if shard is None:
        return nullcontext()
    return open_shard(shard, output_json, KIND, facts, is_file=True, fresh=fresh)


def merged_already(
    output_json: Path, settings: AnswerSettings, records: Sequence[TaskRecord]
) -> dict[str, Reply] | None:
    """The replies in an output that answers all records; None if it does not or is not there.

    Raises:
        UserError: it was written with other settings.
    """
    if not output_json.exists():
        return None
    replies = finished_replies(output_json, settings)
    answered = {id for id, reply in replies.items() if reply.text is not None}
    return replies if answered >= {record.id for record in records} else None

"""``eval.yaml``, by which the Hub knows a data set as a benchmark with a leaderboard per task.

The format is that of the Hub's documentation of evaluation results (``name``, ``description``, ``tasks`` with
``id``, ``config`` and ``split``). Its field ``evaluation_framework`` takes a word from a list that the Hub
keeps. x3spatial is not on it, and none of the others scores points by masks, so the field is left out, as
the Hub's maintainers do in such cases.
"""

from __future__ import annotations

from collections.abc import Sequence

from x3spatial.exporters.base import CardOptions
from x3spatial.exporters.hub.sets import HubSet
from x3spatial.tasks.spec import TASKS

TRAINING = "train"
"""The split without a leaderboard."""


def leaderboard_text(sets: Sequence[HubSet], card: CardOptions) -> str:
    """The text of ``eval.yaml``: a task per set that is not for training."""
    import yaml

    scored = [found for found in sets if found.split != TRAINING]
    value = {
        "name": card.title,
        "description": _description(scored),
        "tasks": [
            {"id": task_id(found, scored), "config": found.config, "split": found.split}
            for found in scored
        ],
    }
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text


def task_id(found: HubSet, sets: Sequence[HubSet]) -> str:
    """The name of a set's leaderboard: its configuration, with the split where there are several."""
    alone = sum(other.config == found.config for other in sets) == 1
    return found.config if alone else found.name


def _description(sets: Sequence[HubSet]) -> str:
    parts = [f"{task_id(found, sets)} ({metric_of(found)})" for found in sets]
    return (
        "Spatial questions over views of one scene, answered with a point or with the word that nothing is to"
        " be seen, scored from 0 to 1 with x3spatial (x3 score): " + ", ".join(parts) + "."
    )


def metric_of(found: HubSet) -> str:
    """The figure that ranks models on a set."""
    if found.absent == found.rows:
        return "not_visible_accuracy"
    return "balanced_accuracy" if found.absent else "hit_at_mask"


def titles_of(found: HubSet) -> str:
    """The titles of a set's tasks."""
    return ", ".join(TASKS[task].title for task in found.tasks)

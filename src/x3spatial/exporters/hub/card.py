"""The card of a data set: ``README.md`` with a YAML header that the Hub reads."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from itertools import groupby

import x3spatial
from x3spatial.exporters.base import CardOptions
from x3spatial.exporters.hub.leaderboard import TRAINING, metric_of, titles_of
from x3spatial.exporters.hub.sets import HubSet
from x3spatial.formats.hub import size_category
from x3spatial.tasks.spec import TASKS

TASK_CATEGORIES = ("visual-question-answering", "image-text-to-text")
TAGS = ("pointing", "spatial-reasoning", "multi-view", "benchmark", "x3spatial")


def card_text(sets: Sequence[HubSet], card: CardOptions) -> str:
    """The text of the card."""
    import yaml

    rows = sum(found.rows for found in sets)
    configs = [
        {
            "config_name": config,
            "data_files": [{"split": found.split, "path": found.pattern} for found in members],
        }
        for config, members in groupby(_by_config(sets), key=lambda found: found.config)
    ]
    header = {
        "license": card.license,
        "pretty_name": card.title,
        "language": ["en"],
        "task_categories": list(TASK_CATEGORIES),
        "size_categories": [size_category(rows)],
        "tags": list(TAGS),
        "configs": configs,
    }
    top = yaml.safe_dump(header, sort_keys=False, allow_unicode=True, width=100)
    # The example shows a set that models are ranked on, if there is one.
    ranked = [found for found in sets if found.split != TRAINING]
    first = next(iter([*ranked, *sets]), HubSet("CONFIGURATION", "SPLIT", ""))
    body = (
        (resources.files(__package__) / "card.md.txt")
        .read_text(encoding="utf-8")
        .format(
            title=card.title,
            sets="\n".join(map(_row, _by_config(sets))),
            questions="\n".join(_questions(sets)),
            config=first.config,
            split=first.split,
            version=x3spatial.__version__,
        )
    )
    return f"---\n{top}---\n\n{body}"


def _by_config(sets: Sequence[HubSet]) -> list[HubSet]:
    order = list(dict.fromkeys(found.config for found in sets))
    return sorted(sets, key=lambda found: order.index(found.config))


def _row(found: HubSet) -> str:
    visible = found.rows - found.absent
    cells = (
        f"`{found.config}`", found.split, titles_of(found), str(found.rows), str(visible),
        str(found.absent), str(len(found.scenes)), f"`{metric_of(found)}`",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _questions(sets: Sequence[HubSet]) -> list[str]:
    tasks = dict.fromkeys(task for found in sets for task in found.tasks)
    return [f"- {TASKS[task].title}: {TASKS[task].summary}." for task in tasks]

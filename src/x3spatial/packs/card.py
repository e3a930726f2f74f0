"""The card of a pack, README.md: what the Hub shows, and which shards are which set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CARD = "README.md"
_SPLITS = {"val": "validation"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"


@dataclass(frozen=True, slots=True)
class SetFacts:
    """What the card says of a set."""

    name: str
    split: str | None
    """Of its samples; None if they have none."""
    samples: int
    images: int
    """Files inside, each counted once."""
    shards: int
    bytes: int
    data_sha256: str
    tasks: Sequence[str]


def split_name(split: str | None) -> str:
    """The name of a split as data sets have it; ``train``, which every loader has, where there is none."""
    return "train" if split is None else _SPLITS.get(split, split)


def card(facts: Sequence[SetFacts], licence: str | None, answers: Mapping[str, str]) -> str:
    """The text of the card.

    Args:
        facts: the sets.
        licence: an identifier of the Hub, such as ``cc-by-4.0``; None: not stated.
        answers: task → what is asked, for the list of tasks.
    """
    samples = sum(each.samples for each in facts)
    size = next((name for limit, name in _SIZES if samples < limit), _LARGEST)
    head = ["---"]
    if licence is not None:
        head.append(f"license: {_text(licence)}")
    head += [
        "size_categories:",
        f"- {size}",
        "tags:",
        "- x3spatial",
        "- spatial-reasoning",
        "configs:",
    ]
    for each in facts:
        head += [
            f"- config_name: {_text(each.name)}",
            "  data_files:",
            f"  - split: {split_name(each.split)}",
            f"    path: {_text(f'{each.name}/part-*.parquet')}",
        ]
    head.append("---")
    rows = [
        f"| `{each.name}` | {split_name(each.split)} | {each.samples:,} | {each.images:,} | {each.shards} |"
        f" {each.bytes / 1e6:,.1f} | `{each.data_sha256[:12]}` |"
        for each in facts
    ]
    tasks = dict.fromkeys(task for each in facts for task in each.tasks)
    first = facts[0]
    body = [
        "# Spatial questions over several views",
        "",
        "Task files of [x3spatial](https://github.com/x3spatial/x3spatial) with their images and masks"
        " inside.",
        "",
        "| set | split | samples | images | shards | MB | task file (SHA-256) |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        "## Use",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'rows = load_dataset("PACK", "{first.name}", split="{split_name(first.split)}")',
        'rows[0]["images"], rows[0]["prompt"], rows[0]["answer"], rows[0]["query_mask"]',
        "```",
        "",
        "```bash",
        f"x3 eval PACK/{first.name} --model KIND:NAME -o results.json",
        "```",
        "",
        "## Columns",
        "",
        "`images`: the images of the question, in the order of the prompt. `ref_mask`, `query_mask`: masks"
        " of the object; a pixel above 0 belongs to it. `answer`: `[(x, y)]` in the frame of the last image,"
        " from 0 to 1, or the token of absence. `other_images`: further files that records name, once each."
        " `record`: the record of the task file as JSON. Points refer to the stored pixels.",
        *(
            ["", "## Tasks", "", *(f"- `{task}`: {answers[task]}" for task in tasks)]
            if tasks
            else []
        ),
    ]
    return "\n".join([*head, "", *body, ""])


def _text(value: str) -> str:
    """A text of YAML."""
    return json.dumps(value)

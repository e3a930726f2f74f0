"""The card of a pack, README.md: what the Hub shows, and which shards are which set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from x3spatial.formats.hub import SPLITS, size_category
from x3spatial.tasks.spec import TASKS

CARD = "README.md"


def split_name(split: str | None) -> str:
    """The name of a split as data sets have it; ``train``, which every loader has, where there is none."""
    return "train" if split is None else SPLITS.get(split, split)


def shard_bytes(entry: Mapping[str, Any]) -> int:
    """The bytes of the shards of a set, by its entry in the manifest."""
    return sum(shard["bytes"] for shard in entry["shards"])


def card(sets: Mapping[str, Mapping[str, Any]], licence: str | None) -> str:
    """The text of the card.

    Args:
        sets: the sets as in the manifest.
        licence: an identifier of the Hub, such as ``cc-by-4.0``; None: not stated.
    """
    size = size_category(sum(entry["records"] for entry in sets.values()))
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
    for name, entry in sets.items():
        head += [
            f"- config_name: {_text(name)}",
            "  data_files:",
            f"  - split: {split_name(entry['split'])}",
            f"    path: {_text(f'{name}/part-*.parquet')}",
        ]
    head.append("---")
    rows = [
        f"| `{name}` | {split_name(entry['split'])} | {entry['records']:,} | {entry['images']:,} |"
        f" {len(entry['shards'])} | {shard_bytes(entry) / 1e6:,.1f} | `{entry['data_sha256'][:12]}` |"
        for name, entry in sets.items()
    ]
    tasks = dict.fromkeys(task for entry in sets.values() for task in entry["tasks"])
    first = next(iter(sets))
    split = split_name(sets[first]["split"])
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
        f'rows = load_dataset("PACK", "{first}", split="{split}")',
        'rows[0]["images"], rows[0]["prompt"], rows[0]["answer"], rows[0]["query_mask"]',
        "```",
        "",
        "```bash",
        f"x3 eval PACK/{first} --model KIND:NAME -o results.json",
        "```",
        "",
        "## Columns",
        "",
        "`images`: the images of the question, in the order of the prompt. `ref_mask`, `query_mask`: masks"
        " of the object; a pixel above 0 belongs to it. `answer`: `[(x, y)]` in the frame of the last image,"
        " from 0 to 1, or the token of absence. `other_images`: further files that records name, once each."
        " `record`: the record of the task file as JSON. Points refer to the stored pixels.",
        *(
            ["", "## Tasks", "", *(f"- `{task}`: {TASKS[task].summary}" for task in tasks)]
            if tasks
            else []
        ),
    ]
    return "\n".join([*head, "", *body, ""])


def _text(value: str) -> str:
    """A text of YAML."""
    return json.dumps(value)

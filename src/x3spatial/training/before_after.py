"""Before and after: the base and the trained checkpoint on the training split and on a held-out one.

``python -m x3spatial.training.before_after --base MODEL --trained RUN --train_json A --held_out_json B``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from x3spatial.errors import packages_of
from x3spatial.program import run_program
from x3spatial.texts import print_line

_COLUMNS = (
    ("hit_at_mask", "Hit@Mask"),
    ("not_visible_accuracy", "NOT_VISIBLE acc"),
    ("balanced_accuracy", "balanced acc"),
    ("mean_l2_error", "mean L2"),
)

Figures = Mapping[str, Any]


def measure_before_after(
    *,
    base: Path,
    trained: Path,
    train_json: Path,
    held_out_json: Path,
    eval_dir: Path,
    limit: int | None = None,
    image_folder: Path | None = None,
    image_root: Path | None = None,
) -> dict[tuple[str, str], Figures]:
    """Metrics by (split, checkpoint): splits ``training`` and ``held out``, checkpoints ``zero-shot``
    and ``trained``. Answers are stored in ``eval_dir``; a repeated call only asks for missing ones.

    Raises:
        UserError: a checkpoint or file cannot be used.
    """
    from contextlib import closing

    from x3spatial.evaluation.run import evaluate
    from x3spatial.models.roborefer.layout import fingerprint
    from x3spatial.models.roborefer.model import RoboReferModel

    found: dict[tuple[str, str], Figures] = {}
    for name, path in (("zero-shot", base), ("trained", trained)):
        with closing(RoboReferModel(path)) as model:
            # Results of another checkpoint of the same name must not be continued.
            mark = fingerprint(model.checkpoint.layout)[:8]
            for split, data in (("training", train_json), ("held out", held_out_json)):
                result = evaluate(
                    data_json=data,
                    output_json=eval_dir / f"{name}-{mark}" / data.name,
                    model=model,
                    limit=limit,
                    image_folder=image_folder,
                    image_root=image_root,
                )
                found[split, name] = result.metrics
    return found


def render(found: Mapping[tuple[str, str], Figures]) -> list[str]:
    """The lines of the table."""
    lines = [f"{'':24}" + "".join(f"{title:>18}" for _, title in _COLUMNS) + f"{'samples':>10}"]
    for split in ("training", "held out"):
        rows = [found[split, name] for name in ("zero-shot", "trained")]
        for name, row in zip(("zero-shot", "trained"), rows, strict=True):
            figures = "".join(f"{_text(row[key]):>18}" for key, _ in _COLUMNS)
            lines.append(f"{f'{split}, {name}':24}{figures}{row['total']:>10}")
        change = [_change(rows[0][key], rows[1][key]) for key, _ in _COLUMNS]
        lines.append(f"{f'{split}, change':24}" + "".join(f"{text:>18}" for text in change))
    return lines


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _change(before: float | None, after: float | None) -> str:
    return "-" if before is None or after is None else f"{after - before:+.3f}"


def main(arguments: Sequence[str]) -> int:
    """Print the table and return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("base", "trained", "train_json", "held_out_json", "eval_dir"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--image_folder", type=Path)
    parser.add_argument("--image_root", type=Path)
    parser.add_argument("--limit", type=int)
    given = vars(parser.parse_args(list(arguments)))
    with packages_of("train", "the evaluation before and after"):
        for line in render(measure_before_after(**given)):
            print_line(line)
    return 0


if __name__ == "__main__":
    run_program(lambda: main(sys.argv[1:]))

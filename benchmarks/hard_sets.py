"""How baselines stand on the hard sets: renders held-out rooms, asks all sets, and writes tables.

Writes ``tables.json`` (every metric with its interval, by angle and by cause of absence, consistency) and
``tables.md`` (the same in short) to ``--out``, and prints one JSON line with counts and times. Rooms are
rendered until ``--render-seconds`` are over, but at most ``--rooms``; a root that is given is not touched.

    python benchmarks/hard_sets.py --out FOLDER [--rooms 64] [--width 640 --height 480] [--models sift,xfeat]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.engine.local import default_workers
from x3spatial.evaluation.answers import score_answers
from x3spatial.evaluation.provenance import versions
from x3spatial.evaluation.run import evaluate
from x3spatial.evaluation.statistics.consistency import follows_object
from x3spatial.evaluation.stored import score_of
from x3spatial.evaluation.twins import twins_of
from x3spatial.formats.results_file import ResultsFile, read_results
from x3spatial.formats.task_file import read_records
from x3spatial.synth.generate import render_scenes

TWO_VIEWS = ("t1_multi", "t1_counterfactual", "t1_negatives")
ONE_VIEW = ("t2b_unchanged", "t2b_unchanged with decoys")
MODELS = ("centre", "always-not-visible", "copy-reference", "pixel-diff", "sift", "xfeat")
ASKED: dict[str, tuple[str, ...]] = {
    "pixel-diff": ONE_VIEW,
    "always-not-visible": (*TWO_VIEWS, *ONE_VIEW),
}
"""Sets of a model; ``TWO_VIEWS`` for the others."""
SHOWN = {
    "t1_multi": ("hit_at_mask", "not_visible_accuracy", "false_not_visible_rate", "balanced_accuracy"),
    "t1_counterfactual": ("not_visible_accuracy", "points_at_removed"),
    "t1_negatives": ("not_visible_accuracy",),
    **dict.fromkeys(ONE_VIEW, ("balanced_accuracy", "not_visible_accuracy", "hit_at_mask")),
}  # fmt: skip
STRATA = {"angle_deg": "t1_multi", "absence": "t1_negatives"}


def render(root: Path, given: argparse.Namespace) -> int:
    """Render rooms in rounds until the time is over; the number of rooms."""
    start, rooms = time.monotonic(), 0
    while rooms < given.rooms:
        left = given.render_seconds - (time.monotonic() - start)
        rate = rooms / (time.monotonic() - start) if rooms else 0.0
        more = (
            given.workers if rooms == 0 else int(left * rate * 0.9) // given.workers * given.workers
        )
        if more < 1:
            break
        rooms = min(given.rooms, rooms + min(more, 4 * given.workers))
        render_scenes(
            root, {"validation": rooms}, width=given.width, height=given.height,
            samples=given.samples, seed=given.seed, workers=given.workers,
        )  # fmt: skip
    return rooms


def build(root: Path, folder: Path, workers: int) -> dict[str, Path]:
    """The task file of every set, with and without decoys."""
    for name, tasks, decoys in (
        ("plain", ("t1_multi", "hard"), False),
        ("decoys", ("t2b_unchanged",), True),
    ):
        options = BuildOptions(tasks=tasks, mode="allpairs", use_dilated_mask=True, decoys=decoys)
        build_tasks(root, folder / name, options, workers=workers)
    return {
        "t1_multi": folder / "plain" / "t1_val_multi.json",
        "t1_counterfactual": folder / "plain" / "t1_val_counterfactual.json",
        "t1_negatives": folder / "plain" / "t1_val_negatives.json",
        "t2b_unchanged": folder / "plain" / "t2b_val_unchanged.json",
        "t2b_unchanged with decoys": folder / "decoys" / "t2b_val_unchanged.json",
    }


def ask(task_file: str, part: int, parts: int, model: str) -> dict[str, str]:
    """Id → answer for one part of a task file: consecutive samples, because these share images."""
    records = read_records(Path(task_file))
    low, high = (len(records) * k // parts for k in (part, part + 1))
    if low == high:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "part.json")
        data.write_text(json.dumps([record.to_json() for record in records[low:high]]))
        evaluate(data, Path(folder, "results.json"), model, workers=1, batch_size=1)
        entries = read_results(Path(folder, "results.json")).results
        return {entry.id: entry.pred_text for entry in entries if entry.pred_text is not None}


def ask_all(
    files: dict[str, Path], models: Sequence[str], workers: int, gpu_workers: int, seconds: float
) -> dict[tuple[str, str], list[Future[dict[str, str]]]]:
    """Ask every model every set that it can answer; parts that have not begun in time are cancelled."""
    context = get_context("spawn")
    found: dict[tuple[str, str], list[Future[dict[str, str]]]] = {}
    with (
        ProcessPoolExecutor(gpu_workers, context) as on_gpu,
        ProcessPoolExecutor(workers, context) as on_cpu,
    ):
        for model in models:
            pool, parts = (on_gpu, 4 * gpu_workers) if model == "xfeat" else (on_cpu, 2 * workers)
            for name in ASKED.get(model, TWO_VIEWS):
                found[model, name] = [
                    pool.submit(ask, str(files[name]), part, parts, model) for part in range(parts)
                ]
        wait([part for parts in found.values() for part in parts], seconds)
        on_gpu.shutdown(cancel_futures=True)
        on_cpu.shutdown(cancel_futures=True)
    return found


def score(
    files: dict[str, Path], asked: dict[tuple[str, str], list[Future[dict[str, str]]]]
) -> Any:
    """Model → set → figures."""
    tables: dict[str, dict[str, Any]] = {}
    stored: dict[tuple[str, str], ResultsFile] = {}
    for (model, name), parts in asked.items():
        parts = [part for part in parts if not part.cancelled()]
        failures = [error for part in parts if (error := part.exception()) is not None]
        if failures:
            text = "".join(traceback.format_exception(failures[0]))
            tables.setdefault(model, {})[name] = {"failed": len(failures), "first": text[-2000:]}
            continue
        answers = {id: text for part in parts for id, text in part.result().items()}
        asked_now = [record for record in read_records(files[name]) if record.id in answers]
        if not asked_now:
            continue
        scored = score_answers(asked_now, answers, convention="unit", model_name=model)
        results = scored.stored
        assert results is not None
        stored[model, name] = results
        tables.setdefault(model, {})[name] = {
            "metrics": results.metrics,
            "ci95": results.ci95,
            "ci_unit": results.ci_unit,
            "by_stratum": {
                stratum: [asdict(row) for row in rows]
                for stratum, rows in results.by_stratum.items()
            },
            "consistency": {key: asdict(row) for key, row in results.consistency.items()},
        }
    twins = twins_of(read_records(files["t1_counterfactual"]))
    for model in tables:
        pair = [stored.get((model, name)) for name in ("t1_multi", "t1_counterfactual")]
        if pair[0] is not None and pair[1] is not None:
            scores = [[score_of(entry) for entry in results.results] for results in pair if results]
            row = asdict(follows_object(scores[0], scores[1], twins))
            tables[model]["t1_counterfactual"]["consistency"]["follows_object"] = row
    return tables


def _figure(value: Any, interval: Any) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.3f}"
        if interval is None
        else f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
    )


def markdown(tables: dict[str, dict[str, Any]]) -> str:
    """The tables in short."""
    lines = []
    for name, metrics in SHOWN.items():
        lines += [f"## {name}", "", "| model | bin | samples | " + " | ".join(metrics) + " |"]
        lines.append("|---" * (3 + len(metrics)) + "|")
        for model, sets in tables.items():
            found = sets.get(name)
            if found is None or "failed" in found:
                if found is not None:
                    lines.append(f"| {model} | {found['failed']} parts failed |")
                continue
            rows = [("all", found["metrics"]["total"], found)]
            for stratum, of_set in STRATA.items():
                if of_set == name:
                    rows += [
                        (_bin(row), row["samples"], row)
                        for row in found["by_stratum"].get(stratum, [])
                    ]
            for label, count, row in rows:
                cells = (_figure(row["metrics"].get(m), row["ci95"].get(m)) for m in metrics)
                lines.append(f"| {model} | {label} | {count} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [
        "## consistency",
        "",
        "| model | figure | units | value | independent |",
        "|---" * 5 + "|",
    ]
    for model, sets in tables.items():
        for found in sets.values():
            for figure, row in found.get("consistency", {}).items():
                value = _figure(row["value"], row["ci95"])
                independent = _figure(row["independent"], None)
                lines.append(f"| {model} | {figure} | {row['units']} | {value} | {independent} |")
    return "\n".join(lines) + "\n"


def _bin(row: dict[str, Any]) -> str:
    if row["name"] is not None:
        return str(row["name"])
    most = "" if row["most"] is None else f"{row['most']:g}"
    return f"{row['least']:g} to {most}" if most else f"{row['least']:g} and more"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--root", type=Path, help="a root with a split 'validation', instead of new rooms"
    )
    parser.add_argument("--rooms", type=int, default=64)
    parser.add_argument("--render-seconds", type=float, default=1800)
    parser.add_argument("--ask-seconds", type=float, default=1e6, help="no part starts later")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--samples", type=int, default=4, help="rays per pixel")
    parser.add_argument("--seed", type=int, default=2027)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--gpu-workers", type=int, default=1, help="processes of xfeat")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    given.out.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}

    def timed(name: str, start: float) -> float:
        seconds[name] = round(time.monotonic() - start, 1)
        print(f"{name}: {seconds[name]} s", flush=True)
        return time.monotonic()

    with tempfile.TemporaryDirectory() as folder:
        now = time.monotonic()
        root = given.root or Path(folder, "rooms")
        if given.root is None:
            render(root, given)
        rooms = len(list((root / "validation").glob("*/")))
        now = timed("render", now)
        files = build(root, Path(folder, "tasks"), given.workers)
        now = timed("build", now)
        asked = ask_all(
            files, given.models.split(","), given.workers, given.gpu_workers, given.ask_seconds
        )
        now = timed("ask", now)
        tables = score(files, asked)
        timed("score", now)
        counts = {
            name: json.loads((Path(folder, "tasks", name) / "build.json").read_text())["counts"]
            for name in ("plain", "decoys")
        }
    line = {
        "benchmark": "hard_sets", "rooms": rooms, "width": given.width, "height": given.height,
        "seed": None if given.root else given.seed, "workers": given.workers, "seconds": seconds,
    }  # fmt: skip
    about = {**line, "versions": versions(), "counts": counts}
    (given.out / "tables.json").write_text(json.dumps({**about, "models": tables}, indent=1) + "\n")
    (given.out / "tables.md").write_text(markdown(tables))
    print(json.dumps(line))


if __name__ == "__main__":
    main()

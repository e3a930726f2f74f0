"""CPU time and memory of eval, score and compare on a large task file; prints one JSON line.

Renders a few small rooms (or takes ``--root``), builds ``t1_val_multi.json`` of all pairs, and repeats it
under other names of scenes until it has ``--records`` records. Images of the copies are hard links,
so each copy has files of its own to find, open and decode. Each command is a process of its own; ``cpu_s`` is
its user and system time, which other programs disturb less than the wall-clock time, ``mb`` its
peak resident memory.

``score_jsonl`` scores the same answers from a file of JSON Lines, as another program would have written them.

    python benchmarks/large_files.py [--records 2000] [--root ROOT] [--scratch FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import count, islice
from pathlib import Path
from typing import Any

from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.formats.results_file import open_results
from x3spatial.synth.generate import render_scenes

NAME = "t1_val_multi.json"


def link(source: Path, target: Path) -> None:
    """Link the PNG files of a folder and of those in it."""
    for path in sorted(source.rglob("*.png")):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, place)


def repeat(root: Path, built: Path, folder: Path, records: int) -> Path:
    """Write ``records`` records: those of ``built`` again and again, with scenes of new names."""
    task_file = folder / NAME
    source = json.loads((built / NAME).read_text())
    scenes = sorted({record["scene"] for record in source})
    shutil.copy(built / "build.json", folder)

    def copies() -> Any:
        for number in count():
            prefix = f"c{number:03}_"
            for scene in scenes:
                link(root / "validation" / scene, folder / "root" / "validation" / (prefix + scene))
                marked = Path("marked_abs", "validation")
                link(built / marked / scene, folder / marked / (prefix + scene))
            for record in source:
                scene = record["scene"]
                text = json.dumps(record, ensure_ascii=False)
                text = text.replace(f"{root}{os.sep}", f"{folder / 'root'}{os.sep}")
                text = text.replace(f"{built}{os.sep}", f"{folder}{os.sep}")
                yield text.replace(scene, prefix + scene)

    with open(task_file, "w", encoding="utf-8") as file:
        before = "[\n"
        for text in islice(copies(), records):
            file.write(before + text)
            before = ",\n"
        file.write("\n]\n")
    return task_file


def run(*arguments: object) -> dict[str, float]:
    """Run ``x3`` with ``arguments``; its CPU seconds and peak memory in MB."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "x3spatial", *map(str, arguments)], stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"x3 {arguments[0]} failed: {said.read().decode()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "mb": round(used.ru_maxrss * unit / 1e6),
    }


def measure(task_file: Path, out: Path) -> dict[str, dict[str, float]]:
    """CPU time and memory of every command on ``task_file``."""
    centre, uniform, answers = out / "centre.json", out / "uniform.json", out / "answers.jsonl"
    found = {
        "eval": run("eval", task_file, "-o", centre, "--model", "centre"),
        "eval_uniform": run("eval", task_file, "-o", uniform, "--model", "uniform"),
    }
    with open(answers, "w", encoding="utf-8") as file:
        for entry in open_results(centre)[1]:
            file.write(json.dumps({"id": entry.id, "text": entry.pred_text}) + "\n")
    found["score"] = run("score", centre, task_file, "-o", out / "again.json")
    found["score_jsonl"] = run(
        "score", answers, task_file, "-o", out / "scored.json", "--convention", "unit"
    )
    found["compare"] = run("compare", centre, uniform)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--root", type=Path, help="a data root with a validation split")
    parser.add_argument("--rooms", type=int, default=12)
    parser.add_argument("--width", type=int, default=112)
    parser.add_argument(
        "--scratch", type=Path, help="where files are made (default: a temporary folder)"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.scratch) as name:
        folder = Path(name).resolve()
        root = folder / "rendered" if given.root is None else given.root.resolve()
        if given.root is None:
            render_scenes(
                root, {"validation": given.rooms}, width=given.width, height=given.width, samples=1
            )
        elif root.stat().st_dev != folder.stat().st_dev:
            shutil.copytree(root, folder / "rendered")  # hard links need one file system
            root = folder / "rendered"
        built = folder / "built"
        build_tasks(
            root, built, BuildOptions(tasks=("t1_multi",), mode="allpairs", use_dilated_mask=True)
        )
        (folder / "large").mkdir()
        task_file = repeat(root, built, folder / "large", given.records)
        size = task_file.stat().st_size
        found = measure(task_file, folder)
    result = {
        "benchmark": "large_files",
        "records": given.records,
        "mb_of_json": round(size / 1e6, 1),
        **found,
        "jsonl_to_results": round(found["score_jsonl"]["cpu_s"] / found["score"]["cpu_s"], 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

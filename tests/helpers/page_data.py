"""A report folder made of random answers, for tests of the page and for its benchmark.

It follows docs/report-format.md without going through results files, so that a test knows every value and a
hundred thousand samples take seconds.
"""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from helpers.page_figures import CODE, METRICS, OUTCOMES, STRATA, cell_of
from helpers.paths import SRC

WEB = SRC / "x3spatial" / "reports" / "web"
NONE = 0xFFFFFFFF
HOSTILE = "<img src=x onerror=window.hacked=1>"


@dataclass
class Page:
    """What was written, as arrays, for counts of one's own."""

    folder: Path
    report: dict[str, Any]
    sets: list[dict[str, Any]] = field(default_factory=list)
    """Per set: ids, scene, label (texts), truth, strata (arrays), outcome, error, x, y (per run)."""


def packed(values: Any, kind: str) -> dict[str, str]:
    """B64(kind) of the format."""
    types = {"u8": "<u1", "u32": "<u4", "f32": "<f4"}
    data = np.ascontiguousarray(np.asarray(values), dtype=types[kind]).tobytes()
    return {"t": kind, "d": base64.b64encode(data).decode()}


def put(folder: Path, name: str, value: Any) -> None:
    """One data file of the page."""
    path = folder / "data" / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    path.write_text(f"x3data({json.dumps(name)},{text})\n", encoding="utf-8")


def write_page(
    folder: Path,
    *,
    samples: int = 240,
    runs: int = 3,
    sets: int = 2,
    images: int = 12,
    size: tuple[int, int] = (320, 240),
    problems: int = 2,
    seed: int = 0,
    details: bool = True,
) -> Page:
    """Write a page with random answers."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    shutil.copytree(WEB / "assets", folder / "assets")
    template = (WEB / "index.html").read_text(encoding="utf-8")
    (folder / "index.html").write_text(template.replace("{title}", "Six models"), encoding="utf-8")
    generator = np.random.default_rng(seed)
    table = _images(folder, images, size, generator)
    names = ["tiny-8B", "oracle (noisy)", HOSTILE, "center", *(f"model {n}" for n in range(4, 20))]
    report: dict[str, Any] = {
        "format": 1,
        "kind": "results",
        "title": "Six models",
        "generator": "x3spatial test",
        "images": "copy",
        "problems": [
            {"path": f"/data/val/scene_{n}/image {n}.png", "reason": "image is missing"}
            for n in range(problems)
        ],
        "runs": [
            {
                "name": name,
                "model": f"hf:{name}",
                "path": f"/results/{n}",
                "state": "unfinished" if n == 1 else "complete",
                "settings": {"seed": 42, "dtype": "bfloat16"},
                "people": False,
            }
            for n, name in enumerate(names[:runs])
        ],
        "sets": [],
        "cells": [],
        "comparisons": [],
        "metrics": [
            dict(zip(("key", "title", "percent", "higher_is_better", "default"), m, strict=True))
            for m in METRICS
        ],
        "strata": STRATA,
        "outcomes": [{"name": n, "words": w, "right": r} for n, w, r in OUTCOMES],
    }
    page = Page(folder, report)
    for number in range(sets):
        page.sets.append(_set(folder, report, number, samples, runs, table, generator, details))
    put(folder, "report", report)
    return page


def _images(
    folder: Path, count: int, size: tuple[int, int], generator: np.random.Generator
) -> list[dict[str, Any]]:
    width, height = size
    table: list[dict[str, Any]] = []
    for number in range(count):
        if number == 1:
            table.append({"src": None, "w": width, "h": height, "reason": "image is missing"})
            continue
        ramp = np.linspace(70, 190, width, dtype=np.float32)[None, :, None]
        picture = np.repeat(ramp, height, axis=0) * generator.uniform(0.5, 1.2, 3)
        for _ in range(14):
            x, y = generator.integers(0, width), generator.integers(0, height)
            colour = tuple(int(c) for c in generator.integers(30, 230, 3))
            cv2.circle(
                picture,
                (int(x), int(y)),
                int(generator.integers(width // 40, width // 8)),
                colour,
                -1,
            )
        path = folder / "images" / f"{number % 256:02x}" / f"{number:032x}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            str(path), np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 80]
        )
        table.append({"src": path.relative_to(folder).as_posix(), "w": width, "h": height})
    return table


def _set(
    folder: Path,
    report: dict[str, Any],
    number: int,
    n: int,
    runs: int,
    table: list[dict[str, Any]],
    generator: np.random.Generator,
    details: bool,
) -> dict[str, Any]:
    name = ["t1_multi", "t1_negatives", "t2b_multi"][number % 3]
    scenes = [f"scene{s:04d}_00" for s in range(max(4, min(n // 20, 200)))]
    labels = ["chair", "table", "desk lamp", "杯子", HOSTILE]
    scene, label = generator.integers(0, len(scenes), n), generator.integers(0, len(labels), n)
    absent = generator.random(n) < (0.3 if number == 0 else 0.7)
    truth = absent.astype(np.uint8)
    tx, ty = (
        generator.uniform(0.1, 0.9, n).astype(np.float32),
        generator.uniform(0.1, 0.9, n).astype(np.float32),
    )
    tx[absent] = ty[absent] = np.nan
    share = (10 ** generator.uniform(-3, -1, n)).astype(np.float32)
    share[absent] = np.nan
    strata: dict[str, Any] = {
        "angle_deg": generator.uniform(0, 120, n).astype(np.float32),
        "mask_share": share,
        "overlap": generator.random(n).astype(np.float32),
    }
    strata["overlap"][::7] = np.nan
    why = np.where(absent, generator.integers(0, 3, n), NONE).astype(np.uint32)
    ids = [
        f"{name.upper()}_{scenes[s]}_uid{i % 97}_A01f_B{i:06d}"
        for i, s in enumerate(scene.tolist())
    ]
    columns: dict[str, Any] = {}
    answers: list[dict[str, Any]] = []
    for run in range(runs):
        skill = 0.75 - 0.12 * run
        spread = generator.normal(0, 0.02 + 0.04 * run, (2, n))
        x, y = tx + spread[0].astype(np.float32), ty + spread[1].astype(np.float32)
        says_absent = np.where(absent, generator.random(n) < skill, generator.random(n) < 0.1)
        false_point = absent & ~says_absent
        x[false_point], y[false_point] = 0.5, 0.5
        x[says_absent] = y[says_absent] = np.nan
        error = np.hypot(x - tx, y - ty).astype(np.float32)
        outcome = np.where(error < 0.06, CODE["hit"], CODE["miss"])
        outcome = np.where(says_absent, CODE["false-not-visible"], outcome)
        outcome = np.where(
            absent, np.where(says_absent, CODE["not-visible"], CODE["false-point"]), outcome
        )
        unparsed = generator.random(n) < 0.03
        outcome[unparsed] = CODE["unparsed"]
        x[unparsed] = y[unparsed] = error[unparsed] = np.nan
        failed = generator.random(n) < 0.01
        outcome[failed] = CODE["error"]
        x[failed] = y[failed] = error[failed] = np.nan
        if run == 1:
            outcome[n - n // 10 :] = 255
            x[n - n // 10 :] = y[n - n // 10 :] = error[n - n // 10 :] = np.nan
        columns[str(run)] = {
            "outcome": packed(outcome, "u8"),
            "error": packed(error, "f32"),
            "x": packed(x, "f32"),
            "y": packed(y, "f32"),
        }
        answers.append({"outcome": outcome, "error": error, "x": x, "y": y})
        report["cells"].append(cell_of(run, number, answers[run], absent, strata, why, n))
    reason_of = {CODE["unparsed"]: "no point and no NOT_VISIBLE in the text"}
    image_a, image_b = generator.integers(0, len(table), n), generator.integers(0, len(table), n)
    index = {
        "n": n,
        "scene": {"names": scenes, "codes": packed(scene, "u32")},
        "label": {"names": labels, "codes": packed(label, "u32")},
        "truth": packed(truth, "u8"),
        "tx": packed(tx, "f32"),
        "ty": packed(ty, "f32"),
        "area": packed(share, "f32"),
        "strata": {
            **{k: packed(v, "f32") for k, v in strata.items()},
            "absence": {"names": STRATA["absence"]["names"], "codes": packed(why, "u32")},
        },
        "image_a": packed(image_a, "u32"),
        "image_b": packed(image_b, "u32"),
        "images": table,
        "runs": columns,
    }
    put(folder, f"set-{number}", index)
    put(folder, f"ids-{number}", ids)
    for start in range(0, n if details else 0, 200):
        put(
            folder,
            f"set-{number}/detail-{start // 200:04d}",
            [
                _detail(i, ids, tx, ty, share, answers, reason_of, labels[label[i]])
                for i in range(start, min(start + 200, n))
            ],
        )
    report["sets"].append(
        {
            "name": name,
            "split": "val",
            "title": {"t1_multi": "Task1 multi"}.get(name, name),
            "path": f"/tasks/{name}.json",
            "samples": n,
            "absent_token": "NOT_VISIBLE",
            "concat": False,
            "details_per_file": 200,
            "strata": list(STRATA),
        }
    )
    for a in range(runs):
        for b in range(a + 1, runs):
            report["comparisons"].append(
                {
                    "set": number,
                    "a": a,
                    "b": b,
                    "metrics": {
                        key: {
                            "difference": -0.05 * (b - a),
                            "ci95": [-0.05 * (b - a) - 0.03, -0.05 * (b - a) + 0.03],
                            "significant": True,
                        }
                        for key in ("hit_at_mask", "success_005")
                    }
                    | {
                        "balanced_accuracy": {
                            "difference": -0.01,
                            "ci95": [-0.03, 0.01],
                            "significant": False,
                        }
                    },
                }
            )
    return {
        "ids": ids,
        "scene": [scenes[s] for s in scene],
        "label": [labels[s] for s in label],
        "truth": truth,
        "strata": strata,
        "absence": why,
        "answers": answers,
    }


def _detail(
    i: int, ids: Any, tx: Any, ty: Any, share: Any, answers: Any, reasons: Any, label: str
) -> dict[str, Any]:
    r = 0.0 if np.isnan(share[i]) else float(np.sqrt(share[i] / np.pi))
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = (
        np.stack([tx[i] + r * np.cos(angles), ty[i] + r * 1.3 * np.sin(angles)], 1)
        .round(4)
        .ravel()
        .tolist()
    )
    said = {}
    for run, answer in enumerate(answers):
        code = int(answer["outcome"][i])
        if code == 255:
            continue
        point = (
            None
            if np.isnan(answer["x"][i])
            else [round(float(answer["x"][i]), 3), round(float(answer["y"][i]), 3)]
        )
        text = (
            "I cannot tell."
            if code == CODE["unparsed"]
            else ""
            if code == CODE["error"]
            else "NOT_VISIBLE"
            if point is None
            else f"[({point[0]}, {point[1]})]"
        )
        said[str(run)] = {
            "text": text,
            "point": point,
            "reason": reasons.get(code)
            or ("connection refused" if code == CODE["error"] else None),
        }
    return {
        "id": ids[i],
        "prompt": f"The {label} is marked in red in the first image.\nPoint at it in the second image.",
        "record": {"id": ids[i], "label": label, "image": ["a.png", "b.png"]},
        "outline": [ring] if r else [],
        "runs": said,
    }

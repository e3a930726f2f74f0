"""Cost of importing a scanned room; prints one JSON line.

A room is rendered along a path and written as a ScanNet++ scene; its triangles are divided until there are
enough. The import is run with and without inpainting, each in a process of its own, for their CPU seconds and
their memory. Decoding is timed alone and subtracted.

    python benchmarks/import_scans.py [--frames 240] [--triangles 1000000] [--width 640 --height 480]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from x3spatial.arrays import Int64
from x3spatial.importers.options import ReadOptions
from x3spatial.importers.registry import reader
from x3spatial.importers.run import import_scans
from x3spatial.io.files import read_json, write_json
from x3spatial.io.images import resize_rgb
from x3spatial.io.ply import Ply, read_ply, write_ply
from x3spatial.synth.layouts.run import render_scans

KIND = "scannetpp"


def divided(mesh: Ply, label: Int64) -> tuple[Ply, Int64]:
    """Every triangle as four of the same surface; a new vertex has the label of an end of its edge."""
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, which = np.unique(edges, axis=0, return_inverse=True)
    count = len(mesh.vertices)
    middle = count + which.reshape(-1, 3).astype(np.int32)
    a, b, c = mesh.faces.T
    ab, bc, ca = middle.T
    faces = np.concatenate(
        [np.stack(part, axis=1) for part in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    ends = mesh.vertices[unique]
    vertices = np.concatenate([mesh.vertices, ends.mean(axis=1, dtype=np.float64)])
    vertex = {k: np.concatenate([v, v[unique[:, 0]]]) for k, v in mesh.vertex.items()}
    labels = np.concatenate([label, label[unique[:, 0]]])
    return Ply(vertices.astype(np.float32), faces.astype(np.int32), vertex, {}), labels


def make_source(folder: Path, frames: int, triangles: int, width: int, height: int) -> int:
    """Render a room as a scan with at least so many triangles; returns their number."""
    render_scans(
        folder, KIND, {"train": 1}, frames=frames, width=width, height=height, samples=1, workers=1
    )
    scans = next((folder / "data").iterdir()) / "scans"
    path, segments = scans / "mesh_aligned_0.05.ply", scans / "segments.json"
    mesh, about = read_ply(path), read_json(segments)
    label = np.asarray(about["segIndices"], np.int64)
    while len(mesh.faces) < triangles:
        mesh, label = divided(mesh, label)
    write_ply(path, mesh.vertices, mesh.faces, mesh.vertex)
    write_json(segments, {**about, "segIndices": label.tolist()})
    return len(mesh.faces)


def child(source: Path, out: Path, inpaint: str) -> dict[str, Any]:
    """Import in a process of its own: its counts, CPU seconds and peak memory in GiB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--import", str(source), str(out), inpaint]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    counts: dict[str, Any] = json.loads(done.stdout)
    return {**counts, "cpu_s": used}


def run(source: Path, out: Path, inpaint: str) -> dict[str, Any]:
    """Import in this process."""
    start = time.process_time()
    summary = import_scans(KIND, source, out, inpaint=inpaint, workers=1)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    return {
        "objects": summary.objects,
        "views": summary.views,
        "problems": len(summary.problems),
        "import_cpu_s": time.process_time() - start,
        "peak_gib": peak,
    }


def parts(source: Path) -> dict[str, float]:
    """CPU seconds of opening the scene, of decoding its frames, and of casting the rays of one view."""
    kind, options = reader(KIND), ReadOptions()
    start = time.process_time()
    scene = kind.open_scene(kind.find(source, options).scenes[0], options)
    opened = time.process_time()
    for frame in scene.frames:
        resize_rgb(frame.read(), *frame.size)
        assert frame.depth is not None
        frame.depth()
    decoded = time.process_time()
    some = scene.frames[:: max(1, len(scene.frames) // 10)]
    for frame in some:
        scene.instances(frame, frame.size)
    cast = time.process_time()
    return {
        "frames": len(scene.frames),
        "open_cpu_s": round(opened - start, 2),
        "decode_cpu_s": round(decoded - opened, 2),
        "cast_cpu_s_per_view": round((cast - decoded) / len(some), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--triangles", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--import", nargs=3, dest="job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        source, out, inpaint = args.job
        print(json.dumps(run(Path(source), Path(out), inpaint)))
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        triangles = make_source(source, args.frames, args.triangles, args.width, args.height)
        plain = child(source, Path(folder) / "plain", "none")
        filled = child(source, Path(folder) / "filled", "telea")
        known = parts(source)
    own = plain["import_cpu_s"] - known["decode_cpu_s"]
    result = {
        "benchmark": "import_scans",
        "triangles": triangles,
        "width": args.width,
        "height": args.height,
        **known,
        "objects": plain["objects"],
        "views": plain["views"],
        "scene_cpu_s": round(plain["import_cpu_s"], 2),
        "scene_cpu_s_beside_decoding": round(own, 2),
        "inpainting_cpu_s": round(filled["import_cpu_s"] - plain["import_cpu_s"], 2),
        "peak_gib": round(plain["peak_gib"], 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

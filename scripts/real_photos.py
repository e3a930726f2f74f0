"""Make data roots of real photographs: OpenCV's samples, as Debian's package ``opencv-doc`` has them.

    apt-get install opencv-doc
    python scripts/real_photos.py OUT     # writes OUT/source/NAME, OUT/root/NAME and contact sheets

Three sources, each imported by ``x3 import`` as a user would:

- ``forecourt`` (photos, PNG masks): frames of ``vtest.avi``, a fixed camera before which people come and go.
  Boxes around people were drawn by hand; their masks are what differs from the median of all frames. The
  inpainted image has the pixels of the empty place: a real counterfactual, given by ``--inpaint folder:``.
- ``pairs`` (photos, LabelMe): pairs of photographs of books, toys, a street and a ball game, with polygons
  drawn by hand. ``--inpaint`` fills them.
- ``board`` (posed, transforms.json): photographs of a chessboard by two cameras. Intrinsics and poses are
  computed from its corners with OpenCV's calibration; the unit is the side of a square.

The photographs are not part of x3spatial. OpenCV's samples are under Apache-2.0 and BSD-3-Clause
(/usr/share/doc/opencv-doc/copyright).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

SAMPLES = Path("/usr/share/doc/opencv-doc/examples/data")
DRAWN = Path(__file__).with_suffix(".json")
_Image = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]

CHANGED = 24
"""Least difference to the empty place, 0 to 255, of a pixel that shows a person."""
MOST = 0.6
"""Share of a connected part that makes it another box's."""
AROUND = 16
"""Pixels around a person that the counterfactual takes from the empty place too: soft edges, shadows."""
MEDIAN_STEP = 8
"""Every eighth frame enters the median: people stand nowhere for half of the video."""


def main() -> int:
    """Write the sources and import them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder to write; must not exist")
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="folder of OpenCV's samples")
    parser.add_argument(
        "--inpaint", default="patchmatch", help="engine for the pairs and the board"
    )
    arguments = parser.parse_args()
    out, samples = arguments.out, arguments.samples
    drawn = json.loads(DRAWN.read_text())
    if not (samples / drawn["video"]["file"]).is_file():
        print(
            f"--samples {samples}: has no {drawn['video']['file']}; run: apt-get install opencv-doc"
        )
        return 2
    if out.exists():
        print(f"{out}: exists; name a new folder")
        return 2
    source, root = out / "source", out / "root"
    write_forecourt(samples, drawn["video"], source / "forecourt", out / "empty")
    write_pairs(samples, drawn["pairs"], source / "pairs")
    write_board(samples, drawn["board"], source / "board" / "chessboard")
    # Frames of a fixed camera look alike, and photographs in a box's close-up show it large.
    imports = [
        ("photos", "forecourt", [f"--inpaint=folder:{out / 'empty'}", "--views=7"]),
        ("photos", "pairs", [f"--inpaint={arguments.inpaint}", "--views=2", "--absent=0"]),
        ("posed", "board", [f"--inpaint={arguments.inpaint}", "--max-share=0.4", "--absent=0"]),
    ]
    for kind, name, options in imports:
        command = [sys.executable, "-m", "x3spatial", "import", kind, str(source / name)]
        command += ["-o", str(root / name), "--sheet", str(out / f"{name}.png"), *options]
        print("x3", *command[3:], flush=True)
        if (code := subprocess.run(command, check=False).returncode) == 2:  # noqa: S603
            return code
    return 0


def write_forecourt(samples: Path, drawn: dict[str, Any], source: Path, empty_folder: Path) -> None:
    """The frames, the masks of people and the images without each of them."""
    frames = read_video(samples / drawn["file"])
    empty = np.median(frames[::MEDIAN_STEP], axis=0).astype(np.uint8)
    for scene, content in drawn["scenes"].items():
        people = content["people"]
        for number in content["frames"]:
            name, image = f"{number:06d}", frames[number]
            write(source / scene / "images" / f"{name}.png", image)
            present = {
                label: boxes[str(number)] for label, boxes in people.items() if str(number) in boxes
            }
            masks = people_masks(image, empty, present)
            for label, mask in masks.items():
                folder = label.replace(" ", "_")
                write(
                    source / scene / "masks" / folder / f"{name}.png", mask.astype(np.uint8) * 255
                )
                others = np.zeros_like(mask)
                for other, found in masks.items():
                    if other != label:
                        others |= grown(found, 2)
                gone = grown(mask, AROUND) & ~(others & ~mask)
                removed = np.where(gone[:, :, None], empty, image)
                write(empty_folder / scene / folder / f"{name}.png", removed)
            if not masks:  # a photograph that shows none of them has an empty mask
                blank = np.zeros(image.shape[:2], np.uint8)
                folder = next(iter(people)).replace(" ", "_")
                write(source / scene / "masks" / folder / f"{name}.png", blank)


def read_video(path: Path) -> _Image:
    """All frames, ``[N, H, W, 3]``."""
    capture = cv2.VideoCapture(str(path))

    def each() -> Iterator[_Image]:
        while True:
            read, frame = capture.read()
            if not read:
                return
            yield np.asarray(frame, np.uint8)

    return np.stack(list(each()))


def people_masks(image: _Image, empty: _Image, boxes: dict[str, list[int]]) -> dict[str, _Mask]:
    """Label → mask of the people in boxes (x, y, width, height): what differs from the empty place.

    A connected part belongs to the box that holds most of it; one that several boxes share, because people
    touch, is divided at their edges.
    """
    changed = (cv2.absdiff(image, empty).max(axis=2) > CHANGED).astype(np.uint8)
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((7, 5), np.uint8))
    count, labels = cv2.connectedComponents(closed)
    sizes = np.bincount(labels.ravel(), minlength=count)
    inside = {}
    for label, (x, y, width, height) in boxes.items():
        part = np.zeros_like(labels)
        part[y : y + height, x : x + width] = labels[y : y + height, x : x + width]
        inside[label] = part
    shares = {k: np.bincount(part.ravel(), minlength=count) / sizes for k, part in inside.items()}
    masks = {}
    for label, part in inside.items():
        held_by_others = np.max(
            [share for other, share in shares.items() if other != label] or [np.zeros(count)],
            axis=0,
        )
        areas = np.bincount(part.ravel(), minlength=count)
        areas[0] = 0
        areas[held_by_others > MOST] = 0
        masks[label] = np.asarray(np.isin(part, np.flatnonzero(areas >= 0.1 * areas.max())))
    return masks


def grown(mask: _Mask, pixels: int) -> _Mask:
    """A mask and all pixels at most ``pixels`` away, diagonally too."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def write_pairs(samples: Path, drawn: dict[str, Any], source: Path) -> None:
    """The photographs as they are, and a LabelMe file beside each."""
    for scene, photos in drawn.items():
        folder = source / scene
        folder.mkdir(parents=True)
        for name, polygons in photos.items():
            shutil.copyfile(samples / name, folder / name)
            height, width = read(samples / name).shape[:2]
            shapes = [
                {"label": label, "points": points, "shape_type": "polygon", "group_id": None}
                for label, points in polygons.items()
            ]
            value = {
                "version": "5.5.0",
                "flags": {},
                "shapes": shapes,
                "imagePath": name,
                "imageData": None,
                "imageHeight": height,
                "imageWidth": width,
            }
            (folder / name).with_suffix(".json").write_text(json.dumps(value, indent=1))


def write_board(samples: Path, drawn: dict[str, Any], folder: Path) -> None:
    """The photographs of a chessboard with calibrated cameras, in the frame of the board.

    World: x along the long rows of corners, y down the short ones, z into the board; one unit is a square.
    """
    columns, rows = drawn["corners"]
    grid = np.zeros((rows * columns, 3), np.float32)
    grid[:, :2] = np.mgrid[:columns, :rows].T.reshape(-1, 2)
    # The squares reach one side beyond the inner corners.
    outline = np.array(
        [[-1, -1, 0], [columns, -1, 0], [columns, rows, 0], [-1, rows, 0]], np.float32
    )
    frames = []
    for camera in drawn["cameras"]:
        paths = [samples / f"{camera}{number}.jpg" for number in drawn["numbers"]]
        images = {path: read(path) for path in paths}
        corners = {}
        for path, image in images.items():
            found = find_corners(image, (columns, rows))
            if found is None:
                print(f"{path}: corners not found, left out")
            else:
                corners[path] = found
        height, width = next(iter(images.values())).shape[:2]
        error, matrix, distortion, turns, moves = cv2.calibrateCamera(
            [grid] * len(corners),
            list(corners.values()),
            (width, height),
            None,
            None,
            flags=cv2.CALIB_FIX_K3,
        )
        print(f"{camera}: {len(corners)} photographs, corners found again to {error:.2f} pixels")
        k1, k2, p1, p2 = distortion.ravel()[:4].tolist()
        for path, turn, move in zip(corners, turns, moves, strict=True):
            shape, _ = cv2.projectPoints(dense(outline), turn, move, matrix, distortion)
            mask = np.zeros((height, width), np.uint8)
            cv2.fillPoly(mask, [np.round(shape.reshape(-1, 2)).astype(np.int32)], 1)
            write(folder / "images" / f"{path.stem}.png", images[path])
            write(folder / "instances" / f"{path.stem}.png", mask)
            frames.append(
                {
                    "file_path": f"images/{path.stem}.png",
                    "transform_matrix": camera_to_world(turn, move).tolist(),
                    "fl_x": matrix[0, 0], "fl_y": matrix[1, 1],
                    "cx": matrix[0, 2] + 0.5, "cy": matrix[1, 2] + 0.5,
                    "w": width, "h": height, "k1": k1, "k2": k2, "p1": p1, "p2": p2,
                }
            )  # fmt: skip
    transforms = {"camera_model": "OPENCV", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(transforms, indent=1))
    (folder / "objects.json").write_text(json.dumps({"1": "chessboard"}))


def find_corners(image: _Image, size: tuple[int, int]) -> Any:
    """The inner corners of the board, ``[N, 1, 2]`` to a fraction of a pixel; None if not all are found."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found, corners = cv2.findChessboardCorners(grey, size)
    if not found:
        return None
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.01)
    return cv2.cornerSubPix(grey, corners, (5, 5), (-1, -1), stop)


def dense(outline: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Points along a closed outline ``[N, 3]``: its straight sides are curves in a distorted photograph."""
    ends = np.roll(outline, -1, axis=0)
    steps = np.linspace(0, 1, 20, endpoint=False, dtype=np.float32)[:, None]
    return np.concatenate([a + steps * (b - a) for a, b in zip(outline, ends, strict=True)])


def camera_to_world(turn: Any, move: Any) -> npt.NDArray[np.float64]:
    """The pose of a camera from OpenCV's world-to-camera: ``[4, 4]``, nerfstudio's axes."""
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(turn)[0]
    pose[:3, 3] = move.ravel()
    return np.asarray(np.linalg.inv(pose) @ np.diag([1.0, -1.0, -1.0, 1.0]))


def read(path: Path) -> _Image:
    """An image in OpenCV's order of colours."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{path}: cannot be read")
    return np.asarray(image, np.uint8)


def write(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """A PNG file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise SystemExit(f"{path}: cannot be written")


if __name__ == "__main__":
    sys.exit(main())

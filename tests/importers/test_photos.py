"""Kind ``photos``: masks in every form, orientation tags, and absences as they are given."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from helpers.spheres import write
from x3spatial.arrays import Bool, UInt8
from x3spatial.builder.run import build_tasks
from x3spatial.evaluation.run import evaluate
from x3spatial.importers.options import ChoiceOptions, ReadOptions
from x3spatial.importers.results import ImportSummary
from x3spatial.importers.run import import_scans
from x3spatial.importers.shapes import compress
from x3spatial.io.images import encode_mask_png, read_mask, read_rgb
from x3spatial.io.orientation import upright
from x3spatial.roots.audit.run import audit

WIDTH, HEIGHT = 96, 64
PLACES: dict[str, dict[str, tuple[int, int, int, int]]] = {
    "IMG_1": {"red mug": (10, 12, 30, 40), "lamp": (60, 20, 80, 50)},
    "IMG_2": {"red mug": (40, 20, 58, 44)},
    "IMG_12": {"red mug": (30, 30, 50, 50), "lamp": (4, 8, 20, 36)},
    "IMG_3": {"lamp": (50, 10, 70, 44)},
    "IMG_4": {},
}
"""Photo → object → (left, top, right, bottom)."""
COLOURS = {"red mug": (200, 40, 50), "lamp": (240, 220, 90)}


def photo(name: str, width: int = WIDTH, height: int = HEIGHT) -> UInt8:
    rng = np.random.default_rng(len(name) * 100 + sum(map(ord, name)))
    coarse = rng.integers(60, 160, (height // 8, width // 8, 3))
    image = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
    for key, (x0, y0, x1, y1) in PLACES[name].items():
        image[y0:y1, x0:x1] = COLOURS[key]
    return image


def mask(name: str, key: str) -> Bool:
    x0, y0, x1, y1 = PLACES[name][key]
    found = np.zeros((HEIGHT, WIDTH), bool)
    found[y0:y1, x0:x1] = True
    return found


def save(path: Path, image: UInt8, tag: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if tag is not None:
        exif[0x0112] = tag
    Image.fromarray(image).save(path, exif=exif.tobytes(), quality=95, subsampling=0)


def photos(folder: Path, ending: str = "png") -> Path:
    for name in PLACES:
        save(folder / "images" / f"{name}.{ending}", photo(name))
    return folder


def by_object(folder: Path) -> None:
    for name, objects in PLACES.items():
        for key in COLOURS:
            if key in objects:
                drawn = mask(name, key)
            elif name == "IMG_4":
                drawn = np.zeros((HEIGHT, WIDTH), bool)  # the owner says: none of them
            else:
                continue
            write(folder / "masks" / key.replace(" ", "_") / f"{name}.png", encode_mask_png(drawn))


def by_photo(folder: Path) -> None:
    for name, objects in PLACES.items():
        (folder / "masks" / name).mkdir(parents=True)
        for key in objects:
            write(
                folder / "masks" / name / f"{key.replace(' ', '_')}.png",
                encode_mask_png(mask(name, key)),
            )


def flat(folder: Path) -> None:
    for name, objects in PLACES.items():
        for key in objects or COLOURS:
            drawn = mask(name, key) if objects else np.zeros((HEIGHT, WIDTH), bool)
            write(folder / "masks" / f"{name}_{key.replace(' ', '_')}.png", encode_mask_png(drawn))


def labelme(folder: Path) -> None:
    for number, (name, objects) in enumerate(PLACES.items()):
        shapes: list[dict[str, Any]] = []
        for key, (x0, y0, x1, y1) in objects.items():
            corners: list[list[float]] = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
            shape: dict[str, Any] = {"label": key, "points": corners, "shape_type": "polygon"}
            if number % 3 == 1:
                shape |= {"shape_type": "rectangle", "points": [corners[0], corners[2]]}
            elif number % 3 == 2:
                part = base64.b64encode(encode_mask_png(np.ones((y1 - y0, x1 - x0), bool)))
                ends = [[x0, y0], [x1 - 1, y1 - 1]]
                shape |= {"shape_type": "mask", "points": ends, "mask": part.decode()}
            shapes.append(shape)
        value = {
            "version": "5", "imagePath": f"{name}.png", "imageWidth": WIDTH, "imageHeight": HEIGHT,
            "shapes": shapes,
        }  # fmt: skip
        write(folder / "images" / f"{name}.json", json.dumps(value).encode())


def coco(folder: Path) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, objects) in enumerate(PLACES.items()):
        images.append({"id": number, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT})
        for key, (x0, y0, x1, y1) in objects.items():
            polygon = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            rle = {"size": [HEIGHT, WIDTH], "counts": compress(mask(name, key))}
            annotations.append(
                {"id": len(annotations), "image_id": number, "category_id": list(COLOURS).index(key),
                 "segmentation": polygon if number % 2 else rle}
            )  # fmt: skip
    categories = [{"id": k, "name": key} for k, key in enumerate(COLOURS)]
    value = {"images": images, "annotations": annotations, "categories": categories}
    write(folder / "annotations.json", json.dumps(value).encode())


def labelme_beside_no_masks(folder: Path) -> None:
    labelme(folder)
    (folder / "masks" / "mug").mkdir(parents=True)  # made beforehand, then drawn in LabelMe


FORMS = {
    "by object": by_object,
    "by photo": by_photo,
    "flat": flat,
    "LabelMe": labelme,
    "LabelMe beside empty folders": labelme_beside_no_masks,
    "COCO": coco,
}


def run(source: Path, out: Path, **options: Any) -> ImportSummary:
    return import_scans("photos", source, out, workers=1, **options)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_masks_gives_the_same_views(form: str, tmp_path: Path) -> None:
    folder = photos(tmp_path / "source" / "room")
    FORMS[form](folder)
    summary = run(tmp_path / "source", tmp_path / "root")
    assert not summary.problems and summary.objects == 2 and summary.views == 10
    scene = json.loads((tmp_path / "root/validation/room/scene.json").read_text())
    assert scene["metric"] is False
    for item in scene["objects"]:
        key = item["label"]
        assert item["box"] is None
        for view in item["views"]:
            name = view["frame"]
            stem = tmp_path / f"root/validation/room/uid_{item['uid']}/{view['rank']:02d}_{name}"
            drawn = read_mask(stem.with_name(stem.name + "_mask.png"))
            expected = mask(name, key) if key in PLACES[name] else np.zeros_like(drawn)
            assert (drawn == expected).all()
            assert view["absent_by"] is None and view["visible_fraction"] is None
            assert (read_rgb(stem.with_name(stem.name + "_original.png")) == photo(name)).all()
        areas = [view["pixels"] for view in item["views"]]
        assert areas[0] == max(areas)  # view 01 is the best seen
    assert all(entry["camera_to_world"] is None for entry in scene["frames"].values())


def test_audit_build_and_the_oracle_are_perfect(tmp_path: Path) -> None:
    by_photo(photos(tmp_path / "source" / "room"))
    run(tmp_path / "source", tmp_path / "root")
    assert not audit(tmp_path / "root").problems
    built = build_tasks(tmp_path / "root", tmp_path / "tasks", workers=1)
    for name, visible in (("t1_val_multi", 4), ("t2b_val_multi", 6), ("t2a_val_multi", 0)):
        results = evaluate(built.out_dir / f"{name}.json", tmp_path / f"{name}.json", "oracle")
        assert results.metrics["visible_gt"] == visible
        if visible:
            assert results.metrics["hit_at_mask"] == 1
        else:
            assert results.metrics["not_visible_accuracy"] == 1


@pytest.mark.parametrize("tag", range(1, 9))
def test_orientation_is_applied_as_viewers_do(tag: int) -> None:
    stored = photo("IMG_1")
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(stored).save(buffer, "PNG", exif=exif.tobytes())
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert (upright(stored, tag) == expected).all()


@pytest.mark.parametrize("drawn_on", ["displayed", "stored"])
@pytest.mark.parametrize("tag", [3, 6, 8])
def test_photos_and_masks_are_turned_alike(tag: int, drawn_on: str, tmp_path: Path) -> None:
    folder = tmp_path / "source" / "room"
    undo = {3: 3, 6: 8, 8: 6}[tag]
    for name in PLACES:
        stored = np.ascontiguousarray(upright(photo(name), undo))
        save(folder / "images" / f"{name}.png", stored, tag)
        for key in PLACES[name]:
            drawn = mask(name, key)
            if drawn_on == "stored":
                drawn = np.ascontiguousarray(upright(drawn, undo))
            write(folder / "masks" / name / f"{key}.png", encode_mask_png(drawn))
    summary = run(tmp_path / "source", tmp_path / "auto")
    if tag == 3:  # both fit: not guessed
        assert summary.skipped == 1
        assert any("--mask-orientation" in problem.reason for problem in summary.problems)
    read = ReadOptions(mask_orientation=drawn_on if tag == 3 else "auto")
    summary = run(tmp_path / "source", tmp_path / "root", read=read)
    assert summary.objects == 2
    for path in (tmp_path / "root").rglob("*_mask.png"):
        name = path.name[3:].removesuffix("_mask.png")
        original = read_rgb(path.with_name(path.name.replace("_mask", "_original")))
        assert (original == photo(name)).all()
        key = path.parent.name.removeprefix("uid_").replace("-", " ")
        expected = mask(name, key) if key in PLACES[name] else np.zeros((HEIGHT, WIDTH), bool)
        assert (read_mask(path) == expected).all()


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder = photos(tmp_path / "source" / "room")
    flat(folder)
    write(folder / "images" / "IMG_9.png", (folder / "images" / "IMG_4.png").read_bytes())
    write(folder / "images" / "IMG_10.heic", b"x")
    write(folder / "masks" / "other_mug.png", encode_mask_png(np.ones((HEIGHT, WIDTH), bool)))
    write(folder / "masks" / "IMG_1_lamp.jpg", b"x")
    write(folder / "masks" / "IMG_2_lamp.png", encode_mask_png(np.ones((9, 9), bool)))
    summary = run(tmp_path / "source", tmp_path / "root")
    reasons = " | ".join(problem.reason for problem in summary.problems)
    for part in ("has no masks", "HEIC images are not read", "does not begin with that of a photo",
                 "masks must be PNG", "a mask of 9x9 pixels for a photo of 96x64"):  # fmt: skip
        assert part in reasons
    assert len(summary.problems) == 5 and summary.objects == 2
    scene = json.loads((tmp_path / "root/validation/room/scene.json").read_text())
    assert "IMG_2" not in scene["frames"]


def test_two_objects_of_one_label_in_a_photo_need_a_track_id(tmp_path: Path) -> None:
    folder = photos(tmp_path / "source" / "room")
    coco(folder)
    value = json.loads((folder / "annotations.json").read_text())
    value["annotations"].append({**value["annotations"][0], "id": 99})
    value["annotations"].append({**value["annotations"][0], "id": 100, "image_id": 77})
    value["annotations"].append({**value["annotations"][0], "id": 101, "iscrowd": 1})
    (folder / "annotations.json").write_text(json.dumps(value))
    summary = run(tmp_path / "source", tmp_path / "root")
    reasons = [problem.reason for problem in summary.problems]
    assert "no track_id tells which is which" in reasons[0]
    assert "names no image" in reasons[1] and "a crowd" in reasons[2]


def test_jpeg_photos_that_are_not_resized_keep_their_bytes(tmp_path: Path) -> None:
    folder = photos(tmp_path / "source" / "room", "jpg")
    by_photo(folder)
    run(tmp_path / "source", tmp_path / "root")
    (path,) = (tmp_path / "root").glob("*/*/uid_lamp/*_IMG_3_original.jpg")
    assert path.read_bytes() == (folder / "images" / "IMG_3.jpg").read_bytes()
    run(tmp_path / "source", tmp_path / "small", choice=ChoiceOptions(max_side=64))
    (path,) = (tmp_path / "small").glob("*/*/uid_lamp/*_IMG_3_original.png")
    assert read_rgb(path).shape == (43, 64, 3)

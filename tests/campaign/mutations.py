"""The table of what can be wrong with each kind of input: functions that change a file or folder.

``REFUSED``: the command must not end with 0. ``SAID``: not with 0, or the output speaks of a problem.
``SAME``: no harm, so the outputs are those of an undisturbed run. ``ANY``: no traceback, no hang.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REFUSED, SAID, SAME, ANY = "refused", "said", "same", "any"
DEEP = 100_000


@dataclass(frozen=True)
class Mutation:
    """One way in which an input can be wrong."""

    apply: Callable[[Path], None]
    expect: str = ANY


def _content(data: bytes) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.write_bytes(data)

    return apply


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return apply


def _json(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return apply


def _linked(target: str = "") -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.unlink()
        path.symlink_to(target or path.name)

    return apply


def _moved(path: Path) -> None:
    path.rename(path.with_name("aside"))


def _replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


FILES: dict[str, Mutation] = {
    "missing": Mutation(lambda path: path.unlink(), REFUSED),
    "a folder": Mutation(_replaced_by_folder, REFUSED),
    "empty": Mutation(_content(b""), REFUSED),
    "zeros": Mutation(_content(bytes(5000)), REFUSED),
    "random": Mutation(_content(bytes(range(128, 256)) * 20), REFUSED),
    "half": Mutation(_changed(lambda data: data[: len(data) // 2])),
    "nested too deep": Mutation(_content(b"[" * DEEP), REFUSED),
    "nested objects": Mutation(_content(b'{"a":' * DEEP), REFUSED),
    "closed and nested": Mutation(_content(b"[" * DEEP + b"]" * DEEP), REFUSED),
    "UTF-16": Mutation(_changed(lambda data: data.decode(errors="replace").encode("utf-16"))),
    "a number": Mutation(_content(b"5"), REFUSED),
    "null": Mutation(_content(b"null"), REFUSED),
    "a very long number": Mutation(_content(b"9" * 100_000), REFUSED),
    "a link to itself": Mutation(_linked(), REFUSED),
}  # fmt: skip
"""For every file."""

VALUES: dict[str, Any] = {
    "null": None, "a number": 5, "a huge number": 10**400, "a list": [], "an object": {},
    "a nested list": [[[]]], "empty": "", "long": "x" * 5000, "a zero byte": "a\0b",
    "a lone surrogate": "\ud800",
    "true": True, "infinite": float("inf"), "not a number": float("nan"),
}  # fmt: skip
RECORD_FIELDS = (
    "id", "task", "image", "query_original", "conversations", "question", "reference_point", "scene", "uid",
    "label", "ref_rank", "query_rank", "ref_mask", "query_mask", "query_mask_kind", "image_sizes",
    "mask_area_fraction", "split",
)  # fmt: skip


def _first(records: list[dict[str, Any]]) -> dict[str, Any]:
    return next(r for r in records if r["conversations"][1]["value"] != "NOT_VISIBLE")


def _set(name: str, value: Any) -> Callable[[Path], None]:
    def change(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        _first(records)[name] = value
        return records

    return _json(change)


def _answer(text: Any) -> Callable[[Path], None]:
    def change(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        _first(records)["conversations"][1]["value"] = text
        return records

    return _json(change)


TASK_FILES: dict[str, Mutation] = {
    **FILES,
    "a byte order mark": Mutation(_changed(lambda data: b"\xef\xbb\xbf" + data)),
    "no record": Mutation(_content(b"[]")),
    "a record that is null": Mutation(_json(lambda records: [*records, None]), REFUSED),
    "an id twice": Mutation(_json(lambda records: [*records, records[0]])),
    "an object": Mutation(_json(lambda records: {"records": records}), REFUSED),
    "text after it": Mutation(_changed(lambda data: data + b"x"), REFUSED),
    "an answer in pixels": Mutation(_answer("[(330, 120)]"), SAID),
    "an answer in percent": Mutation(_answer("[(33.0, 12.0)]"), SAID),
    "an answer in prose": Mutation(_answer("over there"), SAID),
    "an answer that is not a number": Mutation(_answer("[(nan, 0.5)]"), SAID),
    "an answer that is null": Mutation(_answer(None), REFUSED),
    "three images": Mutation(
        _json(lambda records: [{**r, "image": [*r["image"], r["image"][0]]} for r in records]), SAID
    ),
    "one image": Mutation(_json(lambda records: [{**r, "image": r["image"][:1]} for r in records]), SAID),
    "no images": Mutation(_json(lambda records: [{**r, "image": []} for r in records]), SAID),
    "images under another name": Mutation(
        _json(lambda records: [{k.replace("image", "x"): v for k, v in r.items()} for r in records]), SAID
    ),
    "an image that is missing": Mutation(_set("image", ["/missing/a.png", "/missing/b.png"]), SAID),
    "an image that is text": Mutation(_set("image", ["/etc/passwd", "/etc/passwd"]), SAID),
    "a folder as an image": Mutation(_set("image", ["/", "/"]), SAID),
    "a mask that is missing": Mutation(_set("query_mask", "/missing/mask.png")),
    "a mask that is text": Mutation(_set("query_mask", "/etc/passwd")),
    **{
        f"{name} is {what}": Mutation(_set(name, value))
        for name in RECORD_FIELDS
        for what, value in VALUES.items()
    },
}  # fmt: skip


def _in_results(name: str, value: Any) -> Callable[[Path], None]:
    def change(results: dict[str, Any]) -> dict[str, Any]:
        if name in results:
            results[name] = value
        else:
            results["results"][0][name] = value
        return results

    return _json(change)


RESULTS: dict[str, Mutation] = {
    **FILES,
    "a task file": Mutation(_content(b'[{"id": "a"}]'), REFUSED),
    "a later format": Mutation(_in_results("format", 99), REFUSED),
    "an id twice": Mutation(_json(lambda r: {**r, "results": [*r["results"], r["results"][0]]})),
    "no results": Mutation(_json(lambda r: {**r, "results": []})),
    **{
        f"{name} is {what}": Mutation(_in_results(name, value))
        for name in ("format", "metrics", "ci95", "settings", "model", "data", "scoring", "results", "run",
                     "versions", "id", "pred_text", "pred_parsed", "gt", "l2_error", "status", "hit_mask")
        for what, value in VALUES.items()
    },
}  # fmt: skip

_BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
)


def _yaml(text: str) -> Mutation:
    return Mutation(_content(text.encode()), REFUSED)


_DATASETS = "datasets:\n  a: tasks/t1_train_multi.json\n"
YAML: dict[str, Mutation] = {
    **{name: one for name, one in FILES.items() if name != "a number"},
    "an alias bomb": Mutation(_content(_BOMB), REFUSED),
    **{
        f"an alias bomb as {name}": Mutation(
            _content(_BOMB + b"datasets: {a: {data_path: x.json, %s: *j}}\n" % name.encode()), REFUSED
        )
        for name in ("weight", "only", "image_folder", "data_path")
    },
    "mixtures that double": _yaml(
        _DATASETS + "mixtures:\n  m0: a\n"
        + "".join(f"  m{n}: m{n - 1} + m{n - 1}\n" for n in range(1, 40))
    ),
    "a chain of mixtures": _yaml(
        _DATASETS + "mixtures:\n  m0: a\n" + "".join(f"  m{n}: m{n - 1}\n" for n in range(1, 5000))
    ),
    "a mixture of itself": _yaml(_DATASETS + "mixtures: {m: m}\n"),
    **{
        f"a weight of {value}": _yaml(f"datasets: {{a: {{data_path: x.json, weight: {value}}}}}\n")
        for value in (".nan", ".inf", "1e308", "-1", "0", "text", "[1]", "9" * 400)
    },
    "a folder that is a number": _yaml("datasets: {a: {data_path: x.json, image_folder: 5}}\n"),
    "a path that is a number": _yaml("datasets: {a: 5}\n"),
    "a path with a zero byte": _yaml('datasets: {a: "a\\0b.json"}\n'),
    "an object of Python": _yaml("datasets: !!python/object/apply:os.system ['false']\n"),
    "a tab": _yaml("datasets:\n\ta: b.json\n"),
    "two documents": _yaml(_DATASETS + "---\n" + _DATASETS),
    "unhashable keys": _yaml("datasets: {? [a] : b.json, ? {c: d} : e.json}\n"),
    "a date out of range": _yaml("datasets: {a: 2001-99-99}\n"),
    "a control character": Mutation(_content(b"datasets: {a: \x07}\n"), REFUSED),
    "not UTF-8": Mutation(_content(b"datasets: {a: \xff}\n"), REFUSED),
}  # fmt: skip


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


IMAGES: dict[str, Mutation] = {
    "missing": Mutation(lambda path: path.unlink(), SAID),
    "empty": Mutation(_content(b""), SAID),
    "text": Mutation(_content(b"hello"), SAID),
    "an LFS pointer": Mutation(
        _content(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"), SAID
    ),
    "half": Mutation(_changed(lambda data: data[: len(data) // 2]), SAID),
    "a byte changed": Mutation(_changed(lambda data: data[:60] + bytes([data[60] ^ 255]) + data[61:]), SAID),
    "of 60000 x 60000 pixels": Mutation(_content(_png(60_000, 60_000)), SAID),
    "of 2000000 x 1 pixels": Mutation(_content(_png(2_000_000, 1)), SAID),
    "of 0 pixels": Mutation(_content(_png(0, 0)), SAID),
    "a link to itself": Mutation(_linked(), SAID),
    "a broken link": Mutation(_linked("/missing"), SAID),
    "a folder": Mutation(_replaced_by_folder, SAID),
}  # fmt: skip
"""For one image or mask of a data root."""


def _view(root: Path) -> Path:
    return root / "validation" / "validation_0" / "uid_0" / "01_000010_mask.png"


def _label(root: Path) -> Path:
    return root / "validation" / "validation_0" / "validation_0_uid_0_five_frames.json"


def _split_is_dangling(root: Path) -> None:
    (root / "train").rename(root.parent / "elsewhere")
    (root / "train").symlink_to("/not/mounted")


def _without_splits(root: Path) -> None:
    for path in list(root.iterdir()):
        path.rename(root / f"x{path.name}")


def _file_as_root(root: Path) -> None:
    _moved(root)
    root.write_bytes(b"x")


def _in_image(kind: str, one: Mutation) -> Mutation:
    def apply(root: Path) -> None:
        one.apply(_view(root).with_name(f"01_000010_{kind}.png"))

    return Mutation(apply, one.expect)


def _in_label(data: bytes, expect: str = SAID) -> Mutation:
    return Mutation(lambda root: _content(data)(_label(root)), expect)


def _add(name: str, data: bytes | None = b"") -> Mutation:
    def apply(root: Path) -> None:
        path = _view(root).parent / name
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)

    return Mutation(apply, SAID)


ROOTS: dict[str, Mutation] = {
    **{
        f"{kind} {name}": _in_image(kind, one)
        for kind in ("mask", "original", "inpainted")
        for name, one in IMAGES.items()
    },
    "a label nested too deep": _in_label(b"[" * DEEP),
    "a label with a surrogate": _in_label(b'{"label": "\\ud800"}'),
    "a label that is no JSON": _in_label(b"{"),
    "a label that is a number": _in_label(b'{"label": 5}', ANY),
    "a label that is a list": _in_label(b"[1]", ANY),
    "a label of a million characters": _in_label(b'{"label": "%s"}' % (b"x" * 1_000_000), ANY),
    "an unknown file": _add("notes.txt"),
    "a folder among images": _add("06_000060_original.png", None),
    "a second file of one kind": _add("01_000010_mask_dilated.png", _png(1, 1)),
    "a long frame name": _add(f"07_{'f' * 200}_original.png", _png(1, 1)),
    "a split that is a dangling link": Mutation(_split_is_dangling, SAID),
    "no split": Mutation(_without_splits, REFUSED),
    "a file in place of the root": Mutation(_file_as_root, REFUSED),
    "scene.json nested too deep": Mutation(
        lambda root: _content(b"[" * DEEP)(_label(root).with_name("scene.json"))
    ),
    "scene.json of other types": Mutation(
        lambda root: _content(b'{"views": 5, "objects": null}')(_label(root).with_name("scene.json"))
    ),
}  # fmt: skip


def _file_in(name: str, one: Mutation, expect: str | None = None) -> Mutation:
    return Mutation(lambda folder: one.apply(folder / name), expect or one.expect)


def _config(name: str, **fields: Any) -> Mutation:
    return Mutation(lambda folder: _json(lambda value: {**value, **fields})(folder / name))


def _header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        header = json.dumps(change(json.loads(data[8 : 8 + length]))).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + data[8 + length :])

    return apply


def _each_tensor(**fields: Any) -> Callable[[Path], None]:
    return _header(
        lambda header: {k: v if k == "__metadata__" else {**v, **fields} for k, v in header.items()}
    )


def _filled(word: bytes) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        rest = len(data) - 8 - length
        path.write_bytes(data[: 8 + length] + (word * (rest // len(word) + 1))[:rest])

    return apply


_WEIGHTS = "llm/model.safetensors"
_OPTIONAL = (
    "llm/tokenizer.json",
    "llm/tokenizer_config.json",
    "vision_tower/preprocessor_config.json",
)
"""Files without which the others are enough."""
CHECKPOINTS: dict[str, Mutation] = {
    "missing": Mutation(_moved, REFUSED),
    **{
        f"{name} {what}": _file_in(name, one)
        for name in ("config.json", "llm/config.json", _WEIGHTS, "llm/tokenizer.json",
                     "llm/tokenizer_config.json", "vision_tower/preprocessor_config.json")
        for what, one in FILES.items()
        if not (name in _OPTIONAL and what in ("missing", "a folder", "a link to itself"))
    },
    **{
        f"{name}: {field} is {what}": _config(name, **{field: value})
        for name, field in (
            ("llm/config.json", "num_hidden_layers"), ("llm/config.json", "vocab_size"),
            ("llm/config.json", "hidden_size"), ("llm/config.json", "rope_theta"),
            ("vision_tower/config.json", "image_size"), ("vision_tower/config.json", "patch_size"),
            ("config.json", "model_type"), ("config.json", "mm_vision_select_layer"),
            ("vision_tower/preprocessor_config.json", "image_std"),
            ("vision_tower/preprocessor_config.json", "size"),
        )
        for what, value in (*VALUES.items(), ("a million", 1_000_000), ("-1", -1), ("zeros", [0, 0, 0]))
    },
    "weights of NaN": _file_in(_WEIGHTS, Mutation(_filled(b"\x00\x00\xc0\x7f")), REFUSED),
    "weights of infinities": _file_in(_WEIGHTS, Mutation(_filled(b"\x00\x00\x80\x7f")), REFUSED),
    "a header of 2^60 bytes": _file_in(
        _WEIGHTS, Mutation(_changed(lambda data: struct.pack("<Q", 1 << 60) + data[8:])), REFUSED
    ),
    "tensors of another type": _file_in(_WEIGHTS, Mutation(_each_tensor(dtype="X7")), REFUSED),
    "tensors of negative size": _file_in(_WEIGHTS, Mutation(_each_tensor(shape=[-1, -1])), REFUSED),
    "tensors that overlap": _file_in(_WEIGHTS, Mutation(_each_tensor(data_offsets=[0, 4])), REFUSED),
    "tensors without offsets": _file_in(_WEIGHTS, Mutation(_each_tensor(data_offsets=None)), REFUSED),
    "tensors with offsets of text": _file_in(
        _WEIGHTS, Mutation(_each_tensor(data_offsets=["a", "b"])), REFUSED
    ),
}  # fmt: skip

PROMPTS: dict[str, Mutation] = {
    "missing": Mutation(_moved, REFUSED),
    **{
        f"t1_multi.txt {what}": _file_in("t1_multi.txt", one, ANY)
        for what, one in FILES.items()
        if what != "missing"
    },
    "an unknown field": Mutation(
        lambda folder: _content(b"{who} {x!r} {")(folder / "t1_multi.txt"), REFUSED
    ),
}  # fmt: skip

PHOTOS: dict[str, Mutation] = {
    "missing": Mutation(_moved, REFUSED),
    "no masks": Mutation(lambda folder: _moved(folder / "masks"), REFUSED),
    "a mask of another size": Mutation(
        lambda folder: _content(_png(5, 7))(folder / "masks" / "cup" / "p1.png"), SAID
    ),
    "a photo that is no image": Mutation(
        lambda folder: _content(b"text")(folder / "images" / "p2.png"), SAID
    ),
    "a mask that is no image": Mutation(
        lambda folder: _content(b"text")(folder / "masks" / "cup" / "p2.png"), SAID
    ),
    "an unknown file": Mutation(lambda folder: _content(b"text")(folder / "images" / "notes.txt")),
}
NOTES: dict[str, Mutation] = {
    **FILES,
    "half": Mutation(_changed(lambda data: data[: len(data) // 2]), REFUSED),
    "UTF-16": Mutation(_changed(lambda data: data.decode().encode("utf-16")), REFUSED),
    "changed by hand": Mutation(_changed(lambda data: data.replace(b"true", b"null")), REFUSED),
}
MUTATIONS: dict[str, dict[str, Mutation]] = {
    "note": NOTES,
    "photos": PHOTOS,
    "root": ROOTS,
    "tasks": TASK_FILES,
    "results": RESULTS,
    "registry": YAML,
    "recipe": YAML,
    "checkpoint": CHECKPOINTS,
    "prompts": PROMPTS,
}
"""Role of an input → its mutations."""

"""The table of readers that are fuzzed: what each reads, how it may fail, and valid inputs to begin with.

A reader takes the bytes of a file. Only the errors of its entry may leave it: anything else is a traceback
that a damaged file causes, which is a fault.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import seeds
from helpers.convention_cases import question
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.errors import UserError
from x3spatial.formats.results_file import read_results, write_results
from x3spatial.formats.task_file import read_records
from x3spatial.io import images
from x3spatial.io.files import read_manifest
from x3spatial.io.journal import Journal
from x3spatial.models.local.image_loading import load_rgb
from x3spatial.models.servers.faults import Fault, error_message
from x3spatial.models.servers.images import ImageLimits, encode_image
from x3spatial.models.servers.parsing import parse_chat, parse_roborefer
from x3spatial.roots.layout import ObjectKey, list_object

LIMITS = ImageLimits(10_000_000)
SIZE = (64, 48)


@dataclass(frozen=True)
class Reader:
    """One reader."""

    read: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]
    """What may leave it."""
    seeds: Callable[[], Iterable[bytes]]
    """Valid inputs, and a few that are nearly valid."""
    words: Sequence[bytes] = ()
    """Tokens of the format, which mutations insert."""
    longest: int = 1 << 16
    """Bytes of the longest input."""


def through_file(read: Callable[[Path], Any], name: str) -> Callable[[bytes], Any]:
    """A reader of files as a reader of bytes."""
    folder: list[tempfile.TemporaryDirectory[str]] = []

    def run(data: bytes) -> Any:
        if not folder:
            folder.append(tempfile.TemporaryDirectory(prefix="x3-fuzz-"))
        path = Path(folder[0].name) / name
        path.write_bytes(data)
        return read(path)

    return run


def every_decoder(data: bytes) -> None:
    """All decoders refuse the same images, and agree about the pixels of the others."""
    found: list[Any] = []
    for decode in (images.decode_rgb, as_model, as_server, images.decode_mask):
        try:
            found.append(decode(data))
        except images.ImageError:
            found.append(None)
    *colours, mask = found
    if len({pixels is None for pixels in colours}) > 1:
        raise DisagreementError("some decoders accept the file, others do not")
    if colours[0] is not None:  # masks may have values that colours cannot have
        if any((pixels != colours[0]).any() for pixels in colours[1:]):
            raise DisagreementError("decoders see other pixels")
        assert mask is not None and colours[0].shape[:2] == mask.shape


class DisagreementError(Exception):
    """Two readers of one file do not see the same."""


_model_pixels = through_file(lambda path: np.asarray(load_rgb(path)), "image.png")


def as_model(data: bytes) -> Any:
    """The pixels that a model in this process sees."""
    return _model_pixels(data)


def as_server(data: bytes) -> Any:
    """The pixels that a server sees."""
    import base64

    return images.decode_rgb(base64.b64decode(encode_image(data, LIMITS).base64))


def read_journal(path: Path) -> None:
    """What a resumed run reads, and that it can be continued."""
    with Journal(path).open() as journal:
        journal.append({"id": "after"})
    assert [value for _, value in Journal(path).entries()][-1] == {"id": "after"}


def read_label(path: Path) -> str | None:
    """The label of an object folder."""
    key = ObjectKey("train", path.parent.name, "1")
    label = list_object(key, path.parent).label
    assert label is None or label.encode() is not None
    return label


QUESTION = question()


def parse_answers(data: bytes) -> None:
    """Every family reads every text: it never raises, and points are numbers."""
    text = data.decode("utf-8", "surrogateescape")
    for convention in CONVENTIONS.values():
        answer = convention.parse(text, QUESTION, [SIZE, SIZE] if convention.pixels else [])
        for number in (*(answer.point or ()), *(answer.box or ())):
            assert isinstance(number, float) and number == number


def read_and_write_results(path: Path) -> None:
    """What is read can be written again, as x3 score does, and is then the same."""
    results = read_results(path)
    again = path.with_name("again.json")
    write_results(again, results)
    assert [one.id for one in read_results(again).results] == [one.id for one in results.results]


def read_and_write_tasks(path: Path) -> None:
    """What is read can be written again."""
    for record in read_records(path):
        json.dumps(record.to_json(), allow_nan=False, ensure_ascii=False).encode()


def read_mixture(path: Path) -> None:
    """A registry with all of its mixtures."""
    from x3spatial.training.mixtures import read_registry, resolve_mixture

    registry = read_registry(path)
    for name in registry.mixtures:
        resolve_mixture(name, registry)


def read_recipe(path: Path) -> None:
    """A recipe and its plan."""
    from x3spatial.training import recipe

    value = recipe.read_recipe(path)
    recipe.plan(value, base=Path("/base"), data_dir=Path("/data"), output_dir=Path("/out"))


def read_samples(path: Path) -> Any:
    """A task file as training reads it."""
    from x3spatial.training.dataset import read_samples

    return read_samples(path)


def read_checkpoint(part: str) -> Callable[[bytes], Any]:
    """A checkpoint of which one file is the input."""
    folder: list[tempfile.TemporaryDirectory[str]] = []

    def run(data: bytes) -> Any:
        from x3spatial.models.roborefer.checkpoint import read_checkpoint
        from x3spatial.models.roborefer.processing import load_processor

        if not folder:
            folder.append(tempfile.TemporaryDirectory(prefix="x3-fuzz-"))
            seeds.copy_checkpoint(Path(folder[0].name) / "checkpoint")
        root = Path(folder[0].name) / "checkpoint"
        (root / part).write_bytes(data)
        checkpoint = read_checkpoint(root)
        return load_processor(checkpoint)

    return run


def read_tensors(path: Path) -> None:
    """Headers as we read them, and the values as safetensors does: what we accept, it can read."""
    from safetensors import safe_open

    from x3spatial.models.local.weights import list_tensors

    tensors = list_tensors(path.parent)
    with safe_open(path, "pt") as stored:
        for name, tensor in tensors.items():
            assert tuple(stored.get_tensor(name).shape) == tensor.shape


def read_pickle(path: Path) -> Any:
    """A pickled weight file."""
    from x3spatial.models.local.weights import list_tensors

    return list_tensors(path.parent)


JSON_WORDS = (
    b"null", b"true", b"NaN", b"-Infinity", b"1e400", b"1e999", b"-1", b"0", b"18446744073709551616",
    b'"\\ud800"', b'"\\u0000"', b"[[[[[[[[", b"{}", b"[]", b'""', b",", b":", b"\xef\xbb\xbf",
    b"9" * 5000, b"[" * 20_000,
)  # fmt: skip
TASK_WORDS = (
    *JSON_WORDS, b'"image"', b'"id"', b'"task"', b'"conversations"', b'"image_sizes"', b'"query_mask"',
    b'"reference_point"', b'"t1_concat"', b'"t2b_multi"', b'"gpt"', b'"human"', b"[(0.5, 0.5)]",
    b'"mask_area_fraction"',
)  # fmt: skip
YAML_WORDS = (
    b"&a ", b"*a", b"<<: ", b"!!python/object/apply:os.system", b"!!timestamp ", b"!!binary ", b".nan",
    b".inf", b"1e308", b"- ", b": ", b"{", b"[", b"---\n", b"? ", b"|\n", b"2001-01-01", b"0x1f", b"1_000",
    b"weight: ", b"only: ", b"datasets:\n", b"mixtures:\n", b"stages:\n", b"\t", b"options: ", b"!!set {",
    b"!!omap [", b"=", b"!!int '", b"!!float ''", b"9" * 5000,
)  # fmt: skip
PNG_WORDS = (
    b"\x89PNG\r\n\x1a\n", b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"iCCP",
    b"gAMA", b"sBIT", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0",
)  # fmt: skip
JPEG_WORDS = (
    b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xdb", b"\xff\xdd",
    b"\xff\xe1", b"\xff\xee", b"\xff\xff", b"Exif\0\0", b"Adobe\0", b"\0\0",
)  # fmt: skip
ANSWER_WORDS = (
    b"NOT_VISIBLE", b"[(0.5, 0.5)]", b"<think>", b"</think>", b"<point x=\"1\" y=\"2\">", b"<box>", b"</box>",
    b"```json", b"point_2d", b"bbox_2d", b"<|im_end|>", b"coords=", b"\\boxed{", b"1e999", b"nan", b"[[[[",
    b"{\"point\": [", b"9" * 5000, b"[" * 5000, b"\xe2\x80\x8b", b"\\_",
)  # fmt: skip

READERS: dict[str, Reader] = {
    "png": Reader(every_decoder, (), seeds.pngs, PNG_WORDS),
    "jpeg": Reader(every_decoder, (), seeds.jpegs, JPEG_WORDS),
    "other-images": Reader(every_decoder, (), seeds.other_images),
    "task-file": Reader(
        through_file(read_and_write_tasks, "t.json"), (UserError,), seeds.task_files, TASK_WORDS
    ),
    "json-lines": Reader(
        through_file(read_and_write_tasks, "t.jsonl"), (UserError,), seeds.json_lines, TASK_WORDS
    ),
    "training-data": Reader(
        through_file(read_samples, "t.json"), (UserError,), seeds.task_files, TASK_WORDS
    ),
    "results": Reader(
        through_file(read_and_write_results, "r.json"), (UserError,), seeds.results_files, JSON_WORDS
    ),
    "journal": Reader(through_file(read_journal, "j.jsonl"), (), seeds.journals, JSON_WORDS),
    "manifest": Reader(through_file(read_manifest, "build.json"), (), seeds.manifests, JSON_WORDS),
    "label": Reader(
        through_file(read_label, "s_uid_1_five_frames.json"), (), seeds.labels, JSON_WORDS
    ),
    "chat-reply": Reader(parse_chat, (Fault,), seeds.replies, JSON_WORDS),
    "roborefer-reply": Reader(parse_roborefer, (Fault,), seeds.replies, JSON_WORDS),
    "error-reply": Reader(error_message, (), seeds.replies, JSON_WORDS),
    "answers": Reader(parse_answers, (), seeds.answers, ANSWER_WORDS, 1 << 14),
    "registry": Reader(
        through_file(read_mixture, "r.yaml"), (UserError,), seeds.registries, YAML_WORDS, 1 << 13
    ),
    "recipe": Reader(
        through_file(read_recipe, "r.yaml"), (UserError,), seeds.recipes, YAML_WORDS, 1 << 13
    ),
    "safetensors": Reader(
        through_file(read_tensors, "model.safetensors"), (UserError,), seeds.tensors, JSON_WORDS
    ),
    "pickled-weights": Reader(
        through_file(read_pickle, "pytorch_model.bin"), (UserError,), seeds.pickles
    ),
    **{
        f"checkpoint-{name.replace('/', '-').removesuffix('.json')}": Reader(
            read_checkpoint(name), (UserError,), partial(seeds.checkpoint_file, name), JSON_WORDS
        )
        for name in (
            "config.json", "llm/config.json", "vision_tower/config.json",
            "vision_tower/preprocessor_config.json", "llm/tokenizer_config.json", "llm/tokenizer.json",
            "llm/generation_config.json", "llm/added_tokens.json",
        )
    },
}  # fmt: skip

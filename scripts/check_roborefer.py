"""Compare RoboRefer's own code with ours on checkpoints that we write (``make check-roborefer``).

    python scripts/check_roborefer.py --roborefer CLONE --python PYTHON [CHECKPOINT ...]

``CLONE`` is a clone of https://github.com/Zhoues/RoboRefer (checked at commit d97a995), ``PYTHON`` an
interpreter with ``requirements/roborefer.txt``: transformers 4.49, which RoboRefer pins. Without checkpoints
it takes x3-tiny and writes one of every other kind: ``x3 model tiny`` with and without depth, ``x3 model
resize``, and ``x3 sft``. Their code runs in a process of its own (``check_roborefer_upstream.py``).

For prompts with one image, two images, and images with depth maps it compares token ids, ids and labels of
training, pixels, logits and greedy answers. One line per checkpoint; exit code 1 if one differs or cannot be
loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from x3spatial.models.roborefer.chat import SENTINEL, media_prefix, render_chat, to_messages
from x3spatial.models.roborefer.checkpoint import load_model, read_checkpoint
from x3spatial.models.roborefer.layout import SHIPPED, locate
from x3spatial.models.roborefer.processing import RoboReferProcessor, load_processor
from x3spatial.models.roborefer.resize import resize_checkpoint
from x3spatial.models.roborefer.tiny import make_tiny
from x3spatial.training.labels import answer_labels

UPSTREAM = Path(__file__).with_name("check_roborefer_upstream.py")
LOGITS, PIXELS = 1e-4, 1e-6
"""Largest differences; those of logits are of the order of 1e-5, the order of float32 sums."""
NEW_TOKENS = 8
QUESTIONS = (
    "In this image one object is marked. Answer with one point on it as [(x, y)].",
    "Find that same object in the second image, or answer NOT_VISIBLE.",
)
ANSWERS = ("[(0.412, 0.733)]", "NOT_VISIBLE")


def write_images(folder: Path) -> dict[str, list[str]]:
    """Two images and two depth maps of different sizes, from a fixed seed."""
    random = np.random.default_rng(0)
    files: dict[str, list[str]] = {"image": [], "depth": []}
    for number, (width, height) in enumerate(((140, 100), (96, 150))):
        small = random.integers(0, 256, (5, 7, 3), np.uint8)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        rows = np.linspace(20 + 40 * number, 230, height)[:, None]
        depth = np.broadcast_to(rows, (height, width)).astype(np.uint8)
        for kind, pixels in (("image", image), ("depth", cv2.merge([depth] * 3))):
            file = folder / f"{kind}{number}.png"
            cv2.imwrite(str(file), pixels)
            files[kind].append(str(file))
    return files


def make_prompts(files: dict[str, list[str]], *, depth: bool) -> list[dict[str, Any]]:
    """One image, two images and, with a depth projector, the same with depth maps."""
    prompts = []
    for with_depth in (False, True) if depth else (False,):
        for count, question, answer in zip((1, 2), QUESTIONS, ANSWERS, strict=True):
            prompts.append(
                {
                    "text": media_prefix(count, depth=with_depth) + question,
                    "answer": answer,
                    "images": files["image"][:count],
                    "depths": files["depth"][:count] if with_depth else [],
                }
            )
    return prompts


def ours(model: Any, processor: RoboReferProcessor, prompt: dict[str, Any]) -> dict[str, Any]:
    """The tensors that ``check_roborefer_upstream.answer`` returns, computed by this package."""
    turns = [{"from": "human", "value": prompt["text"]}]
    messages = to_messages([*turns, {"from": "gpt", "value": prompt["answer"]}])
    question = render_chat(messages[:1], add_generation_prompt=True)
    train_ids = processor.tokenize(render_chat(messages))
    sentinel = processor.tokenizer.convert_tokens_to_ids(SENTINEL)
    inputs = processor(images=prompt["images"], text=question, depths=prompt["depths"] or None)
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
        new = model.generate(**inputs, max_new_tokens=NEW_TOKENS)
    found = {
        "ids": processor.tokenize(question),
        "train_ids": train_ids,
        "train_labels": answer_labels(messages, train_ids, processor.tokenize, sentinel),
        "logits": logits,
        "answer": new[0, inputs["input_ids"].shape[1] :],
        "image_pixels": inputs["pixel_values"],
    }
    if prompt["depths"]:
        found["depth_pixels"] = inputs["depth_values"]
    return {name: torch.as_tensor(value) for name, value in found.items()}


def compare(mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference by name: 0 or infinity for ids; infinity for unequal shapes."""
    found = {}
    for name in sorted({*mine, *theirs}):
        one, other = mine.get(name), theirs.get(name)
        if one is None or other is None or one.shape != other.shape:
            found[name] = float("inf")
        elif one.is_floating_point():
            found[name] = float((one - other).abs().max())
        else:
            found[name] = 0.0 if torch.equal(one, other) else float("inf")
    return found


def check(checkpoint: Path, clone: Path, python: str, work: Path) -> tuple[bool, str]:
    """Whether both codes agree on a checkpoint, and one line about it."""
    read = read_checkpoint(checkpoint)
    model, processor = load_model(read, dtype="float32", attention="eager"), load_processor(read)
    # Both are asked in the mode of the tasks, whatever mode the checkpoint names.
    processor.image_processor.image_aspect_ratio = "resize"
    prompts = make_prompts(write_images(work), depth=read.config.enable_depth)
    asked = work / "prompts.json"
    asked.write_text(json.dumps({"checkpoint": str(read.layout.path), "prompts": prompts}))
    done = subprocess.run(  # noqa: S603
        [python, str(UPSTREAM), str(clone), str(asked), str(work)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        return False, f"RoboRefer's code cannot load it: {reason}"
    worst: dict[str, float] = {}
    for number, prompt in enumerate(prompts):
        theirs = torch.load(work / f"{number}.pt", weights_only=True)
        for name, difference in compare(ours(model, processor, prompt), theirs).items():
            worst[name] = max(worst.get(name, 0.0), difference)
    pixels = max(value for name, value in worst.items() if name.endswith("pixels"))
    unequal = [
        name
        for name, value in worst.items()
        if value > (LOGITS if name == "logits" else PIXELS if name.endswith("pixels") else 0)
    ]
    figures = f"{len(prompts)} prompts, logits within {worst['logits']:.1e}, pixels {pixels:.0e}"
    return not unequal, figures + (f"; DIFFERENT: {', '.join(unequal)}" if unequal else "")


def written_here(folder: Path) -> Iterator[tuple[str, Path]]:
    """One checkpoint of every kind that this package writes, with its name."""
    yield SHIPPED, locate(Path(SHIPPED))
    depth = make_tiny(folder / "tiny")
    yield "model tiny", depth
    yield (
        "model tiny, no depth, bfloat16, untied",
        make_tiny(folder / "rgb", depth=False, dtype="bfloat16", tied=False),
    )
    trainable = make_tiny(folder / "trainable", size="trainable", depth=False)
    yield "model tiny, trainable", trainable
    yield "model resize", resize_checkpoint(depth, folder / "resized", image_size=168)
    yield (
        "model resize of x3-tiny",
        resize_checkpoint(locate(Path(SHIPPED)), folder / "larger", image_size=216),
    )
    yield "sft", fine_tuned(depth, folder / "sft")
    yield "sft with depth", fine_tuned(depth, folder / "sft-depth", depth=True)
    yield "sft of x3-tiny", fine_tuned(locate(Path(SHIPPED)), folder / "sft-shipped")


def fine_tuned(base: Path, out: Path, *, depth: bool = False) -> Path:
    """The checkpoint of two steps of ``x3 sft``."""
    out.mkdir()
    files = write_images(out)
    records = [
        {
            "id": str(number),
            "image": files["image"],
            **({"depth": files["depth"]} if depth else {}),
            "conversations": [
                {"from": "human", "value": question},
                {"from": "gpt", "value": answer},
            ],
        }
        for number, (question, answer) in enumerate(zip(QUESTIONS, ANSWERS, strict=True))
    ]
    data = out / "records.json"
    data.write_text(json.dumps(records))
    options = {
        "model-name-or-path": base, "data-path": data, "output-dir": out / "run", "max-steps": 2,
        "save-steps": 2, "learning-rate": 1e-3, "bf16": False, "gradient-checkpointing": False,
        "dataloader-num-workers": 0, "enable-depth": depth, "use-depth-tower": depth,
    }  # fmt: skip
    if depth:
        options["depth-path"] = out
    command = [sys.executable, "-m", "x3spatial", "sft"]
    command += [piece for name, value in options.items() for piece in (f"--{name}", str(value))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return out / "run" / "checkpoint-2"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--roborefer", type=Path, required=True, help="clone of Zhoues/RoboRefer")
    parser.add_argument("--python", required=True, help="with requirements/roborefer.txt")
    parser.add_argument("checkpoints", nargs="*", help="default: one of every kind, made here")
    given = parser.parse_args()
    if not (given.roborefer / "llava" / "entry.py").is_file():
        parser.error(
            f"--roborefer {given.roborefer}: no llava/entry.py in it; run: git clone"
            " https://github.com/Zhoues/RoboRefer"
        )
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "checkpoints"
        chosen = [(name, Path(name)) for name in given.checkpoints] or written_here(made)
        for number, (name, checkpoint) in enumerate(chosen):
            work = Path(folder) / str(number)
            work.mkdir()
            good, line = check(checkpoint, given.roborefer.absolute(), given.python, work)
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {name}: {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""RoboRefer's half of ``scripts/check_roborefer.py``: its own code loads a checkpoint and answers prompts.

It runs in an environment of its own (``requirements/roborefer.txt``: transformers 4.49, which RoboRefer
pins) and imports ``llava`` from a clone of https://github.com/Zhoues/RoboRefer. Their entry point, tokenizer,
chat template, image processing and model are used as they are, with three exceptions:

* packages that this path does not need (``STUBS``) are replaced by empty stand-ins;
* attention is computed by the plain kernel, because flash attention needs a GPU;
* float32 takes the place of float16, so that differences are those of the code and not of rounding.

    python check_roborefer_upstream.py CLONE PROMPTS.json OUT

``PROMPTS.json`` has ``checkpoint``, and ``prompts``: a list of {``text``, ``answer``, ``images``,
``depths``}. For prompt N, ``OUT/N.pt`` gets ``ids`` and ``logits`` of the question, the greedy ``answer``,
``pixels``, and the ids and labels of training on ``answer``.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

STUBS = frozenset(
    [
        "cv2", "datasets", "decord", "deepspeed", "flash_attn", "matplotlib", "ring_flash_attn",
        "s2wrapper", "torchvision", "triton",
    ]
)  # fmt: skip
"""Packages of kernels, videos and training that loading and answering never call."""
NEW_TOKENS = 8


class _AnyType(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(name)


class _Anything(metaclass=_AnyType):
    """May be called, subclassed, used as a decorator and asked for any attribute."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _Anything()

    def __getattr__(self, name: str) -> Any:
        return _stand_in(name)


def _stand_in(name: str) -> Any:
    return _AnyType(name, (_Anything,), {})


class _StubModule(ModuleType):
    __version__ = "0.0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(name)


class _Stubs(MetaPathFinder, Loader):
    """Finds the packages of ``STUBS`` and their submodules."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        known = fullname.partition(".")[0] in STUBS
        return ModuleSpec(fullname, self, is_package=True) if known else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StubModule(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


class _InFloat32:
    """The module torch, with float32 in the place of float16."""

    float16 = torch.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def load(clone: Path, checkpoint: str) -> Any:
    """The model, loaded by RoboRefer's ``llava.load``."""
    # Before the stand-ins: transformers asks which packages are installed.
    import_module("transformers.models.siglip.modeling_siglip")
    import_module("transformers.models.qwen2.modeling_qwen2")
    sys.meta_path.insert(0, _Stubs())
    sys.path.insert(0, str(clone))
    builder: Any = import_module("llava.model.builder")
    builder.torch = _InFloat32()
    tower: Any = import_module("llava.model.multimodal_encoder.siglip_encoder").SiglipVisionModel
    read = tower.from_pretrained

    def with_plain_attention(*args: Any, **kwargs: Any) -> Any:
        return read(*args, **{**kwargs, "attn_implementation": "eager"})

    tower.from_pretrained = with_plain_attention
    entry: Any = import_module("llava.entry")
    return entry.load(checkpoint, device="cpu", attn_implementation="eager")


def answer(model: Any, prompt: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of one prompt."""
    texts: Any = import_module("llava.utils.tokenizer")
    media_code: Any = import_module("llava.mm_utils")
    turn = {"from": "human", "value": prompt["text"]}
    ids = texts.tokenize_conversation([dict(turn)], model.tokenizer, add_generation_prompt=True)
    both = texts.preprocess_conversation(
        [dict(turn), {"from": "gpt", "value": prompt["answer"]}], model.tokenizer
    )
    found = {"ids": ids, "train_ids": both["input_ids"], "train_labels": both["labels"]}
    media = {}
    for kind, process, tower in (
        ("image", media_code.process_image, model.vision_tower),
        ("depth", media_code.process_depth, model.depth_tower or model.vision_tower),
    ):
        settings = SimpleNamespace(
            image_processor=tower.image_processor, image_aspect_ratio="resize"
        )
        pixels = [process(file, settings, None) for file in prompt[f"{kind}s"]]
        if pixels:
            media[kind] = pixels
            found[f"{kind}_pixels"] = torch.stack(pixels)
    with torch.inference_mode():
        output = model(input_ids=ids[None], media=media, media_config=_settings(media))
        found["logits"] = output.logits[0]
        new = model.generate(
            input_ids=ids[None],
            media=media,
            media_config=_settings(media),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=model.tokenizer.stop_token_ids,
            pad_token_id=model.tokenizer.pad_token_id,
        )
    found["answer"] = new[0]
    return {name: value.clone() for name, value in found.items()}


def _settings(media: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {kind: {} for kind in media}


def main(clone: Path, prompts: Path, out: Path) -> None:
    torch.manual_seed(0)
    value = json.loads(prompts.read_text())
    model = load(clone, value["checkpoint"])
    for number, prompt in enumerate(value["prompts"]):
        torch.save(answer(model, prompt), out / f"{number}.pt")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))

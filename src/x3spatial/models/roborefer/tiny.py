"""Small random checkpoints in the published layout: for dry runs, tests without downloads, and training from
scratch (docs/training-a-tiny-model.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken, pre_tokenizers
from transformers.models.qwen2.configuration_qwen2 import Qwen2Config
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer
from transformers.models.siglip.configuration_siglip import SiglipVisionConfig

from x3spatial.errors import UserError
from x3spatial.io.files import new_dir
from x3spatial.models.choices import FORMER_SIZES, TINY
from x3spatial.models.local.runtime import DTYPES
from x3spatial.models.roborefer.chat import (
    CHAT_TEMPLATE,
    DEPTH_TAG,
    IMAGE_TAG,
    PAD,
    SENTINEL,
    SYSTEM_PROMPT,
    TURN_END,
    TURN_START,
)
from x3spatial.models.roborefer.configuration import RoboReferConfig
from x3spatial.models.roborefer.images import RoboReferImageProcessor
from x3spatial.models.roborefer.initialization import first_tensor, look_back, share_patches
from x3spatial.models.roborefer.modeling import PARTS
from x3spatial.models.roborefer.processing import RoboReferProcessor
from x3spatial.models.roborefer.saving import write_configs, write_weights
from x3spatial.models.roborefer.tensors import expected_shapes, stored_name
from x3spatial.tasks.spec import task_templates

SPECIAL_TOKENS = (
    "<|endoftext|>", TURN_START, TURN_END, "[BOS]", PAD, SENTINEL, IMAGE_TAG,
    "<vila/video>", DEPTH_TAG,
)  # fmt: skip
"""In the order of the published tokenizer; ``<depth>`` only with depth."""

# The text from which the merges of the tokenizer are learned: the vocabulary of the tasks.
CORPUS = (
    "You are a helpful assistant user system assistant The first image shows a scene with one object"
    " marked in red. The second image shows the same room from a different viewpoint. Point to the same"
    " object in the second image. Answer with [(x, y)] between 0 and 1, or NOT_VISIBLE if the object"
    " cannot be seen. In the left half of the picture the reference point is at the center. Give the"
    " matching point in the right half of the picture. What was removed from the original image? Your"
    " answer should be formatted as a list of tuples, the normalized pixel location of the point."
    " coordinates should be between 0 and 1 NOT_VISIBLE NOT_VISIBLE [(0.412, 0.733)] [(0.5, 0.25)]\n\n"
)
MERGES = 256


@dataclass(frozen=True, slots=True)
class Size:
    """Dimensions of a checkpoint; ``text`` and ``tower`` are (width, layers, heads, inner width)."""

    text: tuple[int, int, int, int]
    key_value_heads: int
    tower: tuple[int, int, int, int]
    image: int
    vocabulary: int | None = None
    """Number of embedding rows; None: one per token of the small tokenizer."""
    positions: int = 4096
    patch: int = 14
    rope_theta: float = 1e6
    trainable: bool = False
    """For training from scratch: weights from ``first_tensor``, and a tokenizer in which each section of the
    tasks' prompts is one token."""


PHRASES_OF = ("t0_marked", "t1_multi", "t1_concat", "t2b_multi")
"""Templates whose sections are tokens, in the order of the shipped tokenizer: new tasks change nothing."""

SIZES = {
    "tiny": Size((64, 2, 4, 128), 2, (48, 3, 4, 96), 112),
    "small": Size((256, 4, 8, 704), 4, (192, 6, 6, 512), 224),
    "2b": Size((1536, 28, 12, 8960), 2, (1152, 27, 16, 4304), 448, 151652, 32768),
    "trainable": Size(
        (128, 4, 4, 384), 4, (64, 4, 2, 256), 108,
        positions=1024, patch=9, rope_theta=1e4, trainable=True,
    ),
}  # fmt: skip
"""``2b`` has the dimensions of RoboRefer-2B (about 5 GB in bfloat16 with depth). ``trainable`` can be
trained from scratch on a CPU: 12 x 12 patches of 9 pixels fold to 16 tokens per image without padding."""


def make_tiny(
    out: str | Path,
    *,
    size: str | Size = TINY.size,
    seed: int = TINY.seed,
    depth: bool = TINY.depth,
    dtype: str = TINY.dtype,
    tied: bool = TINY.tied,
) -> Path:
    """Write a random checkpoint of a named size; the same arguments give the same bytes.

    Args:
        out: new folder.
        size: one of ``SIZES``, or dimensions.
        seed: random seed of the weights.
        depth: include depth tower and projector.
        dtype: data type of the weights: ``float32``, ``bfloat16`` or ``float16``.
        tied: whether the head shares the embedding.

    Raises:
        UserError: the size or type is unknown, the seed out of range, or the folder not empty.
    """
    out = Path(out)
    if isinstance(size, str):
        size = FORMER_SIZES.get(size, size)
    if isinstance(size, str) and size not in SIZES:
        raise UserError(f"--size {size}: expected one of {', '.join(SIZES)}")
    if dtype not in DTYPES:
        raise UserError(f"--dtype {dtype}: expected one of {', '.join(DTYPES)}")
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed {seed}: must be between 0 and {2**63 - 1}")
    dimensions = SIZES[size] if isinstance(size, str) else size
    tokenizer = small_tokenizer(
        depth=depth, phrases=prompt_phrases() if dimensions.trainable else ()
    )
    config = make_config(dimensions, tokenizer, depth=depth, tied=tied)
    processor = RoboReferProcessor(
        RoboReferImageProcessor(size={"height": dimensions.image, "width": dimensions.image}),
        tokenizer,
        tokens_per_image=config.tokens_per_image,
    )
    tokenizer.model_max_length = dimensions.positions
    shapes = expected_shapes(config)
    draw = first_tensor if dimensions.trainable else random_tensor
    if tied:
        shapes.pop("llm.lm_head.weight")
    with new_dir(out, "--out") as folder:
        for number, part in enumerate(PARTS):
            generator = torch.Generator().manual_seed(1000 * seed + number)
            tensors = {
                stored_name(part, name): draw(name, shape, generator).to(DTYPES[dtype])
                for name, shape in shapes.items()
                if name.startswith(f"{part}.")
            }
            if part == "mm_projector" and dimensions.trainable:
                share_patches(tensors["layers.2.weight"], 9)  # of the 3x3 fold
            if part == "llm" and dimensions.trainable:
                # An image's rows and the newline after it.
                look_back(
                    tensors,
                    distance=config.tokens_per_image + 1,
                    width=dimensions.text[0] // dimensions.text[2],
                    theta=dimensions.rope_theta,
                )
            if tensors:
                write_weights(folder / part, tensors)
        write_configs(config, processor, folder, dtype=DTYPES[dtype])
    return out


def make_config(
    size: Size, tokenizer: Qwen2Tokenizer, *, depth: bool, tied: bool
) -> RoboReferConfig:
    """The configuration of a checkpoint of these dimensions."""
    width, layers, heads, inner = size.text
    tower_width, tower_layers, tower_heads, tower_inner = size.tower
    tower = SiglipVisionConfig(
        hidden_size=tower_width,
        num_hidden_layers=tower_layers,
        num_attention_heads=tower_heads,
        intermediate_size=tower_inner,
        image_size=size.image,
        patch_size=size.patch,
        vision_use_head=False,
    )
    vocabulary = tokenizer.get_vocab()
    return RoboReferConfig(
        Qwen2Config(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=size.key_value_heads,
            intermediate_size=inner,
            vocab_size=size.vocabulary or len(tokenizer),
            max_position_embeddings=size.positions,
            rope_parameters={"rope_type": "default", "rope_theta": size.rope_theta},
            tie_word_embeddings=tied,
            bos_token_id=vocabulary["[BOS]"],
            eos_token_id=vocabulary[TURN_END],
        ),
        tower,
        SiglipVisionConfig.from_dict(tower.to_dict()) if depth else None,
        enable_depth=depth,
        image_token_id=vocabulary[IMAGE_TAG],
        depth_token_id=vocabulary[DEPTH_TAG] if depth else None,
    )


def random_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Random values that keep activations of order one: gains near 1, everything else near 0.

    Biases and gains are random too, so that tests notice one that is left out.
    """
    values: torch.Tensor = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        gain = name.endswith("weight")  # the only one-dimensional weights are gains of norms
        return values * 0.1 + 1 if gain else values * 0.05
    if "embed" in name and "patch" not in name:
        return values * (0.05 if "position" in name else 0.1)
    return values / math.sqrt(math.prod(shape[1:]))


def prompt_phrases() -> tuple[str, ...]:
    """The fixed sections of the tasks' prompts, and the system's sentence.

    One token each, they halve the length of a sample, and a small model need not learn to read.
    """
    templates = task_templates()
    sections = (
        part for name in PHRASES_OF for part in (templates[name].question, templates[name].format)
    )
    return (SYSTEM_PROMPT, *dict.fromkeys(sections))


def small_tokenizer(*, depth: bool = True, phrases: Sequence[str] = ()) -> Qwen2Tokenizer:
    """A byte-level BPE of Qwen2's form with a few hundred entries and RoboRefer's special tokens.

    Each digit is a token, and so is each of ``phrases``.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learn_merges(CORPUS, MERGES)
    vocabulary = {symbol: number for number, symbol in enumerate(alphabet)}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,  # type: ignore[arg-type]
        unk_token=None,  # type: ignore[arg-type]
        bos_token=SPECIAL_TOKENS[3],
        eos_token=TURN_END,
        pad_token=PAD,
    )
    special = [token for token in SPECIAL_TOKENS if depth or token != DEPTH_TAG]
    tokenizer.add_tokens(special, special_tokens=True)
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    tokenizer.extra_special_tokens = [TURN_START, TURN_END]
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def learn_merges(text: str, count: int) -> list[tuple[str, str]]:
    """Byte-pair merges of a text, the most frequent first, ties in alphabetical order."""
    splitter = Qwen2Tokenizer(vocab={"a": 0}, merges=[]).backend_tokenizer.pre_tokenizer
    words = Counter(tuple(piece) for piece, _ in splitter.pre_tokenize_str(text))
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged: Counter[tuple[str, ...]] = Counter()
        for word, times in words.items():
            merged[tuple(_join(word, best))] += times
        words = merged
    return merges


def _join(word: tuple[str, ...], pair: tuple[str, str]) -> Iterator[str]:
    position = 0
    while position < len(word):
        if word[position : position + 2] == pair:
            yield word[position] + word[position + 1]
            position += 2
        else:
            yield word[position]
            position += 1

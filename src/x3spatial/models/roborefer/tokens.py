"""The tokenizer of a checkpoint and the ids of its special tokens, which are never hard-coded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers.generation.configuration_utils import GenerationConfig
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

from x3spatial.errors import UserError
from x3spatial.models.local.model import check_text, greedy_rules
from x3spatial.models.local.runtime import one_line
from x3spatial.models.roborefer.chat import DEPTH_TAG, IMAGE_TAG, PAD, TURN_END, TURN_START
from x3spatial.models.roborefer.configuration import RoboReferConfig


def load_tokenizer(folder: Path, config: RoboReferConfig) -> Any:
    """The tokenizer of a checkpoint, always transformers' Qwen2 class.

    Raises:
        UserError: its files are missing or unreadable, a required token is missing, or the embedding has
            fewer rows than the tokenizer has tokens. Or its vocabulary lacks plain characters.
    """
    fast = (folder / "tokenizer.json").is_file()
    if not fast:
        for name in ("vocab.json", "merges.txt"):
            if not (folder / name).is_file():
                raise UserError(
                    f"{folder}: {name} is missing; expected tokenizer.json, or vocab.json and merges.txt"
                )
    try:
        tokenizer = Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        raise UserError(f"{folder}: the tokenizer cannot be read: {one_line(error)}") from None
    check_text(tokenizer, folder)
    vocabulary = tokenizer.get_vocab()
    needed = [TURN_START, TURN_END, IMAGE_TAG]
    if config.enable_depth:
        needed.append(DEPTH_TAG)
    for token in needed:
        if token not in vocabulary:
            raise UserError(
                f"{folder}: the tokenizer has no token {token!r}; expected RoboRefer's own"
            )
    rows = config.text_config.vocab_size
    if len(tokenizer) > rows:
        raise UserError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, the embedding {rows} rows;"
            " expected a row for each"
        )
    if PAD in vocabulary:
        tokenizer.pad_token = PAD
    elif tokenizer.pad_token is None:
        tokenizer.pad_token = TURN_END
    return tokenizer


def greedy(tokenizer: Any, max_new_tokens: int = 64) -> GenerationConfig:
    """Greedy decoding up to the end-of-turn token; all other decoding rules are switched off."""
    return greedy_rules(tokenizer, stop_ids(tokenizer), max_new_tokens)


def stop_ids(tokenizer: Any) -> list[int]:
    """The ids that end an answer: the tokenizer's end token and that of the chat template."""
    ids = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(TURN_END)]
    return list(dict.fromkeys(int(value) for value in ids if value is not None))

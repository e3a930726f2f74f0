"""RoboRefer's chat text: the text of a record for the language model.

It reproduces the public behaviour of Zhoues/RoboRefer (Apache-2.0): the template "qwen2" of its tokenizer and
the prompt preparation of its RGB-D data set. Training and inference both use this module, so their texts
agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

IMAGE_TAG = "<image>"
DEPTH_TAG = "<depth>"
SENTINEL = "<vila/sentinel>"
PAD = "[PAD]"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"

SYSTEM_PROMPT = "You are a helpful assistant"
"""Without the full stop of Qwen2's default, as in the training of the model."""

_ROLES = {"human": "user", "gpt": "assistant"}
_MEDIA = re.compile(f"(?:{re.escape(IMAGE_TAG)}|{re.escape(DEPTH_TAG)})\n?")

CHAT_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\\nYou are a helpful assistant<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{%- for message in messages if message['content'] is not none -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' -}}"
    "{%- if message['content'] is string -%}"
    "{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] if part['type'] == 'image' -%}{{- '<image>\\n' -}}{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}{{- part['text'] -}}{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
"""The template of ``processor.apply_chat_template``: the same text as ``render_chat``, images before the
text."""


def strip_media(text: str) -> str:
    """Remove every media tag with one newline directly after it, and surrounding whitespace."""
    return _MEDIA.sub("", text).strip()


def media_prefix(images: int, *, depth: bool = False) -> str:
    """The prefix of the first turn: ``<image>`` newline, or ``<image> <depth>`` newline, each."""
    return (f"{IMAGE_TAG} {DEPTH_TAG}\n" if depth else f"{IMAGE_TAG}\n") * images


def preprocess_rgbd(
    conversation: Sequence[Mapping[str, str]], images: int, *, depth: bool = False
) -> list[dict[str, str]]:
    """Move all media tags before the text of the first turn, as in training.

    Tags elsewhere are removed; the first turn gets the prefix regardless of its speaker.

    Args:
        conversation: turns ``{"from", "value"}``; not modified.
        images: number of images of the record.
        depth: whether each image has a depth map.
    """
    turns = [{**turn, "value": strip_media(turn["value"])} for turn in conversation]
    if turns:
        turns[0]["value"] = media_prefix(images, depth=depth) + turns[0]["value"]
    return turns


def expand_tiles(text: str, token: str, tiles: Sequence[int]) -> str:
    """For dynamic mode: replace the i-th ``token`` of the text by one ``token`` line per tile.

    The newline after the tag is kept, which leaves a blank line before the question, as in training.

    Raises:
        ValueError: the number of tags in the text differs from that of ``tiles``.
    """
    pieces = text.split(token)
    if len(pieces) != len(tiles) + 1:
        raise ValueError(f"the text has {len(pieces) - 1} {token} for {len(tiles)} image(s)")
    lines = [f"{token}\n" * count for count in tiles]
    return "".join(piece + line for piece, line in zip(pieces, [*lines, ""], strict=True))


def to_messages(conversation: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Convert the turns of a record to chat messages: values are stripped, speakers renamed.

    Raises:
        ValueError: a speaker is neither ``human`` nor ``gpt``; ``system`` is not supported.
    """
    messages = []
    for turn in conversation:
        role = _ROLES.get(turn["from"])
        if role is None:
            raise ValueError(f"unexpected speaker {turn['from']!r}: turns are from human or gpt")
        messages.append({"role": role, "content": turn["value"].strip()})
    return messages


def render_chat(
    messages: Sequence[Mapping[str, str | None]], *, add_generation_prompt: bool = False
) -> str:
    """Chat text of messages ``{"role", "content"}``; those without content are skipped."""
    parts = []
    if not messages or messages[0]["role"] != "system":
        parts.append(f"{TURN_START}system\n{SYSTEM_PROMPT}{TURN_END}\n")
    parts.extend(
        f"{TURN_START}{message['role']}\n{message['content']}{TURN_END}\n"
        for message in messages
        if message["content"] is not None
    )
    if add_generation_prompt:
        parts.append(f"{TURN_START}assistant\n")
    return "".join(parts)


def question_text(prompt: str, images: int, *, depth: bool = False) -> str:
    """The text to complete for one question: the human turn as in training and the start of the answer."""
    turns = preprocess_rgbd([{"from": "human", "value": prompt}], images, depth=depth)
    return render_chat(to_messages(turns), add_generation_prompt=True)

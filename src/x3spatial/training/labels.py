"""Which tokens of a conversation are trained on: the answers and their end tokens.

The rule is that of the public RoboRefer code (Zhoues/RoboRefer, Apache-2.0), described from its
behaviour, so that fine-tuning uses the same labels as the original training. The conversation is tokenised a
second time with a sentinel in the place of every answer; without the sentinels that is the template, and
a token of the conversation that is not the template's next one belongs to an answer. An answer with
a single newline therefore loses that newline's label and gives one to the newline that ends the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from x3spatial.models.roborefer.chat import SENTINEL, render_chat

IGNORE_INDEX = -100

Tokenize = Callable[[str], list[int]]


def answer_labels(
    messages: Sequence[Mapping[str, str | None]],
    ids: Sequence[int],
    tokenize: Tokenize,
    sentinel: int,
) -> list[int]:
    """Labels of a rendered conversation.

    Args:
        messages: ``{"role", "content"}``, as ``chat.to_messages`` makes them, tiles spelled out.
        ids: their tokens, media not expanded.
        tokenize: text to ids.
        sentinel: id of the sentinel token.

    Returns:
        One label per id: the id itself if it is trained on, else -100. All labels are -100 if the template
            does not match the conversation.
    """
    hidden = [
        {**message, "content": SENTINEL} if message["role"] == "assistant" else message
        for message in messages
    ]
    template = tokenize(render_chat(hidden))
    for before in (0, 1):
        labels = _walk(ids, _without_answers(template, sentinel, before))
        if labels is not None:
            return labels
    return [IGNORE_INDEX] * len(ids)


def _without_answers(template: Sequence[int], sentinel: int, before: int) -> list[int]:
    """The template without each sentinel, the token after it and ``before`` tokens before it."""
    dropped: set[int] = set()
    for place, token in enumerate(template):
        if token == sentinel:
            dropped.update(range(place - before, place + 2))
    return [token for place, token in enumerate(template) if place not in dropped]


def _walk(ids: Sequence[int], template: Sequence[int]) -> list[int] | None:
    """Labels by consuming the template in order; None if some of it is left over."""
    labels: list[int] = []
    position = 0
    for token in ids:
        if position < len(template) and token == template[position]:
            labels.append(IGNORE_INDEX)
            position += 1
        else:
            labels.append(token)
    return labels if position == len(template) else None

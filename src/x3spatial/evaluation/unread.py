"""Why answers could not be read: a reason per answer, counts, and a few examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.models.base import CUT_OFF
from x3spatial.tasks.answers import AnswerKind
from x3spatial.tasks.parsing import NUMBER, first_turn, normalize_characters, strip_thinking
from x3spatial.tasks.question import Question, Size
from x3spatial.texts import quoted

EXAMPLES = 3
"""Most unread answers that a summary shows."""
_NUMBER = re.compile(NUMBER)


def unread_reason(
    text: str,
    question: Question,
    sizes: tuple[Size, ...],
    details: Mapping[str, Any],
    convention: str,
) -> str:
    """Why an answer without a parsed point or token could not be read by ``convention``, in a few words."""
    if not text.strip():
        return "empty"
    if details.get("finish") in CUT_OFF:
        return "ended by the token limit"
    rest = normalize_characters(first_turn(strip_thinking(text)))
    if not rest.strip():
        return "thinking only"
    for name, other in CONVENTIONS.items():
        if name != convention and _is_read(other, text, question, sizes):
            return "form of another convention"
    numbers = len(_NUMBER.findall(rest))
    return (
        "no number" if numbers == 0 else "one number" if numbers == 1 else "numbers, but no point"
    )


def _is_read(convention: Any, text: str, question: Question, sizes: tuple[Size, ...]) -> bool:
    try:
        kind: AnswerKind = convention.parse(text, question, sizes).kind
    except ValueError:  # a convention in pixels, and the model stated no sizes
        return False
    return kind is not AnswerKind.UNPARSED


def counted_reasons(reasons: Iterable[str]) -> dict[str, int]:
    """Reason → number, the most frequent first."""
    return dict(Counter(reasons).most_common())


def examples(texts: Iterable[str | None]) -> tuple[str, ...]:
    """Up to three different unread answers, quoted."""
    different = dict.fromkeys(quoted(text) for text in texts if text is not None)
    return tuple(different)[:EXAMPLES]

"""Outputs of OpenAI's batch interface, which vLLM's ``run-batch`` writes too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from x3spatial.formats.answers.base import AnswerFields, AnswerText, BadEntry
from x3spatial.formats.answers.json_lines import JsonLines, lines_of


class OpenAIBatch(JsonLines):
    """A line has ``custom_id`` and the whole ``response``; the text is that of its first choice."""

    describes = "the output of an OpenAI batch"

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        try:
            first = json.loads(head.split("\n", 1)[0])
        except (ValueError, RecursionError):
            return False
        return (
            super().recognizes(path, head)
            and isinstance(first, dict)
            and "custom_id" in first
            and (isinstance(first.get("response"), dict) or isinstance(first.get("error"), dict))
        )

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        for number, line in lines_of(path):
            where = f"line {number}"
            try:
                value = json.loads(line)
                id = value["custom_id"]
            except (ValueError, RecursionError, KeyError, TypeError):
                yield BadEntry(where, "is no output of a batch: no custom_id")
                continue
            yield AnswerText(where, str(id), _text(value))


def _text(value: dict[str, Any]) -> str | None:
    """The text of the first choice; None if the request failed."""
    try:
        text = value["response"]["body"]["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return None
    return text if isinstance(text, str) else None

"""Per-sample logs of lmms-eval (``--log_samples``): a line per sample."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from x3spatial.formats.answers.base import AnswerFields, AnswerText, BadEntry, one_text
from x3spatial.formats.answers.json_lines import JsonLines, lines_of

_FIRST = re.compile(r'\{\s*"doc_id"\s*:')


class LmmsEval(JsonLines):
    """A line has ``doc_id``, the row of the task's data, and the responses before and after filters.

    Tasks of ``x3 export --to lmms-eval`` log the sample's id too. Without it the row is taken, and the
    target of the log must be that of the sample.
    """

    describes = "a sample log of lmms-eval"

    def recognizes(self, path: Path, head: str) -> bool:
        """See ``AnswersReader.recognizes``."""
        return super().recognizes(path, head) and _FIRST.match(head) is not None

    def read(self, path: Path, fields: AnswerFields) -> Iterator[AnswerText | BadEntry]:
        """See ``AnswersReader.read``."""
        for number, line in lines_of(path):
            yield _entry(line, f"line {number}")


def _entry(line: str, where: str) -> AnswerText | BadEntry:
    try:
        value = json.loads(line)
    except RecursionError:
        return BadEntry(where, "nested too deep")
    except ValueError as error:
        return BadEntry(where, f"is not JSON: {error}")
    row = value.get("doc_id") if isinstance(value, dict) else None
    if not isinstance(row, int) or isinstance(row, bool) or row < 0:
        return BadEntry(where, "is no sample of lmms-eval: no doc_id")
    # The log leaves ``resps`` out where the filters change nothing.
    try:
        text = one_text(value.get("resps", value.get("filtered_resps")))
    except ValueError as error:
        return BadEntry(where, str(error))
    id = _logged_id(value)
    if id is not None:
        return AnswerText(where, id, text)
    target = value.get("target")
    return AnswerText(
        where, "", text, position=row, target=target if isinstance(target, str) else None
    )


def _logged_id(value: Mapping[str, Any]) -> str | None:
    """The id in the first metric that has one."""
    for metric in value.values():
        if isinstance(metric, dict) and isinstance(metric.get("id"), str) and metric["id"]:
            return str(metric["id"])
    return None

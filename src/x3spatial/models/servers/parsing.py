"""Parsing of replies: pure functions of their bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from x3spatial.models.base import CUT_OFF
from x3spatial.models.servers.faults import Fault, cannot_read_image, error_message, shortened

_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks")
"""Fields of a message in which servers give reasoning beside the content."""
_OVERLOADED = frozenset({429, 503, "429", "503"})


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """An answer."""

    text: str
    whole: bool = True
    """Whether the model ended it; False: a limit or a filter did."""
    details: dict[str, Any] = field(default_factory=dict)
    """Further fields of the reply."""


def _object(content: bytes | str) -> Mapping[str, Any]:
    """The JSON object in a reply.

    Raises:
        Fault: the reply cannot be used.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        text = content if isinstance(content, str) else content.decode("utf-8", "replace")
        text = shortened(text)
        raise Fault(f"the reply is not JSON: {text[:80]!r}") from None
    if not isinstance(value, dict):
        raise Fault(f"the reply is not a JSON object: {shortened(str(value))[:80]!r}")
    return value


def parse_chat(content: bytes | str) -> ParsedReply:
    """The answer in a reply of ``/chat/completions``.

    Only the message's content is the answer, of its parts only those of text, joined. Reasoning is not, in
    whatever field or part a server gives it, even if there is nothing else. A refusal in place of the content
    is an answer.

    Raises:
        Fault: an error in the body, no choices, no content, or another shape.
    """
    value = _object(content)
    if value.get("error") or value.get("object") == "error":
        error = value.get("error")
        code = error.get("code") if isinstance(error, dict) else value.get("code")
        code = code if isinstance(code, int | str) else None
        reason = error_message(content)
        raise Fault(
            f"the reply is an error: {reason}",
            overloaded=code in _OVERLOADED,
            unreadable_image=cannot_read_image(reason),
        )
    choices = value.get("choices")
    if not isinstance(choices, list):
        raise Fault("the reply has no list of choices")
    if not choices:
        raise Fault("the reply has no choices")
    choice = choices[0] if isinstance(choices[0], dict) else {}
    message, finish = choice.get("message"), choice.get("finish_reason")
    finish = finish.encode("utf-8", "replace").decode() if isinstance(finish, str) else None
    if not isinstance(message, dict):
        raise (
            _nothing(finish)
            if finish in CUT_OFF
            else Fault("the reply's first choice has no message")
        )
    text = _joined(message.get("content"))
    if not text.strip() and isinstance(message.get("refusal"), str):
        text = message["refusal"]
    if not text.strip():
        raise _nothing(finish, thought=any(message.get(name) for name in _REASONING))
    details: dict[str, Any] = {"finish": finish}
    if isinstance(value.get("model"), str):
        details["served_model"] = value["model"].encode("utf-8", "replace").decode()
    usage = value.get("usage")
    if isinstance(usage, dict):
        counts = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
        details["usage"] = {k: v for k, v in counts.items() if isinstance(v, int)}
    return ParsedReply(text, whole=finish in (None, "stop", "eos"), details=details)


def _joined(content: Any) -> str:
    """The text of a message's content, "" for null.

    Raises:
        Fault: it is neither a text nor a list of parts.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Fault(f"the reply's content is not a text but of type {type(content).__name__}")
    texts = []
    for part in content:
        text = part if isinstance(part, str) else None
        is_text = isinstance(part, dict) and part.get("type", "text") in ("text", "output_text")
        if is_text and part.get("thought") is not True:  # Google's mark of reasoning
            text = part.get("text")
        # Parts of other types (thinking, reasoning, audio) are ignored.
        texts.append(text if isinstance(text, str) else "")
    return "".join(texts)


def _nothing(finish: str | None, *, thought: bool = False) -> Fault:
    if finish in CUT_OFF:
        # A retry would end at the same length.
        return Fault(
            "no answer within --max-new-tokens (spent on reasoning?); use more",
            again=False,
        )
    if finish == "content_filter":
        return Fault("a content filter of the server removed the answer", again=False)
    if thought:
        return Fault("the reply's content is empty: it has reasoning only")
    return Fault("the reply's content is empty")


def parse_roborefer(content: bytes | str) -> ParsedReply:
    """The answer in a reply of ``/query`` of RoboRefer's own server: ``{"result": 1, "answer": TEXT}``.

    Raises:
        Fault: another shape, or an empty text.
    """
    value = _object(content)
    text = value.get("answer")
    if not isinstance(text, str):
        message = error_message(content)
        raise Fault(
            f"the reply has no text 'answer': {message}",
            unreadable_image=cannot_read_image(message),
        )
    if not text.strip():
        raise Fault("the reply's answer is empty")
    return ParsedReply(text)

"""The API key: read from the environment, sent in a header, redacted from every text."""

from __future__ import annotations

import base64
import html.entities
import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from x3spatial.errors import UserError

DEFAULT_VARIABLE = "OPENAI_API_KEY"
_SHORTEST = 4
"""Shorter texts are not keys; redacting them would redact ordinary words."""
_SHORTEST_IN_ANSWERS = 8
"""Placeholders for servers without keys ("EMPTY") may occur in an answer."""
_HIDDEN = "[key]"
_ESCAPES = frozenset("\\%&")
"""Every escaped spelling of a character contains one of these."""


class ApiKey:
    """A key that is never printed.

    Args:
        value: None for a server without keys.
        others: further secrets that are sent, such as values of headers.
    """

    def __init__(self, value: str | None, others: Iterable[str] = ()) -> None:
        self._value = value
        self._secrets = tuple(dict.fromkeys([*([] if value is None else [value]), *others]))

    @classmethod
    def from_environment(cls, variable: str | None) -> ApiKey:
        """The key in ``variable``; None: in OPENAI_API_KEY, if that is set.

        Raises:
            UserError: the named variable is not set, or its value cannot be a key.
        """
        value = os.environ.get(variable or DEFAULT_VARIABLE, "").strip()
        if not value:
            if variable is not None:
                raise UserError(
                    f"--api-key-env {variable}: the environment has no such variable, or an empty one"
                )
            return cls(None)
        if not value.isascii() or not value.isprintable() or " " in value:
            # The error of the HTTP library would quote the key.
            raise UserError(
                f"{variable or DEFAULT_VARIABLE} (environment): contains characters that a key cannot have"
            )
        return cls(value)

    def also(self, secrets: Iterable[str]) -> ApiKey:
        """The same key, with further secrets that are redacted."""
        return ApiKey(self._value, (*self._secrets, *secrets))

    def reveal(self) -> str | None:
        """The key itself; only for the header of a request."""
        return self._value

    def hide(self, text: str, *, answer: bool = False) -> str:
        """``text`` with the key redacted, however its characters are escaped.

        Args:
            text: any text; redact it before it is shortened, which may leave a part of the key.
            answer: it may be an answer, in which short placeholders for keys are ordinary words.
        """
        shortest = _SHORTEST_IN_ANSWERS if answer else _SHORTEST
        secrets = tuple(secret for secret in self._secrets if len(secret) >= shortest)
        if not secrets:
            return text
        if _ESCAPES.isdisjoint(text):
            for form in _forms(secrets):
                text = text.replace(form, _HIDDEN)
            return text
        return _pattern(secrets).sub(_HIDDEN, text)

    def hide_in_reply(self, text: str, *, answer: bool = False) -> str:
        """The text of a reply with the key redacted: JSON is decoded first, so that no escape is left.

        Call it before the reply is parsed, and before any part of it is shortened.
        """
        if not self._secrets:
            return text
        try:
            return json.dumps(self.hide_in(json.loads(text), answer=answer), ensure_ascii=False)
        except (ValueError, RecursionError):
            return self.hide(text, answer=answer)

    def hide_in(self, value: Any, *, answer: bool = False) -> Any:
        """A JSON value with the key redacted from its texts and keys."""
        if isinstance(value, str):
            return self.hide(value, answer=answer)
        if isinstance(value, Mapping):
            return {
                self.hide(key, answer=answer): self.hide_in(part, answer=answer)
                for key, part in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.hide_in(part, answer=answer) for part in value]
        return value

    def __repr__(self) -> str:
        return f"ApiKey({'none' if self._value is None else '[key]'})"


@cache
def _forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """The secrets and their spellings in base64, longest first."""
    forms = {form for secret in secrets for form in (secret, *_in_base64(secret))}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _in_base64(secret: str) -> set[str]:
    """The characters of base64 that depend on the secret alone, for each place in a longer text."""
    found = set()
    for before in range(3):
        data = b"\0" * before + secret.encode()
        inside = slice(-(-before * 8 // 6), len(data) * 8 // 6)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(data).decode("ascii")[inside])
    return {form for form in found if len(form) >= _SHORTEST_IN_ANSWERS}


@cache
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join("".join(map(_spellings, form)) for form in _forms(secrets)))


_AND = r"(?:&|\\{1,8}u0026)(?:amp;){0,4}"
"""How an escape of HTML begins, in JSON too."""


@cache
def _spellings(character: str) -> str:
    r"""A pattern of one character, plain or escaped, also a few times over.

    Repetitions are bounded: a reply may be one long run of backslashes.

    In JSON (``\/``, ``\u002B``), in a URL (``%2B``) and in HTML (``&#43;``, ``&plus;``).
    """
    code = ord(character)
    names = [name for name, text in html.entities.html5.items() if text == character]
    named = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    plain = r"\\{1,8}" if character == "\\" else rf"\\{{0,8}}{re.escape(character)}"
    escaped = [
        rf"\\{{1,8}}(?i:u{code:04x}|u\{{0{{0,4}}{code:x}\}}|x{code:02x})",
        rf"(?:%|\\{{1,8}}u0025)(?:25){{0,4}}(?i:{code:02x})",
        rf"{_AND}(?:#|\\{{1,8}}u0023)(?:0{{0,4}}{code};?|(?i:x0{{0,4}}{code:x});?)",
        *([rf"{_AND}(?:{named})"] if named else []),
    ]
    # Escaped spellings first: "&" is also the beginning of "&amp;".
    return f"(?:{'|'.join(escaped)}|{plain})"

"""The API key: read from the environment, sent in a header, redacted from every text."""

from __future__ import annotations

import os
from urllib.parse import quote

from x3spatial.errors import UserError

DEFAULT_VARIABLE = "OPENAI_API_KEY"
_SHORTEST = 4
"""Shorter texts are not keys; redacting them would redact ordinary words."""
_SHORTEST_IN_ANSWERS = 8
"""Placeholders for servers without keys ("EMPTY") may occur in an answer."""
_HIDDEN = "[key]"


class ApiKey:
    """A key that is never printed.

    Args:
        value: None for a server without keys.
    """

    def __init__(self, value: str | None) -> None:
        self._value = value

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

    def reveal(self) -> str | None:
        """The key itself; only for the header of a request."""
        return self._value

    def hide(self, text: str) -> str:
        """``text`` with the key redacted."""
        for form in self._forms(_SHORTEST):
            text = text.replace(form, _HIDDEN)
        return text

    def hide_in_body(self, body: bytes, *, answer: bool) -> bytes:
        """The bytes of a reply with the key redacted; called before they are parsed or shortened."""
        for form in self._forms(_SHORTEST_IN_ANSWERS if answer else _SHORTEST):
            body = body.replace(form.encode(), _HIDDEN.encode())
        return body

    def _forms(self, shortest: int) -> set[str]:
        """The spellings of the key in a text: plain, in a URL, in JSON with escaped slashes."""
        if self._value is None or len(self._value) < shortest:
            return set()
        return {self._value, quote(self._value, safe=""), self._value.replace("/", "\\/")}

    def __repr__(self) -> str:
        return f"ApiKey({'none' if self._value is None else '[key]'})"

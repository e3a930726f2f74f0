"""The API key: read from the environment, sent in a header, and never let into any text."""

from __future__ import annotations

import os
from urllib.parse import quote

from x3spatial.errors import UserError

DEFAULT_VARIABLE = "OPENAI_API_KEY"
_SHORTEST = 4
"""Shorter texts are no keys, and would riddle messages with holes."""
_SHORTEST_IN_ANSWERS = 8
"""Placeholders for servers without keys ("EMPTY") may well stand in an answer."""
_HIDDEN = "[key]"


class ApiKey:
    """A key that does not show itself.

    Args:
        value: None where the server wants none.
    """

    def __init__(self, value: str | None) -> None:
        self._value = value

    @classmethod
    def from_environment(cls, variable: str | None) -> ApiKey:
        """The key in ``variable``; None: in OPENAI_API_KEY, if that is set.

        Raises:
            UserError: the named variable is not set, or holds what cannot be a key.
        """
        value = os.environ.get(variable or DEFAULT_VARIABLE, "").strip()
        if not value:
            if variable is not None:
                raise UserError(
                    f"--api-key-env {variable}: the environment has no such variable, or an empty one"
                )
            return cls(None)
        if not value.isascii() or not value.isprintable() or " " in value:
            # The HTTP library would say the same and quote the key.
            raise UserError(
                f"{variable or DEFAULT_VARIABLE} (environment): holds characters that no key has"
            )
        return cls(value)

    def reveal(self) -> str | None:
        """The key itself, for the request's header and nothing else."""
        return self._value

    def hide(self, text: str) -> str:
        """``text`` without the key."""
        for form in self._forms(_SHORTEST):
            text = text.replace(form, _HIDDEN)
        return text

    def hide_in_body(self, body: bytes, *, answer: bool) -> bytes:
        """A reply's bytes without the key, before anything is cut out of them."""
        for form in self._forms(_SHORTEST_IN_ANSWERS if answer else _SHORTEST):
            body = body.replace(form.encode(), _HIDDEN.encode())
        return body

    def _forms(self, shortest: int) -> set[str]:
        """The key as it may stand in a text: as it is, in a URL, in JSON with escaped slashes."""
        if self._value is None or len(self._value) < shortest:
            return set()
        return {self._value, quote(self._value, safe=""), self._value.replace("/", "\\/")}

    def __repr__(self) -> str:
        return f"ApiKey({'none' if self._value is None else '[key]'})"

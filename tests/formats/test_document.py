"""JSON that commands print."""

from __future__ import annotations

import json

from x3spatial.formats.typed_json import document


def test_a_document_suits_every_terminal_and_holds_no_nan() -> None:
    name = "\x1b[31m\x9b\u202e\udcfc\u2028"
    text = document({"naïve 値": [float("nan"), float("inf"), 1.5], "name": name})
    assert not set(text) & set("\x1b\x9b\u202e\udcfc\u2028") and "naïve 値" in text
    text.encode("utf-8")
    assert json.loads(text) == {"naïve 値": [None, None, 1.5], "name": name}

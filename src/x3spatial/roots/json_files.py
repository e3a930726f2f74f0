"""The small JSON files of a root: labels and ``scene.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from x3spatial.io.json_stream import unique_keys
from x3spatial.io.opening import open_regular


def load_json(path: Path) -> Any:
    """Parse a small file.

    Raises:
        ValueError: it is no regular file, is not JSON, is nested too deep, or has a key twice.
    """
    try:
        with open_regular(path) as file:
            return json.loads(file.read(), object_pairs_hook=unique_keys)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None


def is_encodable(text: str) -> bool:
    """Whether a text has no half of a surrogate pair, which UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

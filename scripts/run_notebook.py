"""Run docs/notebooks/first-steps.ipynb, store its outputs, and write the same as a page, docs/notebook.md.

Outputs are stored small and without traces of the machine. ``--check`` writes nothing and compares the
outputs with the stored ones.

    python scripts/run_notebook.py [--check]
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
NOTEBOOK = DOCS / "notebooks" / "first-steps.ipynb"
PAGE = DOCS / "notebook.md"
PICTURES = DOCS / "images" / "notebook"

_PAGES = "https://github.com/x3spatial/x3spatial/blob/main/docs"
"""Where links of the notebook point, because it is also opened where the pages are not."""
LARGEST = 400_000
"""Bytes of the stored notebook."""
_WIDEST = 840
"""Columns of pixels of a stored picture."""
_QUALITY = 70
_PICTURES = ("image/jpeg", "image/png")
_STARTS_WITHIN = 600
"""Seconds: a kernel starts slowly on a machine that runs other tests."""
TOLERANCE = 0.05
"""Numbers in outputs may differ by this much, or by this share of them: answers of a model depend in the last
bits on the processor, and a point can fall on the other side of a mask's edge."""
_PICTURE_TOLERANCE = 8.0
"""Mean difference of two pictures, of 255."""
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


Notebook = Any
"""``nbformat.NotebookNode``, which has no types."""


def read(path: Path = NOTEBOOK) -> Notebook:
    """The stored notebook."""
    return nbformat.read(path, as_version=4)


def run(notebook: Notebook) -> None:
    """Run all cells in a fresh kernel, in a folder of its own.

    Raises:
        CellExecutionError: a cell failed.
        ValueError: a cell wrote to stderr, such as a warning.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
            os.environ[name] = str(Path(folder) / name)
        work = Path(folder) / "work"
        work.mkdir()
        client = NotebookClient(
            notebook,
            timeout=None,
            startup_timeout=_STARTS_WITHIN,
            resources={"metadata": {"path": str(work)}},
        )
        client.execute()
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise ValueError(f"cell {cell.id}: wrote to stderr: {output.text}")


def tidy(notebook: Notebook) -> None:
    """Leave out what differs from run to run, and make pictures small."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
    for number, cell in enumerate(code_cells(notebook), 1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
            data = output.get("data", {})
            for kind in [kind for kind in _PICTURES if kind in data]:
                data["image/jpeg"] = _small(data.pop(kind))


def _small(encoded: str) -> str:
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    if picture.width > _WIDEST:
        height = round(picture.height * _WIDEST / picture.width)
        picture = picture.resize((_WIDEST, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def code_cells(notebook: Notebook) -> list[Any]:
    """The cells that are run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell: Any) -> list[str]:
    """The outputs of a cell as text, but for those that are a picture."""
    found = []
    for output in cell.outputs:
        data = output.get("data", {})
        if "text" in output:
            found.append(output.text)
        elif not any(kind in data for kind in _PICTURES):
            found.append(data.get("text/plain", ""))
    return found


def pictures(cell: Any) -> list[bytes]:
    """The pictures among the outputs of a cell, as JPEG."""
    found = (output.get("data", {}).get("image/jpeg") for output in cell.outputs)
    return [base64.b64decode(encoded) for encoded in found if encoded]


def differences(stored: Notebook, fresh: Notebook) -> Iterator[str]:
    """What is stored and no longer true, cell by cell; numbers may differ by ``TOLERANCE``."""
    for old, new in zip(code_cells(stored), code_cells(fresh), strict=True):
        was, now = "\n".join(texts(old)), "\n".join(texts(new))
        if not _alike(was, now):
            yield f"cell {old.id}: the stored output is\n{was}\nbut the run gave\n{now}"
        before, after = pictures(old), pictures(new)
        if len(before) != len(after) or not all(map(_look_alike, before, after)):
            yield f"cell {old.id}: another picture than the stored one"


def _alike(a: str, b: str) -> bool:
    if [_NUMBER.sub("0", word) for word in a.split()] != [
        _NUMBER.sub("0", word) for word in b.split()
    ]:
        return False
    pairs = zip(_NUMBER.findall(a), _NUMBER.findall(b), strict=True)
    return all(abs(float(x) - float(y)) <= TOLERANCE * max(1.0, abs(float(x))) for x, y in pairs)


def _look_alike(a: bytes, b: bytes) -> bool:
    import numpy as np

    one, other = (np.asarray(Image.open(io.BytesIO(data)), np.float32) for data in (a, b))
    return one.shape == other.shape and float(np.abs(one - other).mean()) < _PICTURE_TOLERANCE


def page(notebook: Notebook) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and its pictures by file name."""
    parts = []
    images = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source.replace(f"]({_PAGES}/", "]("))
            continue
        parts.append(f"```python\n{cell.source}\n```")
        parts += [f"```text\n{text.strip()}\n```" for text in texts(cell) if text.strip()]
        for number, content in enumerate(pictures(cell)):
            name = f"{cell.id}{number or ''}.jpg"
            images[name] = content
            parts.append(f"![Output of the cell above](images/{PICTURES.name}/{name})")
    title, *rest = parts
    heading, _, text = title.partition("\n")
    note = (
        "Made by `scripts/run_notebook.py` from [first-steps.ipynb](notebooks/first-steps.ipynb), which"
        " opens in Jupyter and Colab."
    )
    return "\n\n".join([heading, note, text.strip(), *rest]) + "\n", images


def write(notebook: Notebook) -> None:
    """Store the notebook, its page and its pictures."""
    nbformat.write(notebook, NOTEBOOK)
    text, images = page(notebook)
    PAGE.write_text(text, encoding="utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.jpg"):
        if old.name not in images:
            old.unlink()
    for name, content in images.items():
        (PICTURES / name).write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="Compare, and write nothing.")
    check = parser.parse_args().check
    stored, fresh = read(), read()
    try:
        run(fresh)
    except (CellExecutionError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    tidy(fresh)
    if not check:
        write(fresh)
        print(f"{NOTEBOOK.relative_to(REPOSITORY)}: {NOTEBOOK.stat().st_size:,} bytes")
        return 0
    found = list(differences(stored, fresh))
    print("\n\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Prompt templates: replaceable text files whose hashes are recorded in the build manifest.

A template has sections headed ``[question]``, ``[reference]`` (only if the question needs a point) and
``[format]``. The sections are separate because prompts for other model families use the same question with
their own format of points and answers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from x3spatial.errors import UserError

_POINT_FIELD = "{reference_point}"
_FIELD = re.compile(r"\{[a-z_]+\}")  # other braces are ordinary text


@dataclass(frozen=True, slots=True)
class Template:
    """One task's prompt. ``reference`` is empty or contains ``{reference_point}``."""

    name: str
    source: str
    sha256: str
    question: str
    reference: str
    format: str

    def render(self, reference_point: str | None = None) -> str:
        """The complete human turn; ``reference_point`` is a text such as ``(0.212, 0.430)``."""
        reference = self.reference.replace(_POINT_FIELD, reference_point or "")
        return "\n".join(part for part in (self.question, reference, self.format) if part)


class TemplateFile(NamedTuple):
    """The location of a task's template."""

    name: str
    path: Path | None = None
    """None: the file in this package."""
    has_reference: bool = False
    """Whether it has a section [reference]."""


def load_templates(
    templates: Iterable[TemplateFile], folder: Path | None = None
) -> dict[str, Template]:
    """Templates by name, each from ``folder`` if it contains ``{name}.txt``, otherwise from its default file.

    Raises:
        UserError: ``folder`` does not exist, contains no template or an unknown one, or a template is
            malformed.
    """
    wanted = {template.name: template for template in templates}
    replaced: dict[str, Path] = {}
    if folder is not None:
        if not folder.is_dir():
            raise UserError(f"--prompts {folder}: no such folder")
        replaced = {path.stem: path for path in sorted(folder.glob("*.txt"))}
        unknown = sorted(set(replaced) - set(wanted))
        if unknown or not replaced:
            found = f"{unknown[0]}.txt is no template" if unknown else "holds no template"
            known = ", ".join(f"{name}.txt" for name in wanted)
            raise UserError(f"--prompts {folder}: {found}; known are {known}")
    built_in = resources.files("x3spatial.tasks") / "prompts"
    loaded: dict[str, Template] = {}
    for name, template in wanted.items():
        path = replaced.get(name, template.path)
        try:
            if path is not None and path.exists() and not path.is_file():
                raise UserError(
                    f"--prompts {path}: is no regular file"
                )  # a pipe would be waited for
            text = (path or built_in / f"{name}.txt").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"--prompts {path or name}: cannot be read: {reason}") from None
        source = "built-in" if path is None else str(path.resolve())
        loaded[name] = parse_template(name, text, source, has_reference=template.has_reference)
    return loaded


def parse_template(name: str, text: str, source: str, *, has_reference: bool = False) -> Template:
    """Split a template into its sections.

    Raises:
        UserError: a section is missing, empty or unknown, a section contains a field other than
            ``{reference_point}`` or lacks that field, or the text contains ``<image>`` (image tags are
            added when a prompt is rendered).
    """
    where = f"--prompts {source}" if source != "built-in" else f"template {name}"
    sections: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            current = sections.setdefault(line.strip()[1:-1], [])
        elif current is not None:
            current.append(line)
        elif line.strip():
            raise UserError(f"{where}: text before the first section; start with [question]")
    body = {key: "\n".join(lines).strip() for key, lines in sections.items()}
    needed = {"question", "format"} | ({"reference"} if has_reference else set())
    if set(body) != needed or not all(body.values()):
        names = ", ".join(f"[{key}]" for key in sorted(needed))
        raise UserError(f"{where}: needs exactly the sections {names}, none empty")
    for key, part in body.items():
        if "<image>" in part:
            raise UserError(f"{where}: must not contain <image>; it is added by number of images")
        fields = set(_FIELD.findall(part))
        if fields != ({_POINT_FIELD} if key == "reference" else set()):
            raise UserError(
                f"{where}: section [{key}] must"
                + (
                    f" contain {_POINT_FIELD}"
                    if key == "reference"
                    else f" not contain {', '.join(sorted(fields))}"
                )
            )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Template(
        name, source, digest, body["question"], body.get("reference", ""), body["format"]
    )

"""Tasks for inspect_ai: ``inspect eval DIR/x3.py --model ...``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from x3spatial.exporters.harnesses.base import HarnessFormat, code_text, harness_name

_CODE = "x3.py"
_TASK = '''

@task
def {task}() -> Task:
    """{name}"""
    return inspect_task(HERE / "{name}")
'''


class Inspect(HarnessFormat):
    """One Python file with a task per task file."""

    name = "inspect"
    describes = "x3.py and its data for `inspect eval DIR/x3.py`"
    companion_names = (_CODE,)

    def companions(self, outputs: Mapping[str, str]) -> Mapping[str, Any]:
        """See ``Format.companions``."""
        tasks = [
            _TASK.format(task=python_name(harness_name(stem)), name=name)
            for stem, name in outputs.items()
        ]
        return {_CODE: code_text(_CODE) + "".join(tasks)}


def python_name(name: str) -> str:
    """``name`` as a name of Python."""
    return "".join(char if char.isalnum() and char.isascii() else "_" for char in name)

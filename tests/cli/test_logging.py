"""Notes and warnings: on stderr with a prefix, silenced by -q, chosen by --log-level."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from x3spatial import progress
from x3spatial.cli import run

LOG = logging.getLogger("x3spatial.anything")


@pytest.fixture(autouse=True)
def verb(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """``x3 audit`` without an audit: it logs at every level, and notes whether bars would be drawn."""
    from x3spatial.roots.audit import run as home
    from x3spatial.roots.audit.report import AuditReport

    bars: list[bool] = []

    def audit(
        data_root: Any,
        *,
        tasks: Any = None,
        workers: int | None = None,
        engine: str = "local",
        ray_address: str | None = None,
        out: Any = None,
        shard: str | None = None,
    ) -> Any:
        for level in ("debug", "info", "warning", "error"):
            getattr(LOG, level)("a %s", level)
        bars.append(progress._enabled)
        return AuditReport(Path(data_root), {}, [])

    monkeypatch.setattr(home, "audit", audit)
    yield bars


@pytest.mark.parametrize(
    ("arguments", "expected", "bars"),
    [
        ("audit R", "info warning error", True),
        ("-q audit R", "warning error", False),
        ("audit R -q", "warning error", False),
        ("audit R --quiet", "warning error", False),
        ("--log-level debug audit R", "debug info warning error", True),
        ("audit R --log-level debug", "debug info warning error", True),
        ("audit R --log-level error", "error", True),
        ("-q audit R --log-level error", "error", False),
        ("audit R --log_level warning", "warning error", True),
    ],
)
def test_levels(
    arguments: str,
    expected: str,
    bars: bool,
    verb: list[bool],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(arguments.split()) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [f"x3: a {level}" for level in expected.split()]
    assert "no problems" in captured.out  # results stay
    assert verb == [bars]
    # Nothing of it outlives the command.
    assert progress._enabled and not logging.getLogger("x3spatial").handlers
    assert logging.getLogger("x3spatial").propagate


def test_an_unknown_level(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ("--log-level loud audit R", "audit R --log-level loud"):
        assert run(arguments.split()) == 2
        assert capsys.readouterr().err.startswith("x3: --log-level loud: must be one of debug, ")


def test_from_python_warnings_appear_and_notes_do_not() -> None:
    code = (
        "import logging, x3spatial.cli\nlog = logging.getLogger('x3spatial.models')\n"
        "log.info('a note')\nlog.warning('a warning')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "a warning\n"


def test_nothing_prints_to_stderr_by_itself() -> None:
    """Outside of cli and training's own entry points, notes go through logging."""
    package = Path(progress.__file__).parent
    loose = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "file=sys.stderr" in path.read_text()
    ]
    allowed = {"cli/__init__.py", "program/reporting.py", "program/streams.py"}
    assert {p for p in loose if not p.startswith("training/")} <= allowed

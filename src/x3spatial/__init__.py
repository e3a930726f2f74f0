"""x3spatial: spatial questions over several views of one scene, for vision-language models.

Importing it loads nothing heavy: each name below is imported when it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from x3spatial import _moved

if TYPE_CHECKING:
    from x3spatial.builder.options import BuildOptions
    from x3spatial.builder.run import build_tasks
    from x3spatial.engine.shards import Shard
    from x3spatial.errors import UserError
    from x3spatial.evaluation.agreement import agreement
    from x3spatial.evaluation.answers import score_answers, score_people, score_text
    from x3spatial.evaluation.check_model.run import check_model
    from x3spatial.evaluation.compare import compare
    from x3spatial.evaluation.options import EvalOptions, PoolOptions
    from x3spatial.evaluation.rescore import score
    from x3spatial.evaluation.run import evaluate
    from x3spatial.exporters.run import export
    from x3spatial.formats.results_file import read_results
    from x3spatial.formats.task_file import read_tasks
    from x3spatial.harnesses.benchmark import Benchmark
    from x3spatial.importers.options import ChoiceOptions, ReadOptions
    from x3spatial.importers.run import import_scans
    from x3spatial.inpaint_bench.run import bench_engines
    from x3spatial.inpainting.fill import inpaint
    from x3spatial.merging import merge
    from x3spatial.models.base import Model
    from x3spatial.packs.run import pack
    from x3spatial.pipeline import zeroshot
    from x3spatial.reports.people.ask import ask
    from x3spatial.reports.plot import plot
    from x3spatial.reports.preview import preview
    from x3spatial.reports.table import table
    from x3spatial.reports.table_text import render_table
    from x3spatial.reports.web.options import ReportOptions
    from x3spatial.reports.web.report import report
    from x3spatial.reports.web.server import view
    from x3spatial.roots.audit.run import audit
    from x3spatial.synth.generate import render_scenes

__version__ = "0.2.0"

_API = {
    "Benchmark": "harnesses.benchmark",
    "BuildOptions": "builder.options",
    "ChoiceOptions": "importers.options",
    "EvalOptions": "evaluation.options",
    "Model": "models.base",
    "PoolOptions": "evaluation.options",
    "ReadOptions": "importers.options",
    "ReportOptions": "reports.web.options",
    "Shard": "engine.shards",
    "UserError": "errors",
    "agreement": "evaluation.agreement",
    "ask": "reports.people.ask",
    "audit": "roots.audit.run",
    "bench_engines": "inpaint_bench.run",
    "build_tasks": "builder.run",
    "check_model": "evaluation.check_model.run",
    "compare": "evaluation.compare",
    "evaluate": "evaluation.run",
    "export": "exporters.run",
    "import_scans": "importers.run",
    "inpaint": "inpainting.fill",
    "merge": "merging",
    "pack": "packs.run",
    "plot": "reports.plot",
    "preview": "reports.preview",
    "read_results": "formats.results_file",
    "read_tasks": "formats.task_file",
    "render_scenes": "synth.generate",
    "render_table": "reports.table_text",
    "report": "reports.web.report",
    "score": "evaluation.rescore",
    "score_answers": "evaluation.answers",
    "score_people": "evaluation.answers",
    "score_text": "evaluation.answers",
    "table": "reports.table",
    "view": "reports.web.server",
    "zeroshot": "pipeline",
}
"""Public name → the module that has it."""

__all__ = [
    "Benchmark",
    "BuildOptions",
    "ChoiceOptions",
    "EvalOptions",
    "Model",
    "PoolOptions",
    "ReadOptions",
    "ReportOptions",
    "Shard",
    "UserError",
    "agreement",
    "ask",
    "audit",
    "bench_engines",
    "build_tasks",
    "check_model",
    "compare",
    "evaluate",
    "export",
    "import_scans",
    "inpaint",
    "merge",
    "pack",
    "plot",
    "preview",
    "read_results",
    "read_tasks",
    "render_scenes",
    "render_table",
    "report",
    "score",
    "score_answers",
    "score_people",
    "score_text",
    "table",
    "view",
    "zeroshot",
]


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_API[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Keeps functions apart from old packages of the same name (``evaluate``, ``export``).

    Python sets an imported submodule as an attribute of its package, which would replace the function.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _API and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
_moved.install()

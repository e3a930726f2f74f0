"""Old names of modules: imports written for version 0.1 go on working, with a ``DeprecationWarning``.

``MOVED`` is the one table. A module in it is made when it is imported: it hands on what the new module has,
under old names too where ``RENAMED`` says so. The layer contract does not concern it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

_ROOT = __name__.partition(".")[0]

MOVED = {
    "audit.run": "roots.audit.run",
    "build.manifest": "builder.manifest",
    "build.options": "builder.options",
    "build.run": "builder.run",
    "build.zoom": "roots.crop_root",
    "data.crops": "roots.crops",
    "data.files": "io.files",
    "data.images": "io.images",
    "data.layout": "roots.layout",
    "data.parallel": "engine.local",
    "data.png": "io.png",
    "data.records": "formats.task_file",
    "data.streaming": "io.json_stream",
    "evaluate.asking": "evaluation.inference",
    "evaluate.checking.run": "evaluation.check_model.run",
    "evaluate.compare": "evaluation.compare",
    "evaluate.intervals": "evaluation.statistics.intervals",
    "evaluate.metrics": "evaluation.statistics.metrics",
    "evaluate.ranks": "engine.world",
    "evaluate.rescore": "evaluation.rescore",
    "evaluate.run": "evaluation.run",
    "evaluate.scoring": "evaluation.scoring.scores",
    "evaluate.store": "formats.results_file",
    "export.base": "exporters.base",
    "export.registry": "exporters.registry",
    "export.run": "exporters.run",
    "models.conventions.base": "conventions.base",
    "models.conventions.brackets": "conventions.brackets",
    "models.conventions.family": "conventions.family",
    "models.conventions.json_points": "conventions.json_points",
    "models.conventions.markup": "conventions.markup",
    "models.conventions.registry": "conventions.registry",
    "models.conventions.resize": "conventions.resize",
    "models.conventions.unit": "conventions.unit",
    "models.pictures": "models.local.image_loading",
    "models.roborefer.answerer": "models.roborefer.model",
    "report.preview": "reports.preview",
    "scenes.flat": "synth.composites",
    "scenes.generate": "synth.generate",
    "scenes.options": "synth.options",
    "tasks.points": "tasks.geometry",
    "tasks.reading": "tasks.parsing",
    "tasks.registry": "tasks.spec",
    "train.arguments": "training.arguments",
    "train.commands": "training.commands",
    "train.improvement": "training.before_after",
    "train.sft": "training.sft",
}
"""Old module → new module, both below the package."""

RENAMED = {
    "conventions.family": {"wording": "conventions.prompt_template:prompt_template"},
    "engine.world": {"Ranks": "World", "ranks_from": "world_from_environment"},
    "evaluation.rescore": {"rescore": "score"},
    "io.files": {
        "Journal": "io.journal:Journal",
        "JsonArrayWriter": "io.json_stream:JsonArrayWriter",
        "lock_dir": "io.locks:lock_dir",
    },
    "io.images": {"BoolArray": "arrays:Bool", "UInt8Array": "arrays:UInt8"},
    "models.base": {"Answerer": "Model"},
    "models.roborefer.model": {"RoboReferAnswerer": "RoboReferModel"},
    "roots.crop_root": {"zoom_root": "crop_root"},
    "synth.composites": {"make_flat": "make_composites"},
    "synth.generate": {"generate_scenes": "render_scenes"},
    "tasks.answers": {"Said": "AnswerKind", "never": "always_false"},
    "tasks.geometry": {
        "BoolArray": "arrays:Bool",
        "Target": "tasks.ground_truth:Target",
        "mask_target": "tasks.ground_truth:mask_target",
        "sample_seed": "tasks.ground_truth:sample_seed",
    },
    "tasks.parsing": {
        "outside_objects": "mask_json_objects",
        "plain": "normalize_characters",
        "spoken": "strip_thinking",
    },
    "tasks.spec": {"Task": "TaskSpec"},
}
"""New module → its old names → what they are now, ``name`` or ``module:name``."""

_PACKAGES = {
    ".".join(parts[:depth])
    for parts in (name.split(".") for name in MOVED)
    for depth in range(1, len(parts))
}


def warn_moved(old: str, new: str) -> None:
    """Say once where a name is now."""
    warnings.warn(f"{old} is now {new}", DeprecationWarning, stacklevel=3)


def renamed(module: str, name: str) -> Any:
    """What ``name`` of ``module`` is now, where it is an old one; for a module's own ``__getattr__``.

    Raises:
        AttributeError: it was never there.
    """
    new = RENAMED.get(module, {}).get(name)
    if new is None:
        raise AttributeError(f"module {f'{_ROOT}.{module}'!r} has no attribute {name!r}")
    home, _, attribute = new.rpartition(":")
    warn_moved(f"{_ROOT}.{module}.{name}", f"{_ROOT}.{home or module}.{attribute}")
    return getattr(import_module(f"{_ROOT}.{home or module}"), attribute)


class _Loader(InspectLoader):
    def __init__(self, old: str) -> None:
        self._old = old

    def exec_module(self, module: ModuleType) -> None:
        new = MOVED.get(self._old)
        if new is None:
            return  # a package that is no more: only its modules say something
        warn_moved(f"{_ROOT}.{self._old}", f"{_ROOT}.{new}")
        target = import_module(f"{_ROOT}.{new}")
        module.__doc__ = target.__doc__

        def get(name: str) -> Any:
            if name in RENAMED.get(new, {}):
                return renamed(new, name)
            return getattr(target, name)

        module.__getattr__ = get  # type: ignore[method-assign]
        module.__dict__["__dir__"] = lambda: dir(target)

    def is_package(self, fullname: str) -> bool:
        return self._old in _PACKAGES

    def get_code(self, fullname: str) -> CodeType:
        """For ``python -m`` with an old name."""
        new = f"{_ROOT}.{MOVED[self._old]}"
        run = f"import runpy; runpy.run_module({new!r}, run_name='__main__', alter_sys=True)"
        return compile(run, f"<{fullname}>", "exec")

    def get_source(self, fullname: str) -> None:
        return None


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, old = fullname.partition(".")
        if root != _ROOT or (old not in MOVED and old not in _PACKAGES):
            return None
        return ModuleSpec(fullname, _Loader(old), is_package=old in _PACKAGES)


def install() -> None:
    """Have old names found; asked last, so that a module that exists is never hidden."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())

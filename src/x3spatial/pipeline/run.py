"""The zero-shot evaluation: build the task files, evaluate the four validation sets and summarise."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from x3spatial.builder.manifest import MANIFEST
from x3spatial.builder.options import TASKS_DIR, BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.builder.state import JOURNAL
from x3spatial.engine.base import Engine
from x3spatial.engine.ranks import meet
from x3spatial.engine.registry import open_engine
from x3spatial.engine.world import World
from x3spatial.errors import UserError, flag
from x3spatial.evaluation.asking import check_engine, create
from x3spatial.evaluation.options import EvalOptions, PoolOptions
from x3spatial.evaluation.results_folders import (
    folder_of,
    other_model,
    recorded,
)
from x3spatial.evaluation.run import chance_of, evaluate
from x3spatial.evaluation.statistics.chance import joined_chance
from x3spatial.io.files import make_dir, read_manifest, write_json
from x3spatial.io.paths import check_utf8
from x3spatial.models import registry
from x3spatial.models.base import Model
from x3spatial.pipeline.sets import reasons_by_file, refuse_unmade, zero_shot_sets
from x3spatial.pipeline.summary import (
    Cell,
    SetSummary,
    ZeroshotSummary,
    consistency_of,
    summary_json,
)
from x3spatial.pipeline.turns import EvalSet, OpenModel, unique_name
from x3spatial.tasks.spec import DEFAULT_SETS, zero_shot_tasks

_LOG = logging.getLogger("x3spatial")

EVAL_DIR = Path("runs/eval_spatial_x3")
"""Default folder of the results, as in the source document."""


def zeroshot_build() -> BuildOptions:
    """Default build options of ``zeroshot``: dilated masks are preferred, as in the source document."""
    return BuildOptions(use_dilated_mask=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroshotOptions:
    """Options of ``zeroshot``."""

    build: BuildOptions = field(default_factory=zeroshot_build)
    """Options of the build."""
    evaluation: EvalOptions = field(default_factory=EvalOptions)
    """Options of the evaluation."""

    def changed(self, changes: Mapping[str, Any]) -> ZeroshotOptions:
        """A copy with changed options.

        Args:
            changes: fields of ``EvalOptions``, or of ``BuildOptions`` if ``EvalOptions`` has no such field;
                ``build_seed`` is the seed of the build.

        Raises:
            TypeError: neither class has such a field.
            UserError: a value is out of range.
        """
        asked = {f.name for f in fields(EvalOptions)}
        evaluation = {name: value for name, value in changes.items() if name in asked}
        build = {
            "seed" if name == "build_seed" else name: value
            for name, value in changes.items()
            if name not in asked
        }
        return ZeroshotOptions(
            build=replace(self.build, **build), evaluation=replace(self.evaluation, **evaluation)
        )


def zeroshot(
    data_root: str | Path | None = None,
    eval_dir: str | Path = EVAL_DIR,
    models: Sequence[str] = (),
    options: ZeroshotOptions | BuildOptions | None = None,
    *,
    tasks_dir: str | Path = TASKS_DIR,
    sets: str = DEFAULT_SETS,
    workers: int | None = None,
    fresh: bool = False,
    world: World | None = None,
    engine: str | Engine = "local",
    ray_address: str | None = None,
    pool: PoolOptions | None = None,
    **changes: Any,
) -> ZeroshotSummary:
    """Build what is missing, evaluate ``models`` on the four sets and write ``summary.json``.

    The results of a single model are ``eval_dir/{set}.json``, or ``eval_dir/{model}/{set}.json`` if those
    are another model's, which is logged; several models get one folder each. ``summary.json`` lists every
    result below ``eval_dir``. The same call continues an interrupted run and only asks questions without an
    answer.

    Args:
        data_root: the data root; None to use the existing task files in ``tasks_dir``.
        eval_dir: folder for the results.
        models: ``KIND[:ARG]`` of ``models.registry``, at least one.
        options: options of build and evaluation; None for the defaults. ``BuildOptions`` only set those of
            the build.
        tasks_dir: folder of the task files (formerly ``out_dir``, still accepted). They are built or updated
            there if ``data_root`` is given.
        sets: ``default``: the four sets of the source document; ``hard``: those of the group of that name;
            ``all``: both, and how often answers follow the object.
        workers, world, engine, ray_address, pool: see ``evaluate``. Only rank 0 builds and
            writes the summary. Models have the pool by turns.
        fresh: discard earlier results and the earlier build.
        **changes: options that replace those of ``options``; see ``ZeroshotOptions.changed``.

    Raises:
        TypeError: an option is unknown.
        UserError: ``models`` is empty, task files are missing, or ``build_tasks`` or ``evaluate`` fails.
        Unfinished: another rank failed or exited.
    """
    tasks_dir, eval_dir = Path(changes.pop("out_dir", tasks_dir)), Path(eval_dir)
    if isinstance(options, BuildOptions):
        options = ZeroshotOptions(build=options)
    options = (options or ZeroshotOptions()).changed(changes)
    chosen = zero_shot_sets(sets)
    if sets != DEFAULT_SETS:
        # The default tasks too: the folder stays usable for them.
        tasks = (*options.build.tasks, *(spec.name for spec in zero_shot_tasks(sets)))
        options = options.changed({"tasks": tasks})
    if not models:
        raise UserError("--model: name at least one")
    with ExitStack() as stack:
        # First, so that an error of this process reaches the others.
        meeting = None if world is None else stack.enter_context(meet(world))
        leads = meeting is None or meeting.world.leads
        if data_root is None and leads:
            _check_tasks(tasks_dir, chosen, sets)
        opened: list[OpenModel] = []
        for spec, own in _options_by_spec(models, options.evaluation.model_options).items():
            asked = replace(options.evaluation, model_options=own)
            turn = stack.enter_context(ExitStack())
            model = turn.enter_context(closing(create(spec, asked, engine)))
            name = unique_name(model.name, {one.name for one in opened})
            opened.append(OpenModel(name, spec, model, asked, turn))
        check_utf8(eval_dir, "--out")
        make_dir(eval_dir, "--out")
        path = eval_dir / "summary.json"
        _check_summary(path)
        running = stack.enter_context(open_engine(engine, ray_address))
        check_engine(running, pool, world)
        built = None
        if data_root is not None and leads:
            built = build_tasks(
                data_root,
                tasks_dir,
                options.build,
                workers=workers,
                engine=running,
                fresh=fresh,
                out_option="--tasks-dir",
            )
            refuse_unmade(tasks_dir, chosen, sets, Path(data_root))
        if meeting is not None:
            meeting.wait()  # for the build
        folders = _folders(eval_dir, chosen, [one.model for one in opened])
        reasons = reasons_by_file(tasks_dir)
        found = [
            EvalSet.of(title, tasks_dir / file, reasons.get(file), opened) for title, file in chosen
        ]
        cells: dict[Path, list[Cell]] = {part.data_json: [] for part in found}
        # One model after another, because they share the pool and the memory of GPUs.
        for one, folder in zip(opened, folders, strict=True):
            for part in found:
                result = None
                if (skipped := part.skipped[one.name]) is None:
                    result = evaluate(
                        part.data_json,
                        folder / part.data_json.name,
                        one.asker(running, pool),
                        one.options,
                        workers=workers,
                        fresh=fresh,
                        world=world,
                    )
                cells[part.data_json].append(Cell(one.name, one.spec, result, skipped))
            one.close()
        parts = [_summary(part, cells[part.data_json], options.evaluation, leads) for part in found]
        consistency = consistency_of(parts) if leads else {}
        summary = ZeroshotSummary(path, built, tuple(parts), consistency)
        if leads:
            write_json(path, summary_json(summary, tasks_dir))
        if meeting is not None:
            meeting.wait()  # for the summary
    return summary


def _folders(
    eval_dir: Path, sets: Sequence[tuple[str, str]], models: Sequence[Model]
) -> list[Path]:
    """The folder for the results of each model: ``eval_dir`` itself for a single one, if it is free."""
    names = [name for _, name in sets]
    folders: list[Path] = []
    if len(models) == 1:
        other = other_model(eval_dir, names, recorded(models[0]))
        if other is None:
            return [eval_dir]
        folders = [folder_of(eval_dir, names, models[0])]
        _LOG.warning(
            "%s holds the results of %s; those of %s go to %s",
            eval_dir, other, models[0].name, folders[0],
        )  # fmt: skip
        return folders
    for model in models:
        folders.append(folder_of(eval_dir, names, model, {folder.name for folder in folders}))
    return folders


def _check_summary(path: Path) -> None:
    """Refuse to replace a file that no zero-shot run of ours wrote.

    Raises:
        UserError: there is such a file.
    """
    if os.path.lexists(path) and not {"data", "sets"} <= (read_manifest(path) or {}).keys():
        raise UserError(f"{path}: exists and was not written by x3 zeroshot; remove it")


def _options_by_spec(
    models: Sequence[str], options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The options of each model among ``options``.

    Raises:
        UserError: no model has one of the options.
    """
    shares = {
        spec: {name: options[name] for name in sorted(registry.own_options(spec) & set(options))}
        for spec in dict.fromkeys(models)
    }
    for name in options:
        if not any(name in share for share in shares.values()):
            raise UserError(f"{flag(name)}: none of the models {', '.join(shares)} has this option")
    return shares


def _check_tasks(tasks_dir: Path, chosen: Sequence[tuple[str, str]], sets: str) -> None:
    """Check that the task files of a finished build are there, but for sets that it could not make.

    Raises:
        UserError: they are not, or it could make none.
    """
    refuse_unmade(tasks_dir, chosen, sets, tasks_dir)
    unmade = reasons_by_file(tasks_dir)
    missing = [n for _, n in chosen if not (tasks_dir / n).is_file() and n not in unmade]
    if missing:
        raise UserError(
            f"--tasks-dir {tasks_dir}: {missing[0]} is missing; give the data root (ROOT or"
            f" DATA_ROOT_X3) to build it, or run x3 build ROOT -o {tasks_dir} first"
        )
    # Other builders write no manifest; that of x3 build is only missing during a build.
    if (tasks_dir / JOURNAL).exists() and not (tasks_dir / MANIFEST).is_file():
        raise UserError(
            f"--tasks-dir {tasks_dir}: a build was started there and not finished; run x3 build again,"
            " or give the data root (ROOT)"
        )


def _summary(part: EvalSet, cells: Sequence[Cell], options: EvalOptions, leads: bool) -> SetSummary:
    """The summary of one set; rank 0 computes the chance of a set that no model was asked."""
    chance = joined_chance(cell.result.chance for cell in cells if cell.result)
    if not any(cell.result for cell in cells):
        chance = chance_of(part.data_json, options) if part.samples and leads else {}
    samples = part.samples
    if samples is not None and options.limit is not None:
        samples = min(samples, options.limit)
    return SetSummary(part.title, part.data_json, chance, tuple(cells), samples, part.reason)

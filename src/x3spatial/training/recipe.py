"""``x3 recipe run``: training in stages, each an ordinary ``x3 sft`` run.

A recipe file::

    datasets:                      # as in a registry (train.mixtures), relative to the data folder
      t0: t0_train_marked.json
      t1: t1_train_multi.json
      t1_absent: {data_path: t1_train_multi.json, only: not_visible}
    options:                       # of x3 sft, for every stage
      per_device_train_batch_size: 96
    stages:                        # each starts from the final checkpoint of the previous one
      - name: warm-up
        mixture: t0
        evaluate: t0_val_marked.json   # optional, relative to the data folder
        options: {max_steps: 500}      # this stage's own
      - name: finer
        resize: {image_size: 162, rotate_heads: 2}  # optional: resize the model first (x3 model resize)
        mixture: t0 + t1_absent*0.5
      - name: near
        mixture: t1
        where: {angle_deg: [0, 40]}  # optional: only such records of its data sets (training.where)

Finished stages are skipped and an interrupted one is continued, as ``x3 sft`` does with its output folder.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.io.files import make_dir, read_json, write_json
from x3spatial.models.roborefer.layout import locate
from x3spatial.texts import print_line
from x3spatial.training import launch
from x3spatial.training.mixtures import Registry, Source, parse_sources, resolve_mixture
from x3spatial.training.options import dashed
from x3spatial.training.where import parse_where
from x3spatial.training.yaml_file import read_yaml

CURVE_FILE = "curve.png"
"""In the output folder: loss and Hit@Mask over all stages."""
REGISTRY_FILE = "datasets.yaml"
"""In the output folder: the data sets with absolute paths; ``--data-registry`` of the stages. A stage with a
``where`` has one of its own, named after its folder."""

_TOP = frozenset({"datasets", "options", "stages"})
_STAGE = frozenset({"name", "mixture", "where", "evaluate", "options", "resize"})
_RESIZE = frozenset({"image_size", "rotate_heads"})
_OLD_KEYS = {"grow": "resize", "turn_heads": "rotate_heads"}
"""Former names of keys, still accepted."""
_OURS = frozenset(
    {
        "model_name_or_path",
        "data_path",
        "data_mixture",
        "data_registry",
        "eval_data_path",
        "output_dir",
    }
)
"""Options that are set by the runner itself."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of ``x3 sft``."""

    name: str
    mixture: str
    options: Mapping[str, Any]
    """Options of ``x3 sft``, those of all stages included."""
    evaluate: str | None = None
    """A task file of the data folder that is evaluated during training."""
    resize: Mapping[str, int] | None = None
    """Options of ``x3 model resize`` for the checkpoint that the stage starts from."""
    where: Mapping[str, Any] | None = None
    """Conditions on the records of all its data sets, as in the file."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe file."""

    path: Path
    datasets: Mapping[str, Any]
    """The entries as in the file."""
    stages: tuple[Stage, ...]


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        UserError: it is missing or malformed, or a stage's mixture names an unknown data set; the
            message names the entry.
    """
    value = read_yaml(path, "recipe")
    if not isinstance(value, dict) or not isinstance(value.get("datasets"), dict):
        raise UserError(f"{path}: expected a mapping 'datasets' of names to task files")
    _only(value, _TOP, str(path))
    common = _options(value.get("options"), str(path))
    entries = value.get("stages")
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{path}: expected a list 'stages'")
    registry = Registry(path, parse_sources(path, value["datasets"]), {})
    stages: list[Stage] = []
    for number, entry in enumerate(entries, start=1):
        where = f"{path}: stage {number}"
        if not isinstance(entry, dict):
            raise UserError(f"{where}: expected a mapping with name and mixture")
        entry = _renamed(entry, where)
        _only(entry, _STAGE, where)
        for field in ("name", "mixture"):
            if not isinstance(entry.get(field), str) or not entry[field].strip():
                raise UserError(f"{where}: needs a text {field!r}")
        name = entry["name"]
        if (
            Path(name).name != name
            or name.startswith(".")
            or not name.isprintable()
            or len(name) > 100
        ):
            raise UserError(f"{where}: name {name!r} cannot be a folder's name")
        if any(name == other.name for other in stages):
            raise UserError(f"{where}: there is another stage {name!r}")
        sources = resolve_mixture(entry["mixture"], registry)
        if "where" in entry:
            _check_where(entry["where"], sources, where)
        evaluate = entry.get("evaluate")
        if evaluate is not None and not isinstance(evaluate, str):
            raise UserError(f"{where}: evaluate must be the name of a task file")
        options = {**common, **_options(entry.get("options"), where)}
        resize = _resize(entry["resize"], where) if "resize" in entry else None
        stages.append(Stage(name, entry["mixture"], options, evaluate, resize, entry.get("where")))
    return Recipe(path, value["datasets"], tuple(stages))


def _only(value: Mapping[Any, Any], known: frozenset[str], where: str) -> None:
    unknown = set(value) - known
    if unknown:
        raise UserError(
            f"{where}: unknown entry {min(map(str, unknown))!r}; expected {', '.join(sorted(known))}"
        )


def _renamed(value: Mapping[Any, Any], where: str) -> dict[Any, Any]:
    """``value`` with former keys under their present names.

    Raises:
        UserError: an entry is given under both names.
    """
    for old, new in _OLD_KEYS.items():
        if old in value and new in value:
            raise UserError(f"{where}: {old} is the former name of {new}; give one of them")
    return {_OLD_KEYS.get(key, key): entry for key, entry in value.items()}


def _resize(value: Any, where: str) -> dict[str, int]:
    if not isinstance(value, dict) or type(value.get("image_size")) is not int:
        raise UserError(f"{where}: resize must be a mapping with image_size, in pixels")
    value = _renamed(value, f"{where}: resize")
    _only(value, _RESIZE, f"{where}: resize")
    if type(value.get("rotate_heads", 0)) is not int:
        raise UserError(
            f"{where}: resize: rotate_heads {value['rotate_heads']!r} is not a number of heads"
        )
    return dict(value)


def _check_where(value: Any, sources: Sequence[Source], where: str) -> None:
    """Check a stage's ``where``.

    Raises:
        UserError: it is malformed, or a data set of the stage has a condition on the same stratum.
    """
    chosen = {condition.stratum for condition in parse_where(value, where)}
    for source in sources:
        both = chosen & {condition.stratum for condition in source.where}
        if both:
            raise UserError(
                f"{where}: where {min(both)}: data set {source.name!r} has its own; give one of them"
            )


def _options(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{where}: options must map names of x3 sft's options to values")
    options = {str(name).lstrip("-").replace("-", "_"): given for name, given in value.items()}
    if len(options) < len(value):
        raise UserError(f"{where}: an option is given in two spellings; remove one")
    for name, given in options.items():
        if name in _OURS:
            raise UserError(f"{where}: option {name} is set by the recipe; leave it out")
        if not isinstance(given, str | int | float):
            raise UserError(f"{where}: option {name} is {given!r}; expected one value")
    return options


def stage_dir(output_dir: Path, number: int, stage: Stage) -> Path:
    """The folder of a stage, numbered from 1 in the order of the recipe."""
    return output_dir / f"{number:02d}-{stage.name}"


def registry_file(output_dir: Path, number: int, stage: Stage) -> Path:
    """The registry of a stage: that of all stages, or its own if it has a ``where``."""
    if stage.where is None:
        return output_dir / REGISTRY_FILE
    return output_dir / f"{stage_dir(output_dir, number, stage).name}-{REGISTRY_FILE}"


@dataclass(frozen=True, slots=True)
class Run:
    """A stage with the folders it works in."""

    stage: Stage
    before: Path
    """The final checkpoint of the previous stage."""
    base: Path
    """The checkpoint it starts from: ``before``, or the resized ``before``."""
    arguments: tuple[str, ...]
    """Options of ``x3 sft``."""


def plan(recipe: Recipe, *, base: Path, data_dir: Path, output_dir: Path) -> list[Run]:
    """The runs of a recipe, in order; arguments as in ``run_recipe``, with whole paths."""
    found: list[Run] = []
    for number, stage in enumerate(recipe.stages, start=1):
        before, folder = base, stage_dir(output_dir, number, stage)
        if stage.resize is not None:
            # Sorted before the folder of its stage.
            name = before.name if found else f"00-{before.name}"
            base = output_dir / f"{name}-{stage.resize['image_size']}px"
        values: dict[str, Any] = {
            "model_name_or_path": base,
            "data_mixture": stage.mixture,
            "data_registry": registry_file(output_dir, number, stage),
            **({} if stage.evaluate is None else {"eval_data_path": data_dir / stage.evaluate}),
            "output_dir": folder,
            **stage.options,
        }
        pieces = [
            piece for name, value in values.items() for piece in (f"--{dashed(name)}", str(value))
        ]
        found.append(Run(stage, before, base, tuple(pieces)))
        base = folder
    return found


def run_recipe(
    *,
    recipe: Path,
    base: Path,
    data_dir: Path,
    output_dir: Path,
    processes: int = 1,
    dry_run: bool = False,
    echo: Callable[[str], None] = print_line,
) -> Path:
    """Run the stages of a recipe, each from the final checkpoint of the previous one.

    Args:
        recipe: the recipe file.
        base: the checkpoint that the first stage starts from.
        data_dir: the folder with the task files that the recipe names.
        output_dir: where every stage gets a folder.
        processes: per stage; more than one are started by torchrun on this machine. Batch sizes in the
            recipe are per process.
        dry_run: only print the commands.
        echo: prints a line.

    Returns:
        The folder of the last stage, which contains the trained model.

    Raises:
        UserError: the recipe, an option of any stage (found before the first one starts), a file, or a
            folder is wrong.
    """
    if processes < 1:
        raise UserError(f"--processes {processes}: must be at least 1")
    read = read_recipe(recipe)
    base, data_dir, output_dir = locate(base).absolute(), data_dir.absolute(), output_dir.absolute()
    runs = plan(read, base=base, data_dir=data_dir, output_dir=output_dir)
    if not base.is_dir():
        raise UserError(f"--model-name-or-path {base}: no such folder")
    _check(read, base, runs, data_dir)
    if not dry_run:
        make_dir(output_dir, "--output-dir")
        _write_registries(read, data_dir, output_dir)
    shown = "x3 sft" if processes == 1 else launch.shown(processes)
    for number, run in enumerate(runs, start=1):
        name = f"stage {number} of {len(runs)}, {run.stage.name}"
        if (options := run.stage.resize) is not None:
            echo(f"{name}: x3 model resize {shlex.join(_resize_arguments(run, options))}")
            if not dry_run:
                _resize_base(run, options)
        echo(f"{name}: {shown} {shlex.join(run.arguments)}")
        if dry_run:
            continue
        if processes == 1:
            _sft(run.arguments)
        else:
            launch.launch(processes, run.arguments, f"stage {run.stage.name}")
    if not dry_run:
        _draw(read, output_dir)
    return stage_dir(output_dir, len(runs), read.stages[-1])


def _check(recipe: Recipe, base: Path, runs: Sequence[Run], data_dir: Path) -> None:
    """Find mistakes that would otherwise stop a late stage after hours."""
    from x3spatial.models.roborefer.checkpoint import read_checkpoint
    from x3spatial.models.roborefer.resize import check_resize
    from x3spatial.training.arguments import parse

    sources = parse_sources(recipe.path, recipe.datasets).values()
    files = [source.data_path for source in sources]
    files += [Path(stage.evaluate) for stage in recipe.stages if stage.evaluate is not None]
    for file in files:
        if not (data_dir / file).is_file():
            raise UserError(f"--data-dir {data_dir}: {file} is missing; {recipe.path} names it")
    for run in runs:
        try:
            parse(run.arguments)
            if run.stage.resize is not None:
                # Patch size and number of heads are those of the first checkpoint throughout.
                check_resize(read_checkpoint(base), **run.stage.resize)
        except UserError as error:
            raise UserError(f"{recipe.path}: stage {run.stage.name}: {error}") from None


def _resize_arguments(run: Run, options: Mapping[str, int]) -> list[str]:
    """The arguments of ``x3 model resize``."""
    pieces = [
        piece for name, value in options.items() for piece in (f"--{dashed(name)}", str(value))
    ]
    return [str(run.before), str(run.base), *pieces]


def _resize_base(run: Run, options: Mapping[str, int]) -> None:
    """Resize the checkpoint that the previous stage ended with, unless that has been done already."""
    from x3spatial.models.roborefer.resize import has_resize_note, is_resized, resize_checkpoint

    if is_resized(checkpoint=run.before, out=run.base, **options):
        return
    if has_resize_note(run.base):
        # Resized from other weights or with other options. If the stage has been started from it, x3 sft
        # refuses to continue that run.
        shutil.rmtree(run.base)
    resize_checkpoint(checkpoint=run.before, out=run.base, **options)


def _sft(arguments: Sequence[str]) -> None:
    from x3spatial.training.sft import sft

    sft(arguments)


def _draw(recipe: Recipe, output_dir: Path) -> None:
    from x3spatial.training.checkpoints import STATE_FILE, last_good
    from x3spatial.training.curve import draw_stages

    logs = []
    for number, stage in enumerate(recipe.stages, start=1):
        last, _ = last_good(stage_dir(output_dir, number, stage))
        if last is not None:
            logs.append((stage.name, stage.evaluate, read_json(last / STATE_FILE)["log_history"]))
    draw_stages(logs, output_dir / CURVE_FILE)


def _write_registries(recipe: Recipe, data_dir: Path, output_dir: Path) -> None:
    datasets = {}
    for name, entry in recipe.datasets.items():
        fields = {"data_path": entry} if isinstance(entry, str) else dict(entry)
        datasets[str(name)] = {**fields, "data_path": str(data_dir / fields["data_path"])}
    write_json(output_dir / REGISTRY_FILE, {"datasets": datasets})  # JSON is YAML
    known = Registry(recipe.path, parse_sources(recipe.path, datasets), {})
    for number, stage in enumerate(recipe.stages, start=1):
        if stage.where is None:
            continue
        narrowed = {}
        for source in resolve_mixture(stage.mixture, known):
            fields = datasets.get(source.name, {"data_path": str(source.data_path)})
            narrowed[source.name] = {**fields, "where": {**fields.get("where", {}), **stage.where}}
        write_json(registry_file(output_dir, number, stage), {"datasets": narrowed})

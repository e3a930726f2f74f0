"""Commands that create and check data: scenes, composites, crop, audit, build."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from x3spatial.builder.options import TASKS_DIR, BuildOptions
from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Also, Default, command
from x3spatial.cli.help import RUN, SCANS
from x3spatial.cli.logs import LOG
from x3spatial.cli.options import (
    Engine,
    Fresh,
    RayAddress,
    Root,
    RootOut,
    Seed,
    ShardOf,
    Splits,
    TaskNames,
    Workers,
    building,
    listed,
    names,
)
from x3spatial.cli.output import Outcome
from x3spatial.cli.shards import of_shard
from x3spatial.errors import UserError
from x3spatial.roots.findings import Problem, grouped
from x3spatial.roots.layout import SPLITS
from x3spatial.synth.layouts.registry import LAYOUTS
from x3spatial.synth.layouts.run import FRAMES
from x3spatial.synth.options import FAST, FULL, STYLES
from x3spatial.texts import counted

if TYPE_CHECKING:
    from x3spatial.builder.summary import BuildSummary
    from x3spatial.roots.audit.report import AuditReport
    from x3spatial.synth.scenes_root import SceneSummary

_SCENES: Any = Default(of="synth.options:SCENES")
_SCANS: Any = Default(of="synth.layouts.run:render_scans")


def _either(name: str, what: str) -> Any:
    text = f"{what} (default {FULL[name]}; {FAST[name]} with --fast)."
    return typer.Option(help=text)


@command(
    "OUT",
    "x3 scenes demo/root --train 2 --validation 2",
    "x3 scenes scans --layout scannet --frames 100",
    defaults="synth.generate:render_scenes",
)
def scenes(
    out: RootOut,
    train: Annotated[int, typer.Option(min=0, help="Scenes of the train split.")] = _SCENES,
    validation: Annotated[
        int, typer.Option(min=0, help="Scenes of the validation split.")
    ] = _SCENES,
    test: Annotated[int, typer.Option(min=0, help="Scenes of the test split.")] = _SCENES,
    objects: Annotated[int, typer.Option(help="Target objects per scene.")] = DEFAULT,
    views: Annotated[int, typer.Option(help="Views per object.")] = DEFAULT,
    width: Annotated[int | None, _either("width", "Image width")] = DEFAULT,
    height: Annotated[int | None, _either("height", "Image height")] = DEFAULT,
    samples: Annotated[int | None, _either("samples", "Rays per pixel, a square number")] = DEFAULT,
    fast: Annotated[
        bool, typer.Option("--fast", help="Small images and one ray per pixel.")
    ] = DEFAULT,
    depth: Annotated[
        bool, typer.Option("--depth", help="Also write 16-bit depth in millimetres.")
    ] = DEFAULT,
    style: Annotated[
        str, typer.Option(help=f"{listed(STYLES)}: the same rooms, lit accordingly.")
    ] = DEFAULT,
    seed: Seed = DEFAULT,
    workers: Workers = DEFAULT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Write the rooms as scans instead of a data root: "
            + "; ".join(f"{name}: {about}" for name, about in LAYOUTS.items())
            + ".",
            rich_help_panel=SCANS,
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            help=f"Frames along a path, beside the cameras of the views (default {FRAMES}).",
            rich_help_panel=SCANS,
        ),
    ] = _SCANS,
    fresh: Fresh = DEFAULT,
    shard: ShardOf = DEFAULT,
) -> Outcome:
    """Writes views, masks, and the same views rendered without each object."""
    from x3spatial.synth.generate import render_scenes

    if layout is not None:
        if shard is not None:
            raise UserError(f"--shard {shard}: a data root only; leave it out with --layout")
        if depth:
            raise UserError("--depth: scans always have depth; leave it out with --layout")
        return _scans(
            out,
            layout,
            {"train": train, "validation": validation, "test": test},
            frames=frames,
            objects=objects,
            views=views,
            width=width,
            height=height,
            samples=samples,
            seed=seed,
            style=style,
            workers=workers,
            engine=engine,
            ray_address=ray_address,
            fast=fast,
            fresh=fresh,
        )
    if frames is not None:
        raise UserError("--frames: a data root has the frames of --views; add --layout")
    summary = render_scenes(
        out,
        {"train": train, "validation": validation, "test": test},
        objects=objects,
        views=views,
        width=width,
        height=height,
        samples=samples,
        seed=seed,
        depth=depth,
        style=style,
        workers=workers,
        engine=engine,
        ray_address=ray_address,
        fast=fast,
        fresh=fresh,
        shard=shard,
    )
    return of_shard(rendered(summary), shard, out)


def rendered(summary: SceneSummary) -> Outcome:
    """The outcome of ``x3 scenes``."""
    total = sum(summary.scenes.values())
    return Outcome(
        lambda: asdict(summary),
        lambda: output.line(
            f"{counted(total, 'scene')} ({summary.made} made now),"
            f" {counted(summary.objects, 'object')}, {counted(summary.views, 'view')},"
            f" {summary.visible} of them show their object; in {output.shown(summary.out_dir)}"
        ),
    )


def _scans(out: Path, layout: str, scenes: dict[str, int], **options: Any) -> Outcome:
    from x3spatial.synth.layouts.run import render_scans

    summary = render_scans(out, layout, scenes, **options)
    return Outcome(
        lambda: asdict(summary),
        lambda: output.line(
            f"{counted(summary.rooms, 'room')} ({summary.made} made now),"
            f" {counted(summary.scans, 'scan')}, {counted(summary.frames, 'frame')};"
            f" in {output.shown(summary.out_dir)}"
        ),
    )


@command(
    "OUT",
    "x3 composites flat --scenes 200",
    "x3 composites pairs --shapes 2 2 --anywhere --colours vivid",
    defaults="synth.composites:make_composites",
)
def composites(
    out: RootOut,
    scenes: Annotated[int, typer.Option(help="Number of scenes.")] = DEFAULT,
    split: Annotated[str, typer.Option(help=f"{listed(SPLITS)}.")] = DEFAULT,
    shapes: Annotated[
        tuple[int, int], typer.Option(metavar="MIN MAX", help="Shapes per scene.")
    ] = DEFAULT,
    radii: Annotated[
        tuple[float, float],
        typer.Option(metavar="MIN MAX", help="Radius of a shape in pixels, of 112."),
    ] = DEFAULT,
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Place shapes independently in each view.")
    ] = DEFAULT,
    colours: Annotated[
        str, typer.Option(help="muted, as in rooms, or vivid: saturated and far apart in hue.")
    ] = DEFAULT,
    seed: Seed = DEFAULT,
    workers: Workers = DEFAULT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
) -> Outcome:
    """Textured shapes on a textured ground, 112 x 112 pixels, with views, masks and removed objects."""
    from x3spatial.synth.composites import make_composites

    made = make_composites(
        out,
        split=split,
        scenes=scenes,
        shapes=shapes,
        radii=radii,
        anywhere=anywhere,
        colours=colours,
        seed=seed,
        workers=workers,
        engine=engine,
        ray_address=ray_address,
    )
    return Outcome(
        lambda: {"out_dir": str(out), "scenes": scenes, "made": made},
        lambda: output.line(
            f"{counted(scenes, 'flat scene')} ({made} made now) in {output.shown(out)}"
        ),
    )


@command(
    "ROOT -o ROOT2",
    "x3 crop demo/root -o demo/near",
    "x3 crop /data/views -o near --times 1.5 3 --splits train",
    defaults="roots.crop_root:crop_root",
)
def crop(
    data_root: Root,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="ROOT2", help="The data root to write."),
        Also("ROOT2"),
    ],
    times: Annotated[
        tuple[float, float],
        typer.Option(metavar="MIN MAX", help="Crop size as a multiple of the object's extent."),
    ] = DEFAULT,
    seed: Seed = DEFAULT,
    splits: Splits = DEFAULT,
    workers: Workers = DEFAULT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
    fresh: Fresh = DEFAULT,
) -> Outcome:
    """Crops are enlarged to the size of the view, so that objects appear larger."""
    from x3spatial.roots.crop_root import crop_root

    summary = crop_root(
        data_root,
        out,
        times=times,
        seed=seed,
        splits=names(splits),
        workers=workers,
        engine=engine,
        ray_address=ray_address,
        fresh=fresh,
    )

    def show() -> None:
        output.problems(grouped(summary.problems), f"x3 audit {data_root} --json")
        output.line(
            f"{counted(summary.objects, 'object')} ({summary.made} made now),"
            f" {counted(summary.views, 'view')}, {counted(len(summary.problems), 'problem')};"
            f" in {output.shown(summary.out_dir)}"
        )

    return Outcome(
        lambda: {
            **asdict(summary),
            "problems": [problem._asdict() for problem in summary.problems],
        },
        show,
    )


@command(
    "ROOT",
    "x3 audit /data/views",
    "x3 audit /data/views --tasks t1,t2a --json > audit.json",
    defaults="roots.audit.run:audit",
)
def audit(
    data_root: Root,
    tasks: TaskNames = DEFAULT,
    workers: Workers = DEFAULT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="REPORT", help="Also write what --json prints to a file.",
                     rich_help_panel=RUN),
    ] = DEFAULT,
    shard: ShardOf = DEFAULT,
) -> Outcome:  # fmt: skip
    """Builds nothing. Problems are what a build leaves out, in its words, and data that would make wrong
    samples: exit 1. Notes are worth a look.
    """
    from x3spatial.roots.audit.run import audit as run

    report = run(
        data_root,
        tasks=names(tasks),
        workers=workers,
        engine=engine,
        ray_address=ray_address,
        out=out,
        shard=shard,
    )
    return of_shard(audited(report), shard, out)


def audited(report: AuditReport) -> Outcome:
    """The outcome of ``x3 audit``."""
    every = f"x3 audit {report.root} --json"

    def show() -> None:
        output.table(replace(report.table(), notes=()))
        output.problems(grouped(report.problems), every)
        notes = [(note.path, f"note: {note.reason}") for note in grouped(report.notes)]
        output.problems(notes, every)
        output.line(report.counts)

    return Outcome(report.to_json, show, code=1 if report.problems else 0)


@command(
    "ROOT -o TASKS",
    "x3 build /data/views -o tasks --use-dilated-mask",
    "x3 build /data/views -o tasks --mode allpairs --tasks t1,t2a --splits train",
    defaults="builder.run:build_tasks",
)
def build(
    data_root: Root,
    options: Annotated[BuildOptions, building("builder.options:BuildOptions")],
    out_dir: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="TASKS", envvar="OUT_DIR", show_envvar=False,
                     help="Folder for task files and images.", rich_help_panel="Run"),
        Also("--out-dir"),
    ] = TASKS_DIR,
    workers: Workers = DEFAULT,
    engine: Engine = DEFAULT,
    ray_address: RayAddress = DEFAULT,
    fresh: Fresh = DEFAULT,
    shard: ShardOf = DEFAULT,
) -> Outcome:  # fmt: skip
    """Bad data is left out and reported by path and reason. The same command continues a build that was
    stopped.
    """
    from x3spatial.builder.run import build_tasks

    summary = build_tasks(
        data_root,
        out_dir,
        options,
        workers=workers,
        engine=engine,
        ray_address=ray_address,
        fresh=fresh,
        shard=shard,
    )
    return of_shard(built(summary), shard, out_dir)


def built(summary: BuildSummary) -> Outcome:
    """The outcome of ``x3 build``."""
    from x3spatial.builder.manifest import MANIFEST
    from x3spatial.engine.shard_notes import NOTE

    manifest = summary.manifest
    details = summary.out_dir / MANIFEST
    if not details.exists():
        details = summary.out_dir / NOTE

    def show() -> None:
        found = summary.table()
        title = f"{output.shown(summary.out_dir)}: {summary.conditions}"
        output.table(replace(found, title=title, notes=()))
        skipped = [Problem(**entry) for entry in manifest["skipped"]]
        output.problems(grouped(skipped), str(details))
        notes = [(note["path"], f"note: {note['reason']}") for note in manifest.get("notes", [])]
        output.problems(notes, str(details))
        output.line(f"{found.notes[0]}; details in {output.shown(details)}")

    def warn() -> None:
        for remark in summary.remarks:
            LOG.warning("%s", remark)
        if summary.records == 0:
            LOG.error("no sample could be built from %s", manifest["data_root"])

    value = {"objects_built": summary.objects_built, "records": summary.records, **manifest}
    return Outcome(lambda: value, show, warn, 0 if summary.records else 1)

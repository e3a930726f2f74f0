"""Commands that draw data: scenes, composites."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Default, command
from x3spatial.cli.help import SCANS
from x3spatial.cli.options import Engine, Fresh, RayAddress, RootOut, Seed, ShardOf, Workers, listed
from x3spatial.cli.output import Outcome
from x3spatial.cli.shards import of_shard
from x3spatial.errors import UserError
from x3spatial.roots.layout import SPLITS
from x3spatial.synth.layouts.registry import LAYOUTS
from x3spatial.synth.layouts.run import FRAMES
from x3spatial.synth.options import FAST, FULL, STYLES
from x3spatial.texts import counted

if TYPE_CHECKING:
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

    counts = {"train": train, "validation": validation, "test": test}
    if layout is not None:
        if shard is not None:
            raise UserError(f"--shard {shard}: a data root only; leave it out with --layout")
        if depth:
            raise UserError("--depth: scans always have depth; leave it out with --layout")
        return _scans(
            out,
            layout,
            counts,
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
        counts,
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

"""Commands that make, check and show data: scenes, scenes-flat, zoom, audit, build, preview."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from x3spatial.cli import output

DataRoot = Annotated[
    Path,
    typer.Option(
        "--data-root",
        envvar="DATA_ROOT_X3",
        help="Folder with {split}/{scene}/uid_{uid}/{NN}_{frame}_{kind}.png.",
    ),
]
OutDir = Annotated[
    Path, typer.Option("--out-dir", envvar="OUT_DIR", help="Where task files and images go.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="How many at once; default one per usable CPU."),
]
Fresh = Annotated[
    bool,
    typer.Option("--fresh/--resume", help="Discard what an earlier run left, or continue it."),
]
Prompts = Annotated[
    Path | None,
    typer.Option("--prompts", help="Folder with prompt templates that replace the built-in ones."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("scenes")(scenes)
    app.command("scenes-flat")(scenes_flat)
    app.command("zoom")(zoom)
    app.command("audit")(audit)
    app.command("build")(build)
    app.command("preview")(preview)


def scenes(
    out_dir: Annotated[Path, typer.Argument(help="The data root to write.")],
    train: Annotated[int, typer.Option(min=0, help="Scenes of the train split.")] = 2,
    validation: Annotated[int, typer.Option(min=0, help="Scenes of the validation split.")] = 2,
    test: Annotated[int, typer.Option(min=0, help="Scenes of the test split.")] = 0,
    objects: Annotated[int, typer.Option(help="Target objects per scene.")] = 4,
    views: Annotated[int, typer.Option(help="Views per object.")] = 5,
    width: Annotated[
        int | None, typer.Option(help="Of the images; default 640, with --fast 112.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="Of the images; default 480, with --fast 112.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Rays per pixel, a square number; fewer are faster.")
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Small images and fewer rays: thousands of views.")
    ] = False,
    depth: Annotated[
        bool, typer.Option("--depth", help="Also write 16-bit depth in millimetres.")
    ] = False,
    style: Annotated[
        str, typer.Option(help="day; night: the same rooms as a night camera sees them.")
    ] = "day",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    workers: Workers = None,
    fresh: Fresh = False,
) -> None:
    """Make synthetic rooms: views, masks, and the same views with each object really removed."""
    from x3spatial.synth.generate import generate_scenes

    wanted = {"train": train, "validation": validation, "test": test}
    summary = generate_scenes(
        out_dir=out_dir,
        scenes={split: count for split, count in wanted.items() if count},
        objects=objects,
        views=views,
        width=width,
        height=height,
        samples=samples,
        seed=seed,
        depth=depth,
        style=style,
        workers=workers,
        fast=fast,
        fresh=fresh,
    )
    total = sum(summary.scenes.values())
    typer.echo(
        f"{total} scenes ({summary.made} made now), {summary.objects} objects, {summary.views} views,"
        f" {summary.visible} of them show their object; in {output.shown(summary.out_dir)}"
    )


def scenes_flat(
    out_dir: Annotated[Path, typer.Argument(help="The data root to write.")],
    scenes: Annotated[int, typer.Option(help="How many.")] = 100,
    split: Annotated[str, typer.Option(help="train or validation.")] = "train",
    shapes: Annotated[
        tuple[int, int], typer.Option(help="Fewest and most shapes of a scene; fewer are easier.")
    ] = (4, 7),
    radii: Annotated[
        tuple[float, float], typer.Option(help="Smallest and largest radius in pixels, of 112.")
    ] = (6.0, 22.0),
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Other views put every shape anywhere, not near by.")
    ] = False,
    colours: Annotated[
        str, typer.Option(help="muted, as in rooms, or vivid: plain and easily told apart.")
    ] = "muted",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    workers: Workers = None,
) -> None:
    """Make flat composites instead of rooms: easy material to begin a training with."""
    from x3spatial.synth.composites import make_composites

    made = make_composites(
        out_dir=out_dir,
        split=split,
        scenes=scenes,
        shapes=shapes,
        radii=radii,
        anywhere=anywhere,
        colours=colours,
        seed=seed,
        workers=workers,
    )
    typer.echo(f"{scenes} flat scenes ({made} made now) in {output.shown(out_dir)}")


def zoom(
    data_root: Annotated[Path, typer.Argument(help="The data root to cut.")],
    out_dir: Annotated[Path, typer.Argument(help="The data root to write.")],
    times: Annotated[
        tuple[float, float],
        typer.Option(help="How many times the object's extent a view shows, least and most."),
    ] = (2.0, 6.0),
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    splits: Annotated[
        str | None, typer.Option(help="Comma-separated splits; default all that exist.")
    ] = None,
    workers: Workers = None,
    fresh: Fresh = False,
) -> None:
    """Cut the views of a data root to parts around their objects: another data root, seen from nearer."""
    from x3spatial.roots.crop_root import crop_root

    summary = crop_root(
        data_root=data_root,
        out_dir=out_dir,
        times=times,
        seed=seed,
        splits=_names(splits),
        workers=workers,
        fresh=fresh,
    )
    output.problems(summary.problems, f"x3 audit {data_root} --json")
    typer.echo(
        f"{summary.objects} objects ({summary.made} made now), {summary.views} views,"
        f" {len(summary.problems)} problems; in {output.shown(summary.out_dir)}"
    )


def audit(
    data_root: Annotated[Path, typer.Argument(help="The data root to check.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole report as JSON.")
    ] = False,
    workers: Workers = None,
) -> int:
    """Check every file of a data root without building; exit 1 if something is wrong."""
    from x3spatial.roots.audit.run import audit as run

    report = run(data_root=data_root, workers=workers)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
        return 1 if report.problems else 0
    rows = []
    for split, facts in report.splits.items():
        areas = facts["mask_area_fraction"]
        rows.append(
            (
                split,
                str(facts["scenes"]),
                str(facts["objects"]),
                str(facts["views"]),
                str(facts["views_visible"]),
                str(facts["views_not_visible"]),
                str(facts["objects_with_empty_first_view"]),
                ", ".join(facts["sizes"]),
                "-" if areas is None else f"{areas['median']:.1%}",
                str(len(facts["labels"])),
            )
        )
    output.table(
        f"{data_root}",
        ("split", "scenes", "objects", "views", "visible", "not visible", "first view empty",
         "sizes", "median mask", "labels"),
        rows,
    )  # fmt: skip
    output.problems(report.problems, f"x3 audit {data_root} --json")
    count = len(report.problems)
    typer.echo("no problems" if count == 0 else f"{count} problem{'s' * (count > 1)}")
    return 1 if count else 0


def build(
    data_root: DataRoot,
    out_dir: OutDir = Path("tmp/spatial_tasks_x3"),
    mode: Annotated[
        str, typer.Option(help="anchor: one reference view per object; allpairs: every pair.")
    ] = "anchor",
    anchor_k: Annotated[int, typer.Option(help="Rank of the reference view (anchor mode).")] = 1,
    alpha: Annotated[float, typer.Option(help="Opacity of the red overlay, 0 to 1.")] = 0.45,
    crop_reference: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--crop-reference",
            "--closeup",
            help="Cut Task1's marked view to this many times the object's extent, least and most:"
            " material to learn from, not to be asked about.",
        ),
    ] = None,
    use_dilated_mask: Annotated[
        bool, typer.Option(help="Prefer the dilated mask to the tight one.")
    ] = False,
    emit_concat: Annotated[
        int, typer.Option(min=0, max=1, help="1: also write the side-by-side form of Task1.")
    ] = 1,
    tasks: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: t1, t2a, t2b, t0 (the marked image alone), or full names;"
            " default t1,t2a,t2b."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the ground-truth draws.")] = 42,
    splits: Annotated[
        str | None, typer.Option(help="Comma-separated splits; default all that exist.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="At most this many objects of each split.")
    ] = None,
    prompts: Prompts = None,
    jpeg_quality: Annotated[int, typer.Option(help="Of the side-by-side images, 1 to 100.")] = 95,
    workers: Workers = None,
    fresh: Fresh = False,
) -> int:
    """Build the task files and their images from a data root."""
    from x3spatial.builder.options import BuildOptions
    from x3spatial.builder.run import build_tasks
    from x3spatial.tasks.spec import choose_tasks

    summary = build_tasks(
        data_root=data_root,
        out_dir=out_dir,
        options=BuildOptions(
            mode=mode,
            anchor_k=anchor_k,
            alpha=alpha,
            crop_reference=crop_reference,
            use_dilated_mask=use_dilated_mask,
            emit_concat=bool(emit_concat),
            tasks=choose_tasks(_names(tasks)),
            seed=seed,
            splits=_names(splits),
            limit=limit,
            prompts=prompts,
            jpeg_quality=jpeg_quality,
        ),
        workers=workers,
        fresh=fresh,
    )
    manifest = summary.manifest
    names = ("objects", "views", "views_not_visible", "views_left_out", "pairs",
             "pairs_with_empty_reference")  # fmt: skip
    built = list(next(iter(manifest["counts"].values()))["samples"])
    output.table(
        output.shown(summary.out_dir),
        ("split", *(name.replace("_", " ") for name in names), *built),
        [
            (
                split,
                *(str(counts.get(name, 0)) for name in names),
                *(str(counts["samples"][task]) for task in built),
            )
            for split, counts in manifest["counts"].items()
        ],
    )
    skipped = [(entry["path"], entry["reason"]) for entry in manifest["skipped"]]
    output.problems(skipped, str(summary.out_dir / "build.json"))
    total = manifest["counts"]
    objects = sum(counts.get("objects", 0) for counts in total.values())
    typer.echo(
        f"{summary.records} samples of {objects} objects ({summary.objects_built} built now),"
        f" {len(skipped)} problems; details in {output.shown(summary.out_dir / 'build.json')}"
    )
    if summary.records == 0:
        typer.echo(f"x3 build: no sample could be built from {data_root}", err=True)
        return 1
    return 0


def preview(
    data_json: Annotated[Path, typer.Argument(help="A task file of x3 build.")],
    output_png: Annotated[Path, typer.Option("--output", help="The PNG to write.")] = Path(
        "preview.png"
    ),
    results: Annotated[
        Path | None, typer.Option(help="A results file of x3 eval: draws the answers too.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many samples, spread over the file.")] = 12,
    sample_id: Annotated[
        list[str] | None, typer.Option("--id", help="Show this sample; may be repeated.")
    ] = None,
    image_folder: Annotated[
        Path | None, typer.Option(help="What relative image paths are relative to.")
    ] = None,
) -> None:
    """Draw a contact sheet of samples as a model sees them, with the right point and the answer."""
    from x3spatial.reports.preview import preview as draw

    path = draw(
        data_json=data_json,
        output=output_png,
        results=results,
        limit=limit,
        ids=sample_id or (),
        image_folder=image_folder,
    )
    typer.echo(f"green: right point, yellow: mask, cyan: reference, magenta: answer; see {path}")


def _names(text: str | None) -> tuple[str, ...] | None:
    """The names of a comma-separated option; None where it was not given."""
    return None if text is None else tuple(name.strip() for name in text.split(","))

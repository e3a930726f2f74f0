"""Commands that crop, check and build data: crop, audit, build."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from x3spatial.builder.options import TASKS_DIR, BuildOptions
from x3spatial.cli import output
from x3spatial.cli.declare import DEFAULT, Also, command
from x3spatial.cli.help import RUN
from x3spatial.cli.logs import LOG
from x3spatial.cli.options import (
    Engine,
    Fresh,
    RayAddress,
    Root,
    Seed,
    ShardOf,
    Splits,
    TaskNames,
    Workers,
    building,
    names,
)
from x3spatial.cli.output import Outcome
from x3spatial.cli.shards import of_shard
from x3spatial.roots.findings import Problem, grouped
from x3spatial.texts import counted

if TYPE_CHECKING:
    from x3spatial.builder.summary import BuildSummary
    from x3spatial.roots.audit.report import AuditReport


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

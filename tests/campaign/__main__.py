"""``python -m campaign --minutes 60``: hostile circumstances against every command.

Every round runs one variant of each command and kind; what chance decides is run again with other seeds. Each
case is a line of JSON in the report, and a table counts what went wrong. Exit code 1 if anything did.
``--case`` repeats one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from campaign.commands import COMMANDS, Command
from campaign.kinds import KINDS
from campaign.kinds.base import Kind
from campaign.lab import FAULTS, Case, Lab

SHOWN = 300


def available(command: Command) -> bool:
    """Whether the packages that a command needs are installed."""
    return all(importlib.util.find_spec(name) is not None for name in command.needs)


def cases(
    commands: Iterable[Command], kinds: Iterable[Kind], rng: random.Random
) -> Iterator[tuple[Command, Kind, str]]:
    """In each round one variant of every command and kind, until all had their turn; then again by chance."""
    commands, kinds = list(commands), list(kinds)
    left: dict[tuple[Command, Kind], list[str]] = {}
    while True:
        for command in commands:
            for kind in kinds:
                variants = list(kind.variants(command))
                rng.shuffle(variants)
                left[command, kind] = variants
        while any(left.values()):
            pairs = [pair for pair, variants in left.items() if variants]
            rng.shuffle(pairs)
            for pair in pairs:
                yield *pair, left[pair].pop()
        kinds = [kind for kind in kinds if kind.repeated]
        if not kinds:
            return


def try_case(lab: Lab, command: Command, kind: Kind, variant: str, seed: int) -> Case:
    """Run one case; a fault of the harness itself is raised."""
    case = Case(command, kind.name, variant, seed)
    kind.run(case, lab, random.Random(seed))
    return case


def summary(done: Iterable[Case]) -> str:
    """A row per kind: cases, and how many had each fault."""
    done = list(done)
    lines = [f"{'kind':<10}{'cases':>7}{'runs':>7}" + "".join(f"{fault:>14}" for fault in FAULTS)]
    for kind in [*KINDS, "all"]:
        mine = [case for case in done if kind in (case.kind, "all")]
        counts = [sum(any(f.fault == fault for f in c.findings) for c in mine) for fault in FAULTS]
        runs = sum(case.runs for case in mine)
        lines.append(
            f"{kind:<10}{len(mine):>7}{runs:>7}" + "".join(f"{count:>14}" for count in counts)
        )
    return "\n".join(lines)


def main() -> int:
    """Run the campaign, or one case of it."""
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cases", type=int, help="at most this many, to compare two versions")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--command", action="append", help="only commands of this name; repeat")
    parser.add_argument(
        "--kind", action="append", choices=list(KINDS), help="only this kind; repeat"
    )
    parser.add_argument("--variant", help="only variants with this in their name")
    parser.add_argument(
        "--light", action="store_true", help="without the commands that take seconds"
    )
    parser.add_argument("--case", type=int, help="seed of the one case to run")
    parser.add_argument("--report", type=Path, default=Path("campaign.jsonl"))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    commands = [
        command for command in COMMANDS
        if available(command)
        and (not options.command or {command.path, command.name} & set(options.command))
        and not (options.light and command.heavy)
    ]  # fmt: skip
    kinds = [KINDS[name] for name in options.kind or KINDS]
    end = time.monotonic() + 60 * options.minutes
    done: list[Case] = []
    print(f"seed {options.seed}, report {options.report}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="x3-campaign-") as folder,
        open(options.report, "a", encoding="utf-8") as report,
    ):
        lab = Lab(Path(folder))
        for command, kind, variant in cases(commands, kinds, rng):
            most = 1 if options.case is not None else options.cases
            if time.monotonic() > end or (most is not None and len(done) >= most):
                break
            if options.variant and options.variant not in variant:
                continue
            seed = rng.randrange(1_000_000) if options.case is None else options.case
            case = try_case(lab, command, kind, variant, seed)
            done.append(case)
            report.write(json.dumps(case.to_json()) + "\n")
            report.flush()
            for finding in case.findings:
                shown = finding.text if options.case is not None else finding.text[-SHOWN:]
                print(
                    f"{finding.fault}: {command.name} / {kind.name} / {variant} / seed {seed}\n    "
                    + shown.replace("\n", "\n    "),
                    flush=True,
                )
        lab.close()
    print(summary(done))
    return 1 if any(case.findings for case in done) else 0


if __name__ == "__main__":
    sys.exit(main())

"""A case: a fresh folder, one or more runs in it, and what was wrong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from campaign.commands import Command
from campaign.process import Circumstances, Ran, Zygote
from campaign.stub import GOOD, Stub
from campaign.template import NOTES, make_template

TRACEBACK, HANG, LOST, WRONG, LEFT, MEMORY = FAULTS = (
    "traceback", "hang", "bytes lost", "silent wrong", "process left", "memory",
)  # fmt: skip
MOST_MEGABYTES = 3000
CODES = frozenset({0, 1, 2, 130})
_VOLATILE = frozenset({
    "run", "date", "seconds", "images_seen", "train_runtime", "train_samples_per_second",
    "train_steps_per_second", "total_flos", "built_at", "cpu_s", "mtime", "modified", "host",
})  # fmt: skip
_TRACEBACK = re.compile(
    r"Traceback \(most recent call last\)|internal error at|^Exception ignored|^Fatal Python error",
    re.MULTILINE,
)
Snapshot = dict[str, str]


@dataclass(frozen=True)
class Finding:
    """One thing that was wrong."""

    fault: str
    """One of ``FAULTS``."""
    text: str


@dataclass
class Case:
    """One case: a command under a variant of a kind of circumstances."""

    command: Command
    kind: str
    variant: str
    seed: int
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0
    runs: int = 0

    def add(self, fault: str, text: str) -> None:
        """Record a finding."""
        self.findings.append(Finding(fault, text.strip()[-3000:]))

    def to_json(self) -> dict[str, Any]:
        """The case as a line of the report."""
        return {
            "command": self.command.name,
            "kind": self.kind,
            "variant": self.variant,
            "seed": self.seed,
            "runs": self.runs,
            "seconds": round(self.seconds, 2),
            "findings": [vars(one) for one in self.findings],
        }


@dataclass(frozen=True)
class Reference:
    """An undisturbed run."""

    ran: Ran
    outputs: Snapshot
    largest: int
    """Bytes of the largest file."""
    total: int
    """Bytes of all files."""
    hidden: tuple[str, ...]
    """Hidden files that it left below ``out/``."""


class Lab:
    """Folders for cases, all of them at one path, since task files and results hold absolute paths.

    Args:
        base: an empty folder.
    """

    def __init__(self, base: Path) -> None:
        self.folder = base / "case"
        self._template = base / "template"
        self._zygotes = {heavy: Zygote(heavy=heavy) for heavy in (False, True)}
        self._references: dict[str, Reference] = {}
        make_template(self._zygotes[False], self.folder)
        self.folder.rename(self._template)
        self.stub = Stub()
        self.restore: Callable[[], object] = _nothing

    @property
    def out(self) -> Path:
        """Where commands write."""
        return self.folder / "out"

    def fresh(self) -> Path:
        """The folder of a new case."""
        self.restore()
        self.restore = _nothing
        if self.folder.exists():
            if os.geteuid() != 0:
                _make_writable(self.folder)
            shutil.rmtree(self.folder)
        shutil.copytree(self._template, self.folder, symlinks=True)
        return self.folder

    def words(self, command: Command) -> list[str]:
        """The command line, with the server's address."""
        return [word.replace("BASE_URL", self.stub.url) for word in command.words()]

    def reference(self, command: Command) -> Reference:
        """The undisturbed run of a command, once."""
        found = self._references.get(command.name)
        if found is None:
            self.fresh()
            self.stub.set(GOOD)
            given = {name for name, _ in _states(self.out)}
            ran = self.run(command)
            assert ran.code == command.code, f"{command.name}: {ran.err or ran.out}"
            files = dict(_states(self.out))
            sizes = [state.st_size for state in files.values()]
            # The template's own, such as the shards for x3 merge, are no places that a command writes to.
            hidden = tuple(n for n in files if Path(n).name.startswith(".") and n not in given)
            outputs = self.outputs(command)
            found = Reference(ran, outputs, max(sizes), sum(sizes), hidden)
            self._references[command.name] = found
        return found

    def run(
        self,
        command: Command,
        given: Circumstances | None = None,
        words: Sequence[str] | None = None,
    ) -> Ran:
        """Run a command in the folder as it is."""
        given = given or Circumstances()
        env = {"OPENAI_API_KEY": "sk-campaign+key/0123456789", **given.env}
        given = Circumstances(**{**vars(given), "env": env})
        return self._zygotes["torch" in command.needs].run(
            words or self.words(command), self.folder, given
        )

    def outputs(self, command: Command) -> Snapshot:
        """What lies below ``out/``, hidden files and the user's own aside."""
        found = {}
        for name, state in _states(self.out):
            hidden = any(part.startswith(".") for part in Path(name).parts)
            differs = any(fnmatch(name, pattern) for pattern in command.differs)
            if name != NOTES and not hidden and not differs and stat.S_ISREG(state.st_mode):
                found[name] = _digest(self.out / name)
        return found

    def inputs(self) -> Snapshot:
        """The state of every file that a command must not change."""
        return {
            name: f"{state.st_mode} {state.st_size} {state.st_mtime_ns}"
            for name, state in _states(self.folder)
            if name == f"out/{NOTES}" or not name.startswith("out/")
        }

    def close(self) -> None:
        """Remove the folders."""
        self.fresh()
        self.stub.close()
        for zygote in self._zygotes.values():
            zygote.close()
        shutil.rmtree(self.folder)
        shutil.rmtree(self._template)


def _nothing() -> None:
    """Nothing has to be undone."""


def _states(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Path and state of everything below a folder that is no folder, sorted; links are not followed."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        links = [name for name in folders if os.path.islink(f"{place}/{name}")]  # noqa: PTH114
        for name in sorted([*names, *links]):
            path = f"{place}/{name}"
            yield os.path.relpath(path, folder), os.lstat(path)


def _make_writable(folder: Path) -> None:
    for place, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(f"{place}/{name}"):  # noqa: PTH114
                Path(place, name).chmod(0o755)


def _digest(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".json":
        try:
            value = json.loads(data)
        except ValueError:
            return "not json"
        data = json.dumps(_stable(value), sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:20]


def _stable(value: Any) -> Any:
    """A JSON value without what differs between two runs."""
    if isinstance(value, dict):
        return {key: _stable(part) for key, part in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_stable(part) for part in value]
    return value


def judge(case: Case, ran: Ran, *, killed: bool = False) -> None:
    """Find what no run may show, whatever its circumstances."""
    case.runs += 1
    case.seconds += ran.seconds
    case.cpu += ran.cpu
    said = ran.err + ran.out
    if ran.timed_out:
        case.add(HANG, f"still running after {ran.seconds:.0f} s\n{said}")
        return
    if _TRACEBACK.search(said):
        case.add(TRACEBACK, said)
    elif ran.code not in CODES and not (killed and (ran.code < 0 or ran.code > 128)):
        case.add(TRACEBACK, f"exit code {ran.code}\n{said}")
    elif ran.code == 2 and not killed and not ran.err.strip():
        case.add(WRONG, "exit code 2 without a word")
    elif len(ran.err) > 20_000:
        case.add(TRACEBACK, f"{len(ran.err)} characters on stderr: {ran.err[:500]}")
    if ran.left:
        case.add(LEFT, "\n".join(ran.left))
    if ran.megabytes > MOST_MEGABYTES:
        case.add(MEMORY, f"{ran.megabytes} MB")


def check_kept(case: Case, before: Snapshot, after: Snapshot) -> None:
    """Nothing has changed or gone that was there."""
    for name, state in before.items():
        if after.get(name) != state:
            case.add(LOST, f"{name}: was {state}, is {after.get(name)}")


def check_whole(case: Case, found: Snapshot, reference: Snapshot) -> None:
    """What stands under its real name is whole."""
    for name, digest in found.items():
        changes = any(fnmatch(name, pattern) for pattern in case.command.changes)
        if not changes and reference.get(name, digest) != digest:
            case.add(LOST, f"{name} is half-written, or differs from an undisturbed run's")


def check_same(case: Case, found: Snapshot, reference: Snapshot, why: str) -> None:
    """The outputs are those of an undisturbed run."""
    changed = [
        n for n in sorted(found.keys() | reference.keys()) if found.get(n) != reference.get(n)
    ]
    if changed:
        shown = ", ".join(
            f"{n} ({'new' if n not in reference else 'missing' if n not in found else 'differs'})"
            for n in changed[:8]
        )
        case.add(
            WRONG, f"{why}: {len(changed)} outputs are not those of an undisturbed run: {shown}"
        )


def rerun(case: Case, lab: Lab, why: str) -> None:
    """The same command again ends as if nothing had happened."""
    reference = lab.reference(case.command)
    ran = lab.run(case.command)
    judge(case, ran)
    if ran.timed_out:
        return
    if ran.code != reference.ran.code:
        case.add(WRONG, f"{why}, then the same command: exit code {ran.code}\n{ran.err}{ran.out}")
        return
    check_same(case, lab.outputs(case.command), reference.outputs, why)
    stray = [str(p.relative_to(lab.out)) for p in files_below(lab.out) if p.suffix == ".part"]
    if stray:
        case.add(WRONG, f"{why}, then the same command: left {', '.join(stray[:5])}")


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files, sorted."""
    return (folder / name for name, state in _states(folder) if stat.S_ISREG(state.st_mode))

"""The short form of ``make campaign``: every command under every kind of circumstances, once.

``PYTHONPATH=src:tests python -m campaign --command NAME --kind KIND --variant VARIANT`` repeats a failure.
"""

from __future__ import annotations

import os
import random
import sys
import zlib
from collections.abc import Iterator

import pytest

if not sys.platform.startswith("linux") or not hasattr(os, "fork"):
    pytest.skip("the campaign needs /proc and fork", allow_module_level=True)

from campaign.__main__ import available, cases, try_case
from campaign.commands import COMMANDS, commands_without_entry
from campaign.kinds import KINDS
from campaign.kinds.base import Kind
from campaign.lab import Lab

_SLOW = ("of a new process", "a disk of", "endless", "gzip bomb", "silent", "slow", "no reply")
"""Words of variants that are left to the long form: they take seconds, or need rights."""


def _pairs() -> Iterator[tuple[str, str]]:
    """(command, kind): the first form of every command, and of servers the forms that ask one."""
    for kind in KINDS.values():
        first: set[str] = set()
        for command in COMMANDS:
            variants = kind.variants(command) if available(command) else ()
            if variants and (kind.name == "servers" or command.path not in first):
                first.add(command.path)
                yield command.name, kind.name


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("campaign"))
    yield made
    made.close()


def _variant(kind: Kind, name: str) -> str:
    """One variant, another one for each command, the same in every run."""
    command = next(one for one in COMMANDS if one.name == name)
    variants = [v for v in kind.variants(command) if not any(word in v for word in _SLOW)]
    return variants[zlib.crc32(f"{name} {kind.name}".encode()) % len(variants)]


@pytest.mark.parametrize(("command", "kind"), list(_pairs()))
def test_every_command_under_every_kind(command: str, kind: str, lab: Lab) -> None:
    chosen = next(one for one in COMMANDS if one.name == command)
    variant = _variant(KINDS[kind], command)
    case = try_case(lab, chosen, KINDS[kind], variant, seed=1)
    assert not case.findings, f"{variant}: " + "\n".join(
        f"{one.fault}: {one.text}" for one in case.findings
    )


def test_every_command_has_an_entry() -> None:
    """A new command is added to ``campaign/commands.py``."""
    assert commands_without_entry() == set()


def test_a_round_has_every_pair_once() -> None:
    drawn: list[tuple[str, str, str]] = []
    for command, kind, variant in cases(COMMANDS, KINDS.values(), random.Random(0)):
        if (command.name, kind.name) in {(one, two) for one, two, _ in drawn}:
            break
        drawn.append((command.name, kind.name, variant))
    expected = {(c.name, k.name) for c in COMMANDS for k in KINDS.values() if k.variants(c)}
    assert {(one, two) for one, two, _ in drawn} == expected

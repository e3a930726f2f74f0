"""What lies in place of our temporary files, locks and journals, and in place of files that are read."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.roots import box_mask as root_mask
from helpers.roots import write_view
from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.cli import run
from x3spatial.errors import UserError
from x3spatial.io.files import check_output, empty_dir, read_json, write_bytes
from x3spatial.io.images import ImageError, read_rgb
from x3spatial.io.journal import Journal
from x3spatial.io.json_stream import JsonArrayWriter, iter_array
from x3spatial.io.opening import open_append, open_part, open_regular, part_path

VICTIM = b"precious\n"


def root(folder: Path) -> Path:
    for rank in (1, 2):
        write_view(folder / "validation/s0/uid_1", rank, root_mask(10, 10, 20, 20))
    return folder


def tasks(folder: Path) -> Path:
    masks = [box_mask(32, 24, 4, 5, 11, 10), box_mask(32, 24, 9, 9, 20, 20)]
    records = [make_record(folder, f"{n:02d}", mask) for n, mask in enumerate(masks)]
    return write_set(folder / "t1_val_multi.json", records)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return {"root": root(folder / "root"), "tasks": tasks(folder / "tasks")}


COMMANDS: dict[str, Callable[[dict[str, Path], Path], list[object]]] = {
    "build": lambda i, out: ["build", i["root"], "-o", out],
    "eval": lambda i, out: ["eval", i["tasks"], "-o", out / "r.json", "--model", "centre"],
    "crop": lambda i, out: ["crop", i["root"], "-o", out],
    "preview": lambda i, out: ["preview", i["tasks"], "-o", out / "sheet.png"],
    "llava": lambda i, out: ["export", i["tasks"], "--to", "llava", "--paths", "copy", "-o", out],
    "ms-swift": lambda i, out: ["export", i["tasks"], "--to", "ms-swift", "-o", out],
    "trl": lambda i, out: ["export", i["tasks"], "--to", "trl", "-o", out],
    "hf-datasets": lambda i, out: ["export", i["tasks"], "--to", "hf-datasets", "-o", out],
}


def call(name: str, inputs: dict[str, Path], out: Path) -> int:
    return run([str(part) for part in COMMANDS[name](inputs, out)])


def temporary_names(out: Path) -> Iterator[str]:
    """Every name beside an output that a run may use until it is done."""
    for path in sorted(out.rglob("*")):
        if not path.name.startswith(".") or path.name.endswith((".jsonl", ".json")):
            relative = path.relative_to(out)
            yield str(relative.with_name(f".{path.name}.part"))
            if path.is_dir():
                yield str(relative.with_name(f".{path.name}.arrow.part"))
            if path.suffix == ".json":
                yield str(relative.with_name(f".{path.name}.x3-probe"))
                yield str(relative.with_name(f".{path.name}.x3-journal.jsonl"))
    yield from (
        ".x3-lock",
        ".x3-probe",
        ".x3-build.jsonl",
        ".x3-build.new",
        ".x3-export.json",
        ".part",
    )


@pytest.mark.parametrize("kind", ["file", "dangling", "folder", "hard link"])
@pytest.mark.parametrize("name", list(COMMANDS))
def test_no_command_writes_through_a_link(
    inputs: dict[str, Path], tmp_path: Path, name: str, kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if name in ("trl", "hf-datasets"):
        pytest.importorskip("datasets")
    assert call(name, inputs, tmp_path / "whole") == 0
    for number, temporary in enumerate(dict.fromkeys(temporary_names(tmp_path / "whole"))):
        out = tmp_path / f"out{number}"
        link = out / temporary
        link.parent.mkdir(parents=True)
        victim = tmp_path / f"victim{number}"
        if kind == "folder":
            victim.mkdir()
            (victim / "kept").write_bytes(VICTIM)
        elif kind != "dangling":
            victim.write_bytes(VICTIM)
        # A note or a journal is ours to write to; only its symbolic links lead elsewhere.
        if kind == "hard link":
            if link.suffix != ".part":
                continue
            link.hardlink_to(victim)
        else:
            link.symlink_to(victim)
        capsys.readouterr()
        code = call(name, inputs, out)
        lines = capsys.readouterr().err.strip().splitlines()
        assert code == 0 or (code == 2 and len(lines) == 1), (temporary, lines)
        if kind == "folder":
            assert [path.name for path in victim.iterdir()] == ["kept"], temporary
            victim = victim / "kept"
        assert victim.read_bytes() == VICTIM if kind != "dangling" else not victim.exists(), (
            temporary
        )
        outputs = [path for path in out.rglob("*") if path.is_symlink() and path != link]
        assert not outputs, temporary


def test_the_writers_refuse_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(VICTIM)
    target = tmp_path / "r.json"
    part_path(target).symlink_to(victim)
    with pytest.raises(UserError, match=r"\.r\.json\.part: is a symbolic link"):
        write_bytes(target, b"x")
    with pytest.raises(UserError, match="symbolic link"), JsonArrayWriter(target):
        pass
    with pytest.raises(UserError, match="symbolic link"):
        open_append(part_path(target))
    with pytest.raises(UserError, match="symbolic link"):
        Journal(part_path(target)).open()
    with pytest.raises(UserError, match="symbolic link"):
        empty_dir(part_path(target))
    assert not target.exists()
    assert victim.read_bytes() == VICTIM
    # A hard link shares its bytes with the victim, so it is never written to but replaced.
    part_path(target).unlink()
    part_path(target).hardlink_to(victim)
    with open_part(target) as file:
        file.write(b"other")
    assert victim.read_bytes() == VICTIM
    # A pipe in its place is replaced, too.
    part_path(target).unlink()
    os.mkfifo(part_path(target))
    write_bytes(target, b"x")
    assert target.read_bytes() == b"x"


def test_two_checks_of_one_output_at_the_same_instant(tmp_path: Path) -> None:
    failed = []

    def check() -> None:
        try:
            for _ in range(300):
                check_output(tmp_path / "r.json", "--out")
        except UserError as error:
            failed.append(error)

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert not list(tmp_path.iterdir())


@pytest.fixture(params=["fifo", "device", "link to a device"])
def endless(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path that must not be opened for reading: it would block, or never end."""
    path = tmp_path / "endless.png"
    if request.param == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return Path("/dev/zero") if request.param == "device" else path


def test_only_regular_files_are_read(endless: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(endless)
    with pytest.raises(ImageError, match="not a regular file"):
        read_rgb(endless)
    with pytest.raises(UserError, match="not a regular file"):
        read_json(endless)
    with pytest.raises(UserError, match="not a regular file"):
        list(iter_array(endless))


@pytest.mark.parametrize("field", ["image", "query_mask"])
@pytest.mark.parametrize("command", ["eval", "openai", "preview", "export"])
def test_a_record_with_a_pipe_or_a_device_ends_at_once(
    tmp_path: Path, endless: Path, field: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = make_record(tmp_path / "data", "01", box_mask(32, 24, 4, 5, 11, 10))
    value: Any = (record.images[0], str(endless)) if field == "image" else str(endless)
    data = write_set(tmp_path / "t.json", [replace(record, **{field: value})])
    out = tmp_path / "out"
    arguments = {
        "eval": ["eval", data, "-o", out / "r.json", "--model", "sift"],
        "openai": ["eval", data, "-o", out / "r.json", "--model", "openai:m", "--convention", "unit",
                   "--base-url", "http://127.0.0.1:9/v1", "--retries", "0"],
        "preview": ["preview", data, "-o", out / "sheet.png"],
        "export": ["export", data, "--to", "llava", "--paths", "copy", "-o", out],
    }[command]  # fmt: skip
    if command == "openai":
        pytest.importorskip("openai")
    assert run([str(part) for part in arguments]) in (0, 1, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["eval", "preview", "export", "score"])
def test_a_task_file_that_is_a_pipe_is_one_line(
    tmp_path: Path, endless: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = {
        "eval": ["eval", endless, "-o", out / "r.json", "--model", "centre"],
        "preview": ["preview", endless, "-o", out / "sheet.png"],
        "export": ["export", endless, "--to", "llava", "-o", out],
        "score": ["score", endless, endless, "-o", out / "r.json"],
    }[command]
    assert run([str(part) for part in arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(endless) in line


def test_a_prompts_folder_with_a_pipe_is_one_line(
    inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    os.mkfifo(prompts / "t1_multi.txt")
    arguments = [
        "build",
        str(inputs["root"]),
        "-o",
        str(tmp_path / "out"),
        "--prompts",
        str(prompts),
    ]
    assert run(arguments) == 2
    assert "t1_multi.txt: is no regular file" in capsys.readouterr().err
    assert json.dumps(str(prompts))

"""Shards in any order, some killed at any write and run again, and merged: the bytes of one run."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("runs are forked by the campaign's zygote", allow_module_level=True)

import x3spatial as x3
from campaign.process import Circumstances, Zygote
from campaign.zygote import KILL_AT
from helpers.roots import make_photos, make_root, tree_bytes
from x3spatial.engine.shard_notes import digest
from x3spatial.io.locks import LOCK, lock_file


@dataclass(frozen=True)
class Lab:
    """A folder with inputs, and the process that runs commands in it."""

    folder: Path
    zygote: Zygote

    def run(self, line: str, kill_at: int = 0) -> tuple[int, str, str]:
        """Exit code (negative: the signal), stdout and stderr of a command."""
        environment = {KILL_AT: str(kill_at)} if kill_at else {}
        ran = self.zygote.run(
            line.split(), self.folder, Circumstances(env=environment, timeout=300)
        )
        return ran.code, ran.out, ran.err

    def done(self, line: str, *codes: int) -> tuple[str, str]:
        """stdout and stderr of a command that ends with one of these codes."""
        code, out, err = self.run(line)
        assert code in (codes or (0,)), (line, code, out, err)
        return out, err


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("shards")
    root = make_root(folder / "root", scenes=2)
    # Bad data, the same image in two splits, and a scene in two splits: findings that need all objects.
    view = root / "train" / "train_0" / "uid_0"
    next(view.glob("01_*_mask.png")).write_bytes(b"damaged")
    twin = root / "validation" / "validation_1" / "uid_1"
    shutil.copy(next(view.glob("02_*_original.png")), next(twin.glob("02_*_original.png")))
    shutil.copytree(root / "train" / "train_1", root / "validation" / "train_1")
    for room in ("attic", "cellar", "hall"):
        make_photos(folder / "rooms" / room)
    (folder / "rooms" / "empty" / "images").mkdir(parents=True)
    (folder / "rooms" / "empty" / "images" / "note.txt").write_text("none")
    made = Lab(folder, Zygote(heavy=False))
    made.done("build root -o tasks --workers 1")
    yield made
    made.zygote.close()


TASKS = "tasks/t1_val_multi.json tasks/t2a_val_multi.json tasks/t1_train_multi.json"
LINES = {
    "audit": ("audit root --workers 1 -o {out}", "report.json", (0, 1)),
    "build": (
        "build root -o {out} --workers 1 --tasks t1,t2a,t2b,hard --mode allpairs",
        "built",
        (0,),
    ),
    "build relative": ("build root -o {out} --workers 1 --paths relative --limit 3", "built", (0,)),
    "eval": (
        "eval tasks/t1_val_multi.json -o {out} --model sift --workers 1 --batch-size 1",
        "r.json",
        (0,),
    ),
    "export": (f"export {TASKS} --to llava --paths copy -o {{out}}", "exported", (0,)),
    "export tables": (f"export {TASKS} --to trl --points qwen3-1000 -o {{out}}", "exported", (0,)),
    "export folders": (f"export {TASKS} --to hf-datasets --limit 3 -o {{out}}", "exported", (0,)),
    "export for a trainer": (f"export {TASKS} --to ms-swift -o {{out}}", "exported", (0,)),
    "export for a harness": (f"export {TASKS} --to lmms-eval -o {{out}}", "exported", (0,)),
    "export visible": (f"export {TASKS} --to refspatial-bench -o {{out}}", "exported", (0,)),
    "import": ("import photos rooms -o {out} --workers 1", "imported", (0, 1)),
    "scenes": (
        "scenes {out} --train 1 --validation 2 --objects 1 --views 2 --width 64 --height 64 --fast"
        " --workers 1",
        "rooms-of-mine",
        (0,),
    ),
}
"""Name → command, its output, and its exit codes."""
DEFAULT = ("audit", "build", "eval", "export", "import")
"""Those that are not left to the slow tests alone."""


def content(path: Path) -> dict[str, bytes]:
    """All bytes of an output, without what two runs differ in: the facts about the run, and locks."""
    files = tree_bytes(path, hidden=True) if path.is_dir() else {path.name: path.read_bytes()}
    files = {name: data for name, data in files.items() if not name.endswith(".x3-lock")}
    for name, data in files.items():
        if name.endswith(".json"):
            value = json.loads(data)
            if isinstance(value, dict) and "run" in value:
                del value["run"]
                files[name] = json.dumps(value).encode()
    return files


def clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def leftovers(out: Path) -> list[Path]:
    return [*out.parent.glob(".*shard*"), *(out.glob(".*shard*") if out.is_dir() else ())]


@dataclass
class Whole:
    content: dict[str, bytes]
    shown: Any
    """What ``--json`` prints."""


def one_run(lab: Lab, name: str) -> tuple[Path, Whole]:
    line, out, codes = LINES[name]
    path = lab.folder / out
    clear(path)
    printed, _ = lab.done(line.format(out=out) + " --json", *codes)
    whole = Whole(content(path), json.loads(printed))
    clear(path)
    return path, whole


def in_shards(lab: Lab, name: str, n: int, draw: random.Random, killed: int) -> Any:
    """Run N shards in any order, ``killed`` of them first up to a random write; then merge likewise."""
    line, out, codes = LINES[name]
    order = draw.sample(range(1, n + 1), n)
    dying = set(draw.sample(order, min(killed, n)))
    for k in order:
        words = f"{line.format(out=out)} --shard {k}/{n}"
        if k in dying:
            at = draw.choice([1, -1]) * draw.randint(1, 12)
            fresh = "" if name == "audit" else " --fresh"
            while (ran := lab.run(words + fresh, at))[0] != -9:  # it has fewer writes
                assert ran[0] in codes, ran
                at = (1 if at > 0 else -1) * max(1, abs(at) // 2)
        lab.done(words)
    for at in (draw.randint(1, 4), -draw.randint(1, 12)) if killed else ():
        code, _, err = lab.run(f"merge {out} --workers 1", at)
        assert code in (-9, *codes), err
    printed, _ = lab.done(f"merge {out} --workers 1 --json", *codes)
    return json.loads(printed)


def check(
    lab: Lab, name: str, path: Path, whole: Whole, n: int, draw: random.Random, killed: int
) -> None:
    """The bytes of one run, and its report."""
    shown = in_shards(lab, name, n, draw, killed)
    assert content(path) == whole.content
    assert leftovers(path) == []
    if not killed:  # a command that is continued has less to do: "made now"
        assert (shown["kind"], shown["shards"]) == (name.split()[0], n)
        for value in (shown["result"], whole.shown):
            value.pop("run", None)
        assert shown["result"] == whole.shown
    clear(path)


@pytest.mark.parametrize("name", DEFAULT)
def test_shards_give_the_bytes_of_one_run(lab: Lab, name: str) -> None:
    path, whole = one_run(lab, name)
    check(lab, name, path, whole, 2, random.Random(name), killed=0)
    check(lab, name, path, whole, 3, random.Random(name), killed=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_shards_killed_at_any_write_give_the_bytes_of_one_run(lab: Lab, name: str) -> None:
    path, whole = one_run(lab, name)
    draw = random.Random(name)
    for _ in range(4):
        n = draw.randint(1, 6)
        check(lab, name, path, whole, n, draw, killed=draw.randint(0, n))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["build", "scenes", "eval", "import", "audit", "export"])
def test_seven_shards_three_of_them_killed(lab: Lab, name: str) -> None:
    path, whole = one_run(lab, name)
    check(lab, name, path, whole, 7, random.Random(f"seven {name}"), killed=3)


BUILD = "build root -o s --workers 1"


@pytest.fixture
def two_of_three(lab: Lab) -> Iterator[Path]:
    """A build of which the second of three shards is missing."""
    out = lab.folder / "s"
    for k in (1, 3):
        lab.done(f"{BUILD} --shard {k}/3")
    yield out
    clear(out)


def rewrite(note: Path, value: dict[str, Any]) -> None:
    """Write ``shard.json`` as another version or machine would."""
    del value["check"]
    note.write_text(json.dumps({**value, "check": digest(value)}))


def test_a_note_that_was_changed_by_hand_is_not_read(lab: Lab, two_of_three: Path) -> None:
    note = two_of_three / ".shard-3-of-3" / "shard.json"
    note.write_text(note.read_text().replace('"found": {', '"found": {"more": 1, '))
    lab.done(f"{BUILD} --shard 2/3")
    assert "shard 3 of 3 is not finished" in refusal(lab, "merge s")


def refusal(lab: Lab, line: str) -> str:
    """The one line of a refused command."""
    _, err = lab.done(line, 2)
    assert err.count("\n") == 1 and "Traceback" not in err
    return err


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "3", "a/b", "-1/3", "1/0", "1/3/5", "1/99999999", ""]
)
def test_a_shard_that_is_none(lab: Lab, text: str) -> None:
    ran = lab.zygote.run([*BUILD.split(), "--shard", text], lab.folder, Circumstances())
    assert ran.code == 2 and "--shard" in ran.err and not (lab.folder / "s").exists()


def test_a_missing_shard_is_named_with_its_command(lab: Lab, two_of_three: Path) -> None:
    before = tree_bytes(two_of_three, hidden=True)
    err = refusal(lab, "merge s")
    assert "shard 2 of 3 is missing" in err and f"x3 {BUILD} --shard 2/3" in err
    assert tree_bytes(two_of_three, hidden=True) == before
    listed, _ = lab.done("merge s --dry-run", 1)
    assert f"x3 {BUILD} --shard 2/3" in listed
    shown = json.loads(lab.done("merge s --dry-run --json", 1)[0])
    assert not shown["ready"]
    assert [one["state"] for one in shown["shards"]] == ["done", "missing", "done"]
    err = lab.zygote.run(["merge", str(two_of_three)], Path("/"), Circumstances()).err
    assert f"cd {lab.folder} && x3 {BUILD} --shard 2/3" in err


def test_an_unfinished_shard_is_named(lab: Lab, two_of_three: Path) -> None:
    assert lab.run(f"{BUILD} --shard 2/3", kill_at=4)[0] == -9
    assert "shard 2 of 3 is not finished" in refusal(lab, "merge s")
    lab.done("merge s --dry-run", 1)
    lab.done(f"{BUILD} --shard 2/3")
    lab.done("merge s --dry-run")


def test_a_running_shard_is_named_and_is_not_run_twice(lab: Lab, two_of_three: Path) -> None:
    with lock_file(two_of_three / ".shard-3-of-3" / LOCK, "locked"):
        lab.done(f"{BUILD} --shard 2/3")
        assert "shard 3 of 3 is running" in refusal(lab, "merge s")
        assert "another x3 run makes this shard" in refusal(lab, f"{BUILD} --shard 3/3")
    lab.done("merge s")


def test_another_number_of_shards(lab: Lab, two_of_three: Path) -> None:
    err = refusal(lab, f"{BUILD} --shard 2/4")
    assert "has shards of 3 already" in err and "K/3" in err
    (two_of_three / ".shard-1-of-4").mkdir()
    (two_of_three / ".shard-1-of-4" / "something").touch()  # made at the same moment
    assert "shards of 3 and of 4" in refusal(lab, "merge s")


def test_shards_with_other_settings(lab: Lab, two_of_three: Path) -> None:
    err = refusal(lab, f"{BUILD} --shard 2/3 --seed 7")
    assert "options.seed 42, not 7" in err and "shard 1/3" in err
    err = refusal(lab, f"{BUILD} --shard 1/3 --seed 7")
    assert "the earlier run of this shard" in err and "--fresh" in err
    # Two machines that started in the same moment did not see each other.
    lab.done(f"{BUILD} --shard 2/3")
    note = two_of_three / ".shard-2-of-3" / "shard.json"
    value = json.loads(note.read_text())
    value["identity"]["options"]["seed"] = 7
    rewrite(note, value)
    err = refusal(lab, "merge s")
    assert "shard 2/3 was made with other settings than shard 1/3 (options.seed 7, not 42)" in err
    command = err.split("run it again: x3 ")[1].strip()
    lab.done(command)
    lab.done("merge s")


def test_shards_of_another_version(lab: Lab, two_of_three: Path) -> None:
    note = two_of_three / ".shard-3-of-3" / "shard.json"
    value = json.loads(note.read_text())
    value["identity"]["x3spatial"] = "0.0.9"
    rewrite(note, value)
    assert "x3spatial 0.0.9, not" in refusal(lab, f"{BUILD} --shard 2/3")


def test_a_merge_by_another_version(lab: Lab, two_of_three: Path) -> None:
    lab.done(f"{BUILD} --shard 2/3")
    for note in sorted(two_of_three.glob(".shard-*/shard.json")):
        value = json.loads(note.read_text())
        value["identity"]["x3spatial"] = "9.0.0"
        value["identity"]["options"]["of_later"] = 1  # an option that is not known here
        rewrite(note, value)
    before = tree_bytes(two_of_three, hidden=True)
    err = refusal(lab, "merge s")
    assert "made with x3spatial 9.0.0, this is" in err and f"x3 {BUILD} --shard 1/3 --fresh" in err
    assert tree_bytes(two_of_three, hidden=True) == before


def test_shards_of_another_command(lab: Lab, two_of_three: Path) -> None:
    assert "has shards of x3 build" in refusal(
        lab, "import photos rooms -o s --workers 1 --shard 2/3"
    )


def test_a_folder_with_the_name_of_a_shard_is_not_touched(lab: Lab, two_of_three: Path) -> None:
    foreign = two_of_three / ".shard-2-of-3" / "mine.txt"
    foreign.parent.mkdir()
    foreign.write_text("keep")
    assert "shard.json" in refusal(lab, f"{BUILD} --shard 2/3")
    assert "not finished" in refusal(lab, "merge s")
    assert foreign.read_text() == "keep"


def test_a_root_that_changed_between_shards_and_merge(lab: Lab, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    line = f"build {root} -o {tmp_path / 'out'} --workers 1"
    for k in (1, 2):
        lab.done(f"{line} --shard {k}/2")
    mask = next(root.glob("train/*/uid_1/01_*_mask.png"))
    data = mask.read_bytes()
    mask.write_bytes(data + b"more")
    err = refusal(lab, f"merge {tmp_path / 'out'}")
    assert "uid_1" in err and "changed since" in err and "--shard 2/2" in err
    lab.done(err.split("run it again: x3 ")[1].strip())
    shutil.copytree(root / "train", root / "test")
    assert "other objects" in refusal(lab, f"merge {tmp_path / 'out'}")
    assert "objects" in refusal(lab, f"{line} --shard 2/2")  # not the root of shard 1
    shutil.rmtree(root / "test")
    lab.done(f"merge {tmp_path / 'out'}")


def test_a_lost_image_of_a_shard_is_named(lab: Lab, two_of_three: Path) -> None:
    lab.done(f"{BUILD} --shard 2/3")
    next((two_of_three / ".shard-2-of-3").rglob("*_marked.png")).unlink()
    err = refusal(lab, "merge s")
    assert "shard 2/3" in err and "_marked.png is missing or damaged" in err
    lab.done(f"{BUILD} --shard 2/3")
    lab.done("merge s")


def test_files_of_others_in_the_output_stay(lab: Lab, two_of_three: Path) -> None:
    lab.done(f"{BUILD} --shard 2/3")
    (two_of_three / "t1_val_multi.json").write_text("mine")
    assert "x3 build did not write" in refusal(lab, "merge s")
    assert (two_of_three / "t1_val_multi.json").read_text() == "mine"


def test_merging_twice_and_nothing_to_merge(lab: Lab, two_of_three: Path) -> None:
    lab.done(f"{BUILD} --shard 2/3")
    lab.done("merge s")
    before = tree_bytes(two_of_three, hidden=True)
    out, _ = lab.done("merge s")
    assert "no shards left to merge" in out
    out, _ = lab.done(f"{BUILD} --shard 2/3")  # merged already: nothing is done
    assert "s is complete: nothing was left for shard 2/3" in out
    assert tree_bytes(two_of_three, hidden=True) == before
    assert "no such output" in refusal(lab, "merge nowhere")
    assert "has no shards" in refusal(lab, "merge s --dry-run")


def test_more_shards_than_objects(lab: Lab, tmp_path: Path) -> None:
    line = f"build root -o {tmp_path / 'out'} --workers 1 --limit 1 --splits train"
    for k in (1, 2, 3):
        lab.done(f"{line} --shard {k}/3")
    assert "(1 built now)" in lab.done(f"merge {tmp_path / 'out'}")[0]


def test_an_audit_in_shards_needs_a_report(lab: Lab) -> None:
    assert "needs -o REPORT" in refusal(lab, "audit root --shard 1/2")


def test_shards_from_python(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for k in (2, 1):
        x3.build_tasks(lab.folder / "root", out, workers=1, shard=x3.Shard(k, 2))
    merged = x3.merge(out)
    assert (merged.kind, merged.shards, merged.result.objects) == (
        "build",
        2,
        merged.result.objects_built,
    )
    x3.build_tasks(lab.folder / "root", tmp_path / "more", workers=1, shard="1/2")
    with pytest.raises(x3.UserError, match="the same call with shard='2/2'"):
        x3.merge(tmp_path / "more")

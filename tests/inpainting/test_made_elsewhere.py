"""Images made by other programs: ``command:`` and ``folder:``."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.roots import box_mask, photo
from x3spatial.errors import UserError
from x3spatial.inpainting import ImageName, InpaintingError, inpaint, open_engine
from x3spatial.io.images import encode_jpeg, encode_png

NAME = ImageName("validation", "kitchen", "7", "02", "000120")
IMAGE, HOLE = photo(1), box_mask(10, 10, 20, 20)
GREY = """
import sys, cv2
image, mask = cv2.imread(sys.argv[1]), cv2.imread(sys.argv[2], 0)
assert set(mask.ravel()) == {0, 255}
image[:] = 128
cv2.imwrite(sys.argv[3], image)
"""


def command(folder: Path, program: str, *arguments: str) -> str:
    path = folder / "my program's.py"
    path.write_text(program)
    return "command:" + shlex.join([sys.executable, str(path), *arguments])


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@pytest.mark.parametrize("arguments", [(), ("{image}", "{mask}", "{out}")])
def test_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    filled = inpaint(IMAGE, HOLE, command(tmp_path, GREY, *arguments))
    assert (filled[HOLE] == 128).all()
    assert np.array_equal(filled[~HOLE], IMAGE[~HOLE])  # whatever the program did there
    assert list((tmp_path / "tmp").iterdir()) == []


def test_placeholders_may_stand_inside_of_words(tmp_path: Path) -> None:
    program = "import sys\nsys.argv[1:] = [w.split('=')[1] for w in sys.argv[1:]]\n" + GREY
    spec = command(tmp_path, program, "--in={image}", "--mask={mask}", "--to={out}")
    assert (inpaint(IMAGE, HOLE, spec)[HOLE] == 128).all()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('no GPU')", "failed (exit code 1): 'no GPU'"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("pass", "ended without error, but {out}: file is missing"),
        ("import sys; open(sys.argv[3], 'w').write('x')", "cannot be decoded as an image"),
        (
            "import sys, cv2; cv2.imwrite(sys.argv[3], cv2.imread(sys.argv[1])[:9])",
            "of 64x9 for one of",
        ),
        ("import time; time.sleep(60)", "took more than 0.5 s; raise --inpaint-timeout"),
    ],
)
def test_a_program_that_fails(tmp_path: Path, program: str, said: str) -> None:
    engine = open_engine(command(tmp_path, program), timeout=0.5 if "sleep" in program else 600.0)
    assert engine is not None
    for _ in range(2):
        with pytest.raises(InpaintingError) as caught:
            engine.fill(IMAGE, HOLE, NAME)
        assert said in caught.value.reason and caught.value.path == NAME.path
        assert "\n" not in str(caught.value)
    # The third of the first three: it would fail for a thousand images too.
    with pytest.raises(UserError, match="failed for the first 3 images"):
        engine.fill(IMAGE, HOLE, NAME)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_one_failure_among_others_ends_nothing(tmp_path: Path) -> None:
    program = f"import os, sys\nif os.path.exists({str(tmp_path / 'stop')!r}): sys.exit(3)\n{GREY}"
    engine = open_engine(command(tmp_path, program))
    assert engine is not None
    engine.fill(IMAGE, HOLE)
    (tmp_path / "stop").touch()
    for _ in range(4):
        with pytest.raises(InpaintingError, match="exit code 3"):
            engine.fill(IMAGE, HOLE)


def test_leftovers_and_children_of_a_program_go(tmp_path: Path) -> None:
    program = f"""
import os, subprocess, sys
folder = os.path.dirname(sys.argv[3])
os.makedirs(folder + "/cache/deep")
open(folder + "/cache/deep/left", "w").write("x")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
{GREY}"""
    inpaint(IMAGE, HOLE, command(tmp_path, program))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert gone(int((tmp_path / "pid").read_text()))


def gone(pid: int) -> bool:
    """Whether a process has ended, within 5 seconds; a zombie has."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_and_removes_its_files(
    tmp_path: Path, number: signal.Signals
) -> None:
    program = (
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()));"
        " time.sleep(60)"
    )
    caller = (
        "import sys, numpy as np; from x3spatial.inpainting import inpaint;"
        "hole = np.zeros((9, 9), bool); hole[3:5, 3:5] = True;"
        "inpaint(np.zeros((9, 9, 3), np.uint8), hole, sys.argv[1])"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    process = subprocess.Popen(
        [sys.executable, "-c", caller, command(tmp_path, program)],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(20) in (1, -number)
    assert gone(int(pid.read_text()))
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no-such-program-x3 {image} {mask} {out}", "no program 'no-such-program-x3'"),
        ("sh -c 'x", "no closing quotation"),
        ("sh {image}", "has no {mask} and no {out}"),
        ("''", "names no program"),
        ("FOLDER/data", "that can be run; check its path"),
    ],
)
def test_command_lines_are_checked_before_any_work(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "data").touch(0o600)
    with pytest.raises(UserError) as caught:
        open_engine(f"command:{line.replace('FOLDER', str(tmp_path))}")
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "place",
    [
        "validation/kitchen/uid_7/02_000120_inpainted.png",
        "kitchen/7/000120.png",
        "7/000120.JPG",
    ],
)
def test_folder(tmp_path: Path, place: str) -> None:
    path = tmp_path / "made" / place
    path.parent.mkdir(parents=True)
    other = photo(2)
    path.write_bytes(encode_png(other) if path.suffix == ".png" else encode_jpeg(other, 100))
    filled = inpaint(IMAGE, HOLE, f"folder:{tmp_path / 'made'}", name=NAME)
    # A real photograph of the emptied scene is right outside of the hole as well.
    assert np.abs(filled.astype(int) - other).mean() < 6


def test_what_is_wrong_in_a_folder_costs_one_image(tmp_path: Path) -> None:
    engine = open_engine(f"folder:{tmp_path}")
    assert engine is not None
    name = NAME._replace(uid="1")
    wanted = tmp_path / "1" / "000120.png"
    wanted.parent.mkdir()
    wanted.write_bytes(encode_png(photo(3)))
    engine.fill(IMAGE, HOLE, name)  # from now on failures are single ones

    def reason() -> str:
        with pytest.raises(InpaintingError) as caught:
            engine.fill(IMAGE, HOLE, name)
        assert str(caught.value.path).startswith(str(tmp_path))
        return caught.value.reason

    wanted.with_suffix(".jpg").write_bytes(encode_jpeg(photo(3), 90))
    assert "ambiguous: there is also 000120.jpg" in reason()
    wanted.unlink()
    wanted.with_suffix(".jpg").write_bytes(encode_jpeg(photo(3, 32, 28), 90))
    assert "is 32x28, the original is 64x48" in reason()
    wanted.with_suffix(".jpg").write_bytes(b"x")
    assert "cannot be decoded" in reason()
    wanted.with_suffix(".jpg").unlink()
    assert "file is missing (nor is there kitchen/1/000120 or 1/000120" in reason()


def test_images_made_before_the_photos_were_reduced(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    grey = np.full((96, 128, 3), 90, np.uint8)
    (tmp_path / "7" / "000120.png").write_bytes(encode_png(grey))
    filled = inpaint(IMAGE, HOLE, f"folder:{tmp_path}", name=NAME)
    assert filled.shape == IMAGE.shape and (filled == 90).all()


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, said in (("absent", "no such folder"), ("file", "not a folder")):
        with pytest.raises(UserError, match=said):
            open_engine(f"folder:{tmp_path / name}")

"""A process that has imported everything and forks a child for each run, so that a run costs milliseconds.

The requests and replies are lines of JSON on stdin and stdout (``process.Zygote``). Children are whole
processes: they can be killed, limited and stopped like the command itself. With ``exec`` a run is a new one.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

PRELOAD = (
    "x3spatial.cli", "x3spatial.cli.build", "x3spatial.builder.run", "x3spatial.evaluation.run",
    "x3spatial.evaluation.rescore", "x3spatial.evaluation.compare", "x3spatial.exporters.run",
    "x3spatial.reports.preview", "x3spatial.roots.crop_root", "x3spatial.roots.audit.run",
    "x3spatial.pipeline", "x3spatial.models.baselines.sift", "x3spatial.synth.composites",
    "openai", "x3spatial.models.servers.openai", "x3spatial.evaluation.check_model", "yaml",
)  # fmt: skip
"""Imported before the first run; what is not installed is left out. None of them starts a thread."""
PRELOAD_HEAVY = (
    "torch", "transformers", "safetensors.torch", "matplotlib",
    "x3spatial.models.roborefer.model", "x3spatial.training.commands", "x3spatial.training.sft",
)  # fmt: skip
"""Imported besides for commands that need torch: a fork costs more for each megabyte."""

LOCK_ERRNO = "X3_CAMPAIGN_LOCK_ERRNO"
"""With this variable ``flock`` fails with its value: as on a file system without locks."""
KILL_AT = "X3_CAMPAIGN_KILL_AT"
"""With this variable, N, the run is killed (SIGKILL) before its N-th file or line of a journal is there; -N:
right after."""
_SENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SUBREAPER = 36
_MOST_OUTPUT = 1 << 22
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION = 0x20080522


def _drop_rights() -> None:
    """Give up root's right to read and write everything; other users have none."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    for place in (0, 1):  # effective and permitted
        data[place] &= ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


def _without_locks(number: int) -> None:
    import fcntl

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    fcntl.flock = fcntl.lockf = refuse


def _set_streams(streams: str, out: int, err: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if streams == "full":
        out = os.open("/dev/full", os.O_WRONLY)
    elif streams == "broken":
        reader, out = os.pipe()
        os.close(reader)
    os.dup2(out, 1)
    os.dup2(err, 2)
    if streams == "closed":
        os.close(1)
        sys.stdout = None  # as Python does for a closed descriptor


def _child(request: dict[str, Any], out: int, err: int) -> int:
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    _set_streams(request["streams"], out, err)
    os.closerange(3, 256)
    if request["file_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"], resource.RLIM_INFINITY))
    if request["drop_rights"]:
        _drop_rights()
    words = [os.fsdecode(bytes.fromhex(word)) for word in request["arguments"]]
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SENT)
    except KeyboardInterrupt:
        # Sent before the command began: docs/limits.md, signals in the first moments.
        return 130
    if request["exec"]:
        os.execv(sys.executable, [sys.executable, "-m", "x3spatial", *words])
    if LOCK_ERRNO in request["env"]:
        _without_locks(int(request["env"][LOCK_ERRNO]))
    if KILL_AT in request["env"]:
        from helpers.killing import kill_at

        kill_at(int(request["env"][KILL_AT]))
    if request["remove_cwd"]:
        Path(request["cwd"], "gone").mkdir()
        os.chdir("gone")
        Path(request["cwd"], "gone").rmdir()
    sys.argv = ["x3", *words]
    code: Any = 0
    try:
        from x3spatial.cli import main

        main(words)
    except SystemExit as error:
        code = error.code
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        if isinstance(error, KeyboardInterrupt) and "guarded" not in {one.name for one in frames}:
            code = 130  # before the program began, as above
        else:
            traceback.print_exc()
            code = 1
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]  # as at the end of the interpreter
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            code = 120  # what Python exits with then
    return code if isinstance(code, int) else 0 if code is None else 1


def _children() -> list[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(word) for word in text.split()]


def _reap(deadline: float) -> list[str]:
    """What the run left running after a while; it is ended."""
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = _children()
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    names = []
    for pid in left:
        with contextlib.suppress(OSError):
            names.append(
                Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
            )
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return names


def _run(request: dict[str, Any]) -> dict[str, Any]:
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    started = time.monotonic()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SENT)  # for the child: until it is the command
    pid = os.fork()
    if pid != 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SENT)
    if pid == 0:
        code = 1
        try:
            code = _child(request, out_write, err_write)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(out_write)
    os.close(err_write)
    texts = {out_read: bytearray(), err_read: bytearray()}
    open_ends = list(texts)
    sent = ended = timed_out = False
    usage: Any = None
    status = 0
    while True:
        now = time.monotonic() - started
        if request["signal"] and not sent and not ended and now >= request["signal"][1]:
            os.kill(pid, request["signal"][0])
            sent = True
        if now >= request["timeout"] and not ended:
            timed_out = True
            os.kill(pid, signal.SIGKILL)
        if not ended:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            ended = done == pid
        wait = 0.005
        if request["signal"] and not sent:
            wait = max(0.0, min(wait, request["signal"][1] - now))
        ready = select.select(open_ends, [], [], 0 if ended else wait)[0] if open_ends else []
        if not open_ends and not ended:
            time.sleep(wait)
        for end in ready:
            data = os.read(end, 65536)
            if not data:
                open_ends.remove(end)
            elif len(texts[end]) < _MOST_OUTPUT:
                texts[end] += data
        if ended and not ready:
            break
    seconds = time.monotonic() - started
    for end in texts:
        os.close(end)
    left = _reap(time.monotonic() + request["grace"])
    return {
        "code": os.waitstatus_to_exitcode(status),
        "out": texts[out_read].decode(errors="replace"),
        "err": texts[err_read].decode(errors="replace"),
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "timed_out": timed_out,
        "megabytes": usage.ru_maxrss // 1024,
        "left": left,
        "signalled": sent,
    }


def main() -> None:
    """Serve requests until stdin ends. Argument ``heavy``: torch is imported as well."""
    for name in (*PRELOAD, *(PRELOAD_HEAVY if sys.argv[1:] == ["heavy"] else ())):
        with contextlib.suppress(ImportError):
            import_module(name)
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing else may write between the replies
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"ready": os.getpid(), "megabytes": base}), file=replies, flush=True)
    for line in sys.stdin:
        try:
            reply = _run(json.loads(line))
        except OSError as error:
            reply = {"failed": f"{errno.errorcode.get(error.errno or 0)}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()

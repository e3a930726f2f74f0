"""One reader under libFuzzer (atheris), until its time is over: started by ``fuzzing.__main__``.

A finding does not end the process: each kind of exception is written once, and the fuzzer goes on.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from pathlib import Path

MOST_PIXELS = "4000000"
"""The limit on pixels while fuzzing, so that no input spends its seconds on decoding."""


def kind_of(error: BaseException) -> str:
    """A name for a finding: the exception and the place in our code that it left."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "x3spatial" in f.filename]
    frames = frames or traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    return re.sub(r"\W+", "-", f"{type(error).__name__}-{Path(last.filename).stem}-{last.name}")


def main() -> None:
    """``NAME FOLDER SECONDS SEED``: fuzz the reader NAME, findings and corpus below FOLDER."""
    name, folder, seconds, seed = sys.argv[1:5]
    os.environ.setdefault("X3_MAX_IMAGE_PIXELS", MOST_PIXELS)
    import atheris

    with atheris.instrument_imports(include=["x3spatial", "fuzzing.readers", "json", "yaml"]):
        from fuzzing.readers import READERS
    from fuzzing.seeds import deep

    reader = READERS[name]
    out = Path(folder)
    corpus, findings = out / "corpus" / name, out / "findings" / name
    for place in (corpus, findings):
        place.mkdir(parents=True, exist_ok=True)
    seeds = [*reader.seeds(), *(deep() if b"null" in reader.words else ())]
    for number, data in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(data)
    words = out / f"{name}.dict"
    dictionary = [f"-dict={words}"] if reader.words else []  # an empty file is refused
    words.write_text(
        "".join(
            '"{}"\n'.format("".join(f"\\x{byte:02x}" for byte in word[:200]))
            for word in reader.words
        )
    )
    seen: set[str] = set()

    for data in seeds[
        :1
    ]:  # imports what readers import when they are called, outside of the time limit
        with contextlib.suppress(Exception):
            reader.read(data)

    def try_input(data: bytes) -> None:
        try:
            reader.read(data)
        except reader.errors:
            pass
        except BaseException as error:
            kind = kind_of(error)
            if kind not in seen:
                seen.add(kind)
                (findings / kind).write_bytes(data)
                (findings / f"{kind}.txt").write_text(traceback.format_exc())
                print(f"FOUND {name} {kind}", flush=True)

    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-max_len={reader.longest}",
            "-timeout=20",
            "-rss_limit_mb=3000",
            f"-artifact_prefix={findings}/",
            *dictionary,
            "-print_final_stats=1",
            "-verbosity=0",
            "-close_fd_mask=0",
        ],
        try_input,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()

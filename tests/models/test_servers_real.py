"""A real server, ``transformers serve``, with a tiny model: asked over HTTP, and in this process."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import FIXTURES

pytest.importorskip("openai")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("transformers")

from helpers.hf_common import folder, picture, question
from helpers.server_common import results, x3
from x3spatial.builder.options import BuildOptions
from x3spatial.builder.run import build_tasks
from x3spatial.cli import run
from x3spatial.models.base import as_output
from x3spatial.models.huggingface.model import HuggingFaceModel
from x3spatial.models.registry import create

ROOT = FIXTURES / "x3-small" / "root"
FAMILIES = ("llava", "idefics3")
"""Whose stock processors need no torchvision: what that server can load here."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tasks")
    build_tasks(data_root=ROOT, out_dir=out, options=BuildOptions())
    return out / "t1_val_multi.json"


@pytest.fixture(scope="module", params=FAMILIES)
def served(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(Folder of a model, URL of a server of it)."""
    model = folder(request.param)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [
                sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve",
                str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
                "--dtype", "float32",
            ],
            stdout=file,
            stderr=file,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    try:
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        yield model, f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def plain(text: str, model: Path) -> str:
    """Without special tokens, which this server leaves out of its answers."""
    tokens = json.loads((model / "tokenizer.json").read_text())["added_tokens"]
    for token in tokens:
        if token["special"]:
            text = text.replace(token["content"], "")
    return text.strip()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.parametrize("convention", ["pixel", "unit"])
def test_the_same_model_says_the_same_over_http(
    served: tuple[Path, str], data: Path, tmp_path: Path, convention: str
) -> None:
    model, url = served
    options = {"convention": convention, "max_new_tokens": 12}
    over_http, here = tmp_path / "http.json", tmp_path / "here.json"
    assert x3(data, over_http, url, model=f"openai:{model}", concurrency=2, **options) == 0
    assert x3(data, here, model=f"hf:{model}", dtype="float32", **options) == 0
    texts = [entry["pred_text"].strip() for entry in results(over_http)]
    assert texts == [plain(entry["pred_text"], model) for entry in results(here)]
    assert len(set(texts)) > len(texts) // 2  # noise, but not the same noise for all
    first, second = (json.loads(path.read_text()) for path in (over_http, here))

    assert first["metrics"] == second["metrics"]
    assert all(entry["details"]["finish"] == "length" for entry in results(over_http))


def test_a_model_that_it_does_not_have(
    served: tuple[Path, str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, url = served
    arguments = ["eval", "--data-json", str(data), "--output-json", str(tmp_path / "out.json")]
    options = ["--base-url", f"{url}/wrong", "--convention", "unit", "--model", "openai:x"]
    assert run([*arguments, *options]) == 2
    assert "is the URL right" in capsys.readouterr().err


def test_pictures_made_in_the_size_of_the_models_own_processor(tmp_path: Path) -> None:
    """Qwen2.5-VL counts pixels of the resized image: resized here, it sees and says just the same."""
    options = {"base_url": ["http://127.0.0.1:9/v1"], "convention": "qwen2.5-px"}
    bounds: dict[str, Any] = {"min_pixels": 3136, "max_pixels": 30_000}
    client = create("openai:m", {**options, **bounds})
    model = HuggingFaceModel(str(folder("qwen2_5_vl")), dtype="float32", max_new_tokens=8, **bounds)
    for size in ((320, 240), (130, 40), (64, 96)):
        asked = question("q", picture(*size))
        (request,) = client.prepare([asked])
        sent = tmp_path / "sent.png"
        sent.write_bytes(base64.b64decode(request.images[0].base64))
        (here,) = map(as_output, model.answer([asked], model.prepare([asked])))
        again = question("q", sent)
        (there,) = map(as_output, model.answer([again], model.prepare([again])))
        assert there.text == here.text
        assert there.sizes == here.sizes == request.sizes
    client.close()

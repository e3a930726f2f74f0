"""What served models are sent, and what is read from their replies."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.server_common import chat, numbered_set, results, serving, text_of, x3
from helpers.task_sets import box_mask, make_record, make_set, write_set
from x3spatial.cli import run
from x3spatial.conventions.resize import smart_resize
from x3spatial.models.base import Output, Unanswered, as_output
from x3spatial.models.registry import create
from x3spatial.models.servers import retrying
from x3spatial.tasks.question import Question

pytest.importorskip("openai")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_SECONDS", 0.01)


def image(folder: Path, name: str, width: int, height: int) -> Path:
    random = np.random.default_rng([width, height])
    coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path = folder / name
    Image.fromarray(coarse).resize((width, height)).save(path)
    return path


def ask(url: str, *images: Path, **options: Any) -> Output:
    model = create("openai:org/name:tag", {"base_url": [url], "convention": "unit", **options})
    question = Question("q", "t1_multi", images, "Where? [(x, y)]", "Where is it?")
    try:
        (output,) = model.answer([question], model.prepare([question]))
    finally:
        model.close()
    assert isinstance(output, Output)
    return output


def test_the_request(tmp_path: Path) -> None:
    first, second = image(tmp_path, "a.png", 40, 30), image(tmp_path, "b.jpg", 50, 20)
    with serving() as server:
        output = ask(server.base, first, second, max_new_tokens=33, seed=5)
    (body,) = server.bodies
    assert server.paths == ["/v1/chat/completions"]
    assert body.pop("messages") == [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": url}}
                for url in (
                    f"data:image/png;base64,{base64.b64encode(first.read_bytes()).decode()}",
                    f"data:image/jpeg;base64,{base64.b64encode(second.read_bytes()).decode()}",
                )
            ]
            + [{"type": "text", "text": "Where? [(x, y)]"}],
        }
    ]
    assert body == {"model": "org/name:tag", "temperature": 0, "max_tokens": 33, "seed": 5}
    assert output.sizes == ()
    unchanged = {"reencoded": False, "resized": False}
    assert output.details["images"] == [
        {"sent": [40, 30], "format": "png", "bytes": first.stat().st_size, **unchanged},
        {"sent": [50, 20], "format": "jpeg", "bytes": second.stat().st_size, **unchanged},
    ]
    assert output.details["finish"] == "stop"
    assert output.details["served_model"] == "served"
    assert output.details["usage"] == {"prompt_tokens": 7, "completion_tokens": 3}


def test_images_stand_after_their_names_if_the_convention_names_them(tmp_path: Path) -> None:
    first, second = image(tmp_path, "a.png", 40, 30), image(tmp_path, "b.png", 50, 20)
    with serving() as server:
        for images in ((first, second), (second,)):
            ask(server.base, *images, convention="qwen3-pictures-1000")
    two, one = (body["messages"][0]["content"] for body in server.bodies)
    assert [part.get("text", part["type"]) for part in two[:-1]] == [
        "Picture 1: ", "image_url", "Picture 2: ", "image_url",
    ]  # fmt: skip
    urls = [part["image_url"]["url"] for part in two if part["type"] == "image_url"]
    assert [base64.b64decode(url.partition(",")[2]) for url in urls] == [
        first.read_bytes(), second.read_bytes(),
    ]  # fmt: skip
    assert "in the second image (Picture 2)" in two[-1]["text"]
    assert [part["type"] for part in one] == ["image_url", "text"]
    assert "Picture" not in one[-1]["text"]


def test_the_message_is_described_and_part_of_what_is_cached() -> None:
    told = {}
    for name in ("qwen3-1000", "qwen3-pictures-1000"):
        model = create("openai:m", {"base_url": ["http://localhost:1"], "convention": name})
        told[name] = model.describe()["message"]
        model.close()
    assert told == {
        "qwen3-1000": "images in the record's order, then the text",
        "qwen3-pictures-1000": "each image after its name (Picture 1: ), then the text",
    }


def test_extra_body_adds_replaces_and_removes(tmp_path: Path) -> None:
    extra = '{"top_k": 1, "max_tokens": null, "max_completion_tokens": 9, "temperature": 0.5}'
    with serving() as server:
        ask(server.base, image(tmp_path, "a.png", 40, 30), extra_body=extra)
    del server.bodies[0]["messages"]
    assert server.bodies[0] == {
        "model": "org/name:tag", "top_k": 1, "max_completion_tokens": 9, "temperature": 0.5, "seed": 0,
    }  # fmt: skip


def test_pixels_as_sent_and_images_made_smaller(tmp_path: Path) -> None:
    wide = image(tmp_path, "a.png", 400, 100)
    with serving(lambda *_: json.dumps(chat("[(100, 25)]"))) as server:
        output = ask(server.base, wide, convention="pixel", max_image_pixels=10_000)
    assert output.sizes == ((200, 50),)
    content = server.bodies[0]["messages"][0]["content"]
    assert "200" in content[1]["text"]
    assert "50" in content[1]["text"]
    sent = base64.b64decode(content[0]["image_url"]["url"].partition(",")[2])
    assert Image.open(io.BytesIO(sent)).size == (200, 50)
    assert output.details["images"][0]["resized"] is True


@pytest.mark.parametrize("size", [(640, 480), (1280, 960), (30, 20), (1000, 90), (56, 84)])
def test_pixels_of_the_resized_image_are_made_here(tmp_path: Path, size: tuple[int, int]) -> None:
    """The server's own resize finds nothing left to do, whatever its limits as long as they are wider."""
    with serving() as server:
        output = ask(
            server.base,
            image(tmp_path, "a.png", *size),
            convention="qwen2.5-px",
            min_pixels=4 * 28 * 28,
            max_pixels=400_000,
        )
    (sent,) = output.sizes
    assert sent == smart_resize(size, factor=28, min_pixels=4 * 28 * 28, max_pixels=400_000)
    assert sent == smart_resize(sent, factor=28, min_pixels=56 * 56, max_pixels=12_845_056)
    url = server.bodies[0]["messages"][0]["content"][0]["image_url"]["url"]
    assert url.startswith("data:image/png;")
    assert Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size == sent


def test_answers_are_scored_in_the_pixels_that_were_sent(tmp_path: Path) -> None:
    mask = box_mask(640, 480, 300, 200, 340, 240)
    data = write_set(tmp_path / "t.json", [make_record(tmp_path, "0", mask)])
    width, height = smart_resize((640, 480), factor=28, min_pixels=3136, max_pixels=100_352)
    x, y = round(width * 320 / 640), round(height * 220 / 480)
    reply = json.dumps(chat(f'[{{"point_2d": [{x}, {y}], "label": "it"}}]'))
    with serving(lambda *_: reply) as server:
        options = {"convention": "qwen2.5-px", "max_pixels": 100_352}
        assert x3(data, tmp_path / "out.json", server.base, **options) == 0
    (entry,) = results(tmp_path / "out.json")
    assert entry["pixel_sizes"] == [[width, height]] * 2
    assert entry["hit_mask"] is True


@pytest.mark.parametrize(
    ("reply", "text", "finish"),
    [
        (chat("I cannot help with that."), "I cannot help with that.", "stop"),
        (chat(None, refusal="No."), "No.", "stop"),
        (chat("[(0.1, 0.2", "length"), "[(0.1, 0.2", "length"),
        (chat("[(0.1, 0.2)]", None, reasoning_content="[(0.9, 0.9)]"), "[(0.1, 0.2)]", None),
        (
            chat(
                [
                    {"type": "thinking", "thinking": "(0.9, 0.9)"},
                    {"type": "text", "text": "[(0.1, "},
                    {"type": "text", "text": "0.2)]"},
                ]
            ),
            "[(0.1, 0.2)]",
            "stop",
        ),
        (chat("\ud800 [(0.1, 0.2)]"), "\ud800 [(0.1, 0.2)]", "stop"),
        ({"choices": [{"message": {"content": "x"}}]}, "x", None),
    ],
)
def test_what_is_an_answer(tmp_path: Path, reply: Any, text: str, finish: str | None) -> None:
    with serving(lambda *_: json.dumps(reply)) as server:
        output = ask(server.base, image(tmp_path, "a.png", 40, 30), retries=0)
    assert output.text == text
    assert output.details["finish"] == finish


@pytest.mark.parametrize(
    ("reply", "says", "attempts"),
    [
        (chat(None, "length", reasoning_content="hmm"), "--max-new-tokens", 1),
        (chat(None, "content_filter"), "content filter", 1),
        (chat(None, reasoning_content="[(0.9, 0.9)]"), "empty", 3),
        (chat({"text": "x"}), "not a text but of type dict", 3),
        ({"object": "error", "message": "out of memory", "code": 500}, "out of memory", 3),
        ({"detail": "no"}, "no list of choices", 3),
        ({"choices": ["x"]}, "no message", 3),
    ],
)
def test_what_is_none(tmp_path: Path, reply: Any, says: str, attempts: int) -> None:
    with serving(lambda *_: json.dumps(reply)) as server:
        with pytest.raises(Unanswered, match=says):
            ask(server.base, image(tmp_path, "a.png", 40, 30), retries=2)
        assert len(server.bodies) == attempts


def test_a_bad_image_costs_one_sample(tmp_path: Path) -> None:
    data = make_set(tmp_path, 4)
    records = json.loads(data.read_text())
    bad = Path(records[1]["image"][0])
    bad.write_bytes(bad.read_bytes()[:60])
    with serving() as server:
        assert x3(data, tmp_path / "out.json", server.base) == 1
        assert len(server.bodies) == 3
    assert results(tmp_path / "out.json")[1]["error"] == f"{bad}: PNG is cut short"


def test_several_questions_in_one_call(tmp_path: Path) -> None:
    picture = image(tmp_path, "a.png", 40, 30)
    questions = [
        Question(f"{n}", "t1_multi", (picture,), f"Where is object {n}?", "") for n in range(9)
    ]
    with serving(seconds=0.01) as server:
        model = create("openai:m", {"base_url": [server.base], "convention": "unit"})
        outputs = model.answer(questions, model.prepare(questions))
        model.close()
    assert [as_output(output).text for output in outputs] == [text_of(n) for n in range(9)]


def test_roborefers_own_server(tmp_path: Path) -> None:
    data = numbered_set(tmp_path, 3)
    with serving() as server:
        common = ["eval", "--data-json", str(data), "--model", f"roborefer-server:{server.url}/"]
        assert run([*common, "--output-json", str(tmp_path / "a.json")]) == 0
        assert set(server.paths) == {"/query"}
        records = {record["id"]: record for record in json.loads(data.read_text())}
        body = next(body for body in server.bodies if "object 2?" in body["text"])
        asked = records["sample-2"]
        files = [base64.b64encode(Path(path).read_bytes()).decode() for path in asked["image"]]
        assert body == {
            "image_url": files,
            "depth_url": [],
            "enable_depth": 0,
            "text": asked["conversations"][0]["value"],
        }
        assert [r["pred_text"] for r in results(tmp_path / "a.json")] == [
            text_of(n) for n in range(3)
        ]
        server.forget()
        assert run([*common, "--output-json", str(tmp_path / "b.json"), "--enable-depth"]) == 0
        assert {body["enable_depth"] for body in server.bodies} == {1}
        server.plan = lambda number, attempt: '{"result": 0}'
        arguments = [*common, "--output-json", str(tmp_path / "c.json"), "--retries", "1"]
        assert run(arguments) == 1
    assert "no text 'answer'" in results(tmp_path / "c.json")[0]["error"]


def test_roborefers_own_server_with_depth_maps(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    data = numbered_set(tmp_path, 1)
    paths = [Path(path) for path in json.loads(data.read_text())[0]["image"]]
    for path in paths:
        view = path.stem.removesuffix("_original")
        depth = tmp_path / "depth" / Path(*path.parent.parts[-3:]) / f"{view}_depth.png"
        depth.parent.mkdir(parents=True, exist_ok=True)
        metres = np.linspace(500, 4000, 32 * 24).astype(np.uint16).reshape(24, 32)
        Image.fromarray(metres).save(depth)
    with serving() as server:
        arguments = [
            "eval", "--data-json", data, "--output-json", tmp_path / "out.json",
            "--depth", tmp_path / "depth", "--model", f"roborefer-server:{server.url}",
        ]  # fmt: skip
        assert run([str(argument) for argument in arguments]) == 0
    (body,) = server.bodies
    assert body["enable_depth"] == 1
    maps = [Image.open(io.BytesIO(base64.b64decode(text))) for text in body["depth_url"]]
    assert [(picture.size, picture.mode) for picture in maps] == [((32, 24), "RGB")] * 2
    assert np.asarray(maps[0])[0, 0].tolist() == [255, 255, 255]  # the nearest


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "--base-url: name the server"),
        ({"base_url": "localhost:8000"}, "--base-url localhost:8000: not the URL"),
        ({"base_url": "http://u:p@host/v1"}, "keys belong in the environment"),
        ({"base_url": "http://host/v1?key=abc"}, "keys belong in the environment"),
        ({"base_url": "http://[host/v1"}, "not the URL"),
        ({"base_url": "http://host/v1/chat/completions/"}, "leave its last part out"),
        ({"convention": None}, "--convention: nothing says"),
        ({"concurrency": 0}, "--concurrency 0"),
        ({"timeout": 0}, "--timeout 0"),
        ({"timeout": "nan"}, "--timeout nan"),
        ({"retries": -1}, "--retries -1"),
        ({"extra_body": "{"}, "--extra-body: not JSON"),
        ({"extra_body": "[]"}, "--extra-body: must be a JSON object"),
        ({"extra_body": '{"messages": []}'}, "cannot override 'messages'"),
        ({"extra_body": '{"x": NaN}'}, "--extra-body: not JSON"),
        ({"extra_body": '{"key": "abcdefgh12"}'}, "--extra-body: holds the API key"),
        ({"api_key_env": "NO_SUCH_VARIABLE"}, "--api-key-env NO_SUCH_VARIABLE"),
        ({"api_key_env": "STRANGE_KEY"}, "STRANGE_KEY (environment): contains characters"),
        ({"max_pixels": 9000}, "use --max-image-pixels"),
        ({"convention": "qwen2.5-px", "max_image_pixels": 9000}, "use these"),
        ({"convention": "qwen2.5-px", "max_pixels": 100}, "--max-pixels 100"),
        ({"convention": "qwen2.5-px", "min_pixels": 0}, "--min-pixels 0"),
        ({"max_image_bytes": 1}, "--max-image-bytes 1"),
        ({"max_image_pixels": 1}, "--max-image-pixels 1"),
        ({"model": "openai"}, "openai:MODEL"),
        ({"model": "roborefer-server", "convention": None}, "name its URL"),
        ({"enable_depth": True}, "unknown option --enable-depth; its own are: --api-key-env"),
    ],
)
def test_options_that_cannot_be_used(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    says: str,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "abcdefgh12")
    monkeypatch.setenv("STRANGE_KEY", "sëcret\n1")
    data = make_set(tmp_path, 2)
    base = {} if options in ({}, {"model": "roborefer-server", "convention": None}) else {
        "base_url": "http://127.0.0.1:9/v1"
    }  # fmt: skip
    given = {"model": "openai:m", "convention": "unit", **base, **options}
    arguments = ["eval", "--data-json", str(data), "--output-json", str(tmp_path / "out.json")]
    for name, value in given.items():
        if value is not None:
            arguments += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "abcdefgh12" not in error
    assert "cret" not in error.replace("secret", "")
    assert not (tmp_path / "out.json").exists()

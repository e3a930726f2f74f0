"""``--cache``: answers of served models kept across runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.server_common import FaultyServer, chat, numbered_set, results, serving, text_of, x3
from x3spatial.models.servers import retrying

pytest.importorskip("openai")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_SECONDS", 0.01)


def asked_again(server: FaultyServer, data: Path, out: Path, **options: object) -> int:
    """How many requests a run takes."""
    server.forget()
    x3(data, out, server.base, retries=1, **options)
    return sum(server.asked.values())


def test_an_answer_is_paid_for_once(tmp_path: Path) -> None:
    data, cache = numbered_set(tmp_path, 20), tmp_path / "answers.sqlite"
    with serving() as server:
        assert asked_again(server, data, tmp_path / "a.json", cache=cache) == 20
        assert asked_again(server, data, tmp_path / "b.json", cache=cache) == 0
        first, second = results(tmp_path / "a.json"), results(tmp_path / "b.json")
        assert [entry["pred_text"] for entry in second] == [text_of(n) for n in range(20)]
        assert all(entry["details"]["cached"] for entry in second)
        assert not any("cached" in entry["details"] for entry in first)
        for entry in (*first, *second):
            for name in ("cached", "host", "attempts"):
                entry["details"].pop(name, None)
        assert first == second

        # Whatever decides an answer decides whether it is the same.
        assert asked_again(server, data, tmp_path / "c.json", cache=cache, seed=1) == 20
        assert asked_again(server, data, tmp_path / "d.json", cache=cache, max_new_tokens=8) == 20
        assert asked_again(server, data, tmp_path / "e.json", cache=cache, model="openai:n") == 20
        extra = '{"top_k": 1}'
        assert asked_again(server, data, tmp_path / "f.json", cache=cache, extra_body=extra) == 20
        assert asked_again(server, data, tmp_path / "g.json", cache=cache, max_image_pixels=784)
        assert asked_again(server, data, tmp_path / "h.json", cache=cache, convention="pixel") == 20
        picture = Path(json.loads(data.read_text())[0]["image"][0])
        picture.write_bytes(Path(json.loads(data.read_text())[0]["query_mask"]).read_bytes())
        changed = asked_again(server, data, tmp_path / "i.json", cache=cache)
        assert 0 < changed < 20


def test_only_whole_answers_are_kept(tmp_path: Path) -> None:
    data, cache = numbered_set(tmp_path, 5), tmp_path / "answers.sqlite"
    said = {0: json.dumps(chat("[(0.1", "length")), 1: "500", 2: "400", 3: "null"}
    with serving(lambda number, attempt: said.get(number, "ok")) as server:
        assert asked_again(server, data, tmp_path / "a.json", cache=cache) == 7
        server.plan = lambda number, attempt: "ok"
        assert asked_again(server, data, tmp_path / "b.json", cache=cache) == 4
        assert asked_again(server, data, tmp_path / "c.json", cache=cache) == 0


def test_servers_of_other_models_are_not_mixed(tmp_path: Path) -> None:
    data, cache = numbered_set(tmp_path, 3), tmp_path / "answers.sqlite"
    from x3spatial.cli import run

    with serving() as one, serving() as two:
        for server, count in ((one, 3), (two, 3), (one, 0)):
            server.forget()
            arguments = [
                "eval", "--data-json", data, "--output-json", tmp_path / "out.json", "--fresh",
                "--model", f"roborefer-server:{server.url}", "--cache", cache,
            ]  # fmt: skip
            assert run([str(argument) for argument in arguments]) == 0
            assert len(server.bodies) == count


def test_a_file_that_is_no_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = numbered_set(tmp_path, 3)
    notes = tmp_path / "notes.txt"
    notes.write_text("mine\n" * 500)
    with serving() as server:
        assert x3(data, tmp_path / "out.json", server.base, cache=notes) == 2
        assert not server.asked
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"x3: --cache {notes}: ") or f"--cache {notes}: " in error
    assert len(error.splitlines()) == 1
    assert notes.read_text() == "mine\n" * 500


@pytest.mark.parametrize("lost", [1, 2000, 4096])
def test_a_cache_that_was_cut_short_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: int
) -> None:
    data, cache = numbered_set(tmp_path, 40), tmp_path / "answers.sqlite"
    with serving() as server:
        assert x3(data, tmp_path / "a.json", server.base, cache=cache) == 0
        torn = cache.read_bytes()[:-lost]
        cache.write_bytes(torn)
        server.forget()
        assert x3(data, tmp_path / "b.json", server.base, cache=cache) == 2
        assert not server.asked
    assert f"--cache {cache}: cannot be used" in capsys.readouterr().err
    assert cache.read_bytes() == torn and not (tmp_path / "b.json").exists()

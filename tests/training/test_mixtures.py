"""Mixtures, their registry, and the order of samples."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from x3spatial.errors import UserError

from .common import write_data

from x3spatial.training.mixtures import list_data, read_registry, resolve_mixture  # isort: skip
from x3spatial.training.sampler import MixtureSampler  # isort: skip

REGISTRY = """
datasets:
  one: {data_path: one.json, image_folder: pictures, depth_folder: maps}
  two: {data_path: two.json, weight: 0.5}
  three: three.json
mixtures:
  pair: one + two*4
  all: pair+three
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.yaml").write_text(REGISTRY)
    write_data(tmp_path / "one.json", ["t1_visible", "text_only"])
    write_data(tmp_path / "two.json", ["t1_visible", "text_only"])
    return Path("data.yaml")


def test_expressions(registry: Path) -> None:
    known = read_registry(registry)
    (one,) = resolve_mixture("one", known)
    assert (one.data_path, one.image_folder, one.depth_folder) == (
        Path("one.json"), Path("pictures"), Path("maps"),
    )  # fmt: skip
    weights = {source.name: source.weight for source in resolve_mixture("all*2 + one*0.5", known)}
    assert weights == {"one": 2.5, "two": 4.0, "three": 2.0}
    (plain,) = resolve_mixture("some/where.json*3", None)
    assert (plain.data_path, plain.weight) == (Path("some/where.json"), 3.0)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "four",
            "'four' is neither a registered data set nor .* known are all, one, pair, three, two",
        ),
        ("one++two", "'' is not a data set"),
        ("one*0", r"'one\*0' is not a data set"),
    ],
)
def test_wrong_expressions(registry: Path, expression: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_mixture(expression, read_registry(registry))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets: [a]", "expected a mapping 'datasets'"),
        ("datasets: {a: {weight: 2}}", "data set 'a': needs a data_path"),
        ("datasets: {a: {data_path: x, wieght: 2}}", "unknown field 'wieght'"),
        ("datasets: {a: {data_path: x, weight: -1}}", "weight is -1"),
        ("datasets: {a: {data_path: x, weight: 1, repeat: 2}}", "weight or repeat"),
        ("datasets: {a: x}\nmixtures: {a: a}", "'a' is both"),
        ("datasets: {a: x}\nmixture: {b: a}", "unknown entry 'mixture'"),
        ("datasets: {a: [", "cannot be read as YAML"),
    ],
)
def test_wrong_registries(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"r\.yaml.*{message}"):
        read_registry(tmp_path / "r.yaml")


def test_a_mixture_in_itself(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("datasets: {a: x}\nmixtures: {m: a+n, n: m}")
    with pytest.raises(UserError, match="mixture 'm' contains itself"):
        resolve_mixture("m", read_registry(tmp_path / "r.yaml"))


def test_listing_counts_and_says_what_is_missing(registry: Path) -> None:
    rows = {row.name: row for row in list_data(registry)}
    assert [rows[name].samples for name in ("one", "two", "pair")] == [2, 1, 6]
    assert rows["all"].samples is None and "three.json" in str(rows["all"].problem)
    assert rows["pair"].problem is None


def test_every_record_is_seen_as_often_as_its_weight_says() -> None:
    sampler = MixtureSampler([10, 4, 6], [1, 2.5, 0.5], seed=3)
    halves = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        seen = Counter(sampler)
        assert len(sampler) == sum(seen.values()) == 10 + 10 + 3
        assert all(seen[index] == 1 for index in range(10))
        assert sorted(seen[index] for index in range(10, 14)) == [2, 2, 3, 3]
        halves.append({index for index in range(14, 20) if seen[index]})
        assert len(halves[-1]) == 3
    assert halves[0] != halves[1]


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = MixtureSampler([50], [1], seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in range(2) for epoch in range(2)}) == 4


def test_grouping_by_length_pads_less_and_loses_nothing() -> None:
    lengths = [(37 * index) % 101 for index in range(1003)]

    def padding(grouped: bool) -> int:
        sampler = MixtureSampler(
            [1003], [1], seed=0, lengths=lengths if grouped else None, batch_size=8
        )
        order = list(sampler)
        assert sorted(order) == list(range(1003))
        batches = [order[start : start + 8] for start in range(0, 1003, 8)]
        return sum(
            max(lengths[i] for i in b) * len(b) - sum(lengths[i] for i in b) for b in batches
        )

    assert padding(True) < padding(False) / 5

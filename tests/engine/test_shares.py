"""The environment of torchrun, and which samples a rank asks."""

from __future__ import annotations

from collections import Counter

import pytest

from x3spatial.engine.world import World, world_from_environment
from x3spatial.errors import UserError


def test_shares_are_whole_disjoint_and_stable() -> None:
    ids = [f"T1_MULTI_s{number}" for number in range(2000)]
    for world in (2, 3, 8):
        owners = [[rank for rank in range(world) if World(rank, world).owns(id)] for id in ids]
        assert all(len(owner) == 1 for owner in owners)
        counts = Counter(owner[0] for owner in owners)
        assert max(counts.values()) < 1.3 * 2000 / world
    assert [World(1, 2).owns(id) for id in ids[:4]] == [World(1, 2).owns(id) for id in ids[:4]]


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"RANK": "1"}, "WORLD_SIZE is not set"),
        ({"WORLD_SIZE": "2"}, "RANK is not set"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x'"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK 2: not a rank of WORLD_SIZE 2"),
        ({"RANK": "0", "WORLD_SIZE": "0"}, "not a rank"),
    ],
)
def test_an_invalid_environment_is_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        world_from_environment(environment=variables)


def test_one_process_is_no_world() -> None:
    assert world_from_environment(environment={}) is None
    assert world_from_environment(environment={"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert world_from_environment(5.0, {"RANK": "1", "WORLD_SIZE": "2"}) == World(1, 2, 5.0)
    for timeout in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match="--process-timeout"):
            world_from_environment(timeout, {})

"""The ordered map: order, prefetch, exceptions, and leaving early."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from x3spatial.engine.ordered import map_ordered


def counted(count: int, read: list[int]) -> Iterator[int]:
    for number in range(count):
        read.append(number)
        yield number


def test_results_keep_the_order_of_the_items() -> None:
    later = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert later.wait(30)  # ends after those that follow it
        if number == 2:
            later.set()
        return -number

    assert list(map_ordered(work, range(9), workers=3, ahead=5)) == [-n for n in range(9)]


@pytest.mark.parametrize("ahead", [1, 2, 4])
def test_no_more_than_ahead_is_read_before_it_is_consumed(ahead: int) -> None:
    read: list[int] = []
    results = map_ordered(lambda number: number, counted(9, read), workers=3, ahead=ahead)
    assert read == []
    for consumed, result in enumerate(results, start=1):
        assert result == consumed - 1
        assert len(read) == min(9, consumed + ahead)


def test_an_exception_is_raised_in_its_place_and_stops_the_rest() -> None:
    read: list[int] = []

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    results = map_ordered(work, counted(100, read), workers=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert list(results) == [] and len(read) == 3 + 4


def test_leaving_early_waits_for_what_is_under_way_and_drops_the_rest() -> None:
    begun, ended = [], []
    second, go = threading.Event(), threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number == 1:
            second.set()
            assert go.wait(30)
        ended.append(number)
        return number

    results = map_ordered(work, range(100), workers=1, ahead=10)
    assert next(results) == 0
    assert second.wait(30)
    threading.Timer(0.1, go.set).start()
    results.close()  # type: ignore[attr-defined] # it is a generator
    assert begun == ended == [0, 1]

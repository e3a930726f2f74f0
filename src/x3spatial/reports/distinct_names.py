"""Names that tell things apart, no longer than needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def shortest_distinct(forms: Sequence[Sequence[str]]) -> list[str]:
    """The first form of each that no other shares; the last one with a number if there is none."""
    chosen: list[str] = []
    levels = [0] * len(forms)
    for _ in range(max(map(len, forms), default=1)):
        chosen = [
            form[min(level, len(form) - 1)] for form, level in zip(forms, levels, strict=True)
        ]
        twice = {name for name in chosen if chosen.count(name) > 1}
        if not twice:
            break
        levels = [level + (name in twice) for level, name in zip(levels, chosen, strict=True)]
    return list(_numbered(chosen))


def _numbered(names: Iterable[str]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name} {seen[name]}"

"""Furnishing of a room: large furniture, pairs of possible targets, some clutter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from x3spatial.synth.world.catalogue import KINDS, Kind
from x3spatial.synth.world.placement import PlacedObject, Placer
from x3spatial.synth.world.room import Room, make_room

Rng = np.random.Generator


@dataclass(frozen=True)
class Layout:
    """A furnished room. Uids count from 1; 0 is the room itself."""

    room: Room
    objects: tuple[PlacedObject, ...]
    targets: tuple[int, ...]  # uids that may be removed, in order of preference


def _colour(rng: Rng, kind: Kind, taken: set[str]) -> str:
    free = [c for c in kind.colours if c not in taken]
    return str(rng.choice(free or list(kind.colours)))


def _furnish(placer: Placer, rng: Rng) -> None:
    """Place the large furniture: along walls, one group in the middle, then possible occluders."""

    def add(name: str, how: str, spread: float = 0.45) -> PlacedObject | None:
        kind = KINDS[name]
        colour = _colour(rng, kind, set())
        if how == "wall":
            return placer.against_wall(kind, colour)
        return placer.on_floor(kind, colour, spread, yaw_range=0.06)

    use = str(rng.choice(["living", "living", "dining", "study", "bedroom"]))
    wall = {
        "living": ["sofa", "cabinet", "bookshelf"],
        "dining": ["cabinet", "bookshelf", "sofa"],
        "study": ["desk", "bookshelf", "sofa", "cabinet"],
        "bedroom": ["bed", "cabinet", "desk"],
    }[use]
    for name in wall:
        if name == wall[0] or rng.random() < 0.85:
            add(name, "wall")
    if use == "living" and rng.random() < 0.4:
        add("sofa", "free")  # a sofa away from the walls can occlude objects
    if rng.random() < 0.75:
        kind = KINDS["rug"]
        placer.on_floor(kind, "beige", 0.4, yaw_range=0.12)
    middle = {"living": "coffee_table", "dining": "dining_table", "study": "side_table"}
    add(middle.get(use, "side_table"), "free")
    if rng.random() < 0.55:
        add("divider", "free", 0.9)
    if rng.random() < 0.3:
        add("bookshelf", "free", 0.9)
    if rng.random() < 0.6:
        add("armchair", "free", 0.85)
    if rng.random() < 0.5:
        add("side_table", "wall")
    if rng.random() < 0.65:
        add("floor_lamp", "wall")
    if rng.random() < 0.6:
        placer.on_wall(KINDS["wall_shelf"], "brown", 1.15, 1.45)


def _place(placer: Placer, rng: Rng, kind: Kind, colour: str) -> PlacedObject | None:
    if kind.mount == "wall":
        return placer.on_wall(kind, colour, 1.35, 1.75)
    if kind.mount in ("surface", "lean"):
        return placer.on_surface(kind, colour)
    tables = [t for t in placer.objects if t.kind.name in ("dining_table", "desk", "coffee_table")]
    if kind.name in ("chair", "stool") and tables and rng.random() < 0.65:
        table = tables[int(rng.integers(len(tables)))]
        placed = placer.beside(kind, colour, table)
        if placed is not None:
            return placed
    return placer.on_floor(
        kind, colour, yaw_range=0.5 if kind.name in ("carton", "ottoman") else None
    )


# Mounts of target pairs; repeats make one more frequent.
_MOUNTS = ("floor", "surface", "floor", "surface", "wall", "floor", "surface", "lean")


def _pairs(placer: Placer, rng: Rng, count: int) -> list[int]:
    """Place ``count`` kinds two or three times each, in different colours.

    Returns:
        The uids: one of each kind, then the others.
    """
    firsts: list[int] = []
    others: list[int] = []
    used: set[str] = set()
    start = int(rng.integers(2))
    for k in range(count * 4):
        if len(firsts) == count:
            break
        mount = _MOUNTS[(start + k) % len(_MOUNTS)]
        free = [
            n for n, kind in KINDS.items() if kind.target and kind.mount == mount and n not in used
        ]
        if not free:
            continue
        kind = KINDS[str(rng.choice(free))]
        used.add(kind.name)
        placed: list[PlacedObject] = []
        taken: set[str] = set()
        for _ in range(3 if rng.random() < 0.25 else 2):
            colour = _colour(rng, kind, taken)
            taken.add(colour)
            item = _place(placer, rng, kind, colour)
            if item is not None:
                item.pair = len(used)
                placed.append(item)
        if len(placed) >= 2:  # a single object would be identified by its kind alone
            firsts.append(placed[0].uid)
            others.extend(item.uid for item in placed[1:])
    return firsts + others


def make_layout(rng: Rng, objects: int) -> Layout:
    """Furnish a room with at least ``objects`` possible targets, if they can be placed."""
    placer = Placer(make_room(rng), rng)
    _furnish(placer, rng)
    targets = _pairs(placer, rng, min(10, max(4, objects)))
    used = {item.kind.name for item in placer.objects}
    clutter = [n for n in ("television", "table_lamp", "laptop", "painting", "bowl", "books", "mug",
                           "plant", "pot_plant", "carton") if n not in used]  # fmt: skip
    if "painting" in clutter:  # no bare walls
        for _ in range(2):
            placer.on_wall(KINDS["painting"], _colour(rng, KINDS["painting"], set()), 1.4, 1.75)
        clutter.remove("painting")
    for name in rng.permutation(clutter)[: int(rng.integers(3, 6))]:
        kind = KINDS[str(name)]
        _place(placer, rng, kind, _colour(rng, kind, set()))
    placer.objects.sort(key=lambda item: item.uid)
    free = tuple(uid for uid in targets if not placer.objects[uid - 1].carries)
    return Layout(placer.room, tuple(placer.objects), free)

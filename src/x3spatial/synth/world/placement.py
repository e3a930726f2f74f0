"""Places objects in a room without collisions.

The collision test on axis-aligned boxes is conservative. An object on a support is not tested against
its carrier; it stays within the support's rectangle and free height.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from x3spatial.arrays import Float64
from x3spatial.synth.world.catalogue import Kind
from x3spatial.synth.world.mesh import Mesh
from x3spatial.synth.world.model import Glow, Model, Support
from x3spatial.synth.world.room import Room, wall_yaw

Rng = np.random.Generator
GAP = 0.001  # metres between an object and its support, so that no two surfaces coincide


@dataclass
class PlacedObject:
    """An object in the room. ``carrier`` is the uid of its support (None: floor or wall)."""

    uid: int
    kind: Kind
    colour: str
    mesh: Mesh  # world frame
    box: Float64  # [2, 3] world, metres: least and greatest corner
    supports: tuple[Support, ...]  # world, axis-aligned
    glow: Glow | None
    carrier: int | None = None
    pair: int | None = None  # shared by objects of one kind that differ in colour
    carries: bool = False

    @property
    def label(self) -> str:
        """Label, such as "blue vase"; unique in the room for possible targets."""
        return f"{self.colour} {self.kind.noun}" if self.kind.target else self.kind.noun


def overlap(a: Float64, b: Float64, margin: float = 0.0) -> bool:
    """Return whether two boxes [2, 3] come closer than ``margin`` on all axes."""
    return bool(np.all(a[0] - margin < b[1]) and np.all(b[0] - margin < a[1]))


def _rotated(support: Support, yaw: float, at: Float64) -> Support:
    """Return a support in the world; off quarter turns the axis-aligned rectangle shrinks to fit."""
    quarter = round(yaw / (np.pi / 2))
    off = abs(yaw - quarter * np.pi / 2)
    c, s = np.cos(yaw), np.sin(yaw)
    mid = np.array([(support.x0 + support.x1) / 2, (support.y0 + support.y1) / 2])
    half = np.array([support.x1 - support.x0, support.y1 - support.y0]) / 2
    # Half sides for which the rectangle rotated by the small angle still fits.
    inset = np.array([half[0] - half[1] * np.sin(off), half[1] - half[0] * np.sin(off)])
    half = np.maximum(inset, 0.0)
    if quarter % 2:
        half = half[::-1]
    x, y = c * mid[0] - s * mid[1] + at[0], s * mid[0] + c * mid[1] + at[1]
    return Support(
        x - half[0], x + half[0], y - half[1], y + half[1],
        support.z + at[2], support.clear, support.lean,
    )  # fmt: skip


@dataclass
class Placer:
    """Places objects in a room one after another; each method returns None if no place was found."""

    room: Room
    rng: Rng
    objects: list[PlacedObject] = field(default_factory=list)

    def _make(self, kind: Kind, colour: str) -> Model:
        model = kind.maker(self.rng, colour)
        return model if kind.mount == "wall" else replace(model, mesh=model.mesh.grounded())

    def _fits(self, box: Float64, margin: float, carrier: int | None = None) -> bool:
        room = self.room
        if box[0, 0] < 0 or box[0, 1] < 0 or box[1, 0] > room.width or box[1, 1] > room.depth:
            return False
        if box[1, 2] > room.height - 0.3:
            return False
        if any(overlap(box, keep) for keep in room.keep_outs):
            return False
        for item in self.objects:
            if item.uid != carrier and item.kind.name != "rug" and overlap(box, item.box, margin):
                return False
        return True

    def _put(
        self, kind: Kind, colour: str, model: Model, yaw: float, at: Float64, carrier: int | None
    ) -> PlacedObject:
        mesh = model.mesh.moved(yaw, at)
        glow = model.glow
        if glow is not None:  # lamps are round, so yaw does not move their light
            x, y, z = (float(v) for v in np.asarray(glow.centre) + at)
            glow = Glow((x, y, z), glow.radius, glow.power)
        supports = tuple(_rotated(s, yaw, at) for s in model.supports)
        uid = len(self.objects) + 1
        item = PlacedObject(uid, kind, colour, mesh, mesh.box, supports, glow, carrier)
        if carrier is not None:
            self.objects[carrier - 1].carries = True
        self.objects.append(item)
        return item

    def _try(
        self, kind: Kind, colour: str, model: Model, yaw: float, at: Float64, margin: float,
        carrier: int | None = None,
    ) -> PlacedObject | None:  # fmt: skip
        box = model.mesh.moved(yaw, at).box
        if not self._fits(box, margin, carrier):
            return None
        return self._put(kind, colour, model, yaw, at, carrier)

    def against_wall(self, kind: Kind, colour: str, tries: int = 24) -> PlacedObject | None:
        """Place an object with its back to a wall."""
        model = self._make(kind, colour)
        box = model.mesh.box
        for _ in range(tries):
            wall = int(self.rng.integers(4))
            length = self.room.wall_length(wall)
            half = (box[1, 0] - box[0, 0]) / 2 + 0.03
            if 2 * half > length:
                continue
            along = self.rng.uniform(half, length - half)
            out = -box[0, 1] + self.rng.uniform(0.025, 0.06)
            at = np.array(self.room.on_wall(wall, along, out, GAP))
            placed = self._try(kind, colour, model, wall_yaw(wall), at, 0.08)
            if placed is not None:
                return placed
        return None

    def on_floor(
        self,
        kind: Kind,
        colour: str,
        spread: float = 1.0,
        yaw_range: float | None = None,
        tries: int = 40,
    ) -> PlacedObject | None:
        """Place an object on the floor.

        ``spread`` < 1 keeps it near the middle of the room. ``yaw_range`` limits its yaw to that many
        radians around quarter turns; None: any yaw.
        """
        model = self._make(kind, colour)
        margin = 0.0 if kind.name == "rug" else 0.08
        for _ in range(tries):
            if yaw_range is None:
                yaw = self.rng.uniform(-np.pi, np.pi)
            else:
                yaw = int(self.rng.integers(4)) * np.pi / 2 + self.rng.uniform(
                    -yaw_range, yaw_range
                )
            size = model.mesh.moved(yaw, (0, 0, 0)).box
            low, high = (
                -size[0, :2] + 0.04,
                np.array([self.room.width, self.room.depth]) - size[1, :2],
            )
            middle = (low + high) / 2
            at = middle + (self.rng.uniform(-1, 1, 2) * spread) * (high - 0.04 - middle)
            spot = np.array([at[0], at[1], GAP])
            placed = self._try(kind, colour, model, yaw, spot, margin)
            if placed is not None:
                return placed
        return None

    def beside(
        self, kind: Kind, colour: str, table: PlacedObject, tries: int = 12
    ) -> PlacedObject | None:
        """Place an object at a side of a table, facing the table."""
        model = self._make(kind, colour)
        half = (table.box[1] - table.box[0]) / 2
        middle = (table.box[1] + table.box[0]) / 2
        for _ in range(tries):
            side = int(self.rng.integers(4))
            outward = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)][side], np.float64)
            yaw = wall_yaw(side) + self.rng.uniform(-0.3, 0.3)
            size = model.mesh.moved(yaw, (0, 0, 0)).box
            reach = np.abs(outward) @ half[:2] + np.abs(outward) @ (size[1] - size[0])[:2] / 2
            slide = np.array([outward[1], outward[0]]) * self.rng.uniform(-0.6, 0.6)
            flat = middle[:2] + outward * (reach + self.rng.uniform(0.04, 0.2)) + slide * half[:2]
            at = np.array([flat[0], flat[1], GAP])
            placed = self._try(kind, colour, model, yaw, at, 0.02)
            if placed is not None:
                return placed
        return None

    def on_surface(self, kind: Kind, colour: str, tries: int = 40) -> PlacedObject | None:
        """Place an object on a table, shelf or cabinet, or lean it on a seat or bed."""
        model = self._make(kind, colour)
        wanted = kind.mount == "lean"
        places = [
            (item, k) for item in self.objects for k, s in enumerate(item.supports)
            if s.lean == wanted and not (item.kind.target and item.pair is not None)
        ]  # fmt: skip
        if not places:
            return None
        # The more objects a surface carries, the less likely it is chosen.
        load = np.array([sum(t.carrier == item.uid for t in self.objects) for item, _ in places])
        chance = 1.0 / (1.0 + load) ** 1.5
        for _ in range(tries):
            item, k = places[int(self.rng.choice(len(places), p=chance / chance.sum()))]
            support = item.supports[k]
            if wanted:
                yaw = self._seat_yaw(item) + self.rng.uniform(-0.2, 0.2)
            else:
                yaw = self.rng.uniform(-np.pi, np.pi)
                if kind.name in ("laptop", "television"):
                    yaw = self._seat_yaw(item) + self.rng.uniform(-0.12, 0.12)
            size = model.mesh.moved(yaw, (0, 0, 0)).box
            low = np.array([support.x0, support.y0]) - size[0, :2]
            high = np.array([support.x1, support.y1]) - size[1, :2]
            if np.any(high < low) or size[1, 2] + GAP > support.clear:
                continue
            flat = self.rng.uniform(low, high)
            at = np.array([flat[0], flat[1], support.z + GAP])
            placed = self._try(kind, colour, model, yaw, at, 0.015, item.uid)
            if placed is not None:
                return placed
        return None

    def _seat_yaw(self, item: PlacedObject) -> float:
        """Return the quarter turn (radians) in which ``item``'s front faces the middle of the room."""
        middle = (item.box[0] + item.box[1]) / 2
        gaps = [middle[1], self.room.width - middle[0], self.room.depth - middle[1], middle[0]]
        return wall_yaw(int(np.argmin(gaps)))

    def on_wall(
        self, kind: Kind, colour: str, low: float, high: float, tries: int = 30
    ) -> PlacedObject | None:
        """Hang an object on a wall, its centre between the heights ``low`` and ``high`` (metres)."""
        model = self._make(kind, colour)
        half = (model.mesh.box[1, 0] - model.mesh.box[0, 0]) / 2 + 0.1
        for _ in range(tries):
            wall = int(self.rng.integers(4))
            along = self.rng.uniform(half, self.room.wall_length(wall) - half)
            at = np.array(self.room.on_wall(wall, along, 0.002, self.rng.uniform(low, high)))
            placed = self._try(kind, colour, model, wall_yaw(wall), at, 0.06)
            if placed is not None:
                return placed
        return None

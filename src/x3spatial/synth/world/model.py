"""What a furniture maker hands back: a mesh, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass

from x3spatial.synth.world.mesh import Mesh, Vec


@dataclass(frozen=True)
class Support:
    """A level rectangle that can carry smaller things (object frame, metres).

    ``clear`` is the free height above it; ``lean`` is set where cushions may stand.
    """

    x0: float
    x1: float
    y0: float
    y1: float
    z: float
    clear: float = 0.8
    lean: bool = False


@dataclass(frozen=True)
class Glow:
    """A lamp's light: a sphere around ``centre`` (object frame) that shines through its shade."""

    centre: Vec
    radius: float
    power: float


@dataclass(frozen=True)
class Model:
    """One thing in its own frame."""

    mesh: Mesh
    supports: tuple[Support, ...] = ()
    glow: Glow | None = None

"""The result of an object maker: a mesh, its support surfaces and its light."""

from __future__ import annotations

from dataclasses import dataclass

from x3spatial.synth.world.mesh import Mesh, Vec


@dataclass(frozen=True)
class Support:
    """A horizontal rectangle that can carry smaller objects (object frame, metres).

    ``clear`` is the free height above it; ``lean`` marks seats and beds, where cushions lean.
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
    """The light of a lamp: a sphere inside its shade, which does not block it (object frame, metres)."""

    centre: Vec
    radius: float
    power: float


@dataclass(frozen=True)
class Model:
    """One object in the object frame (``mesh``)."""

    mesh: Mesh
    supports: tuple[Support, ...] = ()
    glow: Glow | None = None

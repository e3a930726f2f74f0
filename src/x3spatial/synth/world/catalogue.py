"""Catalogue of object kinds: maker, placement, colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from x3spatial.synth.world import floor_props, furniture, tabletop
from x3spatial.synth.world.model import Model
from x3spatial.synth.world.palette import COLOURS

Maker = Callable[[np.random.Generator, str], Model]

_ANY = tuple(COLOURS)
_NOT_BLACK = tuple(c for c in COLOURS if c != "black")
_CLOTH = tuple(c for c in COLOURS if c not in ("black", "white"))


@dataclass(frozen=True)
class Kind:
    """One kind of object.

    ``mount`` is floor, surface, lean or wall. ``noun`` names the kind in labels. ``target`` kinds are
    small and carry no other objects, so that one can be removed.
    """

    name: str
    noun: str
    mount: str
    maker: Maker
    colours: tuple[str, ...] = _ANY
    target: bool = False


_ALL = (
    Kind("sofa", "sofa", "floor", furniture.sofa, _CLOTH),
    Kind("armchair", "armchair", "floor", furniture.armchair, _CLOTH),
    Kind("dining_table", "dining table", "floor", furniture.dining_table),
    Kind("coffee_table", "coffee table", "floor", furniture.coffee_table),
    Kind("side_table", "side table", "floor", furniture.side_table),
    Kind("bookshelf", "bookshelf", "floor", furniture.bookshelf),
    Kind("cabinet", "cabinet", "floor", furniture.cabinet),
    Kind("desk", "desk", "floor", furniture.desk),
    Kind("bed", "bed", "floor", furniture.bed, _CLOTH),
    Kind("divider", "folding screen", "floor", furniture.divider, _CLOTH),
    Kind("floor_lamp", "floor lamp", "floor", furniture.floor_lamp),
    Kind("rug", "rug", "floor", tabletop.rug),
    Kind("chair", "chair", "floor", furniture.chair, _ANY, True),
    Kind("stool", "stool", "floor", furniture.stool, _ANY, True),
    Kind("ottoman", "ottoman", "floor", furniture.ottoman, _CLOTH, True),
    Kind("plant", "potted plant", "floor", floor_props.plant, _ANY, True),
    Kind("ball", "ball", "floor", floor_props.ball, _ANY, True),
    Kind("basket", "basket", "floor", floor_props.basket, _NOT_BLACK, True),
    Kind("carton", "box", "floor", floor_props.carton, _NOT_BLACK, True),
    Kind("suitcase", "suitcase", "floor", floor_props.suitcase, _ANY, True),
    Kind("vase", "vase", "surface", tabletop.vase, _ANY, True),
    Kind("mug", "mug", "surface", tabletop.mug, _ANY, True),
    Kind("bowl", "bowl", "surface", tabletop.bowl, _ANY, True),
    Kind("bottle", "bottle", "surface", tabletop.bottle, _ANY, True),
    Kind("teapot", "teapot", "surface", tabletop.teapot, _ANY, True),
    Kind("books", "stack of books", "surface", tabletop.books, _NOT_BLACK, True),
    Kind("pot_plant", "small plant", "surface", tabletop.pot_plant, _ANY, True),
    Kind("laptop", "laptop", "surface", tabletop.laptop, ("grey", "black", "white")),
    Kind("television", "television", "surface", tabletop.television, ("black",)),
    Kind("table_lamp", "table lamp", "surface", tabletop.table_lamp, _ANY),
    Kind("cushion", "cushion", "lean", tabletop.cushion, _CLOTH, True),
    Kind("painting", "framed picture", "wall", tabletop.painting, _ANY, True),
    Kind("clock", "wall clock", "wall", tabletop.clock, _ANY, True),
    Kind("wall_shelf", "wall shelf", "wall", tabletop.wall_shelf),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}

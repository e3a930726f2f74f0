"""Input and output types of tasks: an object in several views, and the samples drafted from them.

Tasks draft samples without file access; the builder writes the images of a draft and turns it into a record.
"""

from __future__ import annotations

from dataclasses import dataclass

from x3spatial.arrays import Bool
from x3spatial.tasks.ground_truth import Target


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One usable view of an object."""

    rank: str
    frame: str
    size: tuple[int, int]
    """(W, H) of the original."""
    mask: Bool
    """``[H, W]``: the selected mask, tight or dilated."""
    target: Target | None
    """The ground-truth point of the mask; None where the object is not visible."""
    has_inpainted: bool

    @property
    def name(self) -> str:
        """Rank and frame, as in sample ids."""
        return f"{self.rank}{self.frame}"


@dataclass(frozen=True, slots=True, eq=False)
class SpatialObject:
    """An object of a scene and its usable views in rank order."""

    scene: str
    uid: str
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class Original:
    """A view's original image, unchanged."""

    view: View


@dataclass(frozen=True, slots=True)
class Inpainted:
    """A view's image with the object removed, unchanged."""

    view: View


@dataclass(frozen=True, slots=True)
class Marked:
    """A view's original with a red overlay on the object."""

    view: View


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two originals in one image, the reference on the left."""

    reference: View
    query: View


Source = Original | Inpainted | Marked | SideBySide


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One sample whose images have not been written yet."""

    id: str
    task: str
    images: tuple[Source, ...]
    reference: View
    query: View
    question: str
    prompt: str
    answer: str
    reference_point: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """The (reference, query) pairs of an object, and the number of pairs with an empty reference mask."""

    pairs: tuple[tuple[View, View], ...]
    empty_references: int


def pair_views(item: SpatialObject, mode: str, anchor_rank: int) -> Pairs:
    """Pair references with queries.

    ``anchor``: the view of rank ``anchor_rank`` with every other view. ``allpairs``: every ordered
    pair. Pairs whose reference mask is empty are left out and counted, because nothing would be marked.
    """
    references = item.views
    if mode == "anchor":
        references = tuple(view for view in item.views if int(view.rank) == anchor_rank)
    candidates = [(a, b) for a in references for b in item.views if a is not b]
    pairs = tuple((a, b) for a, b in candidates if a.target is not None)
    return Pairs(pairs, len(candidates) - len(pairs))

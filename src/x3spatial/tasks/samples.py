"""What a task is made of: an object seen from several views, and samples drafted from them.

Tasks draft samples from these types without touching a disk; ``build`` turns a draft's image sources
into files and the draft into a record.
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
    """[H, W]: the mask in use, tight or dilated."""
    target: Target | None
    """The ground-truth point of the mask; None where the object is not visible."""
    has_inpainted: bool

    @property
    def name(self) -> str:
        """Rank and frame, as sample ids spell them."""
        return f"{self.rank}{self.frame}"


@dataclass(frozen=True, slots=True, eq=False)
class SpatialObject:
    """An object of a scene and its usable views in rank order."""

    scene: str
    uid: str
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class Original:
    """A view's original image, as it is on disk."""

    view: View


@dataclass(frozen=True, slots=True)
class Inpainted:
    """A view's image with the object removed, as it is on disk."""

    view: View


@dataclass(frozen=True, slots=True)
class Marked:
    """A view's original with the object under a red overlay."""

    view: View


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two originals in one image, the reference on the left."""

    reference: View
    query: View


Source = Original | Inpainted | Marked | SideBySide


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One sample before its images have paths."""

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
    """The (reference, query) pairs of an object, and how many had a reference that shows nothing."""

    pairs: tuple[tuple[View, View], ...]
    empty_references: int
    anchor_missing: bool = False


def pair_views(item: SpatialObject, mode: str, anchor_rank: int) -> Pairs:
    """Pair references with queries.

    ``anchor``: the view of rank ``anchor_rank`` with every other view. ``allpairs``: every ordered
    pair. A reference whose mask is empty marks nothing, so its pairs are counted and left out.
    """
    references = item.views
    if mode == "anchor":
        references = tuple(view for view in item.views if int(view.rank) == anchor_rank)
        if not references:
            return Pairs((), 0, anchor_missing=True)
    candidates = [(a, b) for a in references for b in item.views if a is not b]
    pairs = tuple((a, b) for a, b in candidates if a.target is not None)
    return Pairs(pairs, len(candidates) - len(pairs))

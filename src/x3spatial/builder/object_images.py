"""The images of one object: those of the data root, and those that the build writes."""

from __future__ import annotations

from x3spatial.arrays import Bool, UInt8
from x3spatial.builder.jobs import ObjectJob
from x3spatial.builder.pair_images import recolour
from x3spatial.builder.render import crop_reference, mark, side_by_side
from x3spatial.errors import UserError
from x3spatial.formats.image_paths import CONCAT, MARKED, PAIRS
from x3spatial.inpainting import InpaintingError, inpaint
from x3spatial.io.files import write_bytes
from x3spatial.io.images import encode_jpeg, encode_png
from x3spatial.roots.views import LoadedView
from x3spatial.tasks.samples import (
    Inpainted,
    Marked,
    Original,
    PairImage,
    SideBySide,
    Source,
    View,
)


class ObjectImages:
    """Maps image sources to paths; renders and writes each image that is not in the data root once."""

    def __init__(
        self, job: ObjectJob, views: dict[int, LoadedView], decoys: dict[int, Bool]
    ) -> None:
        self._job = job
        self._views = views
        self._decoys = decoys
        self._paths: dict[Source, str] = {}
        self._folders: set[str] = set()
        """Kinds of images whose folder exists."""
        self.written: dict[str, int] = {}

    def loaded(self, view: View) -> LoadedView:
        """The files and pixels of a view."""
        return self._views[id(view)]

    def path(self, source: Source) -> str:
        """The file of an image, which is written on first use if the data root does not have it."""
        if source not in self._paths:
            self._paths[source] = self._make(source)
        return self._paths[source]

    def _make(self, source: Source) -> str:
        match source:
            case Original(view):
                return str(self.loaded(view).files.files["original"])
            case Inpainted(view):
                return str(self.loaded(view).files.files["inpainted"])
            case Marked(view):
                image = mark(self.loaded(view).pixels(), view.mask, self._job.options.alpha)
                times = self._job.options.crop_reference
                if times is not None:
                    image = crop_reference(image, view.mask, times, self._crop_seed(view))
                name = f"{view.rank}_{view.frame}_marked.png"
                return self._write(MARKED, name, encode_png(image))
            case SideBySide(reference, query):
                image = side_by_side(self.loaded(reference).pixels(), self.loaded(query).pixels())
                name = f"{reference.name}_to_{query.name}_concat.jpg"
                data = encode_jpeg(image, self._job.options.jpeg_quality)
                return self._write(CONCAT, name, data)
            case PairImage(view, role):
                name = f"{view.rank}_{view.frame}_{role}.jpg"
                data = encode_jpeg(self._of_pair(view, role), self._job.options.jpeg_quality)
                return self._write(PAIRS, name, data)

    def _of_pair(self, view: View, role: str) -> UInt8:
        """An image of a pair that may be unchanged; both second images are recoloured alike."""
        loaded = self.loaded(view)
        if role == "before":
            return loaded.pixels()
        image = loaded.removed_pixels() if role == "removed" else loaded.pixels()
        if role == "same" and id(view) in self._decoys:
            image = self._fill(image, self._decoys[id(view)])
        return recolour(image, self._job.seed(view, "recolour"))

    def _fill(self, image: UInt8, hole: Bool) -> UInt8:
        engine = self._job.options.decoy_engine
        try:
            return inpaint(image, hole, engine)
        except InpaintingError as error:
            raise UserError(f"--decoy-engine {engine}: {error.reason}") from None

    def _crop_seed(self, view: View) -> int:
        # "closeup" is the option's first name. It decides which crops are drawn, so it must not change.
        return self._job.seed(view, "closeup")

    def _write(self, kind: str, name: str, data: bytes) -> str:
        key = self._job.files.key
        relative = f"{kind}/{key}/{name}"
        path = (self._job.images_dir or self._job.out_dir) / relative
        if kind not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(kind)
        write_bytes(path, data)
        self.written[relative] = len(data)
        return str(self._job.out_dir / relative)

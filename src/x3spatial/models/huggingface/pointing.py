"""Models that point with special tokens: MolmoPoint.

Its points are not in the text. The processor returns how the tokens of the images are pooled and where their
patches lie (``return_pointing_metadata``); ``generate`` needs the logits processor that the model builds from
the inputs, because it decides which pointing token may follow; and the model decodes the generated text with
what the processor returned (``extract_image_points``). All of that is code of the checkpoint, which runs with
``--trust-remote-code`` only; the calls are those of the model card of allenai/MolmoPoint-8B.

Questions are asked one by one: the cards show what the processor returns for one conversation only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from x3spatial.conventions.molmo_point import MOLMO_POINT, points_text
from x3spatial.errors import UserError
from x3spatial.models.huggingface.folder import Folder
from x3spatial.tasks.question import Size

MODEL_TYPES = frozenset({"molmo_point"})
ARGUMENTS: Mapping[str, Any] = {"return_pointing_metadata": True}
"""Further arguments of ``apply_chat_template``."""
_METADATA = "metadata"
_PARTS = ("token_pooling", "subpatch_mapping", "image_sizes")
_METHODS = ("build_logit_processor_from_inputs", "extract_image_points")
_THOUSAND = 1000.0


@dataclass(frozen=True, slots=True)
class Pointing:
    """What the decoding of the points of one conversation needs."""

    parts: tuple[Any, ...]
    """``_PARTS`` of the processor's metadata."""

    @classmethod
    def taken_from(cls, inputs: dict[str, Any]) -> Pointing:
        """Take the metadata out of the inputs of ``generate``, which does not accept it.

        Raises:
            ValueError: the processor returned none.
        """
        found = inputs.pop(_METADATA, None)
        missing = [name for name in _PARTS if not isinstance(found, Mapping) or name not in found]
        if missing or not isinstance(found, Mapping):
            raise ValueError(
                f"the processor returned no {' and no '.join(missing)} to decode points with"
            )
        return cls(tuple(found[name] for name in _PARTS))

    def text(self, model: Any, generated: str, sizes: Sequence[Size]) -> str:
        """The answer with its points in numbers; the generated text if it has none.

        Args:
            model: the model, whose code decodes its tokens.
            generated: the generated text with its special tokens.
            sizes: (W, H) of each image as it was sent, in whose pixels the points are decoded.

        Raises:
            ValueError: a point lies in an image that there is not.
        """
        decoded = model.extract_image_points(generated, *self.parts)
        points = []
        for number, image, x, y in ([float(value) for value in point] for point in decoded):
            if not 0 <= image < len(sizes):
                raise ValueError(f"a decoded point lies in image {image:g} of {len(sizes)}")
            width, height = sizes[int(image)]
            points.append(
                (int(image) + 1, int(number), x / width * _THOUSAND, y / height * _THOUSAND)
            )
        return points_text(points) or generated


def generation_arguments(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Further arguments of ``generate``."""
    return {"logits_processor": model.build_logit_processor_from_inputs(inputs)}


def check_pointing(model: Any, folder: Folder) -> None:
    """Check that the model's code has what decoding needs.

    Raises:
        UserError: a method is missing; the folder's code is of another version.
    """
    missing = [name for name in _METHODS if not callable(getattr(model, name, None))]
    if missing:
        raise UserError(
            f"--model hf:{folder.given}: its code has no {' and no '.join(missing)}, which the points of"
            f" {folder.model_type} are decoded with; take the code of allenai/MolmoPoint-8B"
        )


def points_by_tokens(folder: Folder, convention: str) -> bool:
    """Whether the answers of a model are decoded here: its type points by tokens.

    Raises:
        UserError: another convention was chosen for such a model.
    """
    if folder.model_type not in MODEL_TYPES:
        return False
    if convention != MOLMO_POINT.name:
        raise UserError(
            f"--convention {convention}: hf:{folder.given} points with special tokens, which are written"
            f" down as {MOLMO_POINT.name}; leave the option out"
        )
    return True

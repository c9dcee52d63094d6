"""The label map of a dataset: the given one, or every label that was drawn, in the order of the names."""

from collections.abc import Iterable

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError, MissingKey
from slipway.store.interface import ObjectStore


def given_label_map(asked: str | None, source: ObjectStore) -> LabelMap | None:
    """Read the label map that the run asks for: its text, or the key of a `.pbtxt` in the source.

    Raises:
      InputError: There is no such key, or it is no label map.
    """
    if asked is None:
        return None
    if "{" in asked:
        return LabelMap.parse(asked)
    try:
        return LabelMap.parse(source.read(asked).decode(), asked)
    except MissingKey as error:
        raise InputError(f"label map {asked}: not in {source.url}; give its path inside that folder") from error
    except UnicodeDecodeError as error:
        raise InputError(f"label map {asked}: is no text: {error}") from error


def label_map(images: Iterable[AnnotatedImage], given: LabelMap | None) -> LabelMap:
    """Take the given label map, or number every label that was drawn.

    Raises:
      InputError: No box is left, so there is nothing to learn.
    """
    labels = LabelMap.of(labeled.label for image in images for labeled in image.boxes)
    if not labels.names:
        raise InputError("no image has a box that can be used; draw boxes with labelImg first")
    return given or labels

"""The label map of a dataset: the given one, or one of all labels of its boxes, in alphabetical order."""

from collections.abc import Iterable

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.labels import LabelMap
from slipway.errors import InputError, MissingKey
from slipway.store.interface import ObjectStore


def read_given_label_map(text_or_key: str | None, source: ObjectStore) -> LabelMap | None:
    """Read the label map that the run asks for.

    Args:
      text_or_key: The text of a label map, or the key of a `.pbtxt` in the source.

    Raises:
      InputError: The source has no such key, or it is not a label map.
    """
    if text_or_key is None:
        return None
    if "{" in text_or_key:
        return LabelMap.parse(text_or_key)
    try:
        return LabelMap.parse(source.read(text_or_key).decode(), text_or_key)
    except MissingKey as error:
        raise InputError(f"label map {text_or_key}: not in {source.url}; give its path inside that folder") from error
    except UnicodeDecodeError as error:
        raise InputError(f"label map {text_or_key}: is not text: {error}") from error


def label_map(images: Iterable[AnnotatedImage], given_labels: LabelMap | None) -> LabelMap:
    """Return the given label map, or number the labels of all boxes.

    Raises:
      InputError: No image has a box, so there is nothing to learn.
    """
    labels = LabelMap.from_labels(labeled_box.label for image in images for labeled_box in image.boxes)
    if not labels.names:
        raise InputError("no image has a box that can be used; draw boxes with labelImg first")
    return given_labels or labels

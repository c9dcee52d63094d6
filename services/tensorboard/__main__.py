"""``python -m services.tensorboard``: TensorBoard with its own options, over runs in the store.

It reads `s3://` by itself, but not with TensorFlow beside it, whose file systems know no S3: the import is barred, and
it falls back to its own.
"""

import sys


def main() -> None:
    sys.modules["tensorflow"] = None  # type: ignore[assignment]

    from tensorboard.main import run_main

    from services.tensorboard.reading import outlive_failures

    outlive_failures()
    run_main()


if __name__ == "__main__":
    main()

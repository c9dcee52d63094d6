"""``python -m services.tensorboard``: TensorBoard on the runs in the store, with its own options.

TensorBoard reads `s3://` itself, but not where it can import TensorFlow, whose file systems lack S3. The import is
therefore blocked, and TensorBoard falls back to its own file systems.
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

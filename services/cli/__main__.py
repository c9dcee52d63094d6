"""``python -m services.cli``: the `slipway` command, where it is not installed as a program."""

from services.cli.main import main

if __name__ == "__main__":
    main()

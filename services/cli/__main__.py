"""``python -m services.cli``: the `slipway` command, for use where the program is not installed."""

from services.cli.main import main

if __name__ == "__main__":
    main()

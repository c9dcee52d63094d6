"""The `slipway` command; each module is imported by the command that needs it, so that `--help` answers at once."""

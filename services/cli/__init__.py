"""The `slipway` command; each command imports its module when it is called, so that `--help` answers at once."""

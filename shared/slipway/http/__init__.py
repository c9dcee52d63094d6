"""What every server of Slipway does alike: tokens, problems, limits, one log line a request."""

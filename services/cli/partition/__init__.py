"""`slipway partition`: the splits of a dataset as folders of files."""

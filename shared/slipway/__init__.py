"""The library that two or more services share, and the contracts between them."""

from typing import Final

API_VERSION: Final = "slipway.dev/v1alpha1"

"""What two or more of the services need; the contracts they meet by."""

from typing import Final

API_VERSION: Final = "slipway.dev/v1alpha1"

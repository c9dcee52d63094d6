"""The shapes of the presets' variables, compared with the models that TensorFlow builds."""

import pytest

from tests.networks import FILE, networks, text

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_shapes_are_those_of_the_models():
    assert FILE.read_text() == text(networks()), "run make networks"

"""Errors of Model Garden about a configuration; the configuration itself is tested with TensorFlow."""

import pytest

from slipway.errors import InputError, SpecError

from services.trainer.pipeline_config import user_errors


def test_error_of_a_configuration_of_ones_own_is_the_users():
    message = (
        r"^Model Garden cannot use the configuration of this run: KeyError: .*level 9.*; "
        r"correct train.overrides \(--set\) or the preset$"
    )
    with pytest.raises(SpecError, match=message), user_errors(is_customized=True):
        raise KeyError("no\n  level 9")


def test_error_of_a_built_in_configuration_is_a_bug():
    with pytest.raises(KeyError, match="level 9"), user_errors(is_customized=False):
        raise KeyError("level 9")


def test_error_that_names_its_cause_stays_as_it_is():
    with pytest.raises(InputError, match=r"^no checkpoint$"), user_errors(is_customized=True):
        raise InputError("no checkpoint")

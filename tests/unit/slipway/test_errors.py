import pytest

from slipway import errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError, 65),
        (errors.AnnotationError, 65),
        (errors.SpecError, 65),
        (errors.StoreRefused, 65),
        (errors.TransientError, 75),
        (errors.StoreUnavailable, 75),
        (errors.Stopped, 75),
        (errors.MissingKey, 1),
        (errors.SlipwayError, 1),
    ],
)
def test_the_branch_decides_the_exit_code(error, code):
    assert error("x").exit_code == code


@pytest.mark.parametrize("error", [errors.MissingKey, errors.StoreRefused, errors.SpecError])
def test_an_error_reads_as_its_message(error):
    assert str(error("a/b: no such key")) == "a/b: no such key"


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.StoreRefused, PermissionError),
        (errors.TransientError, RuntimeError),
        (errors.MissingKey, KeyError),
    ],
)
def test_an_error_is_also_the_builtin_it_resembles(error, builtin):
    assert issubclass(error, builtin)


def test_the_tree_in_the_docstring_names_every_error():
    classes = [name for name, value in vars(errors).items() if isinstance(value, type)]
    assert [name for name in classes if name not in (errors.__doc__ or "")] == []

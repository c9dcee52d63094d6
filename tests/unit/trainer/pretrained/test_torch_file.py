"""Weight files are read without PyTorch, and a pickle that does anything else is refused before it does it."""

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from slipway.errors import InputError
from tests.fakes.torch_files import MAGIC, PROTOCOL, SYSTEM, Storage, Tensor, storage, weight_file

from services.trainer.pretrained.torch_file import read_tensors

SIX = storage("7", [0, 1, 2, 3, 4, 5])
HEADER = b"".join(pickle.dumps(part, protocol=2) for part in (MAGIC, PROTOCOL, SYSTEM))


def read(content):
    return read_tensors(content, "weights.pth")


def assert_refused(content, reason):
    with pytest.raises(InputError, match=rf"^weights\.pth: .*{reason}.*; expected a legacy PyTorch file of weights$"):
        read(content)


def test_tensors_come_by_name_with_shape_and_type():
    counter = storage("8", [2**40], "LongStorage")
    content = weight_file({"a": Tensor(SIX, (2, 3), (3, 1)), "n": Tensor(counter, (), ())}, SIX, counter)
    tensors = read(content)
    assert list(tensors) == ["a", "n"]
    np.testing.assert_array_equal(tensors["a"], np.array([[0, 1, 2], [3, 4, 5]], np.float32), strict=True)
    np.testing.assert_array_equal(tensors["n"], np.array(2**40), strict=True)


def test_strides_of_a_transposed_tensor_are_respected():
    tensors = read(weight_file({"a": Tensor(SIX, (2, 3), (1, 2))}, SIX))
    assert tensors["a"].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_offset_begins_within_the_storage():
    tensors = read(weight_file({"a": Tensor(SIX, (2,), (2,), offset=1)}, SIX))
    assert tensors["a"].tolist() == [1, 3]


def test_two_tensors_may_share_a_storage():
    tensors = read(weight_file({"a": Tensor(SIX, (3,), (1,)), "b": Tensor(SIX, (3,), (1,), offset=3)}, SIX))
    assert (tensors["a"].tolist(), tensors["b"].tolist()) == ([0, 1, 2], [3, 4, 5])


class Call:
    """Pickled as a call of any function."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("part", ["header", "tensors", pytest.param("keys", id="list-of-storages")])
def test_pickle_that_calls_another_function_is_refused_and_the_function_is_not_called(tmp_path, part):
    call = pickle.dumps(Call(os.mkdir, str(tmp_path / "called")), protocol=2)
    content = {"header": call, "tensors": HEADER + call, "keys": HEADER + pickle.dumps(OrderedDict(), 2) + call}[part]
    assert_refused(content, r"its pickle calls (posix|nt)\.mkdir, allowed are collections\.OrderedDict, torch\._utils")
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    "name", ["os system", "builtins eval", "builtins getattr", "torch load", "torch._utils _rebuild_parameter"]
)
def test_any_other_name_is_refused(name):
    module, function = name.split()
    assert_refused(HEADER + f"c{module}\n{function}\n.".encode(), rf"calls {module}\.{function}, allowed are")


@pytest.mark.parametrize("name", ["torch FloatStorage", "torch._utils _rebuild_tensor_v2", "collections OrderedDict"])
def test_pickle_cannot_set_attributes_of_an_allowed_name(name):
    module, function = name.split()
    for state in (
        b"}X\x05\x00\x00\x00dtypeX\x03\x00\x00\x00<f8s",
        b"N}X\x05\x00\x00\x00dtypeX\x03\x00\x00\x00<f8s\x86",
    ):
        assert_refused(HEADER + f"c{module}\n{function}\n".encode() + state + b"b.", "its pickle is damaged")


def test_reference_to_anything_else_than_a_storage_is_refused():
    assert_refused(HEADER + b"X\x05\x00\x00\x00otherQ.", "refers to 'other', expected a storage")


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        pytest.param((2, 3), (3, 2), 0, id="last-number-outside"),
        pytest.param((2, 3), (3, 1), 1, id="offset-too-large"),
        pytest.param((7,), (0,), 0, id="more-numbers-than-the-storage"),
        pytest.param((10**30,), (0,), 0, id="enormous"),
        pytest.param((2,), (-1,), 3, id="negative-stride"),
        pytest.param((2,), (1,), -8, id="negative-offset"),
        pytest.param((-2, -3), (3, 1), 0, id="negative-shape"),
        pytest.param((2.0,), (1,), 0, id="fraction"),
        pytest.param((2, 3), (1,), 0, id="a-stride-is-missing"),
        pytest.param([2], [1], 0, id="lists"),
    ],
)
def test_tensor_that_leaves_its_storage_is_refused_by_name(shape, strides, offset):
    assert_refused(weight_file({"a": Tensor(SIX, shape, strides, offset)}, SIX), "tensor a has offset")


def test_tensors_that_repeat_a_storage_are_refused():
    tensors = {f"t{number}": Tensor(SIX, (6,), (1,)) for number in range(2)}
    assert_refused(weight_file(tensors, SIX), "its tensors have more numbers than its storages")


def test_storage_of_another_length_is_refused():
    declared = Storage("7", "FloatStorage", [1, 2], 3)
    assert_refused(weight_file({"a": Tensor(declared, (3,), (1,))}, declared), "storage 7 has 2 numbers, .* expect 3")


def test_storage_with_two_types_is_refused():
    tensors = {"a": Tensor(SIX, (3,), (1,)), "b": Tensor(SIX._replace(type_name="LongStorage"), (3,), (1,))}
    assert_refused(weight_file(tensors, SIX), "storage 7 has two types or sizes")


def test_storage_that_is_not_listed_is_refused():
    assert_refused(weight_file({"a": Tensor(SIX, (6,), (1,))}), "its list of storages differs")


@pytest.mark.parametrize("length", [1, 10, 60, 200, -1, -24])
def test_file_that_is_cut_is_refused(length):
    content = weight_file({"a": Tensor(SIX, (6,), (1,))}, SIX)
    assert_refused(content[:length], "(damaged|ends at byte|has .* numbers)")


def test_bytes_after_the_end_are_refused():
    assert_refused(weight_file({"a": Tensor(SIX, (6,), (1,))}, SIX) + b"12", "2 bytes follow its last storage")


@pytest.mark.parametrize(
    "header", [{"magic": 1}, {"system": {"little_endian": False}}, {"system": []}], ids=["magic", "endian", "system"]
)
def test_another_header_is_refused(header):
    assert_refused(weight_file({}, **header), "does not begin with PyTorch's magic number")


def test_pickle_of_something_else_than_tensors_is_refused():
    empty = pickle.dumps([], 2)
    assert_refused(HEADER + empty + empty, "it holds a list, expected tensors by name")
    assert_refused(HEADER + pickle.dumps({"a": 1}, 2) + empty, "its entry 'a' is not a tensor")
    assert_refused(HEADER + pickle.dumps({1: None}, 2) + empty, "its entry '1' is not a tensor")
    assert_refused(b"PK\x03\x04", "its pickle is damaged")

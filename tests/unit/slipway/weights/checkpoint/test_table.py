"""A checkpoint's index, read without TensorFlow; it is not trusted."""

import struct

import pytest

from slipway.weights.checkpoint.table import BadCheckpoint, checkpoint_files, read_table
from tests.fakes.checkpoints import FLOAT, entry, row, table, varint, write_checkpoint


@pytest.fixture
def prefix(tmp_path):
    write_checkpoint(tmp_path / "ckpt-7", {"backbone": [(3, 3, 3, 16), (16,)], "head": [()]})
    return tmp_path / "ckpt-7"


def index(prefix):
    return prefix.with_name("ckpt-7.index")


def test_tensors_have_their_shapes_and_places(prefix):
    tensors, _ = read_table(prefix)
    assert {key: tensor.shape for key, tensor in tensors.items()} == {
        "_CHECKPOINTABLE_OBJECT_GRAPH": (),
        "backbone/0": (3, 3, 3, 16),
        "backbone/1": (16,),
        "head/0": (),
    }
    assert (tensors["backbone/0"].dtype, tensors["backbone/0"].size) == (1, 1728)


def test_files_of_a_checkpoint_end_with_its_index(prefix):
    assert [file.name for file in checkpoint_files(prefix)] == ["ckpt-7.data-00000-of-00001", "ckpt-7.index"]


def test_keys_may_share_their_beginning_with_the_one_before(prefix):
    shared = varint(len(b"backbone/")) + varint(1) + varint(2) + b"9" + b"\x08\x01"
    block = row(b"", b"\x08\x01") + row(b"backbone/0", b"\x08\x01") + shared + struct.pack("<II", 0, 1)
    whole = table({})
    content = block + b"\0" + bytes(4)
    second = row(b"~", varint(0) + varint(len(block))) + struct.pack("<II", 0, 1)
    handles = varint(0) * 2 + varint(len(content)) + varint(len(second))
    index(prefix).write_bytes(content + second + b"\0" + bytes(4) + handles.ljust(40, b"\0") + whole[-8:])
    with pytest.raises(BadCheckpoint, match="no object graph"):  # but its tensors were read
        read_table(prefix)
    assert len(checkpoint_files(prefix)) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>" * 100,
        bytes(1000),
        table({})[:-9] + b"\0" * 9,
        bytes(40) + table({})[-8:],
        b"\xff" * 40 + table({})[-8:],
        table({}, header=b""),
        table({}, header=b"\x08\x00"),
        table({}, header=b"\x08\xff\xff\xff\x0f"),
        table({}, header=b"\x08\x01\x10\x01"),
        table({"a" * 3000: b""}),
        table({"backbone/0": b"\x08"}),
        table({"backbone/0": b"\x0f"}),
    ],
    ids=[
        "empty",
        "page",
        "zeros",
        "no-mark",
        "handles-of-nothing",
        "endless-number",
        "no-header",
        "no-shards",
        "millions-of-shards",
        "big-endian",
        "long-key",
        "cut-field",
        "unknown-field-type",
    ],
)
def test_anything_else_is_not_an_index(prefix, content):
    index(prefix).write_bytes(content)
    with pytest.raises(
        BadCheckpoint, match=r"ckpt-7\.index is not the index of a TensorFlow checkpoint, or is damaged"
    ):
        read_table(prefix)


def test_every_cut_of_an_index_is_refused(prefix):
    content = index(prefix).read_bytes()
    for size in range(0, len(content), 7):
        index(prefix).write_bytes(content[:size])
        with pytest.raises(BadCheckpoint):
            read_table(prefix)


def test_a_compressed_block_is_refused(prefix):
    content = index(prefix).read_bytes()
    block_end = content.index(struct.pack("<II", 0, 1)) + 8
    index(prefix).write_bytes(content[:block_end] + b"\1" + content[block_end + 1 :])
    with pytest.raises(BadCheckpoint, match="is damaged"):
        read_table(prefix)


def test_missing_or_short_data_is_named_with_both_sizes(prefix):
    data = prefix.with_name("ckpt-7.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(BadCheckpoint, match=r"data-00000-of-00001 has [\d,]+ bytes, the index names [\d,]+: a part is"):
        read_table(prefix)
    data.unlink()
    with pytest.raises(BadCheckpoint, match=r"data-00000-of-00001 has 0 bytes"):
        read_table(prefix)


def test_tensor_in_a_data_file_that_does_not_exist_is_refused(prefix):
    index(prefix).write_bytes(table({"backbone/0": entry(FLOAT, (1,), 0, 4) + b"\x18\x05"}))
    with pytest.raises(BadCheckpoint, match="backbone/0 is in data file 5 of 1"):
        read_table(prefix)


def test_checkpoint_of_the_first_tensorflow_is_refused(prefix):
    index(prefix).write_bytes(table({"conv/kernel": entry(FLOAT, (1,), 0, 4)}))
    with pytest.raises(BadCheckpoint, match=r"no object graph, as checkpoints of TensorFlow 2 have"):
        read_table(prefix)


def test_an_index_that_repeats_a_block_a_million_times_is_refused_quickly(prefix):
    block = row(b"", b"\x08\x01") * 1000 + struct.pack("<II", 0, 1)
    content = block + b"\0" + bytes(4)
    rows = row(b"~", varint(0) + varint(len(block))) * 1000 + struct.pack("<II", 0, 1)
    handles = varint(0) * 2 + varint(len(content)) + varint(len(rows))
    footer = handles.ljust(40, b"\0") + table({})[-8:]
    index(prefix).write_bytes(content + rows + b"\0" + bytes(4) + footer)
    with pytest.raises(BadCheckpoint):
        read_table(prefix)

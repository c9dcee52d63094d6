"""Bytes that TensorFlow reads, checked without TensorFlow against the formats' own definitions."""

import struct

import pytest

from services.preprocess.tfrecord import example, frame


def test_example_is_the_protocol_buffer_that_tensorflow_would_write():
    # features { feature { key: "a" value { int64_list { value: [1, 300] } } } }
    assert example({"a": [1, 300]}) == bytes.fromhex("0a0e 0a0c 0a0161 1207 1a05 0a03 01 ac02".replace(" ", ""))


def test_bytes_and_floats_have_their_own_lists():
    assert example({"b": [b"xy"]}) == bytes.fromhex("0a0d 0a0b 0a0162 1206 0a04 0a02 7879".replace(" ", ""))
    value = struct.pack("<f", 0.5).hex()
    assert example({"f": [0.5]}) == bytes.fromhex(f"0a0f 0a0d 0a0166 1208 1206 0a04 {value}".replace(" ", ""))


def test_empty_list_is_an_empty_feature():
    assert example({"a": []}) == bytes.fromhex("0a07 0a05 0a0161 1200".replace(" ", ""))


def test_order_of_the_features_does_not_matter():
    assert example({"b": [1], "a": [2]}) == example({"a": [2], "b": [1]})


@pytest.mark.parametrize("record", [b"", b"a", bytes(range(256)) * 5])
def test_record_is_framed_by_its_length_and_two_checksums(record):
    frame_bytes = frame(record)
    assert struct.unpack("<Q", frame_bytes[:8]) == (len(record),)
    assert frame_bytes[12:-4] == record
    assert len(frame_bytes) == len(record) + 16


def test_checksums_are_masked_crc32c():
    # crc32c("123456789") is 0xe3069283, the check value of the polynomial
    crc = 0xE3069283
    masked_crc = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert frame(b"123456789")[-4:] == struct.pack("<I", masked_crc)

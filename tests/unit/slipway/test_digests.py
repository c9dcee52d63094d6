import hashlib

from slipway.digests import sha256_file, sha256_json


def test_equal_contents_have_equal_digests():
    assert sha256_json({"a": 1, "b": [1.5, None]}) == sha256_json({"b": [1.5, None], "a": 1})
    assert sha256_json({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()

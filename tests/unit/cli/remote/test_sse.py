import pytest

from services.cli.remote.sse import ServerEvent, parse_events


def events(text, *, cut=None, last_id=""):
    content = text.encode()
    chunks = [content] if cut is None else [content[i : i + cut] for i in range(0, len(content), cut)]
    return list(parse_events(chunks, last_id))


@pytest.mark.parametrize("cut", [None, 1, 2, 7])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_events_are_the_same_however_the_stream_is_cut(cut, newline):
    stream = "\ufeffid: 7\nevent: log\ndata: crée\ndata:  two\n\n: alive\n\ndata: x\n\n".replace("\n", newline)
    # A stream whose last byte is a carriage return may go on with a line feed: its end is seen with the next byte.
    assert events(stream + ":", cut=cut) == [ServerEvent("log", "crée\n two", "7"), ServerEvent("message", "x", "7")]


def test_what_a_break_leaves_unfinished_is_dropped():
    assert events("id: 1\ndata: whole\n\nid: 2\ndata: ha") == [ServerEvent("message", "whole", "1")]


def test_a_name_without_data_is_an_event():
    assert events("event: end\n\n") == [ServerEvent("end", "", "")]


def test_an_id_goes_on_from_the_stream_before():
    assert events("data: a\n\nid:\ndata: b\n\n", last_id="4") == [
        ServerEvent("message", "a", "4"),
        ServerEvent("message", "b", ""),
    ]


def test_an_unknown_field_and_an_id_with_a_nul_are_passed_over():
    assert events("retry: 10\nfoo\nid: a\0b\ndata\n\n", last_id="1") == [ServerEvent("message", "", "1")]

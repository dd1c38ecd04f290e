"""What is a request's body, and what is none."""

import io

import pytest

from local_aws.framing import BadBodyError, read_body

CHUNKED = [("Transfer-Encoding", "chunked")]


@pytest.mark.parametrize(
    ("headers", "sent", "body"),
    [
        ([], b"next", b""),
        ([("Content-Length", "0")], b"next", b""),
        ([("content-length", "4")], b"bodynext", b"body"),
        ([("transfer-encoding", "Chunked")], b"2\r\nbo\r\n02\r\ndy\r\n0\r\n\r\nnext", b"body"),
        (CHUNKED, b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (CHUNKED, b'4;name=value;other="a b"\r\nbody\r\n0 ; last\r\n\r\n', b"body"),
        (CHUNKED, b"4\r\nbody\r\n0\r\nSum: 1\r\nOther:\r\n\r\nnext", b"body"),
    ],
)
def test_a_body_is_read_to_its_end(headers: list[tuple[str, str]], sent: bytes, body: bytes) -> None:
    stream = io.BytesIO(sent)

    assert read_body(headers, stream, 100) == body
    assert stream.read() in {b"", b"next"}


@pytest.mark.parametrize(
    ("headers", "sent"),
    [([("Content-Length", "900")], b"x" * 900), (CHUNKED, b"384\r\n" + b"x" * 900 + b"\r\n0\r\n\r\n")],
)
def test_of_a_large_body_the_beginning_is_read(headers: list[tuple[str, str]], sent: bytes) -> None:
    assert read_body(headers, io.BytesIO(sent), 100) == b"x" * 100


@pytest.mark.parametrize("length", ["-1", "abc", "1.5", "+4", "1_0", "", "4, 4", "0x4", "٤", "9" * 5000])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    with pytest.raises(BadBodyError):
        read_body([("Content-Length", length)], io.BytesIO(b"x" * 100), 100)


@pytest.mark.parametrize(
    "headers",
    [
        [*CHUNKED, ("Content-Length", "4")],
        [*CHUNKED, *CHUNKED],
        [("Transfer-Encoding", "gzip, chunked")],
        [("Transfer-Encoding", "identity")],
        [("Content-Length", "4"), ("Content-Length", "4")],
    ],
)
def test_a_body_with_two_ends_is_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(BadBodyError):
        read_body(headers, io.BytesIO(b"4\r\nbody\r\n0\r\n\r\n"), 100)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"4",
        b"4\r\n",
        b"4\r\nbo",
        b"4\r\nbody",
        b"4\r\nbody\r\n",
        b"4\r\nbody\r\n0\r\n",
        b"4\r\nbody\r\n0\r\nSum: 1\r\n",
        b"4\r\nbody\r\n0\r\nno trailer\r\n\r\n",
        b"4\r\nbody\r\n0\r\n" + b"Sum: 1\r\n" * 101 + b"\r\n",
        b"3\r\nbody\r\n0\r\n\r\n",
        b"4\nbody\n0\n\n",
        b"-4\r\nbody\r\n0\r\n\r\n",
        b"0x4\r\nbody\r\n0\r\n\r\n",
        b"\r\nbody\r\n0\r\n\r\n",
        b"zz\r\nbody\r\n0\r\n\r\n",
        b"4;" + b"x" * 9000 + b"\r\nbody\r\n0\r\n\r\n",
    ],
)
def test_malformed_or_truncated_chunks_are_refused(sent: bytes) -> None:
    with pytest.raises(BadBodyError):
        read_body(CHUNKED, io.BytesIO(sent), 100)


def test_a_body_cut_short_is_refused() -> None:
    with pytest.raises(BadBodyError):
        read_body([("Content-Length", "5")], io.BytesIO(b"body"), 100)

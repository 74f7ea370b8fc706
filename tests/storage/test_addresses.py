from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fused_jupyter.storage.addresses import encoded, identity, scheme, shown

SECRETS = [
    "https://me:s3cret@example.com/a.tif",
    "https://s3cret@example.com/a.tif",
    "https://b.s3.amazonaws.com/a.tif?X-Amz-Credential=s3cret&X-Amz-Signature=s3cret",
    "https://b.s3.amazonaws.com/a.tif?AWSAccessKeyId=x&Expires=1&Signature=s3cret",
    "https://storage.googleapis.com/b/a.tif?X-Goog-Signature=s3cret",
    "https://x.blob.core.windows.net/b/a.tif?sv=2024&sp=r&sig=s3cret",
    "https://example.com/a.tif?v=1&token=s3cret",
    "https://example.com/a.tif?access_token=s3cret",
    "https://example.com/a.tif?API_KEY=s3cret",
    "https://example.com/a.tif?key=s3cret",
    "https://example.com/a.tif#s3cret",
]


@pytest.mark.parametrize("url", SECRETS)
def test_what_opens_a_file_is_not_shown(url: str) -> None:
    """Messages end in logs, and in the answers of endpoints."""
    assert "s3cret" not in shown(url)
    assert "a.tif" in shown(url)


def test_query_that_opens_nothing_is_shown() -> None:
    """It may be what is wrong."""
    assert shown("https://example.com/a?year=2024&keyword=x") == "https://example.com/a?year=2024&keyword=x"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://h/a?X-Amz-Date=1&X-Amz-Signature=1", "https://h/a?X-Amz-Date=2&X-Amz-Signature=2"),
        ("https://h/a?Expires=1&Signature=1&Key-Pair-Id=1", "https://h/a?Expires=2&Signature=2&Key-Pair-Id=1"),
        ("https://h/a?X-Goog-Date=1&X-Goog-Signature=1&v=1", "https://h/a?v=1"),
        ("https://h/a?se=1&sig=1&sv=1", "https://h/a?se=2&sig=2&sv=1"),
        ("https://me:pw@H/a", "https://h/a#part"),
    ],
)
def test_same_file_signed_twice_is_one(one: str, other: str) -> None:
    """Or each map with fresh addresses would download it again."""
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://h/a?v=1", "https://h/a?v=2"),
        ("https://h/a", "http://h/a"),
        ("https://h/a", "https://h/A"),
        ("https://h/a?expires=1", "https://h/a?expires=2"),
        ("https://h/a?X-Amz-Signature=1&versionId=1", "https://h/a?X-Amz-Signature=1&versionId=2"),
    ],
)
def test_different_files_are_told_apart(one: str, other: str) -> None:
    """What only looks like a signature belongs to the address."""
    assert identity(one) != identity(other)


@given(st.text())
def test_any_text_is_looked_at(text: str) -> None:
    """Also what is no address: the error about it has to show it."""
    shown(text)
    identity(text)
    scheme(text)
    encoded(text)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_escapes_are_left_alone(text: str) -> None:
    """What is encoded once stays as it is."""
    once = encoded(f"https://example.com/{text}".replace("?", "").replace("#", ""))

    assert encoded(once.geturl()).path == once.path

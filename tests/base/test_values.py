"""Values cross as `vectors/values.json` says; data can't forge a tag; what can't travel is refused with its path."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from limen.base.values import tag, untag

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(["$", "$$", "$set"])
)
KEYS = st.text(max_size=5) | st.sampled_from(["$", "$$", "$decimal", "$$decimal", "$set", "$tuple", "$dict", "$error", "$x"])
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=20
)
ENCODINGS = st.sampled_from(["json", "msgpack", "cbor"])


@given(TREES, ENCODINGS)
def test_data_that_looks_like_a_tag_comes_back_as_data(tree: Any, encoding: Any) -> None:
    assert untag(tag(tree, encoding), encoding) == tree

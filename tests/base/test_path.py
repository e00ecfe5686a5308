"""Addresses in the tree: `vectors/paths.json`, and what must hold of any of them."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import exc
from limen.base import path as module
from limen.base.path import MAX_PATH, Path, Resolver
from vectors import vectors

FILE = vectors("paths")
NAMES = st.text(st.sampled_from("abß_-1@"), min_size=1, max_size=4).filter(lambda name: name[0] != "@")
PARTS = st.lists(NAMES, min_size=1, max_size=5)


def _case(row: dict[str, Any]) -> str:
    return ascii([value for key, value in row.items() if key in ("path", "from", "more", "to")])[:60]


def _holds(row: dict[str, Any], path: Path) -> None:
    assert (str(path), str(path.base)) == (row["whole"], row["base"])


def _refused(row: dict[str, Any]) -> Any:
    return pytest.raises(exc.InvalidAddress, match=f"^{module.re.escape(row['refused'])}$")


@pytest.mark.parametrize("row", FILE["made"], ids=_case)
def test_making(row: dict[str, Any]) -> None:
    if "refused" in row:
        with _refused(row):
            Path(row["path"], row.get("from"))
    else:
        _holds(row, Path(row["path"], row.get("from")))


@pytest.mark.parametrize("row", FILE["added"], ids=_case)
def test_adding(row: dict[str, Any]) -> None:
    path = Path(row["path"], row.get("from"))
    if "refused" in row:
        with _refused(row):
            path + row["more"]
    else:
        _holds(row, path + row["more"])


@pytest.mark.parametrize("row", FILE["leads"], ids=_case)
def test_resolving(row: dict[str, Any]) -> None:
    path = Path(row["path"], row.get("from"))
    resolvers: list[Resolver] = [lambda role, _, roles=roles: roles.get(role) for roles in row.get("roles", [])]  # type: ignore[misc]
    if "refused" in row:
        with _refused(row):
            path.resolve(row["to"], *resolvers)
    else:
        _holds(row, path.resolve(row["to"], *resolvers))


def test_a_path_reads_like_a_sequence_of_its_parts() -> None:
    path = Path("a.b.c", "a")
    assert (len(path), path[0], path[-1], path[:2], list(path)) == (3, "a", "c", ("a", "b"), ["a", "b", "c"])
    assert (path.name, path.parent, "b" in path) == ("c", Path("a.b"), True)
    assert Path("a").parent is None


def test_paths_of_one_place_are_equal_whatever_they_count_from() -> None:
    below, own = Path("b", "a"), Path("a.b")
    assert below == own
    assert below is not own
    assert hash(below) == hash(own)
    assert below.absolute is own
    assert (below.base, own.base) == (Path("a"), own)
    assert below != "a.b"


def test_a_parent_above_the_base_is_its_own_base() -> None:
    assert repr(Path("a.b.c", "a.b").parent) == "Path('a.b')"
    assert repr(Path("a.b").parent) == "Path('a')"


def test_a_path_does_not_change() -> None:
    path = Path("a.b")
    with pytest.raises(AttributeError):
        path.parts = ("c",)
    with pytest.raises(AttributeError):
        del path.parts


def test_a_path_that_nobody_holds_goes() -> None:
    Path("held.by.nobody")
    gc.collect()
    assert (("held", "by", "nobody"), 3) not in module._PATHS


def test_a_longer_address_is_refused() -> None:
    assert len(str(Path("a" * MAX_PATH))) == MAX_PATH
    with pytest.raises(exc.InvalidAddress, match="longer than 1024"):
        Path("a" * (MAX_PATH + 1))
    with pytest.raises(exc.InvalidAddress, match="longer than 1024"):
        Path("a" * (MAX_PATH - 1)) + "b"


@given(PARTS, PARTS)
def test_a_path_is_what_its_parts_are(first: list[str], more: list[str]) -> None:
    base = Path(first)
    path = base + more
    assert path is Path(str(path), base)
    assert path is base + ".".join(more)
    assert path.parts == (*first, *more)
    assert path.base is base
    assert path.resolve("@" + ".".join(more)) is path
    assert eval(repr(path)) is path
    assert pickle.loads(pickle.dumps(path)) is path
    assert copy.deepcopy(path) is path


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        path = Path(text)
    except exc.InvalidAddress as error:
        str(error).encode()
        return
    assert str(path) == text
    assert Path("base").resolve(text) == path

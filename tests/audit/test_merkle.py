"""The tree has the roots that another implementation gives, and proofs that the verifier takes."""

import hashlib

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.merkle import Frontier, hash_leaf, hash_node, inclusion_proof, root_of
from audit.verifier import verify_inclusion

CONTENTS = st.lists(st.binary(max_size=40), min_size=1, max_size=70)


def oracle_of(contents: list[bytes]) -> pymerkle.InmemoryTree:
    oracle = pymerkle.InmemoryTree(algorithm="sha256")
    for content in contents:
        oracle.append_entry(content)
    return oracle


def leaves_of(contents: list[bytes]) -> list[bytes]:
    return [hash_leaf(content) for content in contents]


def test_a_leaf_and_a_node_are_hashed_apart() -> None:
    assert hash_leaf(b"ab") == hashlib.sha256(b"\x00ab").digest()
    assert hash_node(b"a", b"b") == hashlib.sha256(b"\x01ab").digest()


@given(CONTENTS)
def test_the_root_agrees_with_pymerkle(contents: list[bytes]) -> None:
    assert root_of(leaves_of(contents)) == oracle_of(contents).get_root(len(contents))


@given(CONTENTS)
def test_the_root_agrees_at_every_size_on_the_way(contents: list[bytes]) -> None:
    oracle, frontier = oracle_of(contents), Frontier()
    for size, leaf in enumerate(leaves_of(contents), 1):
        frontier.append(leaf)
        assert (frontier.size, frontier.root()) == (size, oracle.get_root(size))


@given(CONTENTS, st.data())
def test_a_frontier_put_away_and_taken_up_again_goes_on(
    contents: list[bytes], data: st.DataObject
) -> None:
    leaves = leaves_of(contents)
    cut = data.draw(st.integers(0, len(leaves)))
    early = Frontier()
    for leaf in leaves[:cut]:
        early.append(leaf)
    late = Frontier(early.size, list(early.peaks))
    for leaf in leaves[cut:]:
        late.append(leaf)
    assert late.root() == root_of(leaves)


@given(st.integers(1, 200))
def test_a_frontier_keeps_one_peak_for_each_perfect_subtree(size: int) -> None:
    frontier = Frontier()
    for number in range(size):
        frontier.append(hash_leaf(bytes([number])))
    assert len(frontier.peaks) == size.bit_count()


@given(CONTENTS, st.data())
def test_the_verifier_takes_a_proof_for_its_own_place_only(
    contents: list[bytes], data: st.DataObject
) -> None:
    leaves = leaves_of([b"%d %b" % pair for pair in enumerate(contents)])
    index, other = (data.draw(st.integers(0, len(leaves) - 1)) for _ in range(2))
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    assert verify_inclusion(leaves[index], index, len(leaves), proof, root)
    assert verify_inclusion(leaves[other], index, len(leaves), proof, root) == (other == index)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_for_a_place_outside_the_tree(index: int) -> None:
    with pytest.raises(IndexError, match="no such leaf"):
        inclusion_proof(leaves_of([b"a", b"b", b"c"]), index)


def test_an_empty_tree_proves_nothing() -> None:
    with pytest.raises(ValueError, match="empty tree"):
        root_of([])
    with pytest.raises(IndexError):
        inclusion_proof([], 0)

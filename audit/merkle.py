"""A Merkle tree that grows at its end: hashes, roots and proofs of RFC 6962, section 2."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


def hash_leaf(content: bytes) -> bytes:
    """The hash of an entry's content."""
    return hashlib.sha256(b"\x00" + content).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """The roots of the perfect subtrees at the right edge: all that appending needs."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        self.peaks.append(leaf)
        self.size += 1
        merging = self.size
        while merging % 2 == 0:
            right, left = self.peaks.pop(), self.peaks.pop()
            self.peaks.append(hash_node(left, right))
            merging //= 2

    def root(self) -> bytes:
        """The root of the tree so far. Raises ValueError for the empty tree: it proves nothing."""
        if not self.peaks:
            raise ValueError("an empty tree has no root worth signing")
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = hash_node(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over the hashes of `leaves`. Raises ValueError when there are none."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path from leaf `index` to the root, nearest sibling first."""
    if not 0 <= index < len(leaves):
        raise IndexError("no such leaf")
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root_of(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root_of(leaves[:split])]

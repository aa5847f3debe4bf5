//! Merkle trees as transparency logs have them: RFC 9162, section 2.1.
//!
//! A tree of n leaves is split at k, the largest power of two below n: the left half is complete and never changes.
//! So every root and proof is made of the hashes of complete subtrees, which whoever holds the leaves gives on demand:
//! functions here ask for them by `subtree(start, len)`, with `len` a power of two and `start` a multiple of it.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Most hashes of an inclusion proof; a consistency proof has one more at most.
pub const PATH_LEN_MAX: usize = 64;

const LEAF: u8 = 0x00;
const NODE: u8 = 0x01;

/// The hash of a leaf, a subtree or a tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Gives the root of a tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Gives the hash of a leaf.
    #[must_use]
    pub fn leaf(data: &[u8]) -> Self {
        Self(Sha256::new().chain_update([LEAF]).chain_update(data).finalize().into())
    }

    /// Gives the hash of a node. The prefix differs from that of a leaf, so that no leaf passes for a node.
    #[must_use]
    pub fn node(left: &Self, right: &Self) -> Self {
        Self(Sha256::new().chain_update([NODE]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// Takes a hash as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits in lower case: one hash has one text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| match pair.get(at)? {
                digit @ b'0'..=b'9' => Some(digit - b'0'),
                digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            };
            *byte = digit(0)? << 4 | digit(1)?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The largest power of two below `len`, which is at least 2.
const fn split_of(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

/// Gives the hash of the leaves from `start`, inclusive, to `end`, exclusive: one half of a split, or the whole tree.
///
/// # Errors
/// Those of `subtree`.
pub fn root<E>(
    start: u64,
    end: u64,
    subtree: &mut (impl FnMut(u64, u64) -> Result<Hash, E> + ?Sized),
) -> Result<Hash, E> {
    let len = end.saturating_sub(start);
    if len == 0 {
        return Ok(Hash::empty());
    }
    if len.is_power_of_two() {
        return subtree(start, len);
    }
    let middle = start + split_of(len);
    Ok(Hash::node(&root(start, middle, subtree)?, &root(middle, end, subtree)?))
}

/// Gives the inclusion proof of a leaf in the tree of the first `size` leaves (section 2.1.3.1): the hashes beside its
/// path, from the leaf upwards. `index` counts from 0 and is below `size`; beyond it there is no proof, and none is given.
///
/// # Errors
/// Those of `subtree`.
pub fn inclusion<E>(
    index: u64,
    size: u64,
    subtree: &mut (impl FnMut(u64, u64) -> Result<Hash, E> + ?Sized),
) -> Result<Vec<Hash>, E> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while index < size && end - start > 1 {
        let middle = start + split_of(end - start);
        if index < middle {
            path.push(root(middle, end, subtree)?);
            end = middle;
        } else {
            path.push(root(start, middle, subtree)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Gives the proof that the tree of the first `size` leaves continues that of the first `first` (section 2.1.4.1).
/// It is empty where the two are equal or `first` is 0.
///
/// # Errors
/// Those of `subtree`.
pub fn consistency<E>(
    first: u64,
    size: u64,
    subtree: &mut (impl FnMut(u64, u64) -> Result<Hash, E> + ?Sized),
) -> Result<Vec<Hash>, E> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    if first == 0 || first >= size {
        return Ok(path);
    }
    // Goes down to the subtree that ends where the first tree ends.
    while first < end {
        let middle = start + split_of(end - start);
        if first <= middle {
            path.push(root(middle, end, subtree)?);
            end = middle;
        } else {
            path.push(root(start, middle, subtree)?);
            start = middle;
        }
    }
    // If that is the whole first tree, its root is known to the verifier.
    if start > 0 {
        path.push(root(start, end, subtree)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks an inclusion proof (section 2.1.3.2).
#[must_use]
pub fn includes(root: &Hash, size: u64, index: u64, leaf: &Hash, path: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for beside in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = Hash::node(beside, &hash);
            // A node without a right neighbour stands for its parent.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::node(&hash, beside);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Checks that a tree continues an earlier one (section 2.1.4.2). A tree continues itself and the empty tree, with an
/// empty proof.
#[must_use]
pub fn continues((first, first_root): (u64, &Hash), (size, root): (u64, &Hash), path: &[Hash]) -> bool {
    if first == size {
        return path.is_empty() && first_root == root;
    }
    if first == 0 {
        return path.is_empty() && *first_root == Hash::empty();
    }
    let (begin, rest) = match path.split_first() {
        // The root of a complete first tree is the first hash of the proof, and not repeated in it.
        _ if first > size || path.is_empty() => return false,
        _ if first.is_power_of_two() => (first_root, path),
        Some((begin, rest)) => (begin, rest),
        None => return false,
    };
    let (mut node, mut last) = (first - 1, size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut of_first, mut of_second) = (*begin, *begin);
    for beside in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            of_first = Hash::node(beside, &of_first);
            of_second = Hash::node(beside, &of_second);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            of_second = Hash::node(&of_second, beside);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && of_first == *first_root && of_second == *root
}

/// The complete subtrees over a growing run of leaves, or over a growing run of equal complete subtrees: twice the
/// memory of the leaves, and no hash is computed twice.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Gives the number of leaves.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len().try_into().unwrap_or(u64::MAX))
    }

    /// Tells whether there is no leaf.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a leaf, and each node that it completes.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for height in 0.. {
            if self.levels.len() == height {
                self.levels.push(Vec::new());
            }
            let Some(level) = self.levels.get_mut(height) else { return };
            level.push(hash);
            match level.as_slice() {
                [.., left, right] if level.len().is_multiple_of(2) => hash = Hash::node(left, right),
                _ => return,
            }
        }
    }

    /// Gives the hash of a complete subtree: `len` is a power of two and `start` a multiple of it.
    #[must_use]
    pub fn subtree(&self, start: u64, len: u64) -> Option<Hash> {
        let height = len.checked_ilog2()?;
        let level = self.levels.get(usize::try_from(height).ok()?)?;
        level.get(usize::try_from(start >> height).ok()?).copied()
    }
}

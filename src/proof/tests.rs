//! Published vectors, a naive recursion, and every change of a bit.

use std::convert::Infallible;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::merkle::{self, Hash, Tree};
use super::*;

/// The inputs that Certificate Transparency's implementations are tested with (google/certificate-transparency,
/// google/trillian, transparency-dev/merkle).
const INPUTS: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
/// Their published roots, for trees of 0 to 8 leaves.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const H12: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const H4_OF_5: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const RIGHT_HALF: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const LEAF_1: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const H67: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const H45: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

fn hash(text: &str) -> Hash {
    Hash::parse(text).unwrap()
}

/// The definition of section 2.1.1, word by word, without any code of the module.
fn naive(leaves: &[Vec<u8>]) -> Hash {
    let digest = |parts: &[&[u8]]| Hash::from_bytes(Sha256::digest(parts.concat()).into());
    match leaves {
        [] => digest(&[]),
        [leaf] => digest(&[&[0], leaf]),
        _ => {
            let mut k = 1;
            while 2 * k < leaves.len() {
                k *= 2;
            }
            let (left, right) = leaves.split_at(k);
            digest(&[&[1], naive(left).as_bytes(), naive(right).as_bytes()])
        }
    }
}

/// Section 2.1.3.1, word by word.
fn naive_inclusion(m: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut path, last) = if m < k {
        (naive_inclusion(m, left), naive(right))
    } else {
        (naive_inclusion(m - k, right), naive(left))
    };
    path.push(last);
    path
}

/// SUBPROOF of section 2.1.4.1, word by word.
fn naive_consistency(m: usize, leaves: &[Vec<u8>], known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![naive(leaves)] };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut path, last) = if m <= k {
        (naive_consistency(m, left, known), naive(right))
    } else {
        (naive_consistency(m - k, right, false), naive(left))
    };
    path.push(last);
    path
}

fn tree_of(leaves: &[Vec<u8>]) -> Tree {
    let mut tree = Tree::default();
    for leaf in leaves {
        tree.push(Hash::leaf(leaf));
    }
    tree
}

fn subtree(tree: &Tree) -> impl FnMut(u64, u64) -> Result<Hash, Infallible> + '_ {
    |start, len| Ok(tree.subtree(start, len).unwrap())
}

fn root(tree: &Tree, size: u64) -> Hash {
    let Ok(root) = merkle::root(0, size, &mut subtree(tree));
    root
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|at| vec![u8::try_from(at).unwrap(); at % 5]).collect()
}

#[test]
fn roots_of_published_inputs_are_the_published_ones() {
    let inputs: Vec<Vec<u8>> = INPUTS.iter().map(|input| input.to_vec()).collect();
    let tree = tree_of(&inputs);
    for (size, expected) in (0..).zip(ROOTS) {
        assert_eq!(root(&tree, size), hash(expected), "{size}");
    }
}

#[test]
fn proofs_of_published_inputs_are_the_published_ones() {
    let tree = tree_of(&INPUTS.iter().map(|input| input.to_vec()).collect::<Vec<_>>());
    // index from 0, size, path
    let inclusions: [(u64, u64, &[&str]); 5] = [
        (0, 1, &[]),
        (0, 8, &[LEAF_1, H12, RIGHT_HALF]),
        (5, 8, &[H4_OF_5, H67, ROOTS[4]]),
        (2, 3, &[ROOTS[2]]),
        (1, 5, &[ROOTS[1], H12, H4_OF_5]),
    ];
    for (index, size, expected) in inclusions {
        let expected: Vec<Hash> = expected.iter().copied().map(hash).collect();
        let Ok(path) = merkle::inclusion(index, size, &mut subtree(&tree));
        assert_eq!(path, expected, "{index} of {size}");
        let leaf = Hash::leaf(INPUTS[usize::try_from(index).unwrap()]);
        let published = hash(ROOTS[usize::try_from(size).unwrap()]);
        assert!(merkle::includes(&published, size, index, &leaf, &path));
    }
    let consistencies: [(u64, u64, &[&str]); 4] = [
        (1, 1, &[]),
        (1, 8, &[LEAF_1, H12, RIGHT_HALF]),
        (6, 8, &[H45, H67, ROOTS[4]]),
        (2, 5, &[H12, H4_OF_5]),
    ];
    for (first, size, expected) in consistencies {
        let expected: Vec<Hash> = expected.iter().copied().map(hash).collect();
        let Ok(path) = merkle::consistency(first, size, &mut subtree(&tree));
        assert_eq!(path, expected, "{first} to {size}");
        let published = |size: u64| hash(ROOTS[usize::try_from(size).unwrap()]);
        assert!(merkle::continues((first, &published(first)), (size, &published(size)), &path));
    }
}

/// Gives the path with one bit changed, for each of its bits; with one hash too few, and with one too many. In trees of
/// 20 leaves and more, every 37th bit is changed.
fn changes(path: &[Hash], size: usize) -> Vec<Vec<Hash>> {
    let mut changed = Vec::new();
    for at in 0..path.len() {
        for bit in (0..256).step_by(if size < 20 { 1 } else { 37 }) {
            let mut other = path.to_vec();
            other[at] = flip(&other[at], bit);
            changed.push(other);
        }
        let mut fewer = path.to_vec();
        fewer.remove(at);
        changed.push(fewer);
    }
    for extra in [Hash::empty(), path.first().copied().unwrap_or(Hash::leaf(b""))] {
        changed.push([path, &[extra]].concat());
        changed.push([&[extra], path].concat());
    }
    changed
}

fn flip(hash: &Hash, bit: usize) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

#[test]
fn every_inclusion_proof_is_the_naive_one_and_fails_with_any_bit_changed() {
    const SIZE_MAX: usize = 64;
    let leaves = leaves(SIZE_MAX);
    let tree = tree_of(&leaves);
    for size in 1..=SIZE_MAX {
        let n = u64::try_from(size).unwrap();
        let root = root(&tree, n);
        assert_eq!(root, naive(&leaves[..size]));
        for index in 0..size {
            let m = u64::try_from(index).unwrap();
            let leaf = Hash::leaf(&leaves[index]);
            let Ok(path) = merkle::inclusion(m, n, &mut subtree(&tree));
            assert_eq!(path, naive_inclusion(index, &leaves[..size]), "{index} of {size}");
            assert!(merkle::includes(&root, n, m, &leaf, &path));
            for changed in changes(&path, size) {
                assert!(!merkle::includes(&root, n, m, &leaf, &changed), "{index} of {size}");
            }
            for bit in 0..256 {
                assert!(!merkle::includes(&flip(&root, bit), n, m, &leaf, &path));
                assert!(!merkle::includes(&root, n, m, &flip(&leaf, bit), &path));
            }
            for other in (0..=n).filter(|other| *other != m) {
                assert!(!merkle::includes(&root, n, other, &leaf, &path), "{other} for {index} of {size}");
            }
        }
    }
}

#[test]
fn every_consistency_proof_is_the_naive_one_and_fails_with_any_bit_changed() {
    const SIZE_MAX: usize = 64;
    let leaves = leaves(SIZE_MAX);
    let tree = tree_of(&leaves);
    for size in 1..=SIZE_MAX {
        for first in 1..=size {
            let (m, n) = (u64::try_from(first).unwrap(), u64::try_from(size).unwrap());
            let (of_first, of_size) = (root(&tree, m), root(&tree, n));
            let Ok(path) = merkle::consistency(m, n, &mut subtree(&tree));
            assert_eq!(path, naive_consistency(first, &leaves[..size], true), "{first} to {size}");
            assert!(merkle::continues((m, &of_first), (n, &of_size), &path));
            for changed in changes(&path, size) {
                assert!(!merkle::continues((m, &of_first), (n, &of_size), &changed), "{first} to {size}");
            }
            for bit in 0..256 {
                assert!(!merkle::continues((m, &flip(&of_first, bit)), (n, &of_size), &path));
                assert!(!merkle::continues((m, &of_first), (n, &flip(&of_size, bit)), &path));
            }
            if first < size {
                assert!(!merkle::continues((n, &of_size), (m, &of_first), &path), "time runs backwards");
            }
        }
    }
}

#[test]
fn a_tree_continues_the_empty_one_and_only_with_an_empty_proof() {
    let root = Hash::leaf(b"");
    assert!(merkle::continues((0, &Hash::empty()), (1, &root), &[]));
    assert!(merkle::continues((0, &Hash::empty()), (0, &Hash::empty()), &[]));
    assert!(!merkle::continues((0, &Hash::empty()), (1, &root), &[root]));
    assert!(!merkle::continues((0, &root), (1, &root), &[]));
    assert!(!merkle::includes(&Hash::empty(), 0, 0, &root, &[]));
}

#[test]
fn hashes_have_one_text() {
    let text = ROOTS[8];
    assert_eq!(hash(text).to_string(), text);
    let wrong =
        [text.replacen('5', "", 1), text.to_uppercase(), format!("{text}0"), text.replacen('5', "g", 1)];
    for wrong in wrong {
        assert_eq!(Hash::parse(&wrong), None, "{wrong}");
    }
}

/// The example of the package golang.org/x/mod/sumdb/note.
const GO_SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                       then you don't know what your problem is.\n";
const GO_SIGNATURE: &str = "— PeterNeumann \
    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
/// The example of C2SP signed-note, section "Verifier keys".
const C2SP_VERIFIER: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const C2SP_NOTE: &str = "This is an example message.\n\n— example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

#[test]
fn published_keys_and_notes_are_read_and_made_byte_for_byte() {
    let signer = Signer::parse(GO_SIGNER).unwrap();
    assert_eq!(signer.secret_text(), GO_SIGNER);
    assert_eq!(signer.verifier().to_string(), GO_VERIFIER);
    let note = format!("{GO_TEXT}\n{GO_SIGNATURE}");
    assert_eq!(signer.sign(GO_TEXT).unwrap(), note);
    let key = VerifierKey::parse(GO_VERIFIER).unwrap();
    assert_eq!(Note::open(&note, &key).unwrap().text(), GO_TEXT);
    let key = VerifierKey::parse(C2SP_VERIFIER).unwrap();
    assert_eq!((key.name(), key.to_string().as_str()), ("example.com/foo", C2SP_VERIFIER));
    assert_eq!(Note::open(C2SP_NOTE, &key).unwrap().text(), "This is an example message.\n");
    assert!(!format!("{signer:?}").contains("AYEKFALVFGyN"), "a secret must not reach a log");
}

#[test]
fn a_note_with_any_byte_changed_is_not_believed() {
    let key = VerifierKey::parse(C2SP_VERIFIER).unwrap();
    for at in 0..C2SP_NOTE.len() {
        for bit in 0..8 {
            let mut bytes = C2SP_NOTE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            if let Ok(changed) = std::str::from_utf8(&bytes) {
                assert!(Note::open(changed, &key).is_err(), "byte {at}, bit {bit}");
            }
        }
        if let Some(cut) = C2SP_NOTE.get(..at) {
            assert!(Note::open(cut, &key).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn signatures_of_other_keys_are_ignored_and_a_wrong_one_of_the_key_is_not() {
    let (go, c2sp) = (VerifierKey::parse(GO_VERIFIER).unwrap(), VerifierKey::parse(C2SP_VERIFIER).unwrap());
    let foreign = C2SP_NOTE.split_once("\n\n").unwrap().1;
    let both = format!("{GO_TEXT}\n{foreign}{GO_SIGNATURE}");
    assert_eq!(Note::open(&both, &go).unwrap().text(), GO_TEXT);
    assert_eq!(Note::open(&both, &c2sp), Err(NoteError::Signature), "it is of another text");
    assert_eq!(Note::open(C2SP_NOTE, &go), Err(NoteError::Unsigned));
    let inner = format!("one\n\ntwo\n\n{GO_SIGNATURE}");
    assert_eq!(Note::open(&inner, &go), Err(NoteError::Signature), "the last empty line separates");
    for bad in ["", "\n", "text\n", "text\n\n", "text\n\nno signature\n", "a\tb\n\n— x AAAAAAAA\n"] {
        assert_eq!(Note::open(bad, &go), Err(NoteError::Form), "{bad:?}");
    }
}

#[test]
fn keys_that_are_none() {
    fn check(text: &str, expected: KeyError) {
        assert_eq!(VerifierKey::parse(text), Err(expected), "{text}");
    }
    check("", KeyError::Form);
    check("example.com/foo", KeyError::Form);
    check("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Name);
    check("a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Name);
    check("example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Id);
    check("example.com/fox+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Id);
    check("example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Form);
    check("example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", KeyError::Algorithm);
    check("example.com/foo+530d903a+Aeky", KeyError::Form);
    assert_eq!(Signer::parse(GO_VERIFIER).unwrap_err(), KeyError::Form);
    assert_eq!(Signer::parse(&GO_SIGNER.replace("c74f", "c74e")).unwrap_err(), KeyError::Id);
}

#[test]
fn checkpoints_have_the_text_of_c2sp() {
    // The example of C2SP tlog-checkpoint.
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let checkpoint = Checkpoint::parse(text).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.text(), text);
    assert_eq!(Checkpoint::parse(&format!("{text}an extension\n")).unwrap(), checkpoint);
    for wrong in [
        text.replace("20852163", "020852163"),
        text.replace("20852163", "+20852163"),
        text.replace("20852163", ""),
        text.replace("20852163", "99999999999999999999"),
        text.replace("CsUY", "Cs"),
        text.trim_end().to_owned(),
        format!("{text}\n"),
        String::new(),
    ] {
        assert_eq!(Checkpoint::parse(&wrong), Err(CheckpointError::Text), "{wrong:?}");
    }
}

/// A log of some leaves, as a server would speak for it.
fn evidence(leaves: &[Vec<u8>], index: u64, first: u64, signer: &Signer) -> Evidence {
    let tree = tree_of(leaves);
    let size = tree.len();
    let state = Checkpoint { origin: signer.verifier().name().to_owned(), size, root: root(&tree, size) };
    let Ok(path) = merkle::inclusion(index, size, &mut subtree(&tree));
    let leaf_data = leaves[usize::try_from(index).unwrap()].clone();
    let Ok(consistency) = merkle::consistency(first, size, &mut subtree(&tree));
    Evidence {
        checkpoint: state.sign(signer).unwrap(),
        inclusion: Some(Inclusion { index, leaf_data, path }),
        consistency: Some(Consistency { first_size: first, path: consistency }),
    }
}

#[test]
fn evidence_holds_or_says_what_does_not() {
    let signer = Signer::new("annals/test", &[7; 32]).unwrap();
    let key = signer.verifier();
    let honest = leaves(21);
    let kept = evidence(&honest[..9], 0, 0, &signer).checkpoint;
    let sound = evidence(&honest, 17, 9, &signer);
    assert_eq!(sound.check(key, Some(&kept)).unwrap().size, 21);
    assert_eq!(sound.check(key, None).unwrap().size, 21);
    assert_eq!(sound.check(key, Some(&sound.checkpoint)).unwrap().size, 21, "equal states need no proof");

    // One event before the checkpoint is changed, and everything after it made anew: consistent in itself.
    let mut rewritten = honest.clone();
    rewritten[4] = b"another".to_vec();
    let forged = evidence(&rewritten, 17, 9, &signer);
    assert!(forged.check(key, None).is_ok(), "without a checkpoint nobody can tell");
    let error = EvidenceError::Rewritten { first: 9, size: 21 };
    assert_eq!(forged.check(key, Some(&kept)), Err(error));
    let same_size = evidence(&rewritten[..9], 0, 0, &signer);
    assert_eq!(same_size.check(key, Some(&kept)), Err(EvidenceError::Rewritten { first: 9, size: 9 }));

    let other = Signer::new("annals/test", &[8; 32]).unwrap();
    let unsigned = CheckpointError::Note(NoteError::Unsigned);
    assert_eq!(sound.check(other.verifier(), None), Err(EvidenceError::Checkpoint(unsigned)));
    let kept_by_other = evidence(&honest[..9], 0, 0, &other).checkpoint;
    assert_eq!(sound.check(key, Some(&kept_by_other)), Err(EvidenceError::Kept(unsigned)));
    let stranger = Signer::new("annals/other", &[7; 32]).unwrap();
    let text = Checkpoint { origin: "annals/test".to_owned(), size: 0, root: Hash::empty() }.text();
    let note = stranger.sign(&text).unwrap();
    assert_eq!(Checkpoint::open(&note, stranger.verifier()), Err(CheckpointError::Origin));

    let earlier = evidence(&honest[..5], 0, 0, &signer);
    assert_eq!(earlier.check(key, Some(&kept)), Err(EvidenceError::Earlier { first: 9, size: 5 }));
    let silent = Evidence { consistency: None, ..sound.clone() };
    assert_eq!(silent.check(key, Some(&kept)), Err(EvidenceError::NoProof { first: 9, size: 21 }));
    let mut lying = sound;
    lying.inclusion.as_mut().unwrap().leaf_data.push(0);
    assert_eq!(lying.check(key, None), Err(EvidenceError::NotIncluded { index: 17, size: 21 }));
}

proptest! {
    #[test]
    fn no_text_does_harm(text in "\\PC*", note in "(\\PC|\n|— a [A-Za-z0-9+/=]{0,90}\n){0,20}") {
        let _ = (VerifierKey::parse(&text), Signer::parse(&text), Checkpoint::parse(&note), Hash::parse(&text));
        let _ = Note::open(&note, &VerifierKey::parse(GO_VERIFIER).unwrap());
    }

    #[test]
    fn what_is_signed_is_opened(text in "(\\PC{0,30}\n){1,5}", seed: [u8; 32]) {
        let signer = Signer::new("name", &seed).unwrap();
        let again = Signer::parse(&signer.secret_text()).unwrap();
        let note = signer.sign(&text).unwrap();
        prop_assert_eq!(again.sign(&text).unwrap(), note.clone());
        prop_assert_eq!(Note::open(&note, again.verifier()).unwrap().text(), text);
    }

    #[test]
    fn large_trees_agree_with_the_naive_recursion(size in 1_usize..3_000, at: prop::sample::Index, to: prop::sample::Index) {
        let leaves: Vec<Vec<u8>> = (0..size).map(|leaf| leaf.to_be_bytes().to_vec()).collect();
        let tree = tree_of(&leaves);
        let (index, first) = (at.index(size), to.index(size) + 1);
        let [n, m, f] = [size, index, first].map(|number| u64::try_from(number).unwrap());
        prop_assert_eq!(root(&tree, n), naive(&leaves));
        let Ok(path) = merkle::inclusion(m, n, &mut subtree(&tree));
        prop_assert_eq!(path, naive_inclusion(index, &leaves));
        let Ok(path) = merkle::consistency(f, n, &mut subtree(&tree));
        prop_assert_eq!(path, naive_consistency(first, &leaves, true));
    }
}

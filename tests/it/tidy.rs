//! The rules of the house, held by a test: arrows between modules, sizes, docs, names of stores.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules a module may use. Arrows never point back.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("pb", &["wire"]),
    ("seeded", &[]),
    ("clock", &["domain"]),
    ("proof", &[]),
    ("journal", &["domain", "seeded"]),
    ("codec", &["domain", "journal", "pb"]),
    ("index", &["domain"]),
    ("search", &["domain", "journal", "codec", "clock"]),
    ("filter", &["domain", "index", "search"]),
    ("log", &["domain", "journal", "codec", "index", "search", "filter", "proof", "clock", "seeded"]),
    ("timeline", &["domain", "index", "filter", "log"]),
    ("projection", &["domain", "codec", "pb", "index", "filter", "log", "timeline"]),
    ("subscription", &["domain", "codec", "index", "filter", "journal", "log", "timeline"]),
    (
        "wire",
        &[
            "domain",
            "journal",
            "codec",
            "pb",
            "index",
            "search",
            "filter",
            "log",
            "timeline",
            "projection",
            "subscription",
            "proof",
            "clock",
        ],
    ),
    (
        "service",
        &[
            "domain",
            "journal",
            "codec",
            "pb",
            "index",
            "search",
            "filter",
            "log",
            "timeline",
            "projection",
            "subscription",
            "wire",
            "proof",
            "clock",
        ],
    ),
    ("server", &["domain", "pb", "log", "service", "wire", "clock"]),
    ("cli", &["domain", "pb", "log", "server", "wire", "proof", "clock", "codec", "bench"]),
    ("bench", &["domain", "pb", "index", "log", "journal", "server", "wire", "clock", "codec"]),
];

/// Crates that a module must never name.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    ("domain", &["tonic", "prost", "prost_types", "sled", "tokio", "tracing"]),
    ("proof", &["tonic", "prost", "prost_types", "sled", "tokio", "tracing"]),
    ("journal", &["tonic", "prost", "prost_types", "tokio", "roaring"]),
    ("codec", &["tonic", "sled", "tokio"]),
    ("index", &["tonic", "prost", "tokio"]),
    ("search", &["tonic", "prost", "tokio", "sled"]),
    ("filter", &["tonic", "prost", "tokio", "sled", "tantivy"]),
    ("log", &["tonic", "prost", "sled"]),
    ("timeline", &["tonic", "prost", "tokio", "sled"]),
    ("projection", &["tonic", "tokio", "sled"]),
    ("subscription", &["tonic", "prost", "sled"]),
    ("wire", &["sled", "tokio"]),
    ("service", &["sled"]),
    ("server", &["sled"]),
    ("cli", &["sled"]),
];

const FILE_LINES_MAX: usize = 500;

fn sources() -> Vec<(PathBuf, String)> {
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap()
}

fn module(path: &Path) -> Option<String> {
    let first = relative(path).components().next()?.as_os_str().to_str()?.to_owned();
    let name = first.strip_suffix(".rs").map_or(first.clone(), str::to_owned);
    (!matches!(name.as_str(), "lib" | "main")).then_some(name)
}

/// Code without comments and without unit tests at the end of the file.
fn code(text: &str) -> String {
    let body = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    let relative = relative(path).to_string_lossy().into_owned();
    relative.contains("tests") || relative.ends_with("conformance.rs") || relative.ends_with("properties.rs")
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut broken = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_test(path)) {
        let Some(module) = module(path) else { continue };
        let allowed = MAY_USE.iter().find(|(name, _)| *name == module);
        let Some((_, allowed)) = allowed else {
            broken.push(format!("{}: module {module} is not on the map", relative(path).display()));
            continue;
        };
        for (at, _) in code(text).match_indices("crate::") {
            let code = code(text);
            let rest = code.get(at + "crate::".len()..).unwrap_or_default();
            let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !used.is_empty() && used != module && !allowed.contains(&used.as_str()) {
                broken.push(format!("{}: {module} uses crate::{used}", relative(path).display()));
            }
        }
        let forbidden =
            MUST_NOT_NAME.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, names)| names);
        for name in forbidden {
            let store =
                relative(path).ends_with("journal/sled.rs") || relative(path).starts_with("journal/sled");
            let named = code(text).contains(&format!("{name}::"));
            if named && !(store && *name == "sled") {
                broken.push(format!("{}: {module} names {name}", relative(path).display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn sled_is_named_in_one_room_of_the_journal() {
    let naming: Vec<String> = sources()
        .iter()
        .filter(|(path, text)| !is_test(path) && code(text).replace("self::sled::", "").contains("sled::"))
        .map(|(path, _)| relative(path).display().to_string())
        .collect();
    let rooms = ["journal/sled/contain.rs", "journal/sled/rewrite.rs", "journal/sled.rs"];
    assert_eq!(naming, rooms);
}

#[test]
fn files_are_of_a_size_to_read_in_one_sitting_and_say_what_they_are() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!("{} has {lines} lines", relative(&path).display()));
        }
        if !is_test(&path) && !text.starts_with("//!") {
            broken.push(format!("{} has no module docs", relative(&path).display()));
        }
        for marker in ["TODO", "FIXME", "XXX:", "unimplemented!", "todo!"] {
            if text.contains(marker) {
                broken.push(format!("{} holds {marker}", relative(&path).display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn only_the_clock_reads_time_and_no_queue_is_unbounded() {
    for (path, text) in sources() {
        if is_test(&path) || module(&path).as_deref() == Some("clock") {
            continue;
        }
        for word in ["SystemTime::now", "Instant::now", "unbounded_channel", "mpsc::channel()"] {
            assert!(!code(&text).contains(word), "{} holds {word}", relative(&path).display());
        }
    }
}

#[test]
fn errors_are_mapped_without_a_wildcard() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire/status.rs");
    let text = fs::read_to_string(path).unwrap();
    assert!(!code(&text).contains("_ =>"), "a new error variant must not compile until it is mapped");
}

#[test]
fn every_file_of_the_api_is_commented() {
    let pool = prost_reflect::DescriptorPool::decode(annals::pb::FILE_DESCRIPTOR_SET).unwrap();
    let mut bare = Vec::new();
    for file in pool.files().filter(|file| file.package_name() == "annals.v1") {
        for location in &file.file_descriptor_proto().source_code_info.as_ref().unwrap().location {
            // Paths of messages, enums, services, and of their fields, values and methods have an even length.
            let element = matches!(location.path.first(), Some(4..=6)) && location.path.len() % 2 == 0;
            let declaration = location.path.iter().step_by(2).skip(1).all(|tag| matches!(tag, 2 | 3 | 4 | 8));
            if element && declaration && location.leading_comments().trim().is_empty() {
                bare.push(format!("{} {:?}", file.name(), location.path));
            }
        }
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

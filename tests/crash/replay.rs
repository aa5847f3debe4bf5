//! A file system that may lose power: what a trace of calls leaves on disk at any moment, by the promises of POSIX
//! alone.
//!
//! - The content and length of a file are durable after `fsync` or `fdatasync` of that file returned 0.
//!   `sync_file_range` promises neither length nor that the disk's cache is written: it counts for nothing.
//! - A name (made, changed, removed) is durable after `fsync` of its directory. Names that were not synced survive as a
//!   prefix of the order in which they changed, as a journalled file system keeps them.
//! - Of writes that were not synced anything may survive: none, all, the first few, any subset, any sectors of 512
//!   bytes, or the new length without the data.
//! - A failed sync is no barrier. What was dirty then may be lost for ever: the kernel calls the pages clean, so that a
//!   later sync succeeds without them (Rebello et al., USENIX ATC 2020), until the page is written again.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::trace::{Call, Kind, Random};

const SECTOR_BYTES: usize = 512;
const PAGE_BYTES: usize = 4096;

/// What becomes of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Survival {
    /// Nothing survives.
    Nothing,
    /// Everything does, as when the process alone is killed.
    Everything,
    /// Calls up to some moment do.
    Prefix,
    /// Any subset of the calls does.
    Subset,
    /// Any sectors do: writes are half applied.
    Torn,
    /// Lengths do, data do not: the ends of files are zeros.
    Zeros,
}

impl Survival {
    pub const ALL: [Self; 6] =
        [Self::Nothing, Self::Everything, Self::Prefix, Self::Subset, Self::Torn, Self::Zeros];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "power cut: nothing unsynced survives",
            Self::Everything => "process killed: everything survives",
            Self::Prefix => "power cut: a prefix survives",
            Self::Subset => "power cut: a subset of calls survives",
            Self::Torn => "power cut: torn by sectors",
            Self::Zeros => "power cut: lengths without data",
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    /// Content that was synced, as far as syncs did not fail.
    synced: Vec<u8>,
    /// Pages whose sync failed, with what may stand there instead for ever.
    lost: BTreeMap<usize, Vec<u8>>,
    /// The length that may be found instead, while the last page is lost.
    lost_len: Option<usize>,
    /// Changes since, with the number of the call.
    pending: Vec<(usize, Change)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(String, Node),
    Remove(String),
    Move(String, String),
}

type Names = BTreeMap<String, Node>;

/// A disk under the calls of a trace.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    /// Names as processes see them.
    names: Names,
    /// Names that survive whatever happens.
    synced_names: Names,
    pending_names: Vec<(usize, NameChange)>,
    calls: usize,
}

/// Files and directories of a moment, by relative path.
pub type Image = BTreeMap<String, Option<Vec<u8>>>;

impl Disk {
    /// Takes the next call.
    pub fn apply(&mut self, call: &Call) {
        self.calls += 1;
        if call.error != 0 {
            if call.kind == Kind::Sync
                && let Some(Node::File(inode)) = self.names.get(&call.path)
            {
                self.inodes[*inode].fail();
            }
            return;
        }
        let path = call.path.clone();
        match call.kind {
            Kind::Start | Kind::Range => {}
            Kind::Create => {
                self.inodes.push(Inode::default());
                self.rename(NameChange::Set(path, Node::File(self.inodes.len() - 1)));
            }
            Kind::Mkdir => self.rename(NameChange::Set(path, Node::Directory)),
            Kind::Unlink | Kind::Rmdir => self.rename(NameChange::Remove(path)),
            Kind::Rename => {
                self.rename(NameChange::Move(path, String::from_utf8(call.data.clone()).unwrap()));
            }
            Kind::Write => self.change(call, Change::Write(call.offset as usize, call.data.clone())),
            Kind::Truncate => self.change(call, Change::Length(call.offset as usize)),
            Kind::Extend => {
                let len = self.file(&path).cached().len().max(call.offset as usize);
                self.change(call, Change::Length(len));
            }
            Kind::Sync => self.sync(&path),
        }
    }

    fn file(&self, path: &str) -> &Inode {
        let Some(Node::File(inode)) = self.names.get(path) else { panic!("{path} is no file in the replay") };
        &self.inodes[*inode]
    }

    fn change(&mut self, call: &Call, change: Change) {
        let Some(Node::File(inode)) = self.names.get(&call.path) else {
            panic!("{} is no file in the replay", call.path)
        };
        self.inodes[*inode].pending.push((self.calls, change));
    }

    fn rename(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.pending_names.push((self.calls, change));
    }

    fn sync(&mut self, path: &str) {
        if let Some(Node::File(inode)) = self.names.get(path) {
            self.inodes[*inode].sync();
            return;
        }
        let pending = std::mem::take(&mut self.pending_names);
        for (number, change) in pending {
            if parent(change.path()) == path {
                apply_name(&mut self.synced_names, &change);
            } else {
                self.pending_names.push((number, change));
            }
        }
    }

    /// How many changes are not synced.
    pub fn unsynced(&self) -> usize {
        self.inodes.iter().map(|inode| inode.pending.len() + inode.lost.len()).sum::<usize>()
            + self.pending_names.len()
    }

    /// What a process sees.
    pub fn cached(&self) -> Image {
        let content = |node: &Node| match node {
            Node::Directory => None,
            Node::File(inode) => Some(self.inodes[*inode].cached()),
        };
        self.names.iter().map(|(path, node)| (path.clone(), content(node))).collect()
    }

    /// What is found after the power was cut now.
    pub fn cut(&self, survival: Survival, seed: u64) -> Image {
        let mut random = Random(seed);
        // The calls up to here survive, for those that survive as a prefix.
        let numbers: Vec<usize> = (self.inodes.iter().flat_map(|inode| &inode.pending).map(|(at, _)| *at))
            .chain(self.pending_names.iter().map(|(at, _)| *at))
            .collect();
        let oldest = numbers.iter().copied().min().unwrap_or(self.calls);
        let prefix = |random: &mut Random| oldest + random.below((self.calls - oldest + 2) as u64) as usize;
        let calls_kept = match survival {
            Survival::Nothing => 0,
            Survival::Everything => usize::MAX,
            _ => prefix(&mut random),
        };
        let names_kept = if survival == Survival::Prefix || random.percent(50) { calls_kept } else { 0 };
        let names_kept = if survival == Survival::Everything { usize::MAX } else { names_kept };
        let mut names = self.synced_names.clone();
        for (number, change) in &self.pending_names {
            if *number < names_kept {
                apply_name(&mut names, change);
            }
        }
        let chance = [15, 50, 85][random.below(3) as usize];
        let mut contents: HashMap<usize, Vec<u8>> = HashMap::new();
        let mut image = Image::new();
        for (path, node) in &names {
            let reachable = ancestors(path).all(|above| names.get(above) == Some(&Node::Directory));
            if !reachable {
                continue;
            }
            let content = match node {
                Node::Directory => None,
                Node::File(inode) => Some(
                    contents
                        .entry(*inode)
                        .or_insert_with(|| self.inodes[*inode].cut(survival, calls_kept, chance, &mut random))
                        .clone(),
                ),
            };
            image.insert(path.clone(), content);
        }
        image
    }
}

impl NameChange {
    fn path(&self) -> &str {
        match self {
            Self::Set(path, _) | Self::Remove(path) | Self::Move(_, path) => path,
        }
    }
}

fn apply_name(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Set(path, node) => {
            names.insert(path.clone(), *node);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
        NameChange::Move(from, to) => {
            // Directories are never moved here, so that no path below has to change.
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

impl Inode {
    fn cached(&self) -> Vec<u8> {
        let mut content = self.synced.clone();
        self.pending.iter().for_each(|(_, change)| change.apply(&mut content));
        content
    }

    fn sync(&mut self) {
        for (_, change) in std::mem::take(&mut self.pending) {
            change.apply(&mut self.synced);
            // A page that is written again goes to disk as a whole.
            change.pages().for_each(|page| drop(self.lost.remove(&page)));
        }
        if self.lost.is_empty() {
            self.lost_len = None;
        }
    }

    fn fail(&mut self) {
        let before = self.synced.clone();
        for (_, change) in std::mem::take(&mut self.pending) {
            change.apply(&mut self.synced);
            for page in change.pages() {
                let start = (page * PAGE_BYTES).min(before.len());
                let end = (start + PAGE_BYTES).min(before.len());
                self.lost.entry(page).or_insert_with(|| before[start..end].to_vec());
            }
        }
        if before.len() < self.synced.len() && self.lost_len.is_none() {
            self.lost_len = Some(before.len());
        }
    }

    fn cut(&self, survival: Survival, calls_kept: usize, chance: u64, random: &mut Random) -> Vec<u8> {
        let mut content = self.synced.clone();
        let keep_lost = match survival {
            Survival::Nothing | Survival::Zeros => 0,
            Survival::Everything => 100,
            Survival::Prefix | Survival::Subset | Survival::Torn => chance,
        };
        for (page, old) in &self.lost {
            if random.percent(keep_lost) {
                continue;
            }
            let start = (page * PAGE_BYTES).min(content.len());
            let end = (start + PAGE_BYTES).min(content.len());
            let kept = old.len().min(end - start);
            content[start..start + kept].copy_from_slice(&old[..kept]);
            content[start + kept..end].fill(0);
        }
        if let Some(len) = self.lost_len
            && !random.percent(keep_lost)
            && content[len..].iter().all(|byte| *byte == 0)
        {
            content.truncate(len);
        }
        for (number, change) in &self.pending {
            match survival {
                Survival::Nothing => {}
                Survival::Everything => change.apply(&mut content),
                Survival::Prefix => {
                    if *number < calls_kept {
                        change.apply(&mut content);
                    }
                }
                Survival::Subset => {
                    if random.percent(chance) {
                        change.apply(&mut content);
                    }
                }
                Survival::Torn => change.apply_sectors(&mut content, chance, random),
                Survival::Zeros => match change {
                    Change::Write(at, data) => {
                        let len = content.len().max(at + data.len());
                        content.resize(len, 0);
                    }
                    Change::Length(_) => change.apply(&mut content),
                },
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                let end = at + data.len();
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(data);
            }
            Self::Length(len) => content.resize(*len, 0),
        }
    }

    fn apply_sectors(&self, content: &mut Vec<u8>, chance: u64, random: &mut Random) {
        let Self::Write(at, data) = self else {
            if random.percent(chance) {
                self.apply(content);
            }
            return;
        };
        // A disk may stop in the middle of a write, or write its sectors in any order.
        let stopped = random.percent(50);
        let stop = if stopped { random.below(data.len() as u64 + 1) as usize } else { data.len() };
        let chance = if stopped { 100 } else { chance };
        let mut from = 0;
        while from < data.len() {
            let sector_end = (at + from) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES;
            let to = (sector_end - at).min(data.len());
            if to <= stop && random.percent(chance) {
                Self::Write(at + from, data[from..to].to_vec()).apply(content);
            }
            from = to;
        }
    }

    fn pages(&self) -> std::ops::Range<usize> {
        match self {
            Self::Write(_, data) if data.is_empty() => 0..0,
            Self::Write(at, data) => at / PAGE_BYTES..(at + data.len()).div_ceil(PAGE_BYTES),
            Self::Length(len) => len / PAGE_BYTES..len / PAGE_BYTES,
        }
    }
}

/// Writes an image into a directory, which is emptied first.
pub fn write(image: &Image, directory: &Path) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).unwrap();
    for (path, content) in image {
        let path = directory.join(path);
        match content {
            // The order of paths puts a directory before what is in it.
            None => std::fs::create_dir_all(path).unwrap(),
            Some(content) => std::fs::write(path, content).unwrap(),
        }
    }
}

/// Reads a directory as an image.
pub fn read(directory: &Path) -> Image {
    let mut image = Image::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                image.insert(name, None);
                waiting.push(path);
            } else {
                image.insert(name, Some(std::fs::read(&path).unwrap()));
            }
        }
    }
    image
}

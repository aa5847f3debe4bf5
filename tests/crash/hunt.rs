//! Hunts for the deliberate faults of `annals::seeded`: each must break a promise that the suite checks.

use std::process::{Command, Stdio};

use annals::seeded::Bug;

use crate::cycles::Tally;
use crate::faults::Kind;
use crate::trace::Random;
use crate::{flips, suite};

/// Rounds over all kinds before a fault counts as not found.
const ROUNDS_MAX: u64 = 12;
const CUTS: usize = 24;

/// How a fault was found.
#[derive(Clone, Debug)]
pub struct Caught {
    pub bug: String,
    pub kind: String,
    pub cycles: u64,
    pub promise: String,
}

/// Looks for the fault that is on in this process, and says what it found on standard output.
pub async fn here() {
    for round in 0..ROUNDS_MAX {
        let mut tally = Tally { first: None, ..Tally::default() };
        tally.cycles.insert("before".to_owned(), round * 9 * CUTS as u64);
        let seed = Random(round).next();
        flips::cycles(seed, CUTS, &mut tally).await;
        for kind in Kind::ALL {
            if tally.violations.is_empty() {
                suite::cycles(kind, seed, CUTS, &mut tally).await;
            }
        }
        if let Some(found) = tally.violations.first() {
            let promise = found.text.lines().next().unwrap_or_default().replace('\t', " ");
            println!("CAUGHT\t{}\t{}\t{promise}", found.kind, tally.first.unwrap_or(1));
            return;
        }
    }
    println!("SURVIVED");
}

/// Hunts for every fault, each in a process of its own, that `hunter` makes.
///
/// # Errors
/// The faults that were not found.
pub fn all(hunter: impl Fn() -> Command) -> Result<Vec<Caught>, Vec<String>> {
    let (mut caught, mut survived) = (Vec::new(), Vec::new());
    for bug in Bug::ALL.map(Bug::name) {
        let output = hunter().env("ANNALS_SEEDED_BUG", &bug).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find_map(|line| line.split_once("CAUGHT\t").map(|(_, rest)| rest.to_owned()));
        let Some(line) = line else {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            let end = error.lines().rev().take(12).collect::<Vec<_>>().join("\n");
            survived.push(format!("{bug}: {said} {end}"));
            continue;
        };
        let mut words = line.splitn(3, '\t').map(str::to_owned);
        let (kind, cycles, promise) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let found = Caught { bug, kind, cycles: cycles.parse().unwrap(), promise };
        eprintln!("{} caught by {} after {} cycles: {}", found.bug, found.kind, found.cycles, found.promise);
        caught.push(found);
    }
    if survived.is_empty() { Ok(caught) } else { Err(survived) }
}

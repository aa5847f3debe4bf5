//! Where the acts of agreements stand in the log, by stream.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;

use crate::domain::{Kind, Position, TermField};
use crate::filter::Filter;
use crate::filter::plan::slots_of;
use crate::index::{Part, Scope, Status, View};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::projection::{Events, of_kind, streams_of};
use crate::timeline::Judge;

/// Where no more than one in so many events of a part matches, the names of their streams are read from the log; where
/// more do, the index gives them, which goes through the names of all streams of the part.
const READ_ONE_IN: u64 = 256;
/// Up to so many streams are looked up by name; beyond, the names of all streams of a part are gone through.
const LOOKED_UP_MAX: usize = 1_000;

/// Acts by stream, each by position, and whether it stands.
pub type Places = BTreeMap<String, Vec<(Position, bool)>>;

/// Gives the streams with a standing act that matches.
///
/// # Errors
/// [`ReadError`] when the log cannot be read.
pub fn streams_with(log: &Log, filter: &Filter, scope: Scope) -> Result<BTreeSet<String>, ReadError> {
    let filter = of_kind(Kind::Agreement, filter.clone());
    let mut streams = BTreeSet::new();
    let mut few = Vec::new();
    {
        let view = log.index().view();
        let judge = Judge { view: &view, window: None, scope, include_closed: false };
        for part in view.parts().filter(|part| part.base() < scope.as_of) {
            let mut found = filter.slots(part, part.slots_up_to(scope.as_of));
            let closed: Vec<u16> =
                slots_of(&found).filter(|slot| judge.judge(part, *slot).is_none()).collect();
            for slot in closed {
                found.remove(u32::from(slot));
            }
            if found.len() * READ_ONE_IN <= u64::from(part.len()) {
                few.extend(slots_of(&found).map(|slot| part.position_at(slot)));
                continue;
            }
            each_stream(part, &mut |name, slots| {
                if !slots.is_disjoint(&found) {
                    streams.insert(name.to_owned());
                }
            });
        }
    }
    let read = streams_of(&mut Events::of(log), &few)?;
    streams.extend(read.iter().map(|stream| stream.as_str().to_owned()));
    Ok(streams)
}

/// Gives where the acts of streams stand; streams without any are left out.
#[must_use]
pub fn places(view: &View, streams: &BTreeSet<String>, scope: Scope) -> Places {
    let judge = Judge { view, window: None, scope, include_closed: true };
    let filter = of_kind(Kind::Agreement, Filter::default());
    let mut places = Places::new();
    for part in view.parts().filter(|part| part.base() < scope.as_of) {
        let acts = filter.slots(part, part.slots_up_to(scope.as_of));
        if acts.is_empty() {
            continue;
        }
        let mut take = |name: &str, slots: &RoaringBitmap| {
            let own = slots & &acts;
            let judged = slots_of(&own).filter_map(|slot| Some((slot, judge.judge(part, slot)?.1)));
            let found: Vec<(Position, bool)> =
                judged.map(|(slot, status)| (part.position_at(slot), status == Status::Current)).collect();
            if !found.is_empty() {
                places.entry(name.to_owned()).or_default().extend(found);
            }
        };
        if streams.len() <= LOOKED_UP_MAX {
            for name in streams {
                if let Some(slots) = part.posting(&TermField::Stream.term(name)) {
                    take(name, &slots);
                }
            }
        } else {
            each_stream(part, &mut |name, slots| {
                if streams.contains(name) {
                    take(name, slots);
                }
            });
        }
    }
    places
}

fn each_stream(part: &dyn Part, visit: &mut dyn FnMut(&str, &RoaringBitmap)) {
    part.for_each_term(&[TermField::Stream.number()], &mut |term, slots| {
        let name = term.get(1..).and_then(|name| std::str::from_utf8(name).ok());
        if let Some(name) = name {
            visit(name, &slots);
        }
    });
}

//! The transfers of a question, and which of them look the same.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::dimension::Dimension;
use super::{Question, grouping};
use crate::domain::{Bounds, Position};
use crate::filter::plan::slots_of;
use crate::index::AmountRow;
use crate::index::{Part, View};
use crate::timeline::Judge;

/// A transfer that counts.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Which part.
    pub part: usize,
    /// Which of its amounts.
    pub row: usize,
    /// It looks the same as one before.
    pub is_duplicate: bool,
}

/// The transfers of a question, in position order.
pub struct Transfers<'a> {
    parts: Vec<&'a dyn Part>,
    /// The transfers.
    pub all: Vec<Transfer>,
    /// Transfers that look the same, by index, rising; groups by their first.
    pub alike: Vec<Vec<usize>>,
}

impl std::fmt::Debug for Transfers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfers").field("all", &self.all.len()).finish_non_exhaustive()
    }
}

impl<'a> Transfers<'a> {
    /// Finds them.
    #[must_use]
    pub fn of(view: &'a View, question: &Question) -> Self {
        let Question { filter, window, scope, .. } = question;
        let judge = Judge { view, window: *window, scope: *scope, include_closed: false };
        let parts: Vec<&dyn Part> = view.parts().filter(|part| part.base() < scope.as_of).collect();
        let mut all = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let found = filter.slots(*part, part.slots_up_to(scope.as_of));
            // Both rise, so that one walk over the amounts finds the row of each slot.
            let amounts = part.amounts();
            let mut rows = (0..amounts.len()).filter_map(|row| Some((row, amounts.slot(row)?))).peekable();
            for slot in slots_of(&found) {
                while rows.next_if(|(_, held)| *held < slot).is_some() {}
                let row = rows.next_if(|(_, held)| *held == slot).map(|(row, _)| row);
                if let Some(row) = row.filter(|_| judge.admits(*part, slot)) {
                    all.push(Transfer { part: at, row, is_duplicate: false });
                }
            }
        }
        let mut transfers = Self { parts, all, alike: Vec::new() };
        transfers.mark();
        transfers
    }

    /// Gives the part and the amount of a transfer.
    #[must_use]
    pub fn look(&self, transfer: &Transfer) -> Option<(&'a dyn Part, AmountRow)> {
        let part = *self.parts.get(transfer.part)?;
        Some((part, part.amounts().get(transfer.row)?))
    }

    /// Gives the position of a transfer.
    #[must_use]
    pub fn position(&self, transfer: &Transfer) -> Position {
        self.look(transfer).map_or(Position::ZERO, |(part, row)| part.position_at(row.slot))
    }

    /// Finds what looks the same: a short digest sorts likely ones together, then they are compared in full.
    fn mark(&mut self) {
        let mut digests: Vec<(u64, usize)> = Vec::with_capacity(self.all.len());
        for (index, transfer) in self.all.iter().enumerate() {
            if let Some(looks) = self.looks(transfer) {
                let mut hasher = DefaultHasher::new();
                looks.hash(&mut hasher);
                digests.push((hasher.finish(), index));
            }
        }
        digests.sort_unstable();
        let mut alike: Vec<Vec<usize>> = Vec::new();
        for likely in digests.chunk_by(|one, other| one.0 == other.0).filter(|likely| likely.len() > 1) {
            let looks = |index: usize| self.all.get(index).and_then(|transfer| self.looks(transfer));
            let mut likely: Vec<(Option<Looks>, usize)> =
                likely.iter().map(|(_, index)| (looks(*index), *index)).collect();
            likely.sort_unstable();
            let same = likely.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1);
            alike.extend(same.map(|same| same.iter().map(|(_, index)| *index).collect()));
        }
        alike.sort_unstable();
        for suspect in alike.iter().flat_map(|same| same.iter().skip(1)) {
            if let Some(transfer) = self.all.get_mut(*suspect) {
                transfer.is_duplicate = true;
            }
        }
        self.alike = alike;
    }

    fn looks(&self, transfer: &Transfer) -> Option<Looks> {
        let (part, row) = self.look(transfer)?;
        let Bounds { earliest_start, latest_start, earliest_end, latest_end } =
            part.columns().bounds(row.slot)?;
        let date = [earliest_start, latest_start, earliest_end, latest_end];
        Some((row.likeness, date, row.stage, row.currency, row.units, row.nanos))
    }
}

/// What must be the same: stream and reference, date, stage, currency, amount.
type Looks = ([u8; 16], [i32; 4], u8, [u8; 3], i64, i32);

/// Which row of a summary to list.
#[derive(Clone, Debug)]
pub struct RowRequest {
    /// Which transfers the summary has.
    pub question: Question,
    /// By what it is grouped.
    pub group_by: Vec<Dimension>,
    /// Values of the key; `None` = any.
    pub key: Option<Vec<Vec<String>>>,
    /// Number of the stage; `None` = any.
    pub stage: Option<u8>,
    /// Currency; `None` = any.
    pub currency: Option<[u8; 3]>,
    /// Only what looks the same as one before.
    pub only_duplicates: bool,
    /// Transfers after this position.
    pub after: Position,
    /// Most transfers.
    pub page_size: usize,
}

/// A transfer behind a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedTransfer {
    /// Where it stands.
    pub position: Position,
    /// It looks the same as one before.
    pub is_duplicate: bool,
}

/// Lists the transfers behind a row, and tells whether there are more.
#[must_use]
pub fn list(view: &View, request: &RowRequest) -> (Vec<ListedTransfer>, bool) {
    let transfers = Transfers::of(view, &request.question);
    let groups = grouping::Groups::of(&transfers, &request.group_by);
    let wanted: Vec<bool> = groups.keys.iter().map(|key| is_wanted(&groups, key, request)).collect();
    let mut found = Vec::new();
    for (transfer, group) in transfers.all.iter().zip(&groups.of_transfer) {
        let position = transfers.position(transfer);
        let excluded =
            if transfer.is_duplicate { request.question.exclude_duplicates } else { request.only_duplicates };
        if excluded || position <= request.after || wanted.get(*group) != Some(&true) {
            continue;
        }
        if found.len() == request.page_size {
            return (found, true);
        }
        found.push(ListedTransfer { position, is_duplicate: transfer.is_duplicate });
    }
    (found, false)
}

fn is_wanted(groups: &grouping::Groups, key: &grouping::GroupKey, request: &RowRequest) -> bool {
    request.stage.is_none_or(|stage| key.stage == stage)
        && request.currency.is_none_or(|currency| key.currency == currency)
        && request.key.as_ref().is_none_or(|asked| groups.values(key) == *asked)
}

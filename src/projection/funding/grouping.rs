//! Which transfers share a row.

use std::collections::HashMap;

use super::dimension::{Dimension, ValueSets};
use super::transfers::Transfers;

/// What the transfers of a row share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupKey {
    /// Number of the set of values in each dimension.
    sets: Vec<u32>,
    /// Number of the stage.
    pub stage: u8,
    /// ISO 4217 code.
    pub currency: [u8; 3],
}

/// The rows of transfers.
#[derive(Debug)]
pub struct Groups {
    values: ValueSets,
    /// The rows, by first transfer.
    pub keys: Vec<GroupKey>,
    /// The row of each transfer.
    pub of_transfer: Vec<usize>,
}

impl Groups {
    /// Puts each transfer in the one row that it belongs to.
    #[must_use]
    pub fn of(transfers: &Transfers<'_>, dimensions: &[Dimension]) -> Self {
        let mut values = ValueSets::default();
        let mut keys: Vec<GroupKey> = Vec::new();
        let mut known: HashMap<GroupKey, usize> = HashMap::new();
        let mut of_transfer = Vec::with_capacity(transfers.all.len());
        let mut columns: Vec<Vec<u32>> = Vec::new();
        let mut in_part = None;
        let mut key = GroupKey { sets: Vec::new(), stage: 0, currency: [0; 3] };
        for transfer in &transfers.all {
            let Some((part, row)) = transfers.look(transfer) else {
                // Not met, but the two lists must stay in step.
                of_transfer.push(usize::MAX);
                continue;
            };
            if in_part != Some(transfer.part) {
                in_part = Some(transfer.part);
                columns = dimensions.iter().map(|dimension| values.of_part(*dimension, part)).collect();
            }
            key.sets.clear();
            let slot = usize::from(row.slot);
            key.sets.extend(columns.iter().map(|column| column.get(slot).copied().unwrap_or_default()));
            (key.stage, key.currency) = (row.stage, row.currency);
            let group = known.get(&key).copied().unwrap_or_else(|| {
                known.insert(key.clone(), keys.len());
                keys.push(key.clone());
                keys.len() - 1
            });
            of_transfer.push(group);
        }
        Self { values, keys, of_transfer }
    }

    /// Gives the values of a key, by dimension.
    #[must_use]
    pub fn values(&self, key: &GroupKey) -> Vec<Vec<String>> {
        key.sets.iter().map(|set| self.values.values(*set)).collect()
    }
}

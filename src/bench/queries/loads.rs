//! What the full store allows beside an empty one: the same loads, on one and then on the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Steps;
use crate::bench::append;
use crate::bench::cell::{Shape, Subscribers};
use crate::bench::error::BenchError;
use crate::bench::events::Templates;
use crate::bench::samples::{Measured, percentile_us};
use crate::bench::work::{Beside, Load, Work};
use crate::bench::{Window, latency, read};

/// What one load came to.
#[derive(Clone, Debug)]
pub struct LoadRow {
    /// Which events, and what is done with them.
    pub name: String,
    /// On a store that holds what earlier loads left.
    pub empty: Measured,
    /// On the full store.
    pub full: Measured,
}

impl LoadRow {
    /// Gives the rate on the full store, divided by that on the empty one.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.full.per_second() / self.empty.per_second().max(f64::MIN_POSITIVE)
    }

    /// Gives what 50 and 99 of 100 calls or deliveries took at most on one of them, in microseconds.
    #[must_use]
    pub fn latencies_us(measured: &Measured) -> (f64, f64) {
        (percentile_us(&measured.latencies, 50), percentile_us(&measured.latencies, 99))
    }
}

/// Time for a server to seal and index what it was given.
const PAUSE: Duration = Duration::from_millis(500);

/// Lists what is done with the events of each shape; reading comes last, when there is something to read in both.
fn works(subscribers: &Subscribers) -> Vec<Work> {
    let beside = Load::unary(16, 1);
    let loads = [(1, 1), (16, 1), (64, 1), (256, 1), (1, 100), (16, 100)]
        .map(|(clients, batch)| Load::unary(clients, batch));
    let busy = subscribers.busy.iter().map(|count| beside.beside(Beside::Busy(*count)));
    let idle = subscribers.idle.iter().map(|count| beside.beside(Beside::Idle(*count)));
    let loads = loads.into_iter().chain([Load::stream(64)]).chain(busy).chain(idle);
    loads.map(Work::Append).chain([Work::Subscribe, Work::ReadAll]).collect()
}

/// Gives the number of steps.
#[must_use]
pub fn steps(subscribers: &Subscribers) -> usize {
    Shape::ALL.len() * works(subscribers).len()
}

/// Measures each load on an empty store and then on a full one.
///
/// # Errors
/// [`BenchError`] when a call fails or is answered wrongly.
pub(super) fn measure(
    clients: &Runtime,
    (empty, full): (SocketAddr, SocketAddr),
    subscribers: &Subscribers,
    cell: Duration,
    steps: &mut Steps<'_>,
) -> Result<Vec<LoadRow>, BenchError> {
    let mut rows = Vec::new();
    for shape in Shape::ALL {
        let templates = Arc::new(Templates::new(shape)?);
        for address in [empty, full] {
            known(clients.block_on(read::prepare(address, &templates)))?;
        }
        for work in works(subscribers) {
            let on = |address| {
                clients.block_on(async {
                    let measured = one(address, &templates, work, Window::of(cell)).await;
                    // What the one has left to do must not stand in the way of the other.
                    tokio::time::sleep(PAUSE).await;
                    measured
                })
            };
            rows.push(LoadRow { name: format!("{shape}, {work}"), empty: on(empty)?, full: on(full)? });
            steps.next()?;
        }
    }
    Ok(rows)
}

/// A store may hold the example already, if it was filled with it.
fn known(prepared: Result<(), BenchError>) -> Result<(), BenchError> {
    match prepared {
        Err(BenchError::Call(status)) if status.code() == tonic::Code::AlreadyExists => Ok(()),
        other => other,
    }
}

async fn one(
    address: SocketAddr,
    templates: &Arc<Templates>,
    work: Work,
    window: Window,
) -> Result<Measured, BenchError> {
    match work {
        Work::Append(load) => append::measure(address, templates, load, window).await,
        Work::Subscribe => latency::measure(address, templates, window).await,
        Work::ReadAll => read::from_the_beginning(address, window).await,
        Work::Sync { .. } | Work::Fold { .. } | Work::ReadRare => {
            Err(BenchError::Fault("no load of a store"))
        }
    }
}

//! The server: binds, opens the store, serves, stops.
//!
//! The port is bound before the store is opened, so that clients of a store that takes long to open are told
//! STARTING and not refused. A stop takes no new work, lets appends that wait be written, ends open streams with
//! `Ending`, and then closes the store.

pub mod call;
pub mod config;
pub mod lingering;
pub mod telemetry;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;
use tracing::{error, info, warn};

use call::CallLayer;
pub use config::{Config, ConfigError, LogFormat, Overrides};
use lingering::Lingering;

use crate::clock::{Clock as _, System};
use crate::log::error::causes;
use crate::log::{Log, LogConfig, OpenError, OpenProgress};
use crate::pb;
use crate::pb::admin_service_server::AdminServiceServer;
use crate::pb::agreement_service_server::AgreementServiceServer;
use crate::pb::event_log_service_server::EventLogServiceServer;
use crate::pb::funding_service_server::FundingServiceServer;
use crate::pb::provenance_service_server::ProvenanceServiceServer;
use crate::pb::series_service_server::SeriesServiceServer;
use crate::pb::timeline_service_server::TimelineServiceServer;
use crate::pb::visit_service_server::VisitServiceServer;
use crate::service::{
    Admin, Agreements, Context, EventLog, Funding, Phase, Provenance, Series, Timeline, Visits,
};

/// Says why the server did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Open(#[from] OpenError),
    /// The transport failed.
    #[error("the transport failed")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors of the API cannot be served.
    #[error("reflection cannot be set up")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The store could not be closed.
    #[error("the store could not be closed")]
    Close(#[source] std::io::Error),
}

/// A server that has its port.
#[derive(Debug)]
pub struct Server {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    ready: watch::Sender<bool>,
}

/// How often an idle connection is probed.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// How often a connection is pinged.
const HTTP2_KEEPALIVE: Duration = Duration::from_secs(20);
/// How long a ping may stay unanswered.
const HTTP2_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// What a client may send ahead in one call, in bytes: a second of uploading over a slow line, and more than a batch.
pub const STREAM_WINDOW_BYTES: u32 = 1_024 * 1_024;
/// What a client may send ahead over one connection, in bytes. Wider than the window of a call: with the same size, one
/// call that is not read from stops all others of its connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 8 * STREAM_WINDOW_BYTES;
/// Most threads a core for work that may wait for the disk, and least of them. More of them make nothing faster: work goes
/// to whichever thread has rested longest, so that all of them keep memory of their own warm, and
/// hundreds that read at once make sled many times slower than a few do.
const BLOCKING_THREADS_A_CORE: usize = 4;
const BLOCKING_THREADS_MIN: usize = 16;

/// Makes the threads that a server runs on.
///
/// # Errors
/// When they cannot be started.
pub fn runtime(name: &str) -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism()?.get();
    tokio::runtime::Builder::new_multi_thread()
        .thread_name(name)
        .max_blocking_threads(BLOCKING_THREADS_MIN.max(BLOCKING_THREADS_A_CORE.saturating_mul(cores)))
        .enable_all()
        .build()
}

const SERVICES: &[&str] = &[
    "",
    "annals.v1.EventLogService",
    "annals.v1.TimelineService",
    "annals.v1.AgreementService",
    "annals.v1.VisitService",
    "annals.v1.ProvenanceService",
    "annals.v1.FundingService",
    "annals.v1.SeriesService",
    "annals.v1.AdminService",
];

/// A service with the limits and encodings of every service.
macro_rules! served {
    ($server:ident, $service:expr, $size:expr) => {
        $server::new($service)
            .max_decoding_message_size($size)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
    };
}

impl Server {
    /// Binds the port.
    ///
    /// # Errors
    /// [`StartError::Bind`].
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let error = |source| StartError::Bind { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok(Self { config, listener, address, ready: watch::Sender::new(false) })
    }

    /// Gives the address: the port where the configuration left it open.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Becomes true when the store is open.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Opens the store and serves until `shutdown` comes.
    ///
    /// # Errors
    /// [`StartError`]. When it returns, the store is closed, or was not opened.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let (phase, watched) = watch::channel(Phase::Starting { progress: "opening the journal".to_owned() });
        let stop = CancellationToken::new();
        let context = Context::new(watched, Arc::new(System), self.config.limits, stop.clone(), System.now());
        let (health, health_service) = tonic_health::server::health_reporter();
        set_health(&health, ServingStatus::NotServing).await;
        let routes = routes(&context, health_service)?;
        let transport_stop = CancellationToken::new();
        let transport =
            tokio::spawn(serve(self.listener, routes, self.config.clone(), transport_stop.clone()));
        let opened = open(&self.config, &phase).await;
        let log = match opened {
            Ok(log) => log,
            Err(error) => {
                transport_stop.cancel();
                transport.abort();
                return Err(error);
            }
        };
        phase.send_replace(Phase::Serving(Arc::clone(&log)));
        set_health(&health, ServingStatus::Serving).await;
        self.ready.send_replace(true);
        info!(address = %self.address, data = %self.config.data.display(), head = %log.head().position, "serving");

        shutdown.await;
        info!("stopping");
        set_health(&health, ServingStatus::NotServing).await;
        phase.send_replace(Phase::Stopping);
        stop.cancel();
        transport_stop.cancel();
        end_health(&health).await;
        let drained = drain(transport, self.config.drain).await;
        close(log).await?;
        drained
    }
}

async fn open(config: &Config, phase: &watch::Sender<Phase>) -> Result<Arc<Log>, StartError> {
    let log_config = LogConfig {
        directory: config.data.clone(),
        queue: config.limits.queue,
        journal_cache_bytes: config.journal_cache_bytes,
        disk_reserve_bytes: config.disk_reserve_bytes,
    };
    let progress = phase.clone();
    let work = tokio::task::spawn_blocking(move || {
        let report = |step: OpenProgress| {
            progress.send_replace(Phase::Starting { progress: said(step) });
        };
        Log::open(&log_config, Arc::new(System), Arc::new(System), &report)
    });
    let (log, report) = match work.await {
        Ok(opened) => opened?,
        Err(panicked) => {
            let source = std::io::Error::other(panicked);
            return Err(OpenError::Io { path: config.data.display().to_string(), source }.into());
        }
    };
    if report.frames_rolled_back > 0 {
        warn!(
            frames = report.frames_rolled_back,
            "recovered: unfinished commits, never acknowledged, were dropped"
        );
    }
    Ok(Arc::new(log))
}

fn said(step: OpenProgress) -> String {
    match step {
        OpenProgress::Journal => "opening the journal".to_owned(),
        OpenProgress::Loading { segments } => format!("loading {segments} index segments"),
        OpenProgress::Rebuilding { done, segments } => {
            format!("rebuilding index segments: {done} of {segments}")
        }
        OpenProgress::Folding => "folding the end of the journal".to_owned(),
    }
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for service in SERVICES.iter().copied() {
        health.set_service_status(service, status).await;
    }
}

/// Ends the streams of those who watch the health: they have been told, and would hold up the stop.
async fn end_health(health: &HealthReporter) {
    let mut health = health.clone();
    for service in SERVICES.iter().copied() {
        health.clear_service_status(service).await;
    }
}

/// Lays the services out as routes, so that more can be served on the same port.
///
/// # Errors
/// [`StartError::Reflection`].
pub fn routes(context: &Context, health: HealthServer<impl Health>) -> Result<Routes, StartError> {
    let size = context.limits.message_bytes_max;
    let event_log = served!(EventLogServiceServer, EventLog(context.clone()), size);
    let timeline = served!(TimelineServiceServer, Timeline(context.clone()), size);
    let series = served!(SeriesServiceServer, Series(context.clone()), size);
    let agreements = served!(AgreementServiceServer, Agreements(context.clone()), size);
    let provenance = served!(ProvenanceServiceServer, Provenance(context.clone()), size);
    let visits = served!(VisitServiceServer, Visits(context.clone()), size);
    let admin = served!(AdminServiceServer, Admin(context.clone()), size);
    let funding = served!(FundingServiceServer, Funding(context.clone()), size);
    // Each version lists both, whichever a client asks: the widespread grpcurl 1.8 speaks only v1alpha.
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false)
    };
    Ok(Routes::new(event_log)
        .add_service(timeline)
        .add_service(series)
        .add_service(agreements)
        .add_service(visits)
        .add_service(provenance)
        .add_service(admin)
        .add_service(funding)
        .add_service(
            health.accept_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Zstd),
        )
        .add_service(
            reflection()
                .build_v1()?
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd),
        )
        .add_service(
            reflection()
                .build_v1alpha()?
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd),
        ))
}

async fn serve(
    listener: TcpListener,
    routes: Routes,
    config: Config,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    // Without TCP_NODELAY a single small message waits some 40 ms for the other side's delayed acknowledgement.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEPALIVE));
    let incoming = incoming.map(|accepted| accepted.map(Lingering::from));
    tonic::transport::Server::builder()
        .layer(CallLayer { message_bytes_max: config.limits.message_bytes_max })
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(config.connection_streams_max)
        // A client that cancels as many calls as it may have open must not lose its other calls with them; h2's
        // own limit of 20, against rapid resets (CVE-2023-44487), closes the whole connection.
        .http2_max_pending_accept_reset_streams(usize::try_from(config.connection_streams_max).ok())
        .http2_keepalive_interval(Some(HTTP2_KEEPALIVE))
        .http2_keepalive_timeout(Some(HTTP2_KEEPALIVE_TIMEOUT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}

/// Waits for calls that are under way, but not for ever: a silent connection would keep the server from ending.
async fn drain(
    mut transport: JoinHandle<Result<(), tonic::transport::Error>>,
    longest: Duration,
) -> Result<(), StartError> {
    match tokio::time::timeout(longest, &mut transport).await {
        Ok(Ok(served)) => Ok(served?),
        Ok(Err(panicked)) => {
            error!(error = causes(&panicked), "the transport ended badly");
            Ok(())
        }
        Err(_) => {
            warn!(seconds = longest.as_secs(), "some calls did not end in time and are cut off");
            transport.abort();
            Ok(())
        }
    }
}

async fn close(log: Arc<Log>) -> Result<(), StartError> {
    let work = tokio::task::spawn_blocking(move || log.close());
    let closed = work.await.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
    closed.map_err(StartError::Close)
}

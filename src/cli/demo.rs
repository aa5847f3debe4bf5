//! `annals demo`: a server with data to try.

use std::net::SocketAddr;

use clap::Args;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::{SERVER_DEFAULT, Target, call};
use super::exit::Exit;
use super::failure::Failure;
use super::{json, output, serve, signal, status};
use crate::pb::{AppendEventsRequest, Event};
use crate::server::{Config, LogFormat, Overrides, Server, StartError, telemetry};

const EXAMPLES: &str = "\
Examples:
  annals demo
  annals demo --listen 127.0.0.1:0      on any free port

The events are those of a newspaper article of May 2024 on the United Kingdom and Albania, and three releases of the \
statistics that it cites. They stand in a temporary directory that is deleted at the end.";

/// The statistics that the article cites, as they were released; before the article, which links to them.
const RELEASES: &str = include_str!("../../examples/uk-albania/context_releases.jsonl");
/// What the article says.
const ARTICLE: &str = include_str!("../../examples/uk-albania/events.jsonl");

/// Runs a server with the events of an article, in a temporary store, and prints commands to try
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Demo {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051", value_parser = serve::parse_listen)]
    listen: SocketAddr,
}

/// A server that runs beside the command.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), StartError>>,
}

impl Demo {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server does not start, or does not take the events.
    pub async fn run(&self) -> Result<(), Failure> {
        let directory = tempfile::Builder::new().prefix("annals-demo-").tempdir();
        let directory = directory.map_err(|error| {
            Failure::caused(Exit::CannotCreate, "cannot make a temporary directory", &error)
        })?;
        let overrides = Overrides {
            data: Some(directory.path().to_owned()),
            listen: Some(self.listen),
            ..Overrides::default()
        };
        let config = Config::load(&overrides).map_err(|error| serve::config_failure(&error))?;
        // Only what is wrong: the commands to try should stay in sight.
        telemetry::init(LogFormat::Human, "warn").map_err(|error| Failure::internal(error.to_string()))?;
        let mut server = Running::start(config).await?;
        let shown = server.show().await;
        if shown.is_ok() {
            tokio::select! {
                () = signal::interrupted() => {}
                ended = &mut server.ended => return joined(ended),
            }
        }
        let stopped = server.stop().await;
        shown.and(stopped)
    }
}

impl Running {
    async fn start(config: Config) -> Result<Self, Failure> {
        let server = Server::bind(config).await.map_err(|error| failed(&error))?;
        let (mut ready, address) = (server.ready(), server.local_addr());
        let (stop, stopped) = oneshot::channel();
        let mut ended = tokio::spawn(server.run(async {
            // A dropped sender means the same as a sent word.
            let _ = stopped.await;
        }));
        tokio::select! {
            ended = &mut ended => {
                joined(ended)?;
                return Err(Failure::internal("the server ended before it was ready"));
            }
            // An error means that the server has ended, which the other arm sees too.
            Ok(_) = ready.wait_for(|ready| *ready) => {}
        }
        Ok(Self { address, stop, ended })
    }

    /// Loads the events through the server's own door, and says what to try.
    async fn show(&self) -> Result<(), Failure> {
        let mut client = Target::new(format!("http://{}", self.address)).log().await?;
        let mut count = 0;
        for file in [RELEASES, ARTICLE] {
            let events = json::parse_all::<Event>(file.as_bytes()).map_err(|error| {
                Failure::internal(format!("an event of the demo cannot be read: {error}"))
            })?;
            count += events.len();
            let request = AppendEventsRequest::of(events, Vec::new());
            client.append_events(call(request)).await.map_err(|error| status::failure(&error))?;
        }
        // As it was called: after `cargo run` the program is not on the search path.
        let program = std::env::args().next().unwrap_or_else(|| "annals".to_owned());
        output::line(guide(self.address, count, &program))
    }

    async fn stop(self) -> Result<(), Failure> {
        // The server may have ended by itself.
        let _ = self.stop.send(());
        joined(self.ended.await)
    }
}

fn joined(ended: Result<Result<(), StartError>, tokio::task::JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(ended) => ended.map_err(|error| failed(&error)),
        Err(error) => Err(Failure::caused(Exit::Internal, "the server broke off", &error)),
    }
}

fn failed(error: &StartError) -> Failure {
    serve::start_failure(error, "annals demo")
}

/// Says what to try; each command stands on one line, so that it can be pasted.
fn guide(address: SocketAddr, count: usize, program: &str) -> String {
    let server = match format!("http://{address}") {
        url if url == SERVER_DEFAULT => String::new(),
        url => format!(" --server {url}"),
    };
    format!(
        r#"{count} events of the UK–Albania article are served on {address} (not kept). Paste into another terminal:

# What the server offers
grpcurl -plaintext {address} list
grpcurl -plaintext {address} describe annals.v1.Event

# The timeline of the United Kingdom and Albania, 2022 to 2024
grpcurl -plaintext -d '{{"filter":{{"allEntityIds":["country:GB","country:AL"]}},"valid":{{"from":"2022-01-01","to":"2025-01-01"}}}}' {address} annals.v1.TimelineService/ListEntries

# Arrivals by small boat, as the public could know them on 1 June 2023 (12,301), and now (12,658)
grpcurl -plaintext -d '{{"filter":{{"streamPrefixes":["series/gb-home-office/"]}},"scope":{{"knownAt":"2023-06-01T00:00:00Z"}}}}' {address} annals.v1.TimelineService/ListEntries
grpcurl -plaintext -d '{{"filter":{{"streamPrefixes":["series/gb-home-office/"]}}}}' {address} annals.v1.TimelineService/ListEntries

# Every event on agreements, and each new one as it is recorded (Ctrl-C ends it)
grpcurl -plaintext -d '{{"filter":{{"kinds":["AGREEMENT"]}},"fromStart":true}}' {address} annals.v1.EventLogService/SubscribeEvents

# The same with this program
{program} timeline{server} --entity country:GB --entity country:AL --all-entities --from 2022 --to 2025
{program} timeline{server} --stream-prefix series/gb-home-office/ --known-at 2023-06-01
{program} tail{server} --kind agreement --from-start

Ctrl-C ends the server and deletes its store."#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_can_be_pasted() {
        let text = guide("127.0.0.1:7".parse().unwrap(), 22, "annals");
        let mut bodies = 0;
        for line in text.lines().filter(|line| line.starts_with("grpcurl")) {
            assert!(line.contains(" 127.0.0.1:7 "), "{line}");
            if let Some(body) = line.split('\'').nth(1) {
                serde_json::from_str::<serde_json::Value>(body).unwrap();
                bodies += 1;
            }
        }
        assert_eq!(bodies, 4);
        assert!(text.contains("annals tail --server http://127.0.0.1:7 "), "{text}");
    }

    #[test]
    fn the_default_server_needs_no_option() {
        assert!(!guide("127.0.0.1:50051".parse().unwrap(), 22, "annals").contains("--server"));
    }

    #[test]
    fn events_are_there_and_have_ids() {
        for (file, count) in [(RELEASES, 3), (ARTICLE, 19)] {
            let events: Vec<Event> = json::parse_all(file.as_bytes()).unwrap();
            assert_eq!(events.len(), count);
            assert!(events.iter().all(|event| event.id.len() == 36));
        }
    }
}

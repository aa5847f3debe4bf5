//! The way to the server.

use std::time::Duration;

use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::exit::Exit;
use super::failure::{Failure, chain};
use crate::pb::admin_service_client::AdminServiceClient;
use crate::pb::agreement_service_client::AgreementServiceClient;
use crate::pb::event_log_service_client::EventLogServiceClient;
use crate::pb::funding_service_client::FundingServiceClient;
use crate::pb::provenance_service_client::ProvenanceServiceClient;
use crate::pb::series_service_client::SeriesServiceClient;
use crate::pb::timeline_service_client::TimelineServiceClient;
use crate::pb::visit_service_client::VisitServiceClient;

/// Where clients look for the server unless told otherwise.
pub const SERVER_DEFAULT: &str = "http://127.0.0.1:50051";
/// Deadline of a call that gives one answer.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// A page of 1,000 entries of 64 KiB would exceed gRPC's default of 4 MiB.
const MESSAGE_BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// How soon a connection that died without a word is noticed, also while a subscription is idle.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: String,
}

impl Target {
    /// Takes an address such as `http://127.0.0.1:50051`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    /// Gives the address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens a connection of its own to the log.
    ///
    /// # Errors
    /// [`Failure`] when the address is wrong or nobody answers there.
    pub async fn log(&self) -> Result<EventLogServiceClient<Channel>, Failure> {
        Ok(EventLogServiceClient::new(self.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Opens a connection of its own to the timelines.
    ///
    /// # Errors
    /// As [`Target::log`].
    pub async fn timeline(&self) -> Result<TimelineServiceClient<Channel>, Failure> {
        Ok(TimelineServiceClient::new(self.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Opens a connection of its own to the sums of money.
    ///
    /// # Errors
    /// As [`Target::log`].
    pub async fn funding(&self) -> Result<FundingServiceClient<Channel>, Failure> {
        Ok(FundingServiceClient::new(self.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Opens a connection of its own to provenance.
    ///
    /// # Errors
    /// As [`Target::log`].
    pub async fn provenance(&self) -> Result<ProvenanceServiceClient<Channel>, Failure> {
        Ok(ProvenanceServiceClient::new(self.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Opens a connection of its own to the agreements.
    ///
    /// # Errors
    /// As [`Target::log`].
    pub async fn agreements(&self) -> Result<AgreementServiceClient<Channel>, Failure> {
        Ok(AgreementServiceClient::new(self.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Opens a connection of its own to the visits.
    ///
    /// # Errors
    /// As [`Target::log`].
    pub async fn visits(&self) -> Result<VisitServiceClient<Channel>, Failure> {
        Ok(VisitServiceClient::new(self.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Opens a connection of its own to the statistical series.
    ///
    /// # Errors
    /// As [`Target::log`].
    pub async fn series(&self) -> Result<SeriesServiceClient<Channel>, Failure> {
        Ok(SeriesServiceClient::new(self.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    /// Opens a connection of its own to the administration.
    ///
    /// # Errors
    /// As [`Target::log`].
    pub async fn admin(&self) -> Result<AdminServiceClient<Channel>, Failure> {
        Ok(AdminServiceClient::new(self.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }

    async fn connect(&self) -> Result<Channel, Failure> {
        let endpoint = self.endpoint()?;
        endpoint.connect().await.map_err(|error| {
            Failure::new(Exit::Unavailable, format!("cannot reach {}: {}", self.url, chain(&error)))
                .hint("`annals serve` starts a server, `annals demo` one with data to try")
        })
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let wrong = |why: &str| {
            Failure::new(Exit::Usage, format!("`{}` is no address of a server: {why}", self.url))
                .hint(format!("write it like {SERVER_DEFAULT}"))
        };
        let parsed = url::Url::parse(&self.url).map_err(|error| wrong(&error.to_string()))?;
        if parsed.scheme() != "http" || !parsed.has_host() {
            return Err(wrong("it must begin with http:// and name a host"));
        }
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|error| wrong(&error.to_string()))?;
        Ok(endpoint
            .connect_timeout(CONNECT_DEADLINE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true))
    }
}

/// Makes a request with the deadline of a call that gives one answer.
pub fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_DEADLINE);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        fn check(url: &str, good: bool) {
            let endpoint = Target::new(url).endpoint();
            assert_eq!(endpoint.is_ok(), good, "{url}");
            if let Err(failure) = endpoint {
                assert_eq!(failure.exit(), Exit::Usage);
            }
        }
        check("http://127.0.0.1:50051", true);
        check("http://localhost:50051/", true);
        check("http://[::1]:50051", true);
        check("127.0.0.1:50051", false);
        check("localhost:50051", false);
        check("https://localhost:50051", false);
        check("http://", false);
        check("", false);
    }
}

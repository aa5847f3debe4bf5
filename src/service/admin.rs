//! `AdminService`.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Context;
use super::backup::BATCHES_AHEAD;
use super::context::refused;
use crate::codec::check::moment_of;
use crate::index::SEGMENT_FORMAT;
use crate::journal::frame::FORMAT_VERSION;
use crate::log::store_file::STORE_FORMAT;
use crate::pb;
use crate::pb::admin_service_server::AdminService;
use crate::wire::{RequestError, admin, backup, encode};

/// Administration, over gRPC.
#[derive(Clone, Debug)]
pub struct Admin(pub Context);

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_server_info(
        &self,
        _request: Request<pb::GetServerInfoRequest>,
    ) -> Result<Response<pb::GetServerInfoResponse>, Status> {
        let log = self.0.log()?;
        Ok(Response::new(pb::GetServerInfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store_id: log.store_id().to_string(),
            head: log.head().position.0,
            started_at: Some(moment_of(self.0.started_at)),
            read_only: log.is_read_only(),
            limits: Some(self.0.limits.into()),
            formats: Some(pb::Formats {
                frame: FORMAT_VERSION.into(),
                segment: SEGMENT_FORMAT.into(),
                store: i32::try_from(STORE_FORMAT).unwrap_or(i32::MAX),
            }),
            verifier_key: log.signer().verifier().to_string(),
        }))
    }

    type VerifyStream = ReceiverStream<Result<pb::VerifyResponse, Status>>;

    async fn verify(
        &self,
        _request: Request<pb::VerifyRequest>,
    ) -> Result<Response<Self::VerifyStream>, Status> {
        let log = self.0.log()?;
        let (out, messages) = mpsc::channel(16);
        let context = self.0.clone();
        tokio::spawn(async move {
            let work = context.check(move |context| {
                let report = log.verify(|event| {
                    // A slow reader slows the check; one that went away, or a server that stops, ends it.
                    !context.shutdown.is_cancelled()
                        && out.blocking_send(Ok(encode::verify_event(event))).is_ok()
                });
                // A check that was cut short must not end as if it were whole.
                let last = if context.shutdown.is_cancelled() {
                    Err(refused(&RequestError::ShuttingDown))
                } else {
                    Ok(encode::verify_summary(&report))
                };
                let _ = out.blocking_send(last);
                Ok(())
            });
            // A panic was logged as an incident; the stream ends without a summary.
            let _ = work.await;
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    type BackupStream = ReceiverStream<Result<pb::BackupResponse, Status>>;

    async fn backup(
        &self,
        request: Request<pb::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let log = self.0.log()?;
        let asked = backup::request(request.get_ref()).map_err(|error| refused(&error))?;
        let (out, messages) = mpsc::channel(BATCHES_AHEAD);
        tokio::spawn(self.0.clone().send_backup(log, asked, out));
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn get_log_proof(
        &self,
        request: Request<pb::GetLogProofRequest>,
    ) -> Result<Response<pb::GetLogProofResponse>, Status> {
        let log = self.0.log()?;
        let proof = self.0.prove(move |context| context.log_proof(&log, request.get_ref()));
        Ok(Response::new(proof.await?))
    }

    async fn erase_event(
        &self,
        request: Request<pb::EraseEventRequest>,
    ) -> Result<Response<pb::EraseEventResponse>, Status> {
        let log = self.0.log()?;
        let order = admin::erase_event(request.get_ref()).map_err(|error| refused(&error))?;
        let erased = log.erase(order).await.map_err(|error| self.0.erase_failed(&error))?;
        // What is erased is to be in no memory either.
        self.0.books.clear();
        let event = self.0.query(move |context| context.read_event(&mut log.reader(), erased.position));
        Ok(Response::new(pb::EraseEventResponse {
            event: Some(event.await?),
            already_erased: erased.already,
        }))
    }
}

//! Connections that close without losing what was said last.
//!
//! A socket that is closed while the other side still sends is reset, and a reset takes away also what the other side
//! has received but not read (RFC 1122, 4.2.2.13): of a call that is refused or ended while its client still uploads,
//! the client would learn nothing but a broken connection. So the own half is closed first, and what still comes is
//! read and thrown away until the other side closes, too, or a second is over.

use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Longest wait for the other side to close.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes thrown away at once.
const DISCARD_BYTES: usize = 4_096;

/// A connection that lingers when it is closed.
#[derive(Debug)]
pub struct Lingering {
    stream: TcpStream,
    /// Runs from when the own half was closed.
    closing: Option<Pin<Box<Sleep>>>,
}

impl From<TcpStream> for Lingering {
    fn from(stream: TcpStream) -> Self {
        Self { stream, closing: None }
    }
}

impl Connected for Lingering {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let closing = this.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        loop {
            if closing.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [MaybeUninit::uninit(); DISCARD_BYTES];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // The other side has closed, too, or is gone: nothing can be lost any more.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_was_said_last_reaches_a_client_that_still_sends() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut server = Lingering::from(stream);
        client.write_all(&[7; 100_000]).await.unwrap();
        let closing = tokio::spawn(async move {
            server.write_all(b"the last word").await.unwrap();
            server.shutdown().await.unwrap();
        });
        // Sent after the server has closed its half: without lingering this is answered with a reset.
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.write_all(&[7; 100_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"the last word");
        drop(client);
        closing.await.unwrap();
    }

    #[tokio::test]
    async fn a_client_that_never_closes_holds_nothing_up() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        Lingering::from(stream).shutdown().await.unwrap();
    }
}

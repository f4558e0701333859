//! The socket of one connection: plain or TLS, with a queue of what is to be written and read
//! buffers that exist only while there is something to read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;
/// So few bytes get a buffer of their own size: those who wait for a commit with their chunk do not
/// hold a large one each, and everybody reads into the same, which is at hand.
const SMALL: usize = 2048;
/// Idle buffers that a thread keeps.
const POOLED: usize = 16;
/// Pieces of one vectored write.
const MAX_SLICES: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Plain or encrypted.
pub enum Transport {
    /// None, while the socket is with the TLS handshake.
    Taken,
    /// Before STARTTLS, or where the configuration does without.
    Plain(TcpStream),
    /// After it. Boxed: its state is large and most of a connection's life it lies idle.
    Tls(Box<TlsStream<TcpStream>>),
}

/// See the [module](self).
pub struct Io {
    transport: Transport,
    /// What is written next; empty if nothing is.
    front: Bytes,
    /// What comes after it: nearly always nothing, and no heap then.
    queue: VecDeque<Bytes>,
    /// Bytes that the socket has taken so far: whether it moves at all.
    written: u64,
    /// Whether something was written that TLS may still hold.
    unflushed: bool,
}

/// Bytes that were read; the buffer goes back to the pool when dropped.
pub struct Chunk(Vec<u8>);

impl std::ops::Deref for Chunk {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() < READ_BYTES {
            return;
        }
        buffer.clear();
        POOL.with_borrow_mut(|pool| {
            if pool.len() < POOLED {
                pool.push(buffer);
            }
        });
    }
}

impl Io {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Io {
            transport,
            front: Bytes::new(),
            queue: VecDeque::new(),
            written: 0,
            unflushed: false,
        }
    }

    /// The connection with what is queued; what stays behind can neither read nor write.
    pub fn take(&mut self) -> Io {
        std::mem::replace(self, Io::new(Transport::Taken))
    }

    /// The TLS session, if there is one.
    pub fn tls(&self) -> Option<&rustls::ServerConnection> {
        match &self.transport {
            Transport::Taken | Transport::Plain(_) => None,
            Transport::Tls(stream) => Some(stream.get_ref().1),
        }
    }

    /// Whether it is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// The socket, for the TLS handshake; `None` if it is encrypted already.
    pub fn take_plain(&mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.transport, Transport::Taken) {
            Transport::Plain(stream) => Some(stream),
            other => {
                self.transport = other;
                None
            }
        }
    }

    /// Queues bytes to be written.
    pub fn queue(&mut self, bytes: Bytes) {
        if self.front.is_empty() {
            self.front = bytes;
        } else if !bytes.is_empty() {
            self.queue.push_back(bytes);
        }
    }

    /// Bytes that the socket has taken so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes what is queued. Pending: the peer does not read fast enough.
    pub fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.front.is_empty() {
            let written = ready!(self.poll_write_some(cx))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.written += written as u64;
            self.advance(written);
        }
        if self.unflushed {
            ready!(self.transport.pinned()?.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let transport = self.transport.pinned()?;
        if self.queue.is_empty() {
            return transport.poll_write(cx, &self.front);
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut used = 0;
        let pieces = std::iter::once(&self.front).chain(&self.queue);
        for (slice, bytes) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        transport.poll_write_vectored(cx, &slices[..used])
    }

    /// Drops the front by so many bytes, never more than are queued.
    fn advance(&mut self, mut written: usize) {
        while written >= self.front.len() {
            written -= self.front.len();
            match self.queue.pop_front() {
                Some(next) => self.front = next,
                None => {
                    // An idle connection holds nothing.
                    self.front = Bytes::new();
                    self.queue = VecDeque::new();
                    return;
                }
            }
        }
        self.front.advance(written);
    }

    /// Writes everything that is queued.
    pub async fn write_queue(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_write_queue(cx)).await
    }

    /// Reads what there is; `None` at the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Chunk>>> {
        let buffer = POOL
            .with_borrow_mut(Vec::pop)
            .unwrap_or_else(|| Vec::with_capacity(READ_BYTES));
        let mut chunk = Chunk(buffer);
        let mut transport = self.transport.pinned()?;
        // Many may wait with their chunk at the same time, so that new buffers are made: they are
        // not cleared.
        let read = pin!(transport.read_buf(&mut chunk.0));
        let length = ready!(read.poll(cx))?;
        if length <= SMALL {
            chunk = Chunk(chunk.0.clone());
        }
        Poll::Ready(Ok((length > 0).then_some(chunk)))
    }

    /// Reads what there is; `None` at the end.
    pub async fn read(&mut self) -> io::Result<Option<Chunk>> {
        std::future::poll_fn(|cx| self.poll_read(cx)).await
    }

    /// Writes what is queued and closes, not waiting longer than `patience` for a peer that does
    /// not read.
    pub async fn close(mut self, patience: Duration) {
        let closing = async {
            self.write_queue().await?;
            std::future::poll_fn(|cx| self.transport.pinned()?.poll_shutdown(cx)).await
        };
        // The connection ends either way.
        if let Ok(Err(error)) = tokio::time::timeout(patience, closing).await {
            tracing::trace!(%error, "closing");
        }
    }
}

impl Transport {
    fn pinned(&mut self) -> io::Result<Pin<&mut (dyn Duplex + '_)>> {
        match self {
            Transport::Taken => Err(io::ErrorKind::NotConnected.into()),
            Transport::Plain(stream) => Ok(Pin::new(stream)),
            Transport::Tls(stream) => Ok(Pin::new(&mut **stream)),
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

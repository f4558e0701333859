//! The calibration: a forwarder with nothing but epoll, read and write. The first connection is
//! joined to the second, the third to the fourth, and so on; bytes of one go to the other.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// The number of the listener among the events.
const LISTENER: u64 = u64::MAX;

struct Relay {
    epoll: OwnedFd,
    sockets: Vec<Option<TcpStream>>,
    /// Even places of pairs that have gone.
    free: Vec<usize>,
    /// A connection that waits for its partner.
    half: Option<usize>,
    buffer: Vec<u8>,
}

/// Forwards until `stop` is set.
pub(crate) fn run(listen: SocketAddr, stop: &AtomicBool) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    println!("ready {}", listener.local_addr()?);
    let mut relay = Relay {
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        sockets: Vec::new(),
        free: Vec::new(),
        half: None,
        buffer: vec![0; 64 * 1024],
    };
    let data = epoll::EventData::new_u64(LISTENER);
    epoll::add(&relay.epoll, &listener, data, epoll::EventFlags::IN)?;
    let second = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let mut events = Vec::with_capacity(512);
    while !stop.load(Ordering::Relaxed) {
        match epoll::wait(&relay.epoll, spare_capacity(&mut events), Some(&second)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => relay.accept(&listener)?,
                who => relay.forward(who as usize),
            }
        }
    }
    Ok(())
}

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let who = match self.half.take() {
                Some(first) => first + 1,
                None => {
                    let first = self.free.pop().unwrap_or(self.sockets.len());
                    self.half = Some(first);
                    first
                }
            };
            if who >= self.sockets.len() {
                self.sockets.resize_with((who | 1) + 1, || None);
            }
            let data = epoll::EventData::new_u64(who as u64);
            epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)?;
            self.sockets[who] = Some(socket);
        }
    }

    fn forward(&mut self, who: usize) {
        let Some(Some(socket)) = self.sockets.get_mut(who) else {
            return;
        };
        let count = match socket.read(&mut self.buffer) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => return self.close(who),
        };
        let Some(Some(peer)) = self.sockets.get_mut(who ^ 1) else {
            return;
        };
        // The load generator never has more in flight than a socket holds: a full one is a fault.
        if peer.write_all(&self.buffer[..count]).is_err() {
            self.close(who);
        }
    }

    /// Closes both sides; their places are used again.
    fn close(&mut self, who: usize) {
        let first = who & !1;
        self.sockets[first] = None;
        self.sockets[first + 1] = None;
        self.half.take_if(|half| *half == first);
        self.free.push(first);
    }
}

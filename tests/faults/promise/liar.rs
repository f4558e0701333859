//! A proxy between clients and the server that lies about acknowledgements, as servers do that
//! acknowledge when they have read, or delete when they have written.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::frames::{Frames, attribute, name};
use crate::harness::Outcome;
use crate::harness::xml::SM;

/// In which way it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Not at all: it hands on what it reads.
    None,
    /// It tells clients that what it has read of them is in the server's hands.
    AcknowledgesAtRead,
    /// It tells the server that what it has written to clients is in their hands.
    DeletesAtWrite,
}

/// What is known of all connections.
#[derive(Default)]
struct State {
    server: Option<SocketAddr>,
    /// Whether what clients send in their sessions is held instead of handed on.
    holds: bool,
    /// Messages of clients that are held and were not handed on.
    held: usize,
    /// Messages that were written to clients.
    written: usize,
    /// Stanzas by session, counted by the lie: those of the client, or those for it.
    counts: HashMap<String, u32>,
}

struct Shared {
    lie: Lie,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// False: it took too long.
    fn wait(&self, patience: Duration, condition: impl Fn(&State) -> bool) -> bool {
        let (_state, timeout) = self
            .changed
            .wait_timeout_while(self.state(), patience, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        !timeout.timed_out()
    }
}

/// A proxy.
pub struct Proxy {
    /// Where clients find it.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy that lies so. It accepts connections until this process ends.
    pub fn start(lie: Lie) -> Outcome<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            lie,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = of_thread.state().server;
                // Where there is no server, the connection breaks.
                if let Some(Ok(server)) = server.map(TcpStream::connect) {
                    serve(&of_thread, client, server);
                }
            }
        });
        Ok(Proxy { address, shared })
    }

    /// The server behind it.
    pub fn server(&self, server: Option<SocketAddr>) {
        self.shared.change(|state| state.server = server);
    }

    /// Whether it holds from now on what clients send. What a connection sent meanwhile goes with
    /// it, as what a server has read goes with its process.
    pub fn hold(&self, holds: bool) {
        self.shared.change(|state| {
            state.holds = holds;
            state.held = 0;
        });
    }

    /// Waits until it holds so many messages.
    pub fn wait_for_held(&self, messages: usize, patience: Duration) -> bool {
        self.shared.wait(patience, |state| state.held >= messages)
    }

    /// Messages that it wrote to clients.
    pub fn written(&self) -> usize {
        self.shared.state().written
    }

    /// Waits until it has written so many messages to clients.
    pub fn wait_for_written(&self, messages: usize, patience: Duration) -> bool {
        self.shared
            .wait(patience, |state| state.written >= messages)
    }
}

/// One connection of a client and the one to the server that belongs to it.
struct Pair {
    shared: Arc<Shared>,
    client: Mutex<TcpStream>,
    server: Mutex<TcpStream>,
    session: Mutex<Session>,
}

#[derive(Clone, Default)]
struct Session {
    id: Option<String>,
    /// What the client asked to resume.
    previous: Option<String>,
    is_counting: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    let pair = Arc::new(Pair {
        shared: Arc::clone(shared),
        client: Mutex::new(client),
        server: Mutex::new(server),
        session: Mutex::default(),
    });
    let other = Arc::clone(&pair);
    thread::spawn(move || pair.carry(from_client, Pair::of_client));
    thread::spawn(move || other.carry(from_server, Pair::of_server));
}

impl Pair {
    /// One direction, part by part, until either side is gone.
    fn carry(&self, mut from: TcpStream, part: fn(&Pair, &str) -> bool) {
        let mut frames = Frames::default();
        let mut buffer = [0; 16384];
        'read: while let Ok(count @ 1..) = from.read(&mut buffer) {
            frames.feed(&buffer[..count]);
            while let Some(text) = frames.take() {
                if !part(self, &text) {
                    break 'read;
                }
            }
        }
        for stream in [&self.client, &self.server] {
            // It may be closed already.
            let _ = lock(stream).shutdown(Shutdown::Both);
        }
    }

    fn to_client(&self, text: &str) -> bool {
        lock(&self.client).write_all(text.as_bytes()).is_ok()
    }

    fn to_server(&self, text: &str) -> bool {
        lock(&self.server).write_all(text.as_bytes()).is_ok()
    }

    /// The lie's count of this session, after some more.
    fn count(&self, more: u32) -> u32 {
        let id = lock(&self.session).id.clone().unwrap_or_default();
        let mut state = self.shared.state();
        let count = state.counts.entry(id).or_default();
        *count += more;
        *count
    }

    fn of_client(&self, text: &str) -> bool {
        let lie = self.shared.lie;
        let name = name(text);
        match name {
            "resume" => {
                let previous = attribute(text, "previd").unwrap_or_default().to_owned();
                let told = self.shared.state().counts.get(&previous).copied();
                lock(&self.session).previous = Some(previous);
                return match told {
                    Some(told) if lie == Lie::DeletesAtWrite => {
                        self.to_server(&with_count(text, told))
                    }
                    _ => self.to_server(text),
                };
            }
            // The lie stands.
            "a" if lie == Lie::DeletesAtWrite => return true,
            "r" if lie == Lie::AcknowledgesAtRead => {
                return self.to_client(&format!("<a xmlns='{SM}' h='{}'/>", self.count(0)));
            }
            _ => {}
        }
        let counts = is_stanza(name) && lock(&self.session).is_counting;
        if counts && lie == Lie::AcknowledgesAtRead {
            let acknowledgement = format!("<a xmlns='{SM}' h='{}'/>", self.count(1));
            if !self.to_client(&acknowledgement) {
                return false;
            }
        }
        self.is_held(text) || self.to_server(text)
    }

    /// Whether the part is kept back. It then never gets further: a connection ends before what
    /// is held is let go.
    fn is_held(&self, text: &str) -> bool {
        let mut state = self.shared.state();
        let is_held = state.holds && lock(&self.session).is_counting;
        if is_held && is_message(text) {
            state.held += 1;
            self.shared.changed.notify_all();
        }
        is_held
    }

    fn of_server(&self, text: &str) -> bool {
        let lie = self.shared.lie;
        let name = name(text);
        match name {
            "enabled" => {
                let mut session = lock(&self.session);
                session.id = attribute(text, "id").map(str::to_owned);
                session.is_counting = true;
            }
            "resumed" => {
                let mut session = lock(&self.session);
                session.id = session.previous.take();
                session.is_counting = true;
                drop(session);
                if lie == Lie::AcknowledgesAtRead {
                    return self.to_client(&with_count(text, self.count(0)));
                }
            }
            "a" if lie == Lie::AcknowledgesAtRead => return true,
            "r" if lie == Lie::DeletesAtWrite => {
                return self.to_server(&format!("<a xmlns='{SM}' h='{}'/>", self.count(0)));
            }
            _ => {}
        }
        let counts = is_stanza(name) && lock(&self.session).is_counting;
        if counts && lie == Lie::DeletesAtWrite {
            let acknowledgement = format!("<a xmlns='{SM}' h='{}'/>", self.count(1));
            if !self.to_server(&acknowledgement) {
                return false;
            }
        }
        let is_written = self.to_client(text);
        if is_message(text) && is_written {
            self.shared.change(|state| state.written += 1);
        }
        is_written
    }
}

fn is_stanza(name: &str) -> bool {
    ["message", "presence", "iq"].contains(&name)
}

/// Not a mere chat state.
fn is_message(text: &str) -> bool {
    name(text) == "message" && text.contains("<body>")
}

/// The part with another `h`.
fn with_count(text: &str, count: u32) -> String {
    match attribute(text, "h") {
        Some(h) => text
            .replace(&format!("h='{h}'"), &format!("h='{count}'"))
            .replace(&format!("h=\"{h}\""), &format!("h='{count}'")),
        None => text.to_owned(),
    }
}

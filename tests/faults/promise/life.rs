//! How a person lives: connects, talks, misbehaves as it is told, comes back.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::dice::Dice;
use super::person::Person;

/// How long a connection may take to become a session.
const NEGOTIATION: Duration = Duration::from_secs(20);
/// How long the server may take to close a stream.
const FAREWELL: Duration = Duration::from_secs(10);
/// How often the server is asked for what it has not acknowledged.
const ASK: Duration = Duration::from_millis(500);
/// A slow reader reads so many bytes at a time.
const SIP: usize = 16;
/// And waits so long in between.
const SIP_PAUSE: Duration = Duration::from_millis(10);
/// Messages without an acknowledgement beyond which nobody goes on talking.
const MOST_OPEN: usize = 40;
/// Of a hundred words of who is in rooms, so many are said there.
const IN_ROOMS: usize = 30;

/// How a client behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// As it should.
    #[default]
    Steady,
    /// It neither reads nor writes, and the connection stays.
    HalfOpen,
    /// It reads a few bytes at a time.
    SlowReader,
    /// It acknowledges what it gets, breaks its connection, and resumes.
    AcknowledgesAndDies,
    /// It acknowledges nothing by itself.
    NeverAcknowledges,
    /// It has closed its stream.
    Away,
    /// Its connection broke, and it does not come back yet.
    Vanished,
}

impl Role {
    /// Whether it is connected in this role.
    pub fn is_connected(self) -> bool {
        !matches!(self, Role::Away | Role::Vanished)
    }
}

/// What all are told.
#[derive(Clone)]
pub struct Orders {
    /// Where the server is, and the number of its process. `None`: it is down.
    pub server: Option<(SocketAddr, u32)>,
    /// The role of each.
    pub roles: Arc<[Role]>,
    /// Whether they write messages.
    pub talk: bool,
    /// Whether they close their streams and are done.
    pub leave: bool,
}

/// A person with all that it needs to live.
pub struct Life {
    /// Who.
    pub person: Person,
    /// Its number.
    pub number: usize,
    /// The accounts that it writes to.
    pub friends: Vec<String>,
    /// Its orders.
    pub orders: watch::Receiver<Orders>,
    /// What it does when.
    pub dice: Dice,
    /// The longest pause between two things that it says, in milliseconds.
    pub pace: usize,
    /// A connection that it does not serve any more but has not closed.
    pub left_open: Option<TcpStream>,
}

/// Why a connection is over.
#[derive(PartialEq, Eq)]
enum Over {
    /// It broke, or was broken.
    Broken,
    /// It is left as it is, half open.
    Left,
}

impl Life {
    /// Until it is told to leave.
    pub async fn live(mut self) {
        loop {
            let orders = self.orders.borrow_and_update().clone();
            let role = orders.roles[self.number];
            let is_done = orders.leave && !role.is_connected();
            match orders.server.filter(|_| role.is_connected()) {
                Some((address, incarnation)) => {
                    if let Some(stream) = connect(address).await {
                        self.person.connected(incarnation);
                        self.talk(stream).await;
                        self.person.lost();
                    }
                    if orders.leave || self.orders.borrow().leave {
                        return;
                    }
                    // Nothing to wait for: a client tries again after a moment.
                    let pause = self.dice.between(5, 50) as u64;
                    let _ = timeout(Duration::from_millis(pause), self.orders.changed()).await;
                }
                None if is_done => return,
                None => {
                    if self.orders.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Serves a connection until it is over.
    async fn talk(&mut self, stream: TcpStream) {
        if self.serve(&stream).await == Over::Left {
            self.left_open = Some(stream);
        }
    }

    async fn serve(&mut self, stream: &TcpStream) -> Over {
        let mut word = Instant::now() + NEGOTIATION;
        let (mut sip, mut ask) = (Instant::now(), Instant::now() + ASK);
        let mut was_online = false;
        let mut farewell = None;
        loop {
            let orders = self.orders.borrow_and_update().clone();
            let role = orders.roles[self.number];
            let online = self.person.is_online();
            self.person.is_silent = role == Role::NeverAcknowledges;
            if online && !was_online {
                was_online = true;
                self.left_open = None;
                word = self.next_word();
            }
            if farewell.is_none() {
                match role {
                    Role::HalfOpen => return self.stay_half_open().await,
                    Role::Vanished => return Over::Broken,
                    Role::Away if !online => return Over::Broken,
                    _ if online && (role == Role::Away || orders.leave) => {
                        self.person.close();
                        farewell = Some(Instant::now() + FAREWELL);
                    }
                    _ => {}
                }
            }
            let is_slow = role == Role::SlowReader && online;
            let interest = match (is_slow, self.person.out.is_empty()) {
                (false, true) => Some(Interest::READABLE),
                (false, false) => Some(Interest::READABLE | Interest::WRITABLE),
                (true, false) => Some(Interest::WRITABLE),
                (true, true) => None,
            };
            tokio::select! {
                ready = async { stream.ready(interest.unwrap_or(Interest::READABLE)).await },
                    if interest.is_some() =>
                {
                    let Ok(ready) = ready else { return Over::Broken };
                    if ready.is_writable() && !self.write(stream) {
                        return Over::Broken;
                    }
                    if (ready.is_readable() || ready.is_read_closed())
                        && !is_slow
                        && !self.read(stream, 16384)
                    {
                        return Over::Broken;
                    }
                }
                () = sleep_until(sip), if is_slow => {
                    sip = Instant::now() + SIP_PAUSE;
                    if !self.read(stream, SIP) {
                        return Over::Broken;
                    }
                }
                () = sleep_until(ask), if online => {
                    ask = Instant::now() + ASK;
                    if self.person.open_messages() > 0 {
                        self.person.ask();
                    }
                }
                () = sleep_until(farewell.unwrap_or(word)) => {
                    if farewell.is_some() || !online {
                        return Over::Broken;
                    }
                    if orders.talk {
                        self.say_something();
                    }
                    word = self.next_word();
                }
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return Over::Broken;
                    }
                }
            }
            if role == Role::AcknowledgesAndDies && self.person.took_one && online {
                return self.acknowledge_and_die(stream);
            }
        }
    }

    fn next_word(&mut self) -> Instant {
        Instant::now() + Duration::from_millis(self.dice.between(1, self.pace) as u64)
    }

    /// Does nothing until it has another role. A server that has gone meanwhile is not noticed
    /// either.
    async fn stay_half_open(&mut self) -> Over {
        loop {
            let orders = self.orders.borrow_and_update().clone();
            if orders.leave || orders.roles[self.number] != Role::HalfOpen {
                return Over::Left;
            }
            if self.orders.changed().await.is_err() {
                return Over::Broken;
            }
        }
    }

    /// Every second time in such a way that the server's socket breaks too (RST).
    fn acknowledge_and_die(&mut self, stream: &TcpStream) -> Over {
        self.person.took_one = false;
        self.person.acknowledge();
        self.write(stream);
        if self.dice.chance(50) {
            // It only changes how the connection ends.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        Over::Broken
    }

    fn say_something(&mut self) {
        let rooms = self.person.inside();
        let to = if !rooms.is_empty() && self.dice.chance(IN_ROOMS) {
            rooms[self.dice.below(rooms.len())].clone()
        } else {
            self.friends[self.dice.below(self.friends.len())].clone()
        };
        match self.dice.below(20) {
            0 => self.person.type_to(&to),
            1 => self.person.ping("whim"),
            _ if self.person.open_messages() >= MOST_OPEN => {}
            _ => {
                for _ in 0..self.dice.between(1, 4) {
                    let filler = match self.dice.below(50) {
                        0 => 4000,
                        long => long,
                    };
                    self.person.write_to(&to, filler);
                }
                if self.dice.chance(70) {
                    self.person.ask();
                }
            }
        }
    }

    /// False: the connection is of no use any more.
    fn write(&mut self, stream: &TcpStream) -> bool {
        match stream.try_write(&self.person.out) {
            Ok(count) => {
                self.person.out.drain(..count);
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    fn read(&mut self, stream: &TcpStream, most: usize) -> bool {
        let mut buffer = [0; 16384];
        match stream.try_read(&mut buffer[..most]) {
            Ok(0) => false,
            Ok(count) => self.person.read(&buffer[..count]).is_ok(),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// A connection with a small buffer, so that who reads slowly is felt.
async fn connect(address: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_recv_buffer_size(8192).ok()?;
    match timeout(NEGOTIATION, socket.connect(address)).await {
        Ok(Ok(stream)) => {
            stream.set_nodelay(true).ok()?;
            Some(stream)
        }
        _ => {
            sleep(Duration::from_millis(5)).await;
            None
        }
    }
}

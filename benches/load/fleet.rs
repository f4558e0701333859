//! All connections on one thread: an epoll loop that brings sessions online, answers what every
//! client must answer, and hands the rest to the scenario.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::connection::{Connection, Input, Stage};
use crate::element::{Element, empty_result};
use crate::failure::Failure;
use crate::handler::{Handler, Outcome};
use crate::lines::Lines;
use crate::login::{Login, Plan, Progress};
use crate::sasl::KeyCache;
use crate::scanner::Token;
use crate::server::{Server, TlsMode};
use crate::ticker::Ticker;
use crate::tls;

/// Events taken at once.
const EVENTS: usize = 512;
/// Bytes read at once.
const READ: usize = 64 * 1024;

/// The connections.
pub(crate) struct Fleet {
    pub(crate) server: Server,
    pub(crate) lines: Lines,
    /// The full JIDs of the sessions.
    pub(crate) jids: Vec<String>,
    pub(crate) ticker: Ticker,
    /// Whether sessions come online without presence.
    pub(crate) without_presence: bool,
    epoll: OwnedFd,
    connections: Vec<Option<Connection>>,
    keys: KeyCache,
    tls: Arc<rustls::ClientConfig>,
    scratch: Vec<u8>,
    plain: Vec<u8>,
    events: Vec<epoll::Event>,
    came_online: Vec<usize>,
    gone: Vec<usize>,
    stop: Arc<AtomicBool>,
}

impl Fleet {
    /// A fleet without connections.
    pub(crate) fn new(
        server: Server,
        ticker: Ticker,
        stop: Arc<AtomicBool>,
    ) -> Result<Fleet, Failure> {
        Ok(Fleet {
            server,
            lines: Lines::default(),
            jids: Vec::new(),
            ticker,
            without_presence: false,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(io::Error::from)?,
            connections: Vec::new(),
            keys: KeyCache::default(),
            tls: tls::config()?,
            scratch: vec![0; READ],
            plain: Vec::with_capacity(READ),
            events: Vec::with_capacity(EVENTS),
            came_online: Vec::new(),
            gone: Vec::new(),
            stop,
        })
    }

    /// Brings sessions online, the next free numbers in the order of the plans.
    pub(crate) fn bring_online(
        &mut self,
        plans: &[Plan],
        handler: &mut dyn Handler,
    ) -> Result<(), Failure> {
        let base = self.connections.len();
        let (mut begun, mut done, mut last) = (0, 0, Instant::now());
        while done < plans.len() {
            while begun < plans.len() && begun - done < self.server.in_flight {
                self.open(base + begun, &plans[begun])?;
                begun += 1;
            }
            self.poll(handler, Duration::from_secs(1))?;
            let online = self.take_online().len();
            if online > 0 {
                (done, last) = (done + online, Instant::now());
            } else if last.elapsed() > self.server.patience {
                return Err(Failure::LoginsStalled(done, plans.len()));
            }
            self.ticker
                .tick(|| format!("{done} of {} sessions online", plans.len()));
        }
        Ok(())
    }

    /// Opens one session under a number that is free; its login goes on in [`Fleet::poll`].
    pub(crate) fn open(&mut self, who: usize, plan: &Plan) -> Result<(), Failure> {
        let direct = self.server.tls == TlsMode::Direct;
        let login = Login::new(plan.clone(), direct);
        let source = self.server.source(who);
        let stage = Stage::Login(Box::new(Login::new(plan.clone(), direct)));
        let mut connection = Connection::open(self.server.address, source, stage)?;
        if direct {
            connection.start_tls(&self.tls, &plan.domain)?;
        }
        self.put(who, connection)?;
        login.open(self.lines.buffer(who));
        Ok(())
    }

    /// Opens a connection without a stream, as a raw relay wants it.
    pub(crate) fn open_raw(&mut self, who: usize) -> Result<(), Failure> {
        let source = self.server.source(who);
        let mut connection = Connection::open(self.server.address, source, Stage::Online)?;
        connection.scanner.enter();
        self.put(who, connection)
    }

    fn put(&mut self, who: usize, connection: Connection) -> Result<(), Failure> {
        if who >= self.connections.len() {
            self.connections.resize_with(who + 1, || None);
            self.jids.resize(who + 1, String::new());
            self.lines.resize(who + 1);
        }
        let data = epoll::EventData::new_u64(who as u64);
        epoll::add(&self.epoll, &connection.socket, data, epoll::EventFlags::IN)
            .map_err(io::Error::from)?;
        self.lines.reset(who);
        self.connections[who] = Some(connection);
        Ok(())
    }

    /// The sessions that came online since the last call.
    pub(crate) fn take_online(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.came_online)
    }

    /// The sessions that ended since the last call, having been told to.
    pub(crate) fn take_gone(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.gone)
    }

    /// Ends a session.
    pub(crate) fn close(&mut self, who: usize) {
        if let Some(connection) = &mut self.connections[who] {
            connection.stage = Stage::Closing;
            if let Some(handled) = connection.handled {
                self.lines.raw(who, acknowledgement(handled).as_bytes());
            }
            self.lines.raw(who, b"</stream:stream>");
        }
    }

    /// Forgets all connections: numbers begin at 0 again.
    pub(crate) fn clear(&mut self) {
        self.connections.clear();
        self.jids.clear();
        self.lines = Lines::default();
        self.came_online.clear();
        self.gone.clear();
    }

    /// Runs until the handler has finished or the time is up.
    pub(crate) fn run(
        &mut self,
        handler: &mut dyn Handler,
        until: Option<Instant>,
    ) -> Result<Outcome, Failure> {
        let mut last = (handler.count(), Instant::now());
        loop {
            if handler.finished() {
                return Ok(Outcome::Finished);
            }
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return Ok(Outcome::TimeUp);
            }
            let count = handler.count();
            if count != last.0 {
                last = (count, now);
            } else if now - last.1 > self.server.patience {
                return Ok(Outcome::Stalled);
            }
            let wake = handler.tick(now, &mut self.lines);
            let second = now + Duration::from_secs(1);
            let times = [until, wake].into_iter().flatten();
            self.poll_until(handler, times.fold(second, Instant::min))?;
            self.ticker.tick_at(now, || handler.count().to_string());
        }
    }

    /// Sends what waits, waits for events and handles them.
    pub(crate) fn poll(
        &mut self,
        handler: &mut dyn Handler,
        wait: Duration,
    ) -> Result<(), Failure> {
        self.poll_until(handler, Instant::now() + wait)
    }

    fn poll_until(&mut self, handler: &mut dyn Handler, end: Instant) -> Result<(), Failure> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        self.flush()?;
        // Sending has taken its time.
        let wait = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(wait).map_err(io::Error::other)?;
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => (),
            Err(error) => return Err(io::Error::from(error).into()),
        }
        for event in events.drain(..) {
            let (who, flags) = (event.data.u64() as usize, event.flags);
            if flags.contains(epoll::EventFlags::OUT) {
                self.lines.buffer(who);
            }
            if flags.intersects(!epoll::EventFlags::OUT) {
                self.readable(who, handler)?;
            }
        }
        self.events = events;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        while let Some((who, mut out)) = self.lines.take() {
            let Some(connection) = &mut self.connections[who] else {
                continue;
            };
            let all = match connection.write(&mut out) {
                Ok(all) => all,
                // What the server said before comes with the next read.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => true,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => true,
                Err(error) => return Err(error.into()),
            };
            self.lines.give_back(who, out);
            if all == connection.blocked {
                connection.blocked = !all;
                watch(&self.epoll, &connection.socket, who, connection.blocked)?;
            }
        }
        Ok(())
    }

    fn readable(&mut self, who: usize, handler: &mut dyn Handler) -> Result<(), Failure> {
        let Some(connection) = &mut self.connections[who] else {
            return Ok(());
        };
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        plain.append(&mut connection.carry);
        let input = connection.read(&mut self.scratch, &mut plain)?;
        if connection.wants_write() {
            self.lines.buffer(who);
        }
        let mut ended = matches!(input, Input::Closed);
        while let Some(connection) = &mut self.connections[who] {
            let token = connection.scanner.next(&plain);
            match token.map_err(|error| Failure::Scan(who, error))? {
                Some(Token::Element(range)) => {
                    if self.element(who, Element(&plain[range]), handler)? {
                        plain.clear();
                        break;
                    }
                }
                Some(Token::Header(_)) => (),
                Some(Token::End) => ended = true,
                None => {
                    let whole = connection.scanner.consume();
                    connection.carry.extend_from_slice(&plain[whole..]);
                    break;
                }
            }
        }
        self.plain = plain;
        if ended { self.ended(who) } else { Ok(()) }
    }

    fn ended(&mut self, who: usize) -> Result<(), Failure> {
        match self.connections[who].take() {
            Some(Connection {
                stage: Stage::Closing,
                ..
            }) => self.gone.push(who),
            Some(_) => return Err(Failure::Closed(who, "without a reason".to_owned())),
            None => (),
        }
        Ok(())
    }

    /// Handles one element. Says whether the stream begins anew behind it.
    fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        handler: &mut dyn Handler,
    ) -> Result<bool, Failure> {
        let Some(connection) = &mut self.connections[who] else {
            return Ok(false);
        };
        if element.name() == b"stream:error" {
            return Err(Failure::Closed(who, element.excerpt()));
        }
        if let Stage::Login(login) = &mut connection.stage {
            let progress = login.element(element, &mut self.keys, self.lines.buffer(who));
            match progress.map_err(|error| Failure::Login(who, error))? {
                Progress::Pending => return Ok(false),
                Progress::StartTls => {
                    let domain = self.server.domain.clone();
                    connection.start_tls(&self.tls, &domain)?;
                    if let Stage::Login(login) = &connection.stage {
                        login.open(self.lines.buffer(who));
                    }
                    return Ok(true);
                }
                Progress::Restart => {
                    connection.scanner = Default::default();
                    return Ok(true);
                }
                Progress::Bound(jid) => self.bound(who, jid),
            }
            return Ok(false);
        }
        if let Some(handled) = &mut connection.handled {
            if element.is_stanza() {
                *handled = handled.wrapping_add(1);
            } else if element.name() == b"r" {
                self.lines.raw(who, acknowledgement(*handled).as_bytes());
                return Ok(false);
            }
        }
        match connection.stage {
            Stage::Syncing if element.name() == b"iq" && element.attr_is("id", "sync") => {
                connection.stage = Stage::Online;
                self.came_online.push(who);
                return Ok(false);
            }
            // The others leave too: a server may think that what they were sent last did not reach
            // them, and say so.
            Stage::Closing if element.attr_is("type", "error") => return Ok(false),
            _ => (),
        }
        if !matches!(connection.stage, Stage::Closing)
            && element.name() == b"iq"
            && (element.attr_is("type", "get") || element.attr_is("type", "set"))
        {
            self.lines.stanza(who, &empty_result(element));
        }
        handler
            .element(who, element, &mut self.lines)
            .map(|()| false)
    }

    fn bound(&mut self, who: usize, jid: String) {
        self.jids[who] = jid;
        if let Some(connection) = &mut self.connections[who] {
            connection.stage = Stage::Syncing;
            connection.handled = self.server.sm.then_some(0);
        }
        if !self.without_presence {
            self.lines.stanza(who, b"<presence/>");
        }
        let ping = format!(
            "<iq type='get' id='sync' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>",
            self.server.domain
        );
        self.lines.stanza(who, ping.as_bytes());
    }
}

fn acknowledgement(handled: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")
}

fn watch(epoll: &OwnedFd, socket: &TcpStream, who: usize, writable: bool) -> Result<(), Failure> {
    let mut flags = epoll::EventFlags::IN;
    flags.set(epoll::EventFlags::OUT, writable);
    let data = epoll::EventData::new_u64(who as u64);
    epoll::modify(epoll, socket, data, flags).map_err(io::Error::from)?;
    Ok(())
}

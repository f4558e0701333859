//! A client as a value: bytes come in, bytes to write pile up. It logs in, manages its stream
//! (XEP-0198) as stock clients do, and writes down what it sees.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use minidom::Element;

use super::book::{Book, What};
use crate::harness::login::header;
use crate::harness::sasl::Scram;
use crate::harness::xml::{CLIENT, Event, PING, SM, STREAM, StreamReader, show};

mod negotiation;
mod rooms;

use rooms::{Rooms, stanza_id};

const STANZA_ID: &str = "urn:xmpp:sid:0";
const DELAY: &str = "urn:xmpp:delay";
/// The id of the ping that shows that all that waited was given out.
const DRAINED: &str = "drained";
/// With which errors the server may end a stream of a client that does nothing wrong: it stops,
/// the client came back over another connection, it was silent or took nothing.
const ENDS: [&str; 4] = [
    "system-shutdown",
    "conflict",
    "connection-timeout",
    "resource-constraint",
];

/// What it waits for.
enum Phase {
    Nothing,
    Features,
    Registered,
    Challenge(Box<Scram>),
    Success(Box<Scram>),
    FeaturesAfterLogin,
    Resumed,
    Bound,
    Enabled,
    Online,
    /// The answer to its own `</stream:stream>`.
    End,
}

/// A stanza that the server has not acknowledged.
struct Unacknowledged {
    text: String,
    /// The id of a message, and the account or room that it is for: only those are sent again in
    /// another session.
    message: Option<(String, String)>,
}

/// One client of one account.
pub struct Person {
    /// `user/resource`.
    pub who: String,
    /// What is to be written next.
    pub out: Vec<u8>,
    /// Whether it leaves requests for acknowledgement unanswered.
    pub is_silent: bool,
    /// Whether a message came since this was last set to false.
    pub took_one: bool,
    user: String,
    resource: String,
    domain: String,
    book: Arc<Book>,
    reader: StreamReader,
    phase: Phase,
    is_registered: bool,
    /// The id of the session that can be resumed.
    stream: Option<String>,
    /// Stanzas acknowledged by the server in this session, and those behind them in order.
    acknowledged: u32,
    unacknowledged: VecDeque<Unacknowledged>,
    /// Messages of a lost session that go first in the next.
    again: VecDeque<(String, String, String)>,
    rooms: Rooms,
    /// Stanzas that came in this session.
    handled: u32,
    messages: usize,
}

impl Person {
    /// A client that has never been online.
    pub fn new(user: &str, resource: &str, domain: &str, book: Arc<Book>) -> Person {
        Person {
            who: format!("{user}/{resource}"),
            out: Vec::new(),
            is_silent: false,
            took_one: false,
            user: user.to_owned(),
            resource: resource.to_owned(),
            domain: domain.to_owned(),
            book,
            reader: StreamReader::new(),
            phase: Phase::Nothing,
            is_registered: false,
            stream: None,
            acknowledged: 0,
            unacknowledged: VecDeque::new(),
            again: VecDeque::new(),
            rooms: Rooms::default(),
            handled: 0,
            messages: 0,
        }
    }

    /// The same account exists already.
    pub fn registered(mut self) -> Person {
        self.is_registered = true;
        self
    }

    /// Whether it has a session on this connection.
    pub fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online)
    }

    /// Messages that the server does not answer for yet.
    pub fn open_messages(&self) -> usize {
        let is_message = |stanza: &&Unacknowledged| stanza.message.is_some();
        self.again.len() + self.unacknowledged.iter().filter(is_message).count()
    }

    fn log(&self, what: What) {
        self.book.write(&self.who, what);
    }

    fn misbehaved(&self, text: impl Into<String>) {
        self.log(What::Misbehaved(text.into()));
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// It has a connection to the server process with that number.
    pub fn connected(&mut self, incarnation: u32) {
        self.log(What::Connected(incarnation));
        self.out.clear();
        self.reader = StreamReader::new();
        self.phase = Phase::Features;
        self.put(&header(&self.domain));
    }

    /// The connection is gone.
    pub fn lost(&mut self) {
        match mem::replace(&mut self.phase, Phase::Nothing) {
            Phase::Nothing => {}
            Phase::End => {
                self.log(What::Abandoned);
                self.give_up_session();
            }
            _ => self.log(What::Broken),
        }
        self.out.clear();
    }

    fn give_up_session(&mut self) {
        self.stream = None;
        self.acknowledged = 0;
        let messages = self.unacknowledged.drain(..).filter_map(|stanza| {
            let (id, to) = stanza.message?;
            Some((id, to, stanza.text))
        });
        // What was to be sent again and was not yet is newer.
        let newer = mem::take(&mut self.again);
        self.again = messages.chain(newer).collect();
        self.forget_rooms();
    }

    /// Sends a message to an account, or to a room that it is in.
    pub fn write_to(&mut self, to: &str, filler: usize) {
        self.messages += 1;
        let id = format!("{}-{}-{to}", self.user, self.messages);
        let (address, kind) = self.address(to);
        let filler = "x".repeat(filler);
        let text = format!(
            "<message to='{address}' type='{kind}' id='{id}'><body>{id} {filler}</body>\
             <origin-id xmlns='{STANZA_ID}' id='{id}'/></message>"
        );
        self.log(What::Sent {
            id: id.clone(),
            to: to.to_owned(),
        });
        self.send_message(id, to.to_owned(), text);
    }

    fn send_message(&mut self, id: String, to: String, text: String) {
        self.put(&text);
        let message = Some((id, to));
        self.unacknowledged
            .push_back(Unacknowledged { text, message });
    }

    /// Sends a stanza that needs no care.
    pub fn send_other(&mut self, text: &str) {
        self.put(text);
        self.unacknowledged.push_back(Unacknowledged {
            text: text.to_owned(),
            message: None,
        });
    }

    /// Tells somebody that it is typing.
    pub fn type_to(&mut self, to: &str) {
        let (address, kind) = self.address(to);
        let text = format!(
            "<message to='{address}' type='{kind}'>\
             <composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        );
        self.send_other(&text);
    }

    /// Pings the server.
    pub fn ping(&mut self, id: &str) {
        let to = self.domain.clone();
        self.send_other(&format!(
            "<iq type='get' id='{id}' to='{to}'><ping xmlns='{PING}'/></iq>"
        ));
    }

    /// Asks what the server answers for.
    pub fn ask(&mut self) {
        self.put(&format!("<r xmlns='{SM}'/>"));
    }

    /// Says what came.
    pub fn acknowledge(&mut self) {
        self.put(&format!("<a xmlns='{SM}' h='{}'/>", self.handled));
    }

    /// Says good-bye.
    pub fn close(&mut self) {
        self.log(What::Leaving);
        self.acknowledge();
        self.put("</stream:stream>");
        self.phase = Phase::End;
    }

    /// Takes what came. An error: the connection is of no use any more.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.reader.feed(bytes);
        loop {
            let event = self.reader.take().inspect_err(|error| {
                self.misbehaved(error.clone());
            })?;
            match event {
                None => return Ok(()),
                Some(Event::Header(_)) => {}
                Some(Event::Element(element)) => self.element(&element)?,
                Some(Event::End | Event::Closed) => return Err(self.ended()),
            }
        }
    }

    fn ended(&mut self) -> String {
        if matches!(self.phase, Phase::End) {
            self.phase = Phase::Nothing;
            self.log(What::Closed);
            self.give_up_session();
        }
        "the end of the stream".to_owned()
    }

    fn element(&mut self, element: &Element) -> Result<(), String> {
        if element.is("error", STREAM) {
            return Err(self.stream_error(element));
        }
        match mem::replace(&mut self.phase, Phase::Nothing) {
            Phase::Online => {
                self.phase = Phase::Online;
                self.online(element)
            }
            Phase::End => {
                self.phase = Phase::End;
                self.online(element)
            }
            phase => {
                self.phase = self.negotiate(phase, element).inspect_err(|_| {
                    // It did have a connection, and is to write down its end.
                    self.phase = Phase::Features;
                })?;
                Ok(())
            }
        }
    }

    fn stream_error(&mut self, error: &Element) -> String {
        let text = show(error);
        let condition = error.children().next().map_or("", Element::name);
        if !ENDS.contains(&condition) {
            self.misbehaved(text.clone());
        }
        text
    }

    fn acknowledged_by_server(&mut self, h: u32) {
        let newly = h.wrapping_sub(self.acknowledged) as usize;
        if newly > self.unacknowledged.len() {
            let (before, open) = (self.acknowledged, self.unacknowledged.len());
            self.misbehaved(format!(
                "h={h}, where {before} were acknowledged and {open} sent since"
            ));
            return;
        }
        self.acknowledged = h;
        let newly: Vec<Unacknowledged> = self.unacknowledged.drain(..newly).collect();
        for (id, _) in newly.into_iter().filter_map(|stanza| stanza.message) {
            self.log(What::Acknowledged(id));
        }
    }

    /// What comes in a session.
    fn online(&mut self, element: &Element) -> Result<(), String> {
        if element.is("r", SM) {
            if !self.is_silent {
                self.acknowledge();
            }
            return Ok(());
        }
        if element.is("a", SM) {
            match element.attr("h").and_then(|h| h.parse().ok()) {
                Some(h) => self.acknowledged_by_server(h),
                None => self.misbehaved(format!("no count: {}", show(element))),
            }
            return Ok(());
        }
        if element.ns() != CLIENT {
            self.misbehaved(format!("in a session: {}", show(element)));
            return Err(show(element));
        }
        self.handled = self.handled.wrapping_add(1);
        match element.name() {
            "message" if !self.heard(element) => self.message(element),
            "presence" => self.presence(element),
            "iq" => self.iq(element),
            _ => {}
        }
        Ok(())
    }

    fn iq(&mut self, iq: &Element) {
        let id = iq.attr("id").unwrap_or_default().to_owned();
        match iq.attr("type") {
            Some("get" | "set") => {
                let to = iq.attr("from").map(|from| format!(" to='{from}'"));
                let to = to.unwrap_or_default();
                self.send_other(&format!("<iq type='result' id='{id}'{to}/>"));
            }
            Some("result") if id == DRAINED => self.log(What::Drained),
            _ => {}
        }
    }

    fn message(&mut self, message: &Element) {
        let Some(id) = message.attr("id") else {
            // A chat state.
            return;
        };
        if message.attr("type") == Some("error") {
            let condition = message
                .get_child("error", CLIENT)
                .and_then(|error| error.children().next())
                .map_or("", Element::name);
            self.log(What::Refused {
                id: id.to_owned(),
                condition: condition.to_owned(),
            });
            // Its user was told, and will decide: it does not go out again by itself.
            for stanza in &mut self.unacknowledged {
                stanza.message.take_if(|(known, _)| known == id);
            }
            self.again.retain(|(known, ..)| known != id);
            return;
        }
        let own = format!("{}@{}", self.user, self.domain);
        self.took_one = true;
        let from = message.attr("from").unwrap_or_default();
        self.log(What::Received {
            id: id.to_owned(),
            from: from.split('@').next().unwrap_or_default().to_owned(),
            room: None,
            stanza_id: stanza_id(message, &own),
            delayed: message.has_child("delay", DELAY),
        });
    }
}

//! A client that does what it is told and says what it is sent, without an opinion of its own.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Instant;

use minidom::Element;
use rustls::ALL_VERSIONS;

use super::Outcome;
use super::server::Target;
use super::transport::{DEADLINE, TlsOptions, Transport, loopback};
use super::xml::{CLIENT, Event, PING, SASL, SM, STREAM, StreamReader, show};

/// With this variable set, all that clients send and receive is shown.
const TRACE: &str = "WAXWING_TEST_TRACE";

/// One stream to a server.
pub struct Client {
    /// The full JID once a resource is bound.
    pub jid: Option<String>,
    /// Whether it answers the server's pings by itself.
    pub answers_pings: bool,
    transport: Option<Transport>,
    target: Target,
    reader: StreamReader,
    queue: VecDeque<Event>,
    syncs: u32,
    /// Whether a message was read since the last ping of the server was answered.
    untold: bool,
}

impl Client {
    /// A TCP connection; nothing is said yet.
    pub fn tcp(target: &Target) -> Outcome<Client> {
        Client::tcp_from(target, loopback(super::unique()))
    }

    /// A TCP connection from that address.
    pub fn tcp_from(target: &Target, source: Ipv4Addr) -> Outcome<Client> {
        Ok(Client {
            jid: None,
            answers_pings: true,
            transport: Some(Transport::connect(target.c2s, source)?),
            target: target.clone(),
            reader: StreamReader::new(),
            queue: VecDeque::new(),
            syncs: 0,
            untold: false,
        })
    }

    /// A connection with TLS from the start (XEP-0368); nothing is said in it yet.
    pub fn direct_tls(target: &Target) -> Outcome<Client> {
        let direct = Target {
            c2s: target.c2s_tls.ok_or("no port for direct TLS")?,
            ..target.clone()
        };
        let mut client = Client::tcp(&direct)?;
        let options = TlsOptions {
            alpn: vec![b"xmpp-client".to_vec()],
            ..client.tls_options()
        };
        client.secure(&options)?;
        Ok(client)
    }

    /// What TLS is to do by default.
    pub fn tls_options(&self) -> TlsOptions {
        TlsOptions {
            certificate: self.target.certificate.clone(),
            domain: self.target.domain.clone(),
            alpn: Vec::new(),
            versions: ALL_VERSIONS,
        }
    }

    /// Makes the TLS handshake now.
    pub fn secure(&mut self, options: &TlsOptions) -> Outcome {
        let transport = self.transport.take().ok_or("not connected")?;
        self.transport = Some(transport.secure(options)?);
        self.reader = StreamReader::new();
        Ok(())
    }

    /// Where it is connected to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The full JID.
    pub fn full(&self) -> &str {
        self.jid.as_deref().unwrap_or_default()
    }

    /// The connection under the stream.
    pub fn transport(&mut self) -> Outcome<&mut Transport> {
        Ok(self.transport.as_mut().ok_or("not connected")?)
    }

    /// Sends a text as it is.
    pub fn send(&mut self, text: &str) -> Outcome {
        self.send_bytes(text.as_bytes())
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Outcome {
        self.trace("->", &String::from_utf8_lossy(bytes));
        Ok(self.transport()?.write(bytes)?)
    }

    /// Sends each byte in a write of its own.
    pub fn send_bytewise(&mut self, text: &str) -> Outcome {
        text.as_bytes()
            .chunks(1)
            .try_for_each(|byte| self.send_bytes(byte))
    }

    /// What the server says next, other than a ping that was answered. Fails when nothing comes.
    pub fn recv(&mut self) -> Outcome<Event> {
        match self.queue.pop_front() {
            Some(event) => Ok(event),
            None => self.read(),
        }
    }

    /// The next element.
    pub fn stanza(&mut self) -> Outcome<Element> {
        match self.recv()? {
            Event::Element(element) => Ok(element),
            other => Err(format!("an element was expected, not {}", other.show()).into()),
        }
    }

    /// The next element, which has to be that one.
    pub fn expect(&mut self, name: &str, ns: &str) -> Outcome<Element> {
        let element = self.stanza()?;
        if element.is(name, ns) {
            Ok(element)
        } else {
            Err(format!("<{name}/> was expected, not {}", show(&element)).into())
        }
    }

    /// The server ends the stream with that error, closes it and the connection.
    pub fn expect_error(&mut self, condition: &str) -> Outcome {
        let mut event = self.recv()?;
        if matches!(event, Event::Header(_)) {
            event = self.recv()?;
        }
        match &event {
            Event::Element(error)
                if error.is("error", STREAM)
                    && error.has_child(condition, "urn:ietf:params:xml:ns:xmpp-streams") => {}
            other => {
                return Err(format!(
                    "the stream error {condition} was expected, not {}",
                    other.show()
                )
                .into());
            }
        }
        self.expect_end()
    }

    /// The server closes the stream and the connection.
    pub fn expect_end(&mut self) -> Outcome {
        for wanted in ["</stream:stream>", "the end of the connection"] {
            let event = self.recv()?.show();
            if event != wanted {
                return Err(format!("{wanted} was expected, not {event}").into());
            }
        }
        self.vanish();
        Ok(())
    }

    /// Pings the server and waits for the answer. All that came before it can be received after.
    pub fn sync(&mut self) -> Outcome {
        self.syncs += 1;
        let id = format!("sync-{}", self.syncs);
        let domain = self.target.domain.clone();
        self.send(&format!(
            "<iq type='get' id='{id}' to='{domain}'><ping xmlns='{PING}'/></iq>"
        ))?;
        loop {
            let event = self.read()?;
            match &event {
                Event::Element(element)
                    if element.is("iq", CLIENT) && element.attr("id") == Some(&id) =>
                {
                    return Ok(());
                }
                Event::Closed => {
                    return Err(
                        "the connection ended where the answer to a ping was expected".into(),
                    );
                }
                _ => self.queue.push_back(event),
            }
        }
    }

    /// Waits until the server has asked what was taken and has been answered: only then is a
    /// message delivered.
    pub fn take_all(&mut self) -> Outcome {
        let end = Instant::now() + DEADLINE;
        while self.untold {
            match self.next(end)? {
                Some(Event::Closed) => return Err("the connection ended before a ping came".into()),
                Some(event) => self.queue.push_back(event),
                None => {}
            }
        }
        self.sync()
    }

    /// All that came and was not received yet.
    pub fn unread(&mut self) -> Vec<Event> {
        self.queue.drain(..).collect()
    }

    /// The answer to the request with that id. What came beside it can be received after.
    pub fn answer_to(&mut self, id: &str) -> Outcome<Element> {
        self.sync()?;
        let is_answer = |event: &Event| {
            matches!(event, Event::Element(element)
                if element.is("iq", CLIENT) && element.attr("id") == Some(id))
        };
        let found = self.queue.iter().position(is_answer);
        match found.and_then(|index| self.queue.remove(index)) {
            Some(Event::Element(answer)) => Ok(answer),
            _ => Err(format!("no answer to the request {id}").into()),
        }
    }

    /// All elements that came up to the answer to a ping.
    pub fn stanzas(&mut self) -> Outcome<Vec<Element>> {
        self.sync()?;
        self.unread()
            .into_iter()
            .map(|event| match event {
                Event::Element(element) => Ok(element),
                other => Err(format!("an element was expected, not {}", other.show()).into()),
            })
            .collect()
    }

    /// Whether it has a connection.
    pub fn is_connected(&self) -> bool {
        self.transport.is_some()
    }

    /// Closes the stream as RFC 6120 §4.4 says and waits for the server to do so too. Stanzas that
    /// still come are left out.
    pub fn disconnect(&mut self) -> Outcome {
        self.send("</stream:stream>")?;
        loop {
            match self.recv()? {
                Event::End => break,
                Event::Closed => return Err("the connection ended without </stream:stream>".into()),
                Event::Header(_) | Event::Element(_) => {}
            }
        }
        self.vanish();
        Ok(())
    }

    /// Drops the connection without a word.
    pub fn vanish(&mut self) {
        self.transport = None;
        self.queue.clear();
    }

    fn read(&mut self) -> Outcome<Event> {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(event) = self.next(end)? {
                return Ok(event);
            }
        }
    }

    /// The next thing that the server says; `None`: a ping, which was answered.
    fn next(&mut self, end: Instant) -> Outcome<Option<Event>> {
        let mut buffer = [0; 16384];
        loop {
            if let Some(event) = self.reader.take()? {
                self.trace("<-", &event.show());
                return Ok((!self.answer(&event)?).then_some(event));
            }
            let patience = end.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                let who = self.jid.as_deref().unwrap_or("a client");
                return Err(format!("{who} got nothing for {} s", DEADLINE.as_secs()).into());
            }
            match self.transport()?.read(&mut buffer, patience)? {
                Some(0) => return Ok(Some(Event::Closed)),
                Some(count) => self.reader.feed(&buffer[..count]),
                None => {}
            }
        }
    }

    /// What the client does by itself; whether the event is done with.
    fn answer(&mut self, event: &Event) -> Outcome<bool> {
        let Event::Element(element) = event else {
            return Ok(false);
        };
        if element.is("success", SASL) {
            self.reader = StreamReader::new();
        }
        // What a room says in passing, its subject say, is not waited for.
        let is_passing =
            element.attr("type") == Some("groupchat") && !element.has_child("body", CLIENT);
        if element.is("message", CLIENT) && !is_passing {
            self.untold = true;
        }
        if element.is("r", SM) {
            // A play says itself what it acknowledges.
            return Ok(true);
        }
        if !(self.answers_pings && self.is_server_ping(element)) {
            return Ok(false);
        }
        let id = element.attr("id").unwrap_or_default();
        let to = element
            .attr("from")
            .map(|from| format!(" to='{from}'"))
            .unwrap_or_default();
        self.send(&format!("<iq type='result' id='{id}'{to}/>"))?;
        self.untold = false;
        Ok(true)
    }

    fn trace(&self, direction: &str, text: &str) {
        if std::env::var_os(TRACE).is_some() {
            eprintln!("{} {direction} {text}", self.jid.as_deref().unwrap_or("?"));
        }
    }

    fn is_server_ping(&self, element: &Element) -> bool {
        let from = element.attr("from");
        let bare = self.jid.as_deref().and_then(|jid| jid.split('/').next());
        element.is("iq", CLIENT)
            && element.attr("type") == Some("get")
            && element.has_child("ping", PING)
            && (from.is_none() || from == Some(&self.target.domain) || from == bare)
    }
}

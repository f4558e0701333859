//! A client that does what it is told and says what it is sent, without an opinion of its own.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Instant;

use minidom::Element;
use rustls::ALL_VERSIONS;

use super::Outcome;
use super::sasl::{self, Scram};
use super::server::Target;
use super::transport::{DEADLINE, TlsOptions, Transport, loopback};
use super::xml::{BIND, CLIENT, Event, PING, SASL, STREAM, StreamReader, TLS, show};

/// With this variable set, all that clients send and receive is shown.
const TRACE: &str = "WAXWING_TEST_TRACE";

/// An account and how to log in to it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The local part.
    pub user: String,
    /// The domain.
    pub domain: String,
    /// The password.
    pub password: String,
}

impl Account {
    /// The bare JID.
    pub fn jid(&self) -> String {
        format!("{}@{}", self.user, self.domain)
    }
}

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

    /// A stream under TLS by STARTTLS, ready for authentication.
    pub fn stream(target: &Target) -> Outcome<Client> {
        Client::tcp(target)?.start_tls()
    }

    /// The same over this connection.
    pub fn start_tls(mut self) -> Outcome<Client> {
        self.open()?;
        self.send(&format!("<starttls xmlns='{TLS}'/>"))?;
        self.expect("proceed", TLS)?;
        self.secure(&self.tls_options())?;
        self.open()?;
        Ok(self)
    }

    /// Logs in to an account and binds a resource, of the server's choice if none is named.
    pub fn connect(target: &Target, account: &Account, resource: Option<&str>) -> Outcome<Client> {
        let mut client = Client::stream(target)?;
        client.log_in(account)?;
        client.bind(resource)?;
        Ok(client)
    }

    /// `connect`, and then initial presence. What comes because of it is left out.
    pub fn online(target: &Target, account: &Account, resource: Option<&str>) -> Outcome<Client> {
        let mut client = Client::connect(target, account, resource)?;
        client.send("<presence/>")?;
        client.sync()?;
        client.queue.clear();
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

    /// The stream header that a client sends.
    pub fn header(&self) -> String {
        format!(
            "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xml:lang='en' xmlns='{CLIENT}' xmlns:stream='{STREAM}'>",
            self.target.domain
        )
    }

    /// Opens the stream, or opens it anew; the features that the server offers.
    pub fn open(&mut self) -> Outcome<Element> {
        self.send(&self.header())?;
        match self.recv()? {
            Event::Header(_) => self.expect("features", STREAM),
            other => Err(format!("a stream header was expected, not {}", other.show()).into()),
        }
    }

    /// Authenticates by SCRAM-SHA-256 and opens the stream anew; the features.
    pub fn log_in(&mut self, account: &Account) -> Outcome<Element> {
        let mut scram = Scram::new(&account.user, &account.password, "n,,", Vec::new());
        let outcome = self.scram("SCRAM-SHA-256", &mut scram)?;
        if !outcome.is("success", SASL) {
            return Err(format!("login of {} failed: {}", account.jid(), show(&outcome)).into());
        }
        if !scram.verify(&sasl::decode(&outcome.text())?) {
            return Err("the server does not know the password".into());
        }
        self.open()
    }

    /// Runs a SCRAM exchange; the server's `<success/>` or `<failure/>`.
    pub fn scram(&mut self, mechanism: &str, scram: &mut Scram) -> Outcome<Element> {
        let first = self.auth(mechanism, &sasl::encode(scram.first()))?;
        if !first.is("challenge", SASL) {
            return Ok(first);
        }
        let last = scram.last(&sasl::decode(&first.text())?)?;
        self.response(&sasl::encode(last))
    }

    /// Sends `<auth/>`; the server's next element.
    pub fn auth(&mut self, mechanism: &str, initial: &str) -> Outcome<Element> {
        self.send(&format!(
            "<auth xmlns='{SASL}' mechanism='{mechanism}'>{initial}</auth>"
        ))?;
        self.stanza()
    }

    /// Sends `<response/>`; the server's next element.
    pub fn response(&mut self, text: &str) -> Outcome<Element> {
        self.send(&format!("<response xmlns='{SASL}'>{text}</response>"))?;
        self.stanza()
    }

    /// Binds a resource; the full JID.
    pub fn bind(&mut self, resource: Option<&str>) -> Outcome<String> {
        let wish = resource
            .map(|name| format!("<resource>{name}</resource>"))
            .unwrap_or_default();
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='{BIND}'>{wish}</bind></iq>"
        ))?;
        let answer = self.stanza()?;
        let jid = answer
            .get_child("bind", BIND)
            .and_then(|bind| bind.get_child("jid", BIND))
            .map(Element::text);
        self.jid = Some(jid.ok_or_else(|| format!("no JID in {}", show(&answer)))?);
        Ok(self.jid.clone().unwrap_or_default())
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

    /// All that came and was not received yet.
    pub fn unread(&mut self) -> Vec<Event> {
        self.queue.drain(..).collect()
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
        let mut buffer = [0; 16384];
        loop {
            while let Some(event) = self.reader.take()? {
                self.trace("<-", &event.show());
                if !self.take(&event)? {
                    return Ok(event);
                }
            }
            let patience = end.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                return Err(format!(
                    "{} got nothing for {} s",
                    self.jid.as_deref().unwrap_or("a client"),
                    DEADLINE.as_secs()
                )
                .into());
            }
            match self.transport()?.read(&mut buffer, patience)? {
                Some(0) => return Ok(Event::Closed),
                Some(count) => self.reader.feed(&buffer[..count]),
                None => {}
            }
        }
    }

    /// What the client does by itself; whether the event is done with.
    fn take(&mut self, event: &Event) -> Outcome<bool> {
        let Event::Element(element) = event else {
            return Ok(false);
        };
        if element.is("success", SASL) {
            self.reader = StreamReader::new();
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

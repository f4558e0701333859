//! Negotiation of a client's stream (RFC 6120 §4 to §7): header, STARTTLS, features, and the order
//! of the steps. Authentication and binding have files of their own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use waxwing_core::Session;
use waxwing_core::binding::UserAgent;
use waxwing_core::powers::{StreamFacts, Verb};
use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::framing::{Limits, StreamHeader};
use waxwing_xmpp::{Element, Jid, StanzaError, dom, ns, sasl, sm};

use super::authenticate::{Authenticated, offer};
use super::bind::{refusal, reply};
use super::io::{Io, Transport};
use super::reader::{Incoming, Reader};
use super::{End, Shared, close};

/// A stream that is being negotiated.
pub(crate) struct Negotiation {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reader: Reader,
    pub(crate) peer: IpAddr,
    /// What the current features offered.
    pub(crate) offer: sasl::Offer,
    /// The hash of the certificate that TLS showed, for channel binding.
    pub(crate) end_point: Option<Vec<u8>>,
    /// Failed logins on this stream.
    pub(crate) attempts: u32,
    /// Whether a header was sent for the current stream: an error without one needs one first.
    open: bool,
    pub(crate) lang: Option<String>,
    /// Who the client said it was in its stream header, as a bare JID.
    pub(crate) claimed: Option<Jid>,
    /// What the client said of itself.
    pub(crate) user_agent: Option<UserAgent>,
}

/// What the client is after its login.
pub(crate) enum Login {
    /// Authenticated as RFC 6120 §6 says: it opens the stream anew.
    Restart(Authenticated),
    /// Authenticated by XEP-0388; it has the features of the stream and is to bind.
    Features(Authenticated),
    /// Authenticated and bound by XEP-0386, or resumed: the session's outbox begins with what
    /// tells it so.
    Bound(Arc<Session>),
}

/// Negotiates a stream up to a bound session. `None`: the connection is closed already.
pub(crate) async fn negotiate(
    shared: Arc<Shared>,
    socket: TcpStream,
    peer: IpAddr,
    direct_tls: bool,
    limit: Duration,
) -> Option<(Reader, Arc<Session>)> {
    let max_bytes = shared.config.load().limits.stanza_bytes_before_login;
    let limits = Limits {
        max_bytes,
        ..Limits::BEFORE_LOGIN
    };
    let mut negotiation = Negotiation {
        reader: Reader::new(Io::new(Transport::Plain(socket)), limits),
        shared,
        peer,
        offer: sasl::Offer {
            mechanisms: Vec::new(),
            bindings: Vec::new(),
            advertise_bindings: true,
        },
        end_point: None,
        attempts: 0,
        open: false,
        lang: None,
        claimed: None,
        user_agent: None,
    };
    let run = async {
        if direct_tls {
            negotiation.encrypt(true).await?;
        }
        negotiation.run().await
    };
    let outcome = match tokio::time::timeout(limit, run).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StreamCondition::ConnectionTimeout.into()),
    };
    let error = match outcome {
        Ok(session) => return Some((negotiation.reader, session)),
        Err(End::Gone) => return None,
        Err(End::Closed) => None,
        Err(End::Error(error)) => Some(error),
    };
    if !negotiation.open {
        negotiation.queue_header(None);
    }
    close(negotiation.reader.io, error.as_ref()).await;
    None
}

impl Negotiation {
    /// From the first header to the bound session.
    async fn run(&mut self) -> Result<Arc<Session>, End> {
        let session = match self.before_login().await? {
            Login::Restart(authenticated) => {
                self.reader.restart();
                self.open = false;
                self.expect_header().await?;
                self.send(self.features_after_login(None)).await?;
                self.bind(&authenticated).await?
            }
            Login::Features(authenticated) => self.bind(&authenticated).await?,
            Login::Bound(session) => session,
        };
        let max_bytes = self.shared.config.load().limits.stanza_bytes;
        self.reader.framer.set_limits(Limits {
            max_bytes,
            ..Limits::AFTER_LOGIN
        });
        Ok(session)
    }

    async fn before_login(&mut self) -> Result<Login, End> {
        self.expect_header().await?;
        self.send_features().await?;
        loop {
            let element = match self.reader.next().await? {
                Incoming::Element(element) => element,
                Incoming::End => return Err(End::Closed),
                Incoming::Header(_) => return Err(StreamCondition::BadFormat.into()),
            };
            if element.is("starttls", ns::TLS) {
                self.starttls().await?;
                self.expect_header().await?;
                self.send_features().await?;
            } else if element.is("auth", ns::SASL) {
                if let Some(authenticated) = self.authenticate(&element).await? {
                    return Ok(Login::Restart(authenticated));
                }
            } else if element.is("authenticate", ns::SASL2) {
                if let Some(login) = self.authenticate2(&element).await? {
                    return Ok(login);
                }
            } else if element.is("iq", ns::CLIENT) {
                self.iq_before_login(&element).await?;
            } else if element.is("enable", sm::NS) || element.is("resume", sm::NS) {
                // XEP-0198 §3 and §6.
                let failed = sm::failed(None, &StanzaError::unexpected_request());
                self.send(failed).await?;
            } else {
                return Err(refusal(&element));
            }
        }
    }

    /// RFC 6120 §4.7 and §4.9.3: the header must be for this server and this protocol.
    async fn expect_header(&mut self) -> Result<(), End> {
        let header = match self.reader.next().await? {
            Incoming::Header(header) => header,
            Incoming::End => return Err(End::Closed),
            Incoming::Element(_) => return Err(StreamCondition::BadFormat.into()),
        };
        self.queue_header(header.from.as_deref());
        self.check_header(&header)?;
        self.lang = header.lang;
        Ok(())
    }

    fn check_header(&mut self, header: &StreamHeader) -> Result<(), End> {
        let major = header
            .version
            .as_deref()
            .and_then(|version| version.split('.').next());
        if major
            .and_then(|major| major.parse().ok())
            .is_none_or(|major: u32| major < 1)
        {
            return Err(StreamCondition::UnsupportedVersion.into());
        }
        let Some(to) = &header.to else {
            return Err(StreamCondition::ImproperAddressing.into());
        };
        let own = &self.shared.exchange.domain;
        if !Jid::parse(to).is_ok_and(|to| to == *own) {
            return Err(StreamCondition::HostUnknown.into());
        }
        let from = header.from.as_ref().and_then(|from| Jid::parse(from).ok());
        if from
            .as_ref()
            .is_some_and(|from| from.domain() != own.as_str())
        {
            // XEP-0388 §2.1: nobody of another domain logs in here.
            return Err(StreamCondition::InvalidFrom.into());
        }
        let from = from.filter(|from| from.local().is_some());
        self.claimed = from.map(|from| from.to_bare());
        Ok(())
    }

    /// Sends this side's header; an error before the client's own was read needs it too.
    fn queue_header(&mut self, to: Option<&str>) {
        let (domain, id) = (
            self.shared.exchange.domain.as_str(),
            self.shared.exchange.ids.token(),
        );
        let to = to
            .map(|to| format!(" to='{}'", dom::escape_attr(to)))
            .unwrap_or_default();
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' id='{id}' \
             from='{domain}'{to} version='1.0' xml:lang='en'>",
            ns::CLIENT,
            ns::STREAM,
        );
        self.open = true;
        self.queue(header);
    }

    fn queue(&mut self, xml: String) {
        self.reader.io.queue(Bytes::from(xml));
    }

    pub(crate) async fn send(&mut self, xml: String) -> Result<(), End> {
        self.queue(xml);
        Ok(self.reader.io.write_queue().await?)
    }

    pub(crate) fn facts(&self, authenticated: bool) -> StreamFacts {
        let secure = self.reader.io.is_tls() || !self.shared.config.load().tls.require;
        StreamFacts {
            secure,
            authenticated,
            bound: false,
            managed: false,
            peer: self.peer,
        }
    }

    async fn send_features(&mut self) -> Result<(), End> {
        let facts = self.facts(false);
        let mut features = String::from("<stream:features>");
        if !self.reader.io.is_tls() {
            let required = if facts.secure { "" } else { "<required/>" };
            features += &format!("<starttls xmlns='{}'>{required}</starttls>", ns::TLS);
        }
        if facts.secure {
            self.offer = offer(
                &self.shared,
                self.reader.io.tls(),
                self.end_point.as_deref(),
            );
            features += &self.offer.features_xml(self.inline_features().as_deref());
        }
        features += &self.extension_features(facts);
        features += "</stream:features>";
        self.send(features).await
    }

    /// The features of a stream whose client is authenticated, and may have a session.
    pub(crate) fn features_after_login(&self, bound: Option<&Session>) -> String {
        let bind = if bound.is_some() {
            String::new()
        } else {
            format!("<bind xmlns='{}'/>", ns::BIND)
        };
        let more = self.extension_features(StreamFacts {
            bound: bound.is_some(),
            managed: bound.is_some_and(|session| session.stream() != 0),
            ..self.facts(true)
        });
        format!("<stream:features>{bind}{more}</stream:features>")
    }

    fn extension_features(&self, facts: StreamFacts) -> String {
        let exchange = &self.shared.exchange;
        let streams = exchange.powers.stream.iter();
        streams
            .filter_map(|stream| stream.feature(exchange, facts))
            .collect()
    }

    /// RFC 6120 §5.4.
    async fn starttls(&mut self) -> Result<(), End> {
        if self.reader.io.is_tls() {
            return Err(StreamCondition::UnsupportedStanzaType.into());
        }
        // §5.4.3.1: plaintext that was sent ahead could be an attacker's, put before the stream.
        if self.reader.has_more() {
            let failure = format!("<failure xmlns='{}'/>", ns::TLS);
            self.queue(failure);
            return Err(End::Closed);
        }
        self.send(format!("<proceed xmlns='{}'/>", ns::TLS)).await?;
        self.encrypt(false).await
    }

    async fn encrypt(&mut self, direct: bool) -> Result<(), End> {
        let Some(socket) = self.reader.io.take_plain() else {
            return Err(End::Gone);
        };
        let served = self.shared.tls.served();
        self.end_point = served.tls_server_end_point().map(<[u8]>::to_vec);
        let config = if direct {
            served.direct()
        } else {
            served.starttls()
        };
        match TlsAcceptor::from(Arc::clone(config)).accept(socket).await {
            Ok(stream) => self.reader.io = Io::new(Transport::Tls(Box::new(stream))),
            Err(error) => {
                tracing::debug!(%error, "TLS handshake");
                return Err(End::Gone);
            }
        }
        self.reader.restart();
        self.open = false;
        Ok(())
    }

    /// Registration is the only request before login (XEP-0077 §3.1).
    async fn iq_before_login(&mut self, iq: &Element) -> Result<(), End> {
        let verb = match iq.attr("type") {
            Some("get") => Verb::Get,
            Some("set") => Verb::Set,
            _ => return Err(StreamCondition::NotAuthorized.into()),
        };
        let Some(payload) = iq.children().next() else {
            return Err(refusal(iq));
        };
        let (exchange, facts) = (Arc::clone(&self.shared.exchange), self.facts(false));
        let mut streams = exchange.powers.stream.iter();
        let answer =
            streams.find_map(|stream| stream.before_login(&exchange, facts, verb, payload));
        let Some(answer) = answer else {
            return Err(StreamCondition::NotAuthorized.into());
        };
        let outcome = answer.await;
        self.send(reply(iq, outcome)).await
    }
}

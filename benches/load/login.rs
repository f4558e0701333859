//! The negotiation of a stream from the client's side (RFC 6120 §4 to §7), as a state machine:
//! elements in, bytes to send and the next state out.

use crate::element::Element;
use crate::sasl::{Exchange, KeyCache, Mechanism, SaslError};

/// How one session is to come online.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The domain of the server.
    pub(crate) domain: String,
    /// Whether to ask for TLS in the stream.
    pub(crate) starttls: bool,
    /// How to log in.
    pub(crate) mechanism: Mechanism,
    /// The localpart; unused for ANONYMOUS.
    pub(crate) user: String,
    /// The password; unused for ANONYMOUS.
    pub(crate) password: String,
    /// Whether to make the account first (XEP-0077). One that exists already is taken as it is.
    pub(crate) register: bool,
    /// Whether to enable stream management (XEP-0198).
    pub(crate) sm: bool,
}

/// What an element changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The negotiation goes on.
    Pending,
    /// TLS begins now; then [`Login::open`] again.
    StartTls,
    /// The stream begins anew, within the same connection.
    Restart,
    /// The session has this address.
    Bound(String),
}

/// Why a session did not come online.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The server has not what the plan asks for.
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    /// The server said no.
    #[error("the server refused {0}: {1}")]
    Refused(&'static str, String),
    /// It failed on this side.
    #[error(transparent)]
    Sasl(#[from] SaslError),
}

enum State {
    Features,
    Proceed,
    Registered,
    Challenge(Exchange),
    FeaturesToBind,
    Bound,
    Enabled,
}

/// A session on its way.
pub(crate) struct Login {
    plan: Plan,
    state: State,
    secure: bool,
    jid: String,
}

impl Login {
    /// A login by this plan. `secure`: TLS is there before the stream.
    pub(crate) fn new(plan: Plan, secure: bool) -> Login {
        Login {
            plan,
            secure,
            state: State::Features,
            jid: String::new(),
        }
    }

    /// The header of a stream.
    pub(crate) fn open(&self, out: &mut Vec<u8>) {
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' to='{}' version='1.0'>",
            self.plan.domain
        );
        out.extend_from_slice(header.as_bytes());
    }

    /// The server sent an element.
    pub(crate) fn element(
        &mut self,
        element: Element<'_>,
        keys: &mut KeyCache,
        out: &mut Vec<u8>,
    ) -> Result<Progress, LoginError> {
        match &mut self.state {
            State::Features => return self.features(element, out),
            State::Proceed => {
                expect(element.name() == b"proceed", "TLS", element)?;
                self.secure = true;
                self.state = State::Features;
                return Ok(Progress::StartTls);
            }
            State::Registered => {
                let known = element.contains("<conflict");
                let done = element.attr_is("type", "result") || known;
                expect(done, "the registration", element)?;
                self.authenticate(out);
            }
            State::Challenge(exchange) if element.name() == b"challenge" => {
                let challenge = element.text_of("challenge").unwrap_or_default();
                let response = exchange.respond(challenge, keys)?;
                write(
                    out,
                    &format!("<response xmlns='{SASL}'>{response}</response>"),
                );
            }
            State::Challenge(exchange) => {
                expect(element.name() == b"success", "the login", element)?;
                exchange.verify(element.text_of("success").unwrap_or_default())?;
                self.state = State::FeaturesToBind;
                self.open(out);
                return Ok(Progress::Restart);
            }
            State::FeaturesToBind => {
                expect(element.contains("xmpp-bind"), "binding", element)?;
                if self.plan.sm && !element.contains(SM) {
                    return Err(LoginError::NotOffered("stream management"));
                }
                write(out, BIND);
                self.state = State::Bound;
            }
            State::Bound => {
                expect(element.attr_is("type", "result"), "binding", element)?;
                let jid = element.text_of("jid").unwrap_or_default();
                self.jid = String::from_utf8_lossy(jid).into_owned();
                if !self.plan.sm {
                    return Ok(Progress::Bound(std::mem::take(&mut self.jid)));
                }
                write(out, &format!("<enable xmlns='{SM}'/>"));
                self.state = State::Enabled;
            }
            State::Enabled => {
                expect(element.name() == b"enabled", "stream management", element)?;
                return Ok(Progress::Bound(std::mem::take(&mut self.jid)));
            }
        }
        Ok(Progress::Pending)
    }

    fn features(
        &mut self,
        element: Element<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Progress, LoginError> {
        expect(element.name() == b"stream:features", "the stream", element)?;
        if self.plan.starttls && !self.secure {
            if !element.contains("xmpp-tls") {
                return Err(LoginError::NotOffered("STARTTLS"));
            }
            write(out, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            self.state = State::Proceed;
            return Ok(Progress::Pending);
        }
        let name = self.plan.mechanism.name();
        if !element.contains(&format!(">{name}<")) {
            return Err(LoginError::NotOffered(name));
        }
        if self.plan.register && self.plan.mechanism != Mechanism::Anonymous {
            let Plan {
                user,
                password,
                domain,
                ..
            } = &self.plan;
            let request = format!(
                "<iq type='set' id='register' to='{domain}'><query xmlns='jabber:iq:register'>\
                 <username>{user}</username><password>{password}</password></query></iq>"
            );
            write(out, &request);
            self.state = State::Registered;
        } else {
            self.authenticate(out);
        }
        Ok(Progress::Pending)
    }

    fn authenticate(&mut self, out: &mut Vec<u8>) {
        let Plan {
            mechanism,
            user,
            password,
            ..
        } = &self.plan;
        let (exchange, initial) = Exchange::start(*mechanism, user, password);
        let name = mechanism.name();
        write(
            out,
            &format!("<auth xmlns='{SASL}' mechanism='{name}'>{initial}</auth>"),
        );
        self.state = State::Challenge(exchange);
    }
}

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const SM: &str = "urn:xmpp:sm:3";
const BIND: &str = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";

fn write(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn expect(met: bool, what: &'static str, element: Element<'_>) -> Result<(), LoginError> {
    if met {
        Ok(())
    } else {
        Err(LoginError::Refused(what, element.excerpt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            domain: "localhost".to_owned(),
            starttls: true,
            mechanism: Mechanism::Plain,
            user: "u".to_owned(),
            password: "p".to_owned(),
            register: true,
            sm: true,
        }
    }

    /// Feeds elements; the answers as text, and the last progress.
    fn play(login: &mut Login, elements: &[&str]) -> (String, Result<Progress, LoginError>) {
        let (mut out, mut last) = (Vec::new(), Ok(Progress::Pending));
        for element in elements {
            let element = Element(element.as_bytes());
            last = login.element(element, &mut KeyCache::default(), &mut out);
        }
        (String::from_utf8(out).unwrap(), last)
    }

    #[test]
    fn a_session_comes_online() {
        let mut login = Login::new(plan(), false);
        let tls = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
        let (sent, progress) = play(&mut login, &[tls, "<proceed xmlns='x'/>"]);
        assert!(sent.starts_with("<starttls"));
        assert_eq!(progress.unwrap(), Progress::StartTls);
        let plain = "<stream:features><mechanism>PLAIN</mechanism></stream:features>";
        let (sent, _) = play(&mut login, &[plain, "<iq type='result'/>"]);
        assert!(sent.contains("<username>u</username>"));
        assert!(sent.ends_with("mechanism='PLAIN'>AHUAcA==</auth>"));
        assert_eq!(
            play(&mut login, &["<success/>"]).1.unwrap(),
            Progress::Restart
        );
        let bind = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
            <sm xmlns='urn:xmpp:sm:3'/></stream:features>";
        let bound = "<iq type='result'><bind><jid>u@localhost/r</jid></bind></iq>";
        let (sent, progress) = play(&mut login, &[bind, bound, "<enabled/>"]);
        assert!(sent.ends_with("<enable xmlns='urn:xmpp:sm:3'/>"));
        assert_eq!(
            progress.unwrap(),
            Progress::Bound("u@localhost/r".to_owned())
        );
    }

    #[test]
    fn what_is_not_offered_is_named() {
        let features = "<stream:features><mechanism>PLAIN</mechanism></stream:features>";
        let (_, progress) = play(&mut Login::new(plan(), false), &[features]);
        assert!(matches!(progress, Err(LoginError::NotOffered("STARTTLS"))));
        let mut scram = plan();
        scram.mechanism = Mechanism::ScramSha1;
        let (_, progress) = play(&mut Login::new(scram, true), &[features]);
        assert!(matches!(
            progress,
            Err(LoginError::NotOffered("SCRAM-SHA-1"))
        ));
    }

    #[test]
    fn a_refusal_is_reported() {
        let features = "<stream:features><mechanism>PLAIN</mechanism></stream:features>";
        let mut login = Login::new(plan(), true);
        let taken = "<iq type='error'><error><conflict/></error></iq>";
        let (_, progress) = play(
            &mut login,
            &[features, taken, "<failure><not-authorized/></failure>"],
        );
        let error = progress.unwrap_err().to_string();
        assert!(error.contains("login") && error.contains("not-authorized"));
    }
}

//! How a client gets from a connection to a bound session.

use minidom::Element;

use super::Outcome;
use super::accounts::Account;
use super::client::Client;
use super::sasl::{self, Scram};
use super::server::Target;
use super::xml::{BIND, CLIENT, Event, SASL, STREAM, TLS, show};

impl Client {
    /// A stream under TLS by STARTTLS, ready for authentication.
    pub fn stream(target: &Target) -> Outcome<Client> {
        Client::tcp(target)?.start_tls()
    }

    /// The same over this connection.
    pub fn start_tls(mut self) -> Outcome<Client> {
        self.open()?;
        self.encrypt()?;
        self.open()?;
        Ok(self)
    }

    /// STARTTLS on an open stream, up to the handshake. The stream is to be opened anew.
    pub fn encrypt(&mut self) -> Outcome {
        self.send(&format!("<starttls xmlns='{TLS}'/>"))?;
        self.expect("proceed", TLS)?;
        self.secure(&self.tls_options())
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
        client.unread();
        Ok(client)
    }

    /// Opens the stream, or opens it anew; the features that the server offers.
    pub fn open(&mut self) -> Outcome<Element> {
        self.open_with(&header(&self.target().domain))
    }

    /// The same with this header.
    pub fn open_with(&mut self, header: &str) -> Outcome<Element> {
        self.send(header)?;
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
        self.scram_last(SASL, &first, scram)
    }

    /// The end of a SCRAM exchange in the profile with that namespace, after the server's first
    /// answer.
    pub fn scram_last(
        &mut self,
        profile: &str,
        first: &Element,
        scram: &mut Scram,
    ) -> Outcome<Element> {
        if !first.is("challenge", profile) {
            return Ok(first.clone());
        }
        let last = sasl::encode(scram.last(&sasl::decode(&first.text())?)?);
        self.send(&format!("<response xmlns='{profile}'>{last}</response>"))?;
        self.stanza()
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
}

/// The server refuses an authentication in the profile with that namespace, for that reason.
pub fn expect_failure(answer: &Element, profile: &str, condition: &str) -> Outcome {
    if answer.is("failure", profile) && answer.has_child(condition, SASL) {
        return Ok(());
    }
    Err(format!("{condition} was expected, not {}", show(answer)).into())
}

/// The stream header that a client sends.
pub fn header(domain: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' \
         xmlns='{CLIENT}' xmlns:stream='{STREAM}'>"
    )
}

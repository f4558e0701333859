//! How a person gets from a connection to a session: registration, login, resumption or else
//! binding.

use std::mem;

use minidom::Element;

use super::{DRAINED, Person, Phase, What};
use crate::harness::accounts::{Account, registration};
use crate::harness::login::header;
use crate::harness::sasl::{self, Scram};
use crate::harness::xml::{BIND, CLIENT, SASL, SM, STREAM, StreamReader, show};

impl Person {
    /// One step on the way to a session.
    pub(super) fn negotiate(&mut self, phase: Phase, element: &Element) -> Result<Phase, String> {
        match phase {
            Phase::Features if element.is("features", STREAM) && !self.is_registered => {
                self.register();
                Ok(Phase::Registered)
            }
            Phase::Features if element.is("features", STREAM) => Ok(self.log_in()),
            Phase::Registered if element.is("iq", CLIENT) => {
                // An error: the account was made, and a crash kept the answer back. If it was not,
                // the login will show it.
                self.is_registered = element.attr("type") == Some("result");
                Ok(self.log_in())
            }
            Phase::Challenge(scram) if element.is("challenge", SASL) => {
                self.answer_challenge(scram, element)
            }
            Phase::Success(scram) if element.is("success", SASL) => {
                let data = sasl::decode(&element.text()).unwrap_or_default();
                if !scram.verify(&data) {
                    self.misbehaved("the server does not know the password");
                }
                self.is_registered = true;
                self.reader = StreamReader::new();
                self.put(&header(&self.domain));
                Ok(Phase::FeaturesAfterLogin)
            }
            Phase::FeaturesAfterLogin if element.is("features", STREAM) => {
                Ok(self.resume_or_bind(element))
            }
            Phase::Resumed => self.resumption_answered(element),
            Phase::Bound if element.is("iq", CLIENT) && element.attr("type") == Some("result") => {
                self.put(&format!("<enable xmlns='{SM}' resume='true'/>"));
                Ok(Phase::Enabled)
            }
            Phase::Enabled if element.is("enabled", SM) => {
                self.enabled(element);
                Ok(Phase::Online)
            }
            _ => {
                // Where logins are refused for a registration that a crash undid, the next try
                // begins with the registration.
                if self.is_registered || !element.is("failure", SASL) {
                    self.misbehaved(format!("during negotiation: {}", show(element)));
                }
                Err(show(element))
            }
        }
    }

    fn register(&mut self) {
        let account = Account {
            user: self.user.clone(),
            domain: self.domain.clone(),
            password: self.password(),
        };
        self.put(&registration(&account));
    }

    fn password(&self) -> String {
        format!("secret of {}", self.user)
    }

    fn log_in(&mut self) -> Phase {
        let scram = Scram::new(&self.user, &self.password(), "n,,", Vec::new());
        let first = sasl::encode(scram.first());
        self.put(&format!(
            "<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>"
        ));
        Phase::Challenge(Box::new(scram))
    }

    fn answer_challenge(
        &mut self,
        mut scram: Box<Scram>,
        challenge: &Element,
    ) -> Result<Phase, String> {
        let first = sasl::decode(&challenge.text()).map_err(|error| error.to_string())?;
        let last = scram.last(&first).map_err(|error| error.to_string())?;
        let last = sasl::encode(last);
        self.put(&format!("<response xmlns='{SASL}'>{last}</response>"));
        Ok(Phase::Success(scram))
    }

    fn resume_or_bind(&mut self, features: &Element) -> Phase {
        if !features.has_child("sm", SM) {
            self.misbehaved("stream management is not offered");
        }
        let Some(stream) = self.stream.clone() else {
            return self.bind();
        };
        let h = self.handled;
        self.put(&format!("<resume xmlns='{SM}' previd='{stream}' h='{h}'/>"));
        Phase::Resumed
    }

    fn bind(&mut self) -> Phase {
        let resource = self.resource.clone();
        self.put(&format!(
            "<iq type='set' id='bind'><bind xmlns='{BIND}'>\
             <resource>{resource}</resource></bind></iq>"
        ));
        Phase::Bound
    }

    fn resumption_answered(&mut self, element: &Element) -> Result<Phase, String> {
        let h = element.attr("h").and_then(|h| h.parse().ok());
        if element.is("resumed", SM) {
            self.log(What::Resumed);
            match h {
                Some(h) => self.acknowledged_by_server(h),
                None => self.misbehaved("resumed without h"),
            }
            for stanza in &self.unacknowledged {
                self.out.extend_from_slice(stanza.text.as_bytes());
            }
            self.ask();
            self.ping(DRAINED);
            return Ok(Phase::Online);
        }
        if element.is("failed", SM) {
            self.log(What::NotResumed);
            // After a crash the server may know of less than it had acknowledged: of what it
            // settled at once it keeps nothing.
            if let Some(h) = h.filter(|h| h.wrapping_sub(self.acknowledged) < 1 << 31) {
                self.acknowledged_by_server(h);
            }
            self.give_up_session();
            return Ok(self.bind());
        }
        self.misbehaved(format!("where a resumption is answered: {}", show(element)));
        Err(show(element))
    }

    fn enabled(&mut self, enabled: &Element) {
        self.stream = enabled.attr("id").map(str::to_owned);
        if self.stream.is_none() || !matches!(enabled.attr("resume"), Some("true" | "1")) {
            self.misbehaved(format!("no resumption: {}", show(enabled)));
        }
        self.handled = 0;
        self.acknowledged = 0;
        self.log(What::Enabled);
        self.send_other("<presence/>");
        self.enter_rooms();
        for (id, to, text) in mem::take(&mut self.again) {
            if self.can_write_to(&to) {
                self.send_message(id, to, text);
            } else {
                self.again.push_back((id, to, text));
            }
        }
        self.ask();
        self.ping(DRAINED);
    }
}

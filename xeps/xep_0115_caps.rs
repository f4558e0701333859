//! XEP-0115: Entity Capabilities (version 1.6.0)
//!
//! Supported: the server's own capabilities in the stream features (§6.3), so that clients need
//! not ask again. The caps of clients pass through their presence.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use waxwing_core::Exchange;
use waxwing_core::powers::{Extension, Place, Specification, Stream, StreamFacts};

use crate::xep_0004_data_forms::{Form, NS as DATA};
use crate::xep_0030_disco;

const NS: &str = "http://jabber.org/protocol/caps";
const NODE: &str = "urn:waxwing";

/// See the [module](self).
pub struct Caps;

impl Extension for Caps {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0115",
            title: "Entity Capabilities",
            version: "1.6.0",
            features: &[(Place::Server, NS)],
        }
    }
}

impl Stream for Caps {
    fn feature(&self, exchange: &Exchange, _: StreamFacts) -> Option<String> {
        let ver = verification(exchange);
        Some(format!(
            "<c xmlns='{NS}' hash='sha-1' node='{NODE}' ver='{ver}'/>"
        ))
    }
}

/// The discovery node under which the server's capabilities are found.
#[must_use]
pub fn node(exchange: &Exchange) -> String {
    format!("{NODE}#{}", verification(exchange))
}

/// XEP-0115 §5.1: the hash over identity, features and forms.
fn verification(exchange: &Exchange) -> String {
    let info = xep_0030_disco::info(exchange, Place::Server);
    let mut text = String::new();
    for child in info.children() {
        match child.name() {
            "identity" => {
                let part = |name| child.attr(name).unwrap_or_default();
                text += &format!("{}/{}//{}<", part("category"), part("type"), part("name"));
            }
            // They are sorted already.
            "feature" => text += &format!("{}<", child.attr("var").unwrap_or_default()),
            _ => {}
        }
    }
    for form in info.children().filter(|child| child.is("x", DATA)) {
        // They are our own.
        let Ok(form) = Form::parse(form) else {
            continue;
        };
        text += &format!("{}<", form.form_type.unwrap_or_default());
        let mut fields = form.fields;
        fields.sort_unstable_by(|one, other| one.var.cmp(&other.var));
        for mut field in fields {
            text += &format!("{}<", field.var);
            field.values.sort_unstable();
            for value in field.values {
                text += &format!("{value}<");
            }
        }
    }
    STANDARD.encode(Sha1::digest(text.as_bytes()))
}

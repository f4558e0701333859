//! XEP-0157: Contact Addresses for XMPP Services (version 1.1.1)
//!
//! Supported: the addresses of the configuration, as a form in the server's discovery information.

use minidom::Element;
use waxwing_core::Exchange;
use waxwing_core::powers::{Describe, Extension, Place, Specification};
use waxwing_xmpp::builder::With;

const DATA: &str = "jabber:x:data";
const FORM: &str = "http://jabber.org/network/serverinfo";

/// See the [module](self).
pub struct Contact;

impl Extension for Contact {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0157",
            title: "Contact Addresses for XMPP Services",
            version: "1.1.1",
            features: &[],
        }
    }
}

impl Describe for Contact {
    fn form(&self, exchange: &Exchange, place: Place) -> Option<Element> {
        let settings = exchange.settings.load();
        if place != Place::Server || settings.contacts.is_empty() {
            return None;
        }
        let mut form = Element::builder("x", DATA)
            .with("type", "result")
            .append(field("FORM_TYPE", "hidden", &[FORM.to_owned()]));
        for (kind, addresses) in &settings.contacts {
            form = form.append(field(&format!("{kind}-addresses"), "list-multi", addresses));
        }
        Some(form.build())
    }
}

fn field(var: &str, kind: &str, values: &[String]) -> Element {
    let values = values.iter().map(|value| {
        Element::builder("value", DATA)
            .append(value.as_str())
            .build()
    });
    Element::builder("field", DATA)
        .with("var", var)
        .with("type", kind)
        .append_all(values)
        .build()
}

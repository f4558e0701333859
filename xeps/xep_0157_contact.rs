//! XEP-0157: Contact Addresses for XMPP Services (version 1.1.1)
//!
//! Supported: the addresses of the configuration, as a form in the server's discovery information.

use minidom::Element;
use waxwing_core::Exchange;
use waxwing_core::powers::{Describe, Extension, Place, Specification};

use crate::xep_0004_data_forms::{Field, FieldKind, Form, FormKind};

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
        let mut form = Form::new(FormKind::Result, FORM);
        for (kind, addresses) in &settings.contacts {
            let field = Field::new(&format!("{kind}-addresses"), FieldKind::ListMulti);
            form = form.field(field.values(addresses.iter().map(String::as_str)));
        }
        Some(form.to_element())
    }
}

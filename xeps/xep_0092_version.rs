//! XEP-0092: Software Version (version 1.1)
//!
//! Supported: name and version of the server; the operating system is nobody's business.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::Exchange;
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Extension, Place, Query, Specification, Verb,
};

const NS: &str = "jabber:iq:version";

/// See the [module](self).
pub struct Version;

impl Extension for Version {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0092",
            title: "Software Version",
            version: "1.1",
            features: &[],
        }
    }
}

impl Answer for Version {
    fn claims(&self) -> &'static [Claim] {
        &[(Verb::Get, Place::Server, NS, "query")]
    }

    fn answer<'a>(&'a self, _: &'a Arc<Exchange>, _: Query) -> Boxed<'a, Answered> {
        let text = |name: &str, text: &str| Element::builder(name, NS).append(text).build();
        let answer = Element::builder("query", NS)
            .append(text("name", "Waxwing"))
            .append(text("version", env!("CARGO_PKG_VERSION")))
            .build();
        Box::pin(async move { Ok(Some(answer)) })
    }
}

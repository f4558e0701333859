//! XEP-0202: Entity Time (version 2.0)
//!
//! Supported: the server's time, in UTC.

use std::sync::Arc;

use minidom::Element;
use waxwing_core::Exchange;
use waxwing_core::powers::{
    Answer, Answered, Boxed, Claim, Extension, Place, Query, Specification, Verb,
};

const NS: &str = "urn:xmpp:time";

/// See the [module](self).
pub struct Time;

impl Extension for Time {
    fn specification(&self) -> Specification {
        Specification {
            number: "XEP-0202",
            title: "Entity Time",
            version: "2.0",
            features: &[],
        }
    }
}

impl Answer for Time {
    fn claims(&self) -> &'static [Claim] {
        &[(Verb::Get, Place::Server, NS, "time")]
    }

    fn answer<'a>(&'a self, exchange: &'a Arc<Exchange>, _: Query) -> Boxed<'a, Answered> {
        let text = |name: &str, text: &str| Element::builder(name, NS).append(text).build();
        let answer = Element::builder("time", NS)
            .append(text("tzo", "+00:00"))
            .append(text("utc", &exchange.now().to_xep_0082()))
            .build();
        Box::pin(async move { Ok(Some(answer)) })
    }
}

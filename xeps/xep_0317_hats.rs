//! XEP-0317: Hats (version 0.3.1)
//!
//! Supported: hats of users in their presence in a room, with URI and title. No colours.

use waxwing_xmpp::dom::escape_attr;

/// The namespace of `<hats/>`, and the feature.
pub const NS: &str = "urn:xmpp:hats:0";

/// Appends `<hats/>` as XML (§3.1), if there are any. Each is a pair of URI and title.
pub fn push(out: &mut String, hats: &[(String, String)]) {
    if hats.is_empty() {
        return;
    }
    for part in ["<hats xmlns='", NS, "'>"] {
        out.push_str(part);
    }
    for (uri, title) in hats {
        let (title, uri) = (escape_attr(title), escape_attr(uri));
        for part in ["<hat title='", &title, "' uri='", &uri, "'/>"] {
            out.push_str(part);
        }
    }
    out.push_str("</hats>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hat_has_a_title_and_a_uri() {
        let mut out = String::new();
        push(&mut out, &[]);
        assert_eq!(out, "");
        push(&mut out, &[("urn:h".into(), "The 'host'".into())]);
        assert_eq!(
            out,
            "<hats xmlns='urn:xmpp:hats:0'><hat title='The &apos;host&apos;' uri='urn:h'/></hats>"
        );
    }
}

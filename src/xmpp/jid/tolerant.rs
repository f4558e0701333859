//! Preparation of addresses that come from elsewhere.
//!
//! Nearly every other server prepares by stringprep (RFC 6122), whose results can hold characters
//! that PRECIS refuses. A stanza is not to be lost for that: what [`super::prepare`] accepts is
//! prepared by it, the rest is case-mapped and normalised, and only what could never be an
//! address, or would confuse who reads it, is refused.

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

use super::prepare::{self, EXCLUDED_FROM_LOCAL, settle};
use super::{JidError, Part};

/// A localpart: lower case and NFC where UsernameCaseMapped does not apply.
pub(super) fn prepare_local(local: &str) -> Result<Cow<'_, str>, JidError> {
    settle(Part::Local, local, |text| {
        if let Ok(strict) = prepare::prepare_local(text) {
            return Ok(strict.into_owned());
        }
        let mapped: String = text.to_lowercase().nfc().collect();
        let is_refused =
            |c: char| EXCLUDED_FROM_LOCAL.contains(&c) || c.is_whitespace() || is_never_allowed(c);
        if mapped.contains(is_refused) {
            return Err(JidError::Invalid(Part::Local));
        }
        Ok(mapped)
    })
}

/// A domainpart: any name that UTS #46 can settle, with underscores and long names allowed; an
/// ASCII name that it cannot settle (a broken A-label) in lower case as it is.
pub(super) fn prepare_domain(domain: &str) -> Result<Cow<'_, str>, JidError> {
    settle(Part::Domain, domain, |text| {
        if let Ok(strict) = prepare::prepare_domain(text) {
            return Ok(strict.into_owned());
        }
        let (unicode, result) =
            Uts46::new().to_unicode(text.as_bytes(), AsciiDenyList::URL, Hyphens::Allow);
        let name = match result {
            Ok(()) => unicode.into_owned(),
            Err(_) if text.is_ascii() => text.to_ascii_lowercase(),
            Err(_) => return Err(JidError::Invalid(Part::Domain)),
        };
        let host = name.strip_suffix('.').unwrap_or(&name);
        let is_name = host.split('.').all(|label| !label.is_empty())
            && !host.contains(|c: char| "@/[]:\"&'<>".contains(c) || is_never_allowed(c))
            && !host.contains(char::is_whitespace);
        if is_name {
            Ok(host.to_owned())
        } else {
            Err(JidError::Invalid(Part::Domain))
        }
    })
}

/// Prepares a resourcepart as [`super::prepare_resource`] does and, where that refuses it, keeps
/// it in NFC: joined emoji and variation selectors, which clients put into nicknames, get through;
/// control characters do not.
pub fn prepare_resource(resource: &str) -> Result<Cow<'_, str>, JidError> {
    if prepare::resource_is_settled(resource) {
        return Ok(Cow::Borrowed(resource));
    }
    settle(Part::Resource, resource, |text| {
        if let Ok(strict) = prepare::prepare_resource(text) {
            return Ok(strict.into_owned());
        }
        if text.contains(is_never_allowed) {
            return Err(JidError::Invalid(Part::Resource));
        }
        Ok(text.nfc().collect())
    })
}

/// A localpart without the differences that only stringprep's Nodeprep removes.
pub(super) fn fold_local(local: &str) -> String {
    // Lower case once more after NFKC, which may bring capitals out of compatibility forms.
    let compatible: String = local.nfkc().collect();
    let folded = compatible
        .to_lowercase()
        .replace('ß', "ss")
        .replace('ς', "σ")
        .replace('ſ', "s");
    folded
        .chars()
        .filter(|c| !is_mapped_to_nothing(*c))
        .nfkc()
        .collect()
}

/// A resourcepart without the differences that only stringprep's Resourceprep removes.
pub(super) fn fold_resource(resource: &str) -> String {
    resource
        .chars()
        .filter(|c| !is_mapped_to_nothing(*c))
        .nfkc()
        .collect()
}

/// RFC 3454 table B.1: what stringprep drops.
fn is_mapped_to_nothing(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{1806}' | '\u{180B}'..='\u{180D}' | '\u{200B}'..='\u{200D}'
        | '\u{2060}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

/// Controls, noncharacters, directional overrides, tags and line separators: the prohibitions
/// that stringprep (RFC 3454 tables C.2, C.4, C.6, C.8, C.9) and PRECIS share.
fn is_never_allowed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2061}'..='\u{206F}'
            | '\u{FDD0}'..='\u{FDEF}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFD}'
            | '\u{E0001}' | '\u{E0020}'..='\u{E007F}')
        || (c as u32) & 0xFFFE == 0xFFFE
}

//! Preparation of the parts of an address by RFC 7622.
//!
//! The localpart follows the PRECIS profile UsernameCaseMapped, the resourcepart OpaqueString, the
//! domainpart IDNA2008. The results are fixed points: preparing one again changes nothing. What is
//! ASCII and already in that form is recognised byte by byte and borrowed.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::precis_core::{
    DerivedPropertyValue, FreeformClass, IdentifierClass, StringClass,
};
use precis_profiles::{OpaqueString, UsernameCaseMapped};
use unicode_normalization::UnicodeNormalization;

use super::{JidError, MAX_PART_BYTES, Part};

/// Characters of the IdentifierClass that a localpart may not have (RFC 7622 §3.3.1).
pub(super) const EXCLUDED_FROM_LOCAL: [char; 8] = ['"', '&', '\'', '/', ':', '<', '>', '@'];

/// No mapping shrinks a part to less than a quarter, so what is longer than this is not read.
const MAX_RAW_BYTES: usize = 4 * MAX_PART_BYTES;

/// How often a preparation is repeated until nothing changes (RFC 8264 §7 asks for at most four).
const MAX_ROUNDS: usize = 4;

/// Prepares a localpart: UsernameCaseMapped without the characters of RFC 7622 §3.3.1.
pub fn prepare_local(local: &str) -> Result<Cow<'_, str>, JidError> {
    if local_is_settled(local) {
        return Ok(Cow::Borrowed(local));
    }
    prepare_local_slowly(local)
}

/// Prepares a domainpart: a host name in Unicode form (an A-label becomes its U-label, a final
/// dot is removed), an IPv4 address, or an IPv6 address in brackets (RFC 7622 §3.2).
pub fn prepare_domain(domain: &str) -> Result<Cow<'_, str>, JidError> {
    if domain_is_settled(domain) {
        return Ok(Cow::Borrowed(domain));
    }
    settle(Part::Domain, domain, prepare_domain_once)
}

/// Prepares a resourcepart: OpaqueString (RFC 7622 §3.4).
///
/// Code points that the PRECIS tables (Unicode 6.3) do not know yet are let through, or every
/// emoji since 2014 would be refused as a nickname.
pub fn prepare_resource(resource: &str) -> Result<Cow<'_, str>, JidError> {
    if resource_is_settled(resource) {
        return Ok(Cow::Borrowed(resource));
    }
    prepare_resource_slowly(resource)
}

pub(super) fn prepare_local_slowly(local: &str) -> Result<Cow<'_, str>, JidError> {
    settle(Part::Local, local, prepare_local_once)
}

pub(super) fn prepare_resource_slowly(resource: &str) -> Result<Cow<'_, str>, JidError> {
    settle(Part::Resource, resource, |text| {
        opaque_string(text).ok_or(JidError::Invalid(Part::Resource))
    })
}

/// RFC 8265 §4.2 OpaqueString, with code points newer than the PRECIS tables allowed. `None` when
/// a character is not allowed or nothing is left. Changes neither case nor width.
pub(crate) fn opaque_string(text: &str) -> Option<String> {
    match OpaqueString::enforce(text) {
        Ok(enforced) => Some(enforced.into_owned()),
        Err(_) => opaque_string_with_newer_characters(text),
    }
}

fn opaque_string_with_newer_characters(text: &str) -> Option<String> {
    let class = FreeformClass::default();
    let is_newer = |c: char| {
        matches!(
            class.get_value_from_char(c),
            DerivedPropertyValue::Unassigned
        )
    };
    // A symbol in their place leaves the context rules of their neighbours as they are.
    let known: String = text
        .chars()
        .map(|c| if is_newer(c) { '\u{2605}' } else { c })
        .collect();
    class.allows(&known).ok()?;
    let spaces_mapped = text.chars().map(|c| {
        if c.is_whitespace() && !c.is_ascii() {
            ' '
        } else {
            c
        }
    });
    let enforced: String = spaces_mapped.nfc().collect();
    (!enforced.is_empty()).then_some(enforced)
}

fn prepare_local_once(local: &str) -> Result<String, JidError> {
    let invalid = JidError::Invalid(Part::Local);
    let enforced = UsernameCaseMapped::enforce(local).map_err(|_| invalid)?;
    // After the mapping: a full-width '＠' has become '@' by now.
    if enforced.contains(EXCLUDED_FROM_LOCAL) {
        return Err(invalid);
    }
    Ok(enforced.into_owned())
}

fn prepare_domain_once(domain: &str) -> Result<String, JidError> {
    let invalid = JidError::Invalid(Part::Domain);
    if domain.starts_with('[') {
        return ipv6_literal(domain).ok_or(invalid);
    }
    let (unicode, result) = Uts46::new().to_unicode(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
    );
    result.map_err(|_| invalid)?;
    let host = unicode.strip_suffix('.').unwrap_or(&unicode);
    let fits_dns = Uts46::new()
        .to_ascii(
            host.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .is_ok();
    // UTS #46 lets symbols through that IDNA2008 does not; the IdentifierClass is its repertoire.
    let is_idna2008 = host.is_ascii()
        || host
            .split('.')
            .all(|label| IdentifierClass::default().allows(label).is_ok());
    if !fits_dns || !is_idna2008 {
        return Err(if host.is_empty() {
            JidError::Empty(Part::Domain)
        } else {
            invalid
        });
    }
    Ok(host.to_owned())
}

/// `[…]` around an IPv6 address, in its canonical text form (RFC 5952). No zone.
pub(super) fn ipv6_literal(domain: &str) -> Option<String> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    let address: Ipv6Addr = inner.parse().ok()?;
    Some(format!("[{address}]"))
}

/// Repeats `prepare` until the text stays as it is, and checks the length of the result.
pub(super) fn settle(
    part: Part,
    raw: &str,
    prepare: impl Fn(&str) -> Result<String, JidError>,
) -> Result<Cow<'_, str>, JidError> {
    if raw.is_empty() {
        return Err(JidError::Empty(part));
    }
    if raw.len() > MAX_RAW_BYTES {
        return Err(JidError::TooLong(part));
    }
    let mut text = Cow::Borrowed(raw);
    for _ in 0..MAX_ROUNDS {
        let prepared = prepare(&text)?;
        if prepared == text {
            if text.len() > MAX_PART_BYTES {
                return Err(JidError::TooLong(part));
            }
            return Ok(text);
        }
        text = Cow::Owned(prepared);
    }
    Err(JidError::Invalid(part))
}

/// Whether a localpart is ASCII, allowed and needs no change.
pub(super) fn local_is_settled(local: &str) -> bool {
    is_settled(local, |byte| {
        matches!(byte, b'!'..=b'~')
            && !byte.is_ascii_uppercase()
            && !matches!(byte, b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@')
    })
}

/// Whether a resourcepart is printable ASCII, which OpaqueString leaves as it is.
pub(super) fn resource_is_settled(resource: &str) -> bool {
    is_settled(resource, |byte| matches!(byte, b' '..=b'~'))
}

fn is_settled(part: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    (1..=MAX_PART_BYTES).contains(&part.len()) && part.bytes().all(is_allowed)
}

/// Whether a domainpart is a lower-case ASCII host name without A-labels or a final dot.
pub(super) fn domain_is_settled(domain: &str) -> bool {
    const MAX_NAME_BYTES: usize = 253;
    const MAX_LABEL_BYTES: usize = 63;

    if domain.is_empty() || domain.len() > MAX_NAME_BYTES {
        return false;
    }
    // A dot in front, so that a label begins after every dot.
    let (mut before, mut label) = (b'.', 0);
    for byte in domain.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => {}
            // A label neither begins nor ends with a hyphen, and two may be the mark of an A-label.
            b'-' | b'.' if label > 0 && before != b'-' => {}
            _ => return false,
        }
        label = if byte == b'.' { 0 } else { label + 1 };
        if label > MAX_LABEL_BYTES {
            return false;
        }
        before = byte;
    }
    before != b'.' && before != b'-'
}

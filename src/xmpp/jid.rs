//! Addresses: the JID of RFC 7622 as a cheap, immutable value.
//!
//! A [`Jid`] always holds a *prepared* address, so that equality, hashing and map look-ups are
//! comparisons of text. `prepare` says how each part is brought into that form;
//! `tolerant` does the same for addresses that other servers have made by older rules.

use std::{borrow::Borrow, cmp::Ordering, fmt, hash, str::FromStr, sync::Arc};

use thiserror::Error;

pub(crate) use self::prepare::opaque_string;
pub use self::prepare::{prepare_domain, prepare_local, prepare_resource};
pub use self::tolerant::prepare_resource as prepare_resource_tolerant;

mod prepare;
#[cfg(test)]
mod tests;
mod tolerant;

/// The longest part of an address, in bytes of UTF-8 after preparation (RFC 7622 §3.1).
pub const MAX_PART_BYTES: usize = 1023;

/// An XMPP address in prepared form: `[local@]domain[/resource]`.
///
/// Cloning is a reference count. Equality, order and hash are those of the text, so a map keyed by
/// `Jid` can be asked with a `&str` that is itself prepared (such as [`Jid::bare`]).
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Where the localpart ends, in bytes; 0 when there is none (it cannot be empty).
    local_end: u16,
    /// Where the domainpart ends, in bytes.
    domain_end: u16,
}

/// One of the three parts of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Before the `@`: an account or a room.
    Local,
    /// The server or the service.
    Domain,
    /// After the `/`: a session or an occupant.
    Resource,
}

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JidError {
    /// A part is there but has nothing in it, or the domainpart is missing.
    #[error("the {0} is empty")]
    Empty(Part),
    /// A part is longer than [`MAX_PART_BYTES`].
    #[error("the {0} is longer than 1023 bytes")]
    TooLong(Part),
    /// A part has characters, or an arrangement of them, that its rules do not allow.
    #[error("the {0} has characters that are not allowed there")]
    Invalid(Part),
}

impl Jid {
    /// Reads and prepares an address (RFC 7622 §3).
    pub fn parse(text: &str) -> Result<Jid, JidError> {
        let (local, domain, resource) = split(text);
        let is_settled = local.is_none_or(prepare::local_is_settled)
            && prepare::domain_is_settled(domain)
            && resource.is_none_or(prepare::resource_is_settled);
        if is_settled {
            return Ok(Jid::from_settled(text.into(), local, domain));
        }
        Jid::from_parts(local, domain, resource)
    }

    /// Prepares and joins three parts. A `Some("")` is an error, not an absent part.
    pub fn from_parts(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Jid, JidError> {
        let domain = prepare_domain(domain)?;
        let local = local.map(prepare_local).transpose()?;
        let resource = resource.map(prepare_resource).transpose()?;
        Ok(Jid::join(local.as_deref(), &domain, resource.as_deref()))
    }

    /// Reads an address that came from elsewhere and may have been prepared by the older rules
    /// (RFC 6122, stringprep), which allow characters that [`Jid::parse`] refuses.
    ///
    /// Whatever `parse` accepts comes out the same. Not to be used for an account of our own.
    pub fn parse_tolerant(text: &str) -> Result<Jid, JidError> {
        if let Ok(strict) = Jid::parse(text) {
            return Ok(strict);
        }
        let (local, domain, resource) = split(text);
        let domain = tolerant::prepare_domain(domain)?;
        let local = local.map(tolerant::prepare_local).transpose()?;
        let resource = resource.map(tolerant::prepare_resource).transpose()?;
        Ok(Jid::join(local.as_deref(), &domain, resource.as_deref()))
    }

    /// Whether two addresses name the same entity when the differences that only the older
    /// preparation removes (compatibility forms, `ß`, final sigma) are ignored.
    ///
    /// For matching what a remote server echoes; never for deciding what somebody may do.
    #[must_use]
    pub fn same_entity_tolerant(&self, other: &Jid) -> bool {
        self == other
            || (self.domain() == other.domain()
                && self.local().map(tolerant::fold_local)
                    == other.local().map(tolerant::fold_local)
                && self.resource().map(tolerant::fold_resource)
                    == other.resource().map(tolerant::fold_resource))
    }

    /// The localpart.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        (self.local_end > 0).then(|| &self.text[..usize::from(self.local_end)])
    }

    /// The domainpart, in Unicode form (U-labels).
    #[must_use]
    pub fn domain(&self) -> &str {
        let start = if self.local_end > 0 {
            usize::from(self.local_end) + 1
        } else {
            0
        };
        &self.text[start..usize::from(self.domain_end)]
    }

    /// The resourcepart.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.domain_end) + 1..)
    }

    /// The address without its resource, as text.
    #[must_use]
    pub fn bare(&self) -> &str {
        &self.text[..usize::from(self.domain_end)]
    }

    /// The address without its resource. A reference count when it has none.
    #[must_use]
    pub fn to_bare(&self) -> Jid {
        if self.is_bare() {
            return self.clone();
        }
        Jid {
            text: self.bare().into(),
            ..*self
        }
    }

    /// The same bare address with this resource.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        let resource = prepare_resource(resource)?;
        Ok(self.with_settled_resource(&resource))
    }

    /// The same bare address with a resource that only the older rules may allow
    /// (see [`Jid::parse_tolerant`]).
    pub fn with_resource_tolerant(&self, resource: &str) -> Result<Jid, JidError> {
        let resource = tolerant::prepare_resource(resource)?;
        Ok(self.with_settled_resource(&resource))
    }

    /// Whether it has no resource.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        usize::from(self.domain_end) == self.text.len()
    }

    /// Whether it has a resource.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.is_bare()
    }

    /// The whole address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Jid {
        let length = |part: Option<&str>| part.map_or(0, |part| part.len() + 1);
        let mut text = String::with_capacity(length(local) + domain.len() + length(resource));
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        text.push_str(domain);
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(resource);
        }
        Jid::from_settled(text.into(), local, domain)
    }

    fn with_settled_resource(&self, resource: &str) -> Jid {
        let bare = self.bare();
        let mut text = String::with_capacity(bare.len() + 1 + resource.len());
        text.push_str(bare);
        text.push('/');
        text.push_str(resource);
        Jid {
            text: text.into(),
            ..*self
        }
    }

    /// `text` begins with the two given parts, both prepared and at most [`MAX_PART_BYTES`] long.
    fn from_settled(text: Arc<str>, local: Option<&str>, domain: &str) -> Jid {
        let local_end = local.map_or(0, str::len);
        let domain_end = domain.len() + if local_end > 0 { local_end + 1 } else { 0 };
        // Both are at most 2 × 1023 + 1.
        Jid {
            text,
            local_end: local_end as u16,
            domain_end: domain_end as u16,
        }
    }
}

/// Cuts an address at its first `/`, then what is before it at its first `@` (RFC 7622 §3.1).
fn split(text: &str) -> (Option<&str>, &str, Option<&str>) {
    let (bare, resource) = match text.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (text, None),
    };
    match bare.split_once('@') {
        Some((local, domain)) => (Some(local), domain, resource),
        None => (None, bare, resource),
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Jid) -> bool {
        self.text == other.text
    }
}

impl Eq for Jid {}

impl hash::Hash for Jid {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Jid) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Jid) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Borrow<str> for Jid {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for Jid {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Jid, JidError> {
        Jid::parse(text)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Local => "localpart",
            Part::Domain => "domainpart",
            Part::Resource => "resourcepart",
        })
    }
}

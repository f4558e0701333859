//! The grammar of the client's SCRAM messages (RFC 5802 §7).

use std::str;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Failure;

/// The client-first-message.
pub(super) struct ClientFirst<'a> {
    /// The GS2 header, with the comma that ends it.
    pub gs2_header: &'a str,
    /// What the header says on channel binding.
    pub flag: Flag<'a>,
    /// The authorization identity, decoded.
    pub authzid: Option<String>,
    /// All that follows the header.
    pub bare: &'a str,
    /// The username, decoded.
    pub username: String,
    /// The client's nonce.
    pub nonce: &'a str,
}

/// The channel binding flag of the GS2 header.
#[derive(Clone, Copy)]
pub(super) enum Flag<'a> {
    /// `n`: the client does not do it.
    None,
    /// `y`: the client would, but saw no offer.
    NotOffered,
    /// `p=NAME`: the client does it by this type.
    Binding(&'a str),
}

/// The client-final-message.
pub(super) struct ClientFinal<'a> {
    /// The message up to the comma before the proof.
    pub without_proof: &'a str,
    /// GS2 header and channel binding data.
    pub channel_binding: Vec<u8>,
    /// The nonce as the client has it.
    pub nonce: &'a str,
    /// The client's proof.
    pub proof: Vec<u8>,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<ClientFirst<'a>, Failure> {
        let message = str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let mut header = message.splitn(3, ',');
        let mut field = || header.next().ok_or(Failure::MalformedRequest);
        let (flag, authzid, bare) = (field()?, field()?, field()?);
        let gs2_header = &message[..message.len() - bare.len()];

        let mut attributes = bare.split(',');
        let username = saslname(attribute(attributes.next(), "n=")?)?;
        let nonce = attribute(attributes.next(), "r=")?;
        if !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::MalformedRequest);
        }
        attributes.try_for_each(extension)?;

        Ok(ClientFirst {
            gs2_header,
            flag: Flag::parse(flag)?,
            authzid: match authzid {
                "" => None,
                authzid => Some(saslname(attribute(Some(authzid), "a=")?)?),
            },
            bare,
            username,
            nonce,
        })
    }
}

impl<'a> Flag<'a> {
    fn parse(flag: &'a str) -> Result<Flag<'a>, Failure> {
        match flag {
            "n" => Ok(Flag::None),
            "y" => Ok(Flag::NotOffered),
            _ => attribute(Some(flag), "p=").map(Flag::Binding),
        }
    }
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<ClientFinal<'a>, Failure> {
        let message = str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        // The proof is the last attribute, and its base64 has no comma.
        let (without_proof, proof) = message
            .rsplit_once(",p=")
            .ok_or(Failure::MalformedRequest)?;

        let mut attributes = without_proof.split(',');
        let channel_binding = attribute(attributes.next(), "c=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        attributes.try_for_each(extension)?;

        Ok(ClientFinal {
            without_proof,
            channel_binding: base64(channel_binding)?,
            nonce,
            proof: base64(proof)?,
        })
    }
}

/// The value of an attribute that has to be at this place and not empty.
fn attribute<'a>(field: Option<&'a str>, prefix: &str) -> Result<&'a str, Failure> {
    let value = field.and_then(|field| field.strip_prefix(prefix));
    value
        .filter(|value| !value.is_empty())
        .ok_or(Failure::MalformedRequest)
}

/// An attribute that the server need not know. `m` is how a client says that it must
/// (RFC 5802 §5.1), so it ends the exchange.
fn extension(field: &str) -> Result<(), Failure> {
    match field.as_bytes() {
        [name, b'=', _, ..] if name.is_ascii_alphabetic() && *name != b'm' => Ok(()),
        _ => Err(Failure::MalformedRequest),
    }
}

/// Decodes a name, in which `=2C` stands for a comma and `=3D` for an equals sign. Any other `=`
/// is an error.
fn saslname(encoded: &str) -> Result<String, Failure> {
    let mut pieces = encoded.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        if let Some(rest) = piece.strip_prefix("2C") {
            name.push(',');
            name.push_str(rest);
        } else if let Some(rest) = piece.strip_prefix("3D") {
            name.push('=');
            name.push_str(rest);
        } else {
            return Err(Failure::MalformedRequest);
        }
    }
    Ok(name)
}

fn base64(text: &str) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(text).map_err(|_| Failure::MalformedRequest)
}

//! argon2id (RFC 9106): what is kept of a password for PLAIN, and for all but SCRAM.
//!
//! One hash takes some 17 ms of one core, so it belongs off the threads that serve sockets, with
//! a bound on how many run at once.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use subtle::ConstantTimeEq;

use super::{Password, SALT_BYTES};

/// Memory of one hash, in KiB: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes, all computed by the calling thread.
const LANES: u32 = 1;
/// How long a hash is, in bytes.
const OUTPUT_BYTES: usize = 32;

/// Stored hashes that ask for more than this are not computed: 64 MiB.
const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// Stored hashes that ask for more passes than this are not computed.
const MAX_PASSES: u32 = 16;
/// The shortest output that is a check at all, in bytes.
const MIN_OUTPUT_BYTES: usize = 16;

/// The block of memory that a hash needs, kept from one to the next: 19 MiB once it is used.
/// Reuse saves a fifth of the time. Holds nothing from which the password could be had sooner
/// than from the hash.
#[derive(Default)]
pub struct Argon2Memory(Vec<Block>);

/// Hashes a password with a fresh random salt, as a PHC string
/// (`$argon2id$v=19$m=19456,t=2,p=1$salt$hash`).
#[must_use]
pub fn argon2id_hash(
    password: &Password,
    salt: &[u8; SALT_BYTES],
    memory: &mut Argon2Memory,
) -> String {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_BYTES))
        .expect("the parameters are constants within argon2's bounds");
    let mut output = [0; OUTPUT_BYTES];
    memory
        .hash(params, password, salt, &mut output)
        .expect("a prepared password and 16 bytes of salt are within argon2's bounds");
    format!(
        "$argon2id$v={}$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
        u32::from(Version::V0x13),
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(output),
    )
}

/// Whether a stored PHC string is of this password, computed with the string's own parameters.
///
/// `None` stands for an account that does not exist: it takes as long, and the answer is no. A
/// string that is damaged, of another algorithm, or asks for more than 64 MiB or 16 passes is no.
#[must_use]
pub fn argon2id_verify(
    stored: Option<&str>,
    password: &Password,
    memory: &mut Argon2Memory,
) -> bool {
    let Some(stored) = stored else {
        let _ = argon2id_hash(password, &[0; SALT_BYTES], memory);
        return false;
    };
    verify(stored, password, memory).unwrap_or(false)
}

/// `None` when `stored` cannot be used.
fn verify(stored: &str, password: &Password, memory: &mut Argon2Memory) -> Option<bool> {
    let phc = PasswordHash::new(stored).ok()?;
    let params = Params::try_from(&phc).ok()?;
    let is_ours = phc.algorithm.as_str() == Algorithm::Argon2id.as_str()
        && phc.version == Some(Version::V0x13.into())
        && params.m_cost() <= MAX_MEMORY_KIB
        && params.t_cost() <= MAX_PASSES;
    let expected = phc
        .hash
        .filter(|hash| is_ours && hash.len() >= MIN_OUTPUT_BYTES)?;
    let salt = phc.salt?;

    let mut output = vec![0; expected.len()];
    memory.hash(params, password, &salt, &mut output).ok()?;
    Some(output.ct_eq(expected.as_bytes()).into())
}

impl Argon2Memory {
    /// No memory yet; the first hash takes it.
    #[must_use]
    pub fn new() -> Argon2Memory {
        Argon2Memory::default()
    }

    fn hash(
        &mut self,
        params: Params,
        password: &Password,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<(), argon2::Error> {
        if self.0.len() < params.block_count() {
            self.0.resize(params.block_count(), Block::default());
        }
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
            password.as_str().as_bytes(),
            salt,
            output,
            &mut self.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::prepare;

    #[test]
    fn hashes_verify() {
        let (password, other) = (prepare("pencil").unwrap(), prepare("pencils").unwrap());
        let mut memory = Argon2Memory::new();
        let stored = argon2id_hash(&password, b"0123456789abcdef", &mut memory);
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"));
        assert!(argon2id_verify(Some(&stored), &password, &mut memory));
        // Memory that was never used gives the same result.
        assert!(argon2id_verify(
            Some(&stored),
            &password,
            &mut Argon2Memory::new()
        ));
        assert!(!argon2id_verify(Some(&stored), &other, &mut memory));
        assert!(!argon2id_verify(None, &password, &mut memory));
    }

    /// Made by the reference implementation: `argon2 somesalt -id -t 2 -m 8 -p 1 -l 32`.
    #[test]
    fn other_parameters_verify() {
        let params = Params::new(256, 2, 1, Some(32)).unwrap();
        let (password, mut output) = (prepare("password").unwrap(), [0; 32]);
        let mut memory = Argon2Memory::new();
        memory
            .hash(params, &password, b"somesalt", &mut output)
            .unwrap();
        let hex: String = output.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"
        );
        let stored = format!(
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ${}",
            STANDARD_NO_PAD.encode(output)
        );
        assert!(argon2id_verify(Some(&stored), &password, &mut memory));
    }

    #[test]
    fn damaged_and_costly_strings_are_refused() {
        let password = prepare("pencil").unwrap();
        let mut memory = Argon2Memory::new();
        let hash = "n/65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for stored in [
            String::new(),
            "pencil".into(),
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ".into(),
            format!("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ${hash}"),
            format!("$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ${hash}"),
            format!("$argon2id$v=19$m=4000000,t=2,p=1$c29tZXNhbHQ${hash}"),
            format!("$argon2id$v=19$m=256,t=4000000,p=1$c29tZXNhbHQ${hash}"),
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$n/65EOgLrQM".into(),
        ] {
            assert!(
                !argon2id_verify(Some(&stored), &password, &mut memory),
                "{stored}"
            );
        }
        assert!(memory.0.is_empty());
    }
}

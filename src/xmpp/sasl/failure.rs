//! Why an authentication failed (RFC 6120 §6.5).

/// A SASL error condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The client gave up (§6.5.1).
    Aborted,
    /// The account is disabled (§6.5.2). Only to be told to who knows the password.
    AccountDisabled,
    /// The credentials have expired (§6.5.3).
    CredentialsExpired,
    /// The mechanism needs TLS first (§6.5.4).
    EncryptionRequired,
    /// The data is not base64 (§6.5.5).
    IncorrectEncoding,
    /// The authorization identity is malformed or not the client's to take (§6.5.6).
    InvalidAuthzid,
    /// The mechanism was not offered (§6.5.7).
    InvalidMechanism,
    /// The data is not what the mechanism prescribes (§6.5.8).
    MalformedRequest,
    /// The mechanism is weaker than the policy for this account (§6.5.9).
    MechanismTooWeak,
    /// The credentials are wrong, or there is no such account (§6.5.10).
    NotAuthorized,
    /// The server cannot check now (§6.5.11).
    TemporaryAuthFailure,
}

impl Failure {
    /// The element name of the condition.
    #[must_use]
    pub fn condition(self) -> &'static str {
        match self {
            Failure::Aborted => "aborted",
            Failure::AccountDisabled => "account-disabled",
            Failure::CredentialsExpired => "credentials-expired",
            Failure::EncryptionRequired => "encryption-required",
            Failure::IncorrectEncoding => "incorrect-encoding",
            Failure::InvalidAuthzid => "invalid-authzid",
            Failure::InvalidMechanism => "invalid-mechanism",
            Failure::MalformedRequest => "malformed-request",
            Failure::MechanismTooWeak => "mechanism-too-weak",
            Failure::NotAuthorized => "not-authorized",
            Failure::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

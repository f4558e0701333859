//! TLS: the certificate and the parameters under which connections are accepted.

pub mod pem;

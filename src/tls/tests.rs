//! The TLS parameters against a client of the same library, in memory, and the certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConnection};
use x509_parser::extensions::GeneralName;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn config(data: &Path, domain: &str) -> Config {
    Config {
        domain: domain.to_owned(),
        data: data.to_owned(),
        ..Config::default()
    }
}

fn leaf(path: &Path) -> CertificateDer<'static> {
    pem::load(path, path).unwrap().cert[0].clone()
}

/// A client that trusts the certificate in the file.
fn client(
    file: &Path,
    version: &'static rustls::SupportedProtocolVersion,
    alpn: &[&[u8]],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(leaf(file)).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

fn handshake(
    client: ClientConfig,
    server: &Arc<ServerConfig>,
    domain: &str,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(domain.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut buffer = Vec::new();
        client.write_tls(&mut buffer).unwrap();
        server.read_tls(&mut &*buffer).unwrap();
        server.process_new_packets()?;
        buffer.clear();
        server.write_tls(&mut buffer).unwrap();
        client.read_tls(&mut &*buffer).unwrap();
        client.process_new_packets()?;
    }
    Ok((client, server))
}

#[test]
fn both_versions_are_accepted_with_the_binding_of_the_certificate_shown() {
    let dir = tempfile::tempdir().unwrap();
    let context = TlsContext::load(&config(dir.path(), "example.org"), SystemTime::now()).unwrap();
    let file = dir.path().join("self-signed.pem");
    for (version, name) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let served = context.served();
        let client = client(&file, version, &[ALPN_CLIENT]);
        let (client, server) = handshake(client, served.direct(), "example.org").unwrap();
        assert_eq!(client.protocol_version(), Some(name));
        assert_eq!(server.alpn_protocol(), Some(ALPN_CLIENT));
        let shown = &client.peer_certificates().unwrap()[0];
        assert_eq!(
            served.tls_server_end_point().unwrap(),
            Sha256Of(shown).bytes()
        );
        let exported = |result: Result<[u8; 32], _>| result.unwrap();
        let label = b"EXPORTER-Channel-Binding";
        assert_eq!(
            exported(client.export_keying_material([0; 32], label, Some(b""))),
            exported(server.export_keying_material([0; 32], label, Some(b""))),
        );
    }
}

/// The suite whose hash is an instruction of the processor, though this client would rather have
/// the other.
#[test]
fn the_server_chooses_aes_128() {
    let dir = tempfile::tempdir().unwrap();
    let context = TlsContext::load(&config(dir.path(), "example.org"), SystemTime::now()).unwrap();
    let file = dir.path().join("self-signed.pem");
    let client = client(&file, &rustls::version::TLS13, &[]);
    let first = client.crypto_provider().cipher_suites[0].suite();
    assert_ne!(first, CipherSuite::TLS13_AES_128_GCM_SHA256);
    let (client, _) = handshake(client, context.served().starttls(), "example.org").unwrap();
    let chosen = client.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(chosen, CipherSuite::TLS13_AES_128_GCM_SHA256);
}

struct Sha256Of<'a>(&'a [u8]);

impl Sha256Of<'_> {
    fn bytes(&self) -> Vec<u8> {
        use sha2::{Digest, Sha256};
        Sha256::digest(self.0).to_vec()
    }
}

#[test]
fn direct_tls_takes_no_alpn_or_ours_and_refuses_others() {
    let dir = tempfile::tempdir().unwrap();
    let context = TlsContext::load(&config(dir.path(), "example.org"), SystemTime::now()).unwrap();
    let file = dir.path().join("self-signed.pem");
    let connect = |alpn: &[&[u8]], server: &Arc<ServerConfig>| {
        handshake(
            client(&file, &rustls::version::TLS13, alpn),
            server,
            "example.org",
        )
    };
    let served = context.served();
    assert!(connect(&[], served.direct()).is_ok());
    assert!(connect(&[b"h2", ALPN_CLIENT], served.direct()).is_ok());
    assert_eq!(
        connect(&[b"h2"], served.direct()).unwrap_err(),
        rustls::Error::NoApplicationProtocol
    );
    assert!(connect(&[b"h2"], served.starttls()).is_ok());
}

#[test]
fn the_self_signed_certificate_names_the_domain_and_its_services() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("new/data");
    TlsContext::load(&config(&data, "bücher.example"), SystemTime::now()).unwrap();
    let file = data.join("self-signed.pem");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(&data).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let der = leaf(&file);
    for name in ["xn--bcher-kva.example", "groups.xn--bcher-kva.example"] {
        assert!(covers(&der, name), "{name}");
    }
    let (_, parsed) = X509Certificate::from_der(&der).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap().value;
    let xmpp_addr = names.general_names.iter().find_map(|name| match name {
        GeneralName::OtherName(oid, value) => Some((oid.to_id_string(), value.to_vec())),
        _ => None,
    });
    let (oid, value) = xmpp_addr.unwrap();
    assert_eq!(oid, "1.3.6.1.5.5.7.8.5");
    assert!(value.ends_with("bücher.example".as_bytes()));
}

#[test]
fn an_address_as_domain_has_no_services() {
    assert_eq!(service_names("[::1]"), ["::1"]);
    assert_eq!(service_names("127.0.0.1"), ["127.0.0.1"]);
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "[::1]");
    let context = TlsContext::load(&config, SystemTime::now()).unwrap();
    let before = context.served().end_point.clone();
    context.reload(&config, SystemTime::now()).unwrap();
    assert_eq!(context.served().end_point, before);
}

#[test]
fn the_self_signed_certificate_is_kept_until_it_must_be_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("self-signed.pem");
    let now = SystemTime::now();
    let mut config = config(dir.path(), "example.org");
    let context = TlsContext::load(&config, now).unwrap();
    assert_eq!(context.days_left(now), 824);
    let first = leaf(&file);

    context.reload(&config, now + 793 * DAY).unwrap();
    assert_eq!(leaf(&file), first);
    context.reload(&config, now + 795 * DAY).unwrap();
    let second = leaf(&file);
    assert_ne!(second, first);
    assert_eq!(context.days_left(now + 795 * DAY), 824);

    config.domain = "example.net".to_owned();
    context.reload(&config, now + 800 * DAY).unwrap();
    assert_ne!(leaf(&file), second);

    fs::write(&file, "damaged").unwrap();
    context.reload(&config, now).unwrap();
    assert!(covers(&leaf(&file), "example.net"));
}

#[test]
fn a_reload_that_fails_keeps_what_was_served() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let mut config = config(dir.path(), "example.org");
    let context = TlsContext::load(&config, now).unwrap();
    let before = context.served();
    config.tls.certificate = dir.path().join("missing.pem");
    config.tls.key = dir.path().join("missing.key");
    let error = context.reload(&config, now).unwrap_err().to_string();
    assert!(error.contains("missing.pem"), "{error}");
    assert!(Arc::ptr_eq(&before, &context.served()));
}

#[test]
fn a_pair_that_does_not_match_or_is_not_pem_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    for data in [&a, &b] {
        TlsContext::load(&config(data, "example.org"), SystemTime::now()).unwrap();
    }
    let (a, b) = (a.join("self-signed.pem"), b.join("self-signed.pem"));
    let error = |certificate: &Path, key: &Path| pem::load(certificate, key).unwrap_err();
    assert!(matches!(error(&a, &b), pem::PemError::Mismatch { .. }));

    let text = fs::read_to_string(&a).unwrap();
    let (certificate, key) = text.split_at(text.find("-----BEGIN PRIVATE").unwrap());
    let (only_certificate, only_key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    fs::write(&only_certificate, certificate).unwrap();
    fs::write(&only_key, key).unwrap();
    assert!(pem::load(&only_certificate, &only_key).is_ok());
    assert!(matches!(
        error(&only_key, &only_key),
        pem::PemError::NoCertificate { .. }
    ));
    assert!(matches!(
        error(&only_certificate, &only_certificate),
        pem::PemError::NoKey { .. }
    ));
    let broken = dir.path().join("broken.pem");
    fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(matches!(
        error(&broken, &only_key),
        pem::PemError::Certificate { .. }
    ));
}

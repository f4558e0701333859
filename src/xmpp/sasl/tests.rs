//! What is offered, PLAIN, ANONYMOUS, and the texts on the wire. SCRAM has its own file.

use super::*;
use crate::password::{ScramKeys, derive, prepare};

mod scram;

const DOMAIN: &str = "example.org";
const SERVER_NONCE: &str = "3rfcNHYJY1ZVvWVs7j";
const SECRET: &[u8] = b"a secret of the server";

fn offer() -> Offer {
    Offer {
        mechanisms: Mechanism::ALL.to_vec(),
        bindings: vec![
            (ChannelBinding::TlsExporter, vec![1; 32]),
            (ChannelBinding::TlsServerEndPoint, vec![2; 32]),
        ],
        advertise_bindings: true,
    }
}

fn offer_without_bindings() -> Offer {
    Offer {
        bindings: Vec::new(),
        ..offer()
    }
}

fn keys(hash: ScramHash) -> ScramKeys {
    derive(hash, &prepare("pencil").unwrap(), b"0123456789abcdef", 16)
}

fn begin(mechanism: Mechanism, message: &str, offer: &Offer) -> Step {
    start(
        mechanism,
        Some(message.as_bytes()),
        offer,
        DOMAIN,
        SERVER_NONCE,
    )
}

fn failure(step: Step) -> Failure {
    match step {
        Step::Failure(failure) => failure,
        step => panic!("{step:?}"),
    }
}

#[test]
fn plain() {
    let check = |message: &str| begin(Mechanism::Plain, message, &offer());
    for message in ["\0Juliet\0pencil", "juliet@example.org\0juliet\0pencil"] {
        let Step::NeedPasswordCheck {
            account,
            password,
            next,
        } = check(message)
        else {
            panic!()
        };
        assert_eq!(
            (account.as_str(), password.as_str()),
            ("juliet@example.org", "pencil")
        );
        let Step::Success {
            account,
            additional_data: None,
        } = next.verdict(true)
        else {
            panic!()
        };
        assert_eq!(account.as_str(), "juliet@example.org");
    }
    let Step::NeedPasswordCheck { next, .. } = check("\0juliet\0wrong") else {
        panic!()
    };
    assert_eq!(failure(next.verdict(false)), Failure::NotAuthorized);
    for (message, expected) in [
        ("", Failure::MalformedRequest),
        ("juliet\0pencil", Failure::MalformedRequest),
        ("\0juliet\0pencil\0", Failure::MalformedRequest),
        ("\0\0pencil", Failure::MalformedRequest),
        ("\0juliet\0", Failure::MalformedRequest),
        ("romeo@example.org\0juliet\0pencil", Failure::InvalidAuthzid),
        ("juliet\0juliet\0pencil", Failure::InvalidAuthzid),
        ("\0juliet@example.org\0pencil", Failure::NotAuthorized),
        ("\0juliet\0\u{7}", Failure::NotAuthorized),
    ] {
        assert_eq!(failure(check(message)), expected, "{message:?}");
    }
    let step = start(
        Mechanism::Plain,
        Some(b"\0a\0\xFF"),
        &offer(),
        DOMAIN,
        SERVER_NONCE,
    );
    assert_eq!(failure(step), Failure::MalformedRequest);
}

#[test]
fn anonymous_and_late_first_messages() {
    let step = start(Mechanism::Anonymous, None, &offer(), DOMAIN, SERVER_NONCE);
    assert!(matches!(step, Step::Anonymous));
    assert!(matches!(
        begin(Mechanism::Anonymous, "sirhc", &offer()),
        Step::Anonymous
    ));
    let step = begin(Mechanism::Anonymous, &"\u{E9}".repeat(256), &offer());
    assert_eq!(failure(step), Failure::MalformedRequest);

    let step = start(Mechanism::Plain, None, &offer(), DOMAIN, SERVER_NONCE);
    let Step::Challenge(challenge, exchange) = step else {
        panic!("{step:?}")
    };
    assert!(challenge.is_empty());
    let step = exchange.response(b"\0juliet\0pencil");
    assert!(matches!(step, Step::NeedPasswordCheck { .. }));
}

#[test]
fn what_was_not_offered_is_refused() {
    let narrow = Offer {
        mechanisms: vec![Mechanism::ScramSha256],
        ..offer()
    };
    for mechanism in Mechanism::ALL {
        let is_refused = matches!(
            begin(mechanism, "n,,n=a,r=x", &narrow),
            Step::Failure(Failure::InvalidMechanism)
        );
        assert_eq!(is_refused, mechanism != Mechanism::ScramSha256);
    }
    let step = begin(
        Mechanism::ScramSha1Plus,
        "p=tls-exporter,,n=a,r=x",
        &offer_without_bindings(),
    );
    assert_eq!(failure(step), Failure::InvalidMechanism);
    for nonce in ["", "a,b", "a b", "\u{E9}"] {
        let step = start(
            Mechanism::ScramSha1,
            Some(b"n,,n=a,r=x"),
            &offer(),
            DOMAIN,
            nonce,
        );
        assert_eq!(failure(step), Failure::TemporaryAuthFailure);
    }
}

#[test]
fn features() {
    let offer = Offer {
        mechanisms: vec![
            Mechanism::ScramSha1Plus,
            Mechanism::ScramSha1,
            Mechanism::Plain,
        ],
        ..offer()
    };
    assert_eq!(
        offer.features_xml(Some("<bind xmlns='urn:xmpp:bind:0'/>")),
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism>\
         <mechanism>PLAIN</mechanism></mechanisms>\
         <authentication xmlns='urn:xmpp:sasl:2'>\
         <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism>\
         <mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'/></inline>\
         </authentication>\
         <sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>\
         <channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/>\
         </sasl-channel-binding>"
    );
    let unbound = Offer {
        bindings: Vec::new(),
        ..offer.clone()
    };
    assert_eq!(
        unbound.features_xml(None),
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>"
    );
    assert_eq!(unbound.channel_binding_xml(), "");
    assert_eq!(
        unbound.mechanism_list_xml(),
        "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>"
    );
    assert_eq!(
        Offer {
            mechanisms: Vec::new(),
            ..offer
        }
        .features_xml(Some("<bind xmlns='urn:xmpp:bind:0'/>")),
        ""
    );
}

#[test]
fn names_and_failures() {
    for mechanism in Mechanism::ALL {
        assert_eq!(mechanism.name().parse(), Ok(mechanism));
    }
    assert_eq!("DIGEST-MD5".parse::<Mechanism>(), Err(UnknownMechanism));
}

#[test]
fn payloads() {
    assert_eq!(decode_payload(""), Ok(None));
    assert_eq!(decode_payload("="), Ok(Some(Vec::new())));
    assert_eq!(decode_payload("AGE="), Ok(Some(b"\0a".to_vec())));
    for text in ["AGE", "AG E=", "\nAGE=", "==", "AGF=", "A-_="] {
        assert_eq!(
            decode_payload(text),
            Err(Failure::IncorrectEncoding),
            "{text:?}"
        );
    }
    assert!(decode_payload(&encode_payload(&[0; MAX_PAYLOAD_BYTES])).is_ok());
    let long = encode_payload(&[0; MAX_PAYLOAD_BYTES + 3]);
    assert_eq!(decode_payload(&long), Err(Failure::MalformedRequest));
}

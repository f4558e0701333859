//! Whole SCRAM exchanges with a client written from the RFCs, and what must fail.

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;

/// Runs SCRAM up to the challenge.
fn challenge(mechanism: Mechanism, message: &str, offer: &Offer) -> (String, Exchange) {
    let step = begin(mechanism, message, offer);
    let Step::NeedScramKeys { hash, next, .. } = step else {
        panic!("{step:?}")
    };
    let step = next.keys(Some(keys(hash)), SECRET);
    let Step::Challenge(challenge, exchange) = step else {
        panic!("{step:?}")
    };
    (String::from_utf8(challenge).unwrap(), exchange)
}

/// The client's side of RFC 5802 §3: answers a challenge, and knows what the server must answer.
fn client_final(
    hash: ScramHash,
    first_bare: &str,
    challenge: &str,
    binding: &[u8],
    extension: &str,
) -> (String, String) {
    let attribute = |name: &str| {
        let mut fields = challenge.split(',');
        fields
            .find_map(|field| field.strip_prefix(name))
            .unwrap()
            .to_owned()
    };
    let salt = STANDARD.decode(attribute("s=")).unwrap();
    let iterations: u32 = attribute("i=").parse().unwrap();
    let mut salted = vec![0; hash.output_bytes()];
    let block = hash.hmac(b"pencil", &[&salt, &[0, 0, 0, 1]]);
    salted.copy_from_slice(&block);
    let mut last = block;
    for _ in 1..iterations {
        last = hash.hmac(b"pencil", &[&last]);
        salted
            .iter_mut()
            .zip(&last)
            .for_each(|(sum, byte)| *sum ^= byte);
    }
    let client_key = hash.hmac(&salted, &[b"Client Key"]);
    let bare = format!(
        "c={},r={}{extension}",
        STANDARD.encode(binding),
        attribute("r=")
    );
    let auth_message = format!("{first_bare},{challenge},{bare}");
    let signature = hash.hmac(&hash.digest(&client_key), &[auth_message.as_bytes()]);
    let proof: Vec<u8> = client_key
        .iter()
        .zip(&signature)
        .map(|(key, mask)| key ^ mask)
        .collect();
    let server_key = hash.hmac(&salted, &[b"Server Key"]);
    let server_signature = hash.hmac(&server_key, &[auth_message.as_bytes()]);
    (
        format!("{bare},p={}", STANDARD.encode(proof)),
        format!("v={}", STANDARD.encode(server_signature)),
    )
}

#[test]
fn scram_with_and_without_channel_binding() {
    for mechanism in Mechanism::ALL {
        let Some(hash) = mechanism.hash() else {
            continue;
        };
        let bindings = offer().bindings;
        let headers = match mechanism.is_plus() {
            true => vec![
                ("p=tls-exporter,,", &*bindings[0].1),
                (
                    "p=tls-server-end-point,a=juliet@example.org,",
                    &*bindings[1].1,
                ),
            ],
            false => vec![("n,,", &[][..]), ("n,a=juliet@example.org,", &[])],
        };
        for (header, data) in headers {
            let first_bare = "n=Juliet,r=fyko+d2lbbFgONRv9qkxdawL";
            let (challenge, exchange) =
                challenge(mechanism, &format!("{header}{first_bare}"), &offer());
            assert!(challenge.starts_with("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s="));
            assert!(challenge.ends_with(&format!("i=16,h={}", offer().downgrade_hash(hash))));
            let binding = [header.as_bytes(), data].concat();
            let (response, expected) =
                client_final(hash, first_bare, &challenge, &binding, ",x=ignored");
            let step = exchange.response(response.as_bytes());
            let Step::Success {
                account,
                additional_data: Some(data),
            } = step
            else {
                panic!("{mechanism}: {step:?}");
            };
            assert_eq!(account.as_str(), "juliet@example.org");
            assert_eq!(String::from_utf8(data).unwrap(), expected);
        }
    }
}

/// XEP-0474 0.5.0 §5.3, whose client adds an attribute that nobody knows.
#[test]
fn the_example_of_downgrade_protection() {
    let offer = Offer {
        mechanisms: vec![Mechanism::ScramSha1, Mechanism::ScramSha1Plus],
        bindings: vec![
            (ChannelBinding::TlsServerEndPoint, Vec::new()),
            (
                ChannelBinding::TlsExporter,
                b"THIS IS FAKE CB DATA".to_vec(),
            ),
        ],
        advertise_bindings: true,
    };
    let step = start(
        Mechanism::ScramSha1Plus,
        Some(b"p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6"),
        &offer,
        DOMAIN,
        "a09117a6-ac50-4f2f-93f1-93799c2bddf6",
    );
    let Step::NeedScramKeys { hash, next, .. } = step else {
        panic!("{step:?}")
    };
    let salt = STANDARD.decode("QSXCR+Q6sek8bf92").unwrap();
    let step = next.keys(
        Some(derive(hash, &prepare("pencil").unwrap(), &salt, 4096)),
        SECRET,
    );
    let Step::Challenge(challenge, exchange) = step else {
        panic!("{step:?}")
    };
    assert_eq!(
        String::from_utf8(challenge).unwrap(),
        "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
         s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08="
    );
    let step = exchange.response(
        b"c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,\
          r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,\
          x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=",
    );
    let Step::Success {
        additional_data, ..
    } = step
    else {
        panic!("{step:?}")
    };
    assert_eq!(
        additional_data.as_deref(),
        Some(&b"v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c="[..])
    );
}

#[test]
fn client_first_messages_that_fail() {
    let long = "r".repeat(MAX_PAYLOAD_BYTES);
    let plain = [
        ("p=tls-exporter,,n=a,r=x", Failure::MalformedRequest),
        ("y,,n=a,r=x", Failure::NotAuthorized),
        ("n,,m=must,n=a,r=x", Failure::MalformedRequest),
        ("n,,n=a,r=x,m=must", Failure::MalformedRequest),
        ("n,,n=a,r=x,=", Failure::MalformedRequest),
        ("n,,n=a,r=", Failure::MalformedRequest),
        ("n,,n=a,r=\u{E9}", Failure::MalformedRequest),
        ("n,,n=a", Failure::MalformedRequest),
        ("n,,n=,r=x", Failure::MalformedRequest),
        ("n,,n=a=,r=x", Failure::MalformedRequest),
        ("n,,n=a=2c,r=x", Failure::MalformedRequest),
        ("n,,r=x,n=a", Failure::MalformedRequest),
        ("n,a=,n=a,r=x", Failure::MalformedRequest),
        ("n,x=a,n=a,r=x", Failure::MalformedRequest),
        ("x,,n=a,r=x", Failure::MalformedRequest),
        ("n,", Failure::MalformedRequest),
        ("", Failure::MalformedRequest),
        (&format!("n,,n=a,r={long}"), Failure::MalformedRequest),
        ("n,,n=a b,r=x", Failure::NotAuthorized),
        ("n,,n=a@example.org,r=x", Failure::NotAuthorized),
        ("n,a=b@example.org,n=a,r=x", Failure::InvalidAuthzid),
        ("n,a=a@example.com,n=a,r=x", Failure::InvalidAuthzid),
        ("n,a=a@example.org/x,n=a,r=x", Failure::InvalidAuthzid),
        ("n,a=a,n=a,r=x", Failure::InvalidAuthzid),
        ("n,a==2C,n=a,r=x", Failure::InvalidAuthzid),
    ];
    for (message, expected) in plain {
        assert_eq!(
            failure(begin(Mechanism::ScramSha256, message, &offer())),
            expected,
            "{message}"
        );
    }
    let plus = [
        ("n,,n=a,r=x", Failure::MalformedRequest),
        ("y,,n=a,r=x", Failure::NotAuthorized),
        ("p=tls-unique,,n=a,r=x", Failure::NotAuthorized),
        ("p=,,n=a,r=x", Failure::MalformedRequest),
    ];
    for (message, expected) in plus {
        let step = begin(Mechanism::ScramSha256Plus, message, &offer());
        assert_eq!(failure(step), expected, "{message}");
    }
    // Without bindings on this stream, `y` is the truth.
    let step = begin(
        Mechanism::ScramSha256,
        "y,,n=a,r=x",
        &offer_without_bindings(),
    );
    assert!(matches!(step, Step::NeedScramKeys { .. }));
}

#[test]
fn names_are_decoded_and_prepared() {
    let step = begin(Mechanism::ScramSha1, "n,,n=A=3Db=2Cc,r=x", &offer());
    let Step::NeedScramKeys { account, .. } = step else {
        panic!("{step:?}")
    };
    assert_eq!(account.local(), Some("a=b,c"));
}

#[test]
fn client_final_messages_that_fail() {
    let first_bare = "n=juliet,r=abc";
    let fails = |binding: &[u8], change: &dyn Fn(String) -> String| {
        let first = format!("p=tls-exporter,,{first_bare}");
        let (challenge, exchange) = challenge(Mechanism::ScramSha1Plus, &first, &offer());
        let (response, _) = client_final(ScramHash::Sha1, first_bare, &challenge, binding, "");
        failure(exchange.response(change(response).as_bytes()))
    };
    let same = |response| response;
    let right = [b"p=tls-exporter,,".as_slice(), &[1; 32]].concat();
    let of_another = [b"p=tls-exporter,,".as_slice(), &[3; 32]].concat();
    assert_eq!(fails(&of_another, &same), Failure::NotAuthorized);
    assert_eq!(fails(b"p=tls-exporter,,", &same), Failure::NotAuthorized);
    assert_eq!(fails(b"n,,", &same), Failure::NotAuthorized);
    assert_eq!(
        fails(&right, &|text| text.replace("r=abc", "r=abd")),
        Failure::NotAuthorized
    );
    assert_eq!(
        fails(&right, &|text| text.replace("r=", "m=x,r=")),
        Failure::MalformedRequest
    );
    assert_eq!(
        fails(&right, &|text| text.replace(",p=", ",m=x,p=")),
        Failure::MalformedRequest
    );
    assert_eq!(
        fails(&right, &|text| text.replace(",p=", ",x=y,p=")),
        Failure::NotAuthorized
    );
    assert_eq!(
        fails(&right, &|_| "c=biws".into()),
        Failure::MalformedRequest
    );
    assert_eq!(fails(&right, &|_| "*".into()), Failure::MalformedRequest);
    assert_eq!(
        fails(&right, &|text| text.repeat(40)),
        Failure::MalformedRequest
    );
}

#[test]
fn nobody_learns_which_accounts_exist() {
    let salt_and_end = |known: Option<ScramKeys>, password_is_right: bool| {
        let step = begin(Mechanism::ScramSha1, "n,,n=juliet,r=abc", &offer());
        let Step::NeedScramKeys { next, .. } = step else {
            panic!("{step:?}")
        };
        let Step::Challenge(challenge, exchange) = next.keys(known, SECRET) else {
            panic!()
        };
        let challenge = String::from_utf8(challenge).unwrap();
        let (response, _) = client_final(ScramHash::Sha1, "n=juliet,r=abc", &challenge, b"n,,", "");
        let response = if password_is_right {
            response
        } else {
            response.replace("p=", "p=AAAA")
        };
        (challenge, exchange.response(response.as_bytes()))
    };
    let (first, end) = salt_and_end(None, true);
    let (second, _) = salt_and_end(None, false);
    assert_eq!(first, second);
    assert!(first.contains(",i=10000,"));
    assert_eq!(failure(end), Failure::NotAuthorized);
    // Keys of another family are no keys.
    let (third, end) = salt_and_end(Some(keys(ScramHash::Sha256)), true);
    assert_eq!(
        (third, failure(end)),
        (first.clone(), Failure::NotAuthorized)
    );
    let (known, end) = salt_and_end(Some(keys(ScramHash::Sha1)), true);
    assert_eq!(known.len(), first.len() - "00".len() - "0".len());
    assert!(matches!(end, Step::Success { .. }));
}

proptest! {
    #[test]
    fn a_changed_client_final_fails(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let first_bare = "n=juliet,r=abc";
        let (challenge, exchange) =
            challenge(Mechanism::ScramSha256, &format!("n,,{first_bare}"), &offer());
        let (response, _) = client_final(ScramHash::Sha256, first_bare, &challenge, b"n,,", ",x=y");
        let mut response = response.into_bytes();
        let at = at.index(response.len());
        prop_assume!(response[at] != byte);
        response[at] = byte;
        prop_assert!(matches!(exchange.response(&response), Step::Failure(_)));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        first in prop::collection::vec(any::<u8>(), 0..40),
        last in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for mechanism in Mechanism::ALL {
            let _ = start(mechanism, Some(&first), &offer(), DOMAIN, SERVER_NONCE);
        }
        let (_, exchange) = challenge(Mechanism::ScramSha1, "n,,n=a,r=x", &offer());
        prop_assert!(matches!(exchange.response(&last), Step::Failure(_)));
    }

    #[test]
    fn messages_of_the_right_shape_do_no_harm(
        first in "[nyp](=[a-z-]{0,4})?,(a=[a-z@.=]{0,8})?,(m=x,)?n=[a-zA-Z=23CD]{0,6},r=[!-~é]{0,8}",
        last in "c=[a-z=+/]{0,8},r=[!-~]{0,8}(,[a-z]=[a-z]{0,2})?,p=[A-Za-z=]{0,8}",
    ) {
        for mechanism in Mechanism::ALL {
            if let Step::NeedScramKeys { next, hash, .. } = begin(mechanism, &first, &offer())
                && let Step::Challenge(_, exchange) = next.keys(Some(keys(hash)), SECRET)
            {
                prop_assert!(matches!(exchange.response(last.as_bytes()), Step::Failure(_)));
            }
        }
    }
}

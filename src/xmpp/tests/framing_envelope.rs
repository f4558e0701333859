//! What the scanner notes of a stanza is what a DOM of it says, also after it was rewritten.

// The helpers of these tests fail where they stand; a method's path has one lifetime too few.
#![allow(clippy::unwrap_used, clippy::redundant_closure_for_method_calls)]

use bytes::Bytes;
use proptest::prelude::*;
use waxwing_xmpp::Element;
use waxwing_xmpp::error::{Condition, StanzaError};
use waxwing_xmpp::framing::{Framer, Limits, Unit};
use waxwing_xmpp::stanza::{
    Children, Framed, IqType, Kind, MessageType, PresenceType, Source, Stanza, Strip, error_reply,
    error_reply_with,
};
use waxwing_xmpp::{dom, ns};

mod framing_corpus;

use framing_corpus::{CHAT, HEADER, stanzas};

/// Runs `check` on the one stanza in a stream with this header.
fn with_frame<T>(
    header: &str,
    stanza: &str,
    check: impl FnOnce(&waxwing_xmpp::stanza::Frame<'_>) -> T,
) -> T {
    let mut framer = Framer::new(Limits::default());
    let mut input = header.as_bytes();
    assert!(framer.next(&mut input).unwrap().is_some());
    let mut input = stanza.as_bytes();
    match framer.next(&mut input).unwrap() {
        Some(Unit::Stanza(frame)) => check(&frame),
        other => panic!("{other:?}"),
    }
}

/// What an element says, as minidom reads it with the parser it is built on.
fn by_minidom(xml: &str) -> Element {
    let prefixes = [
        (None, ns::CLIENT.to_owned()),
        (Some("stream".to_owned()), ns::STREAM.to_owned()),
    ];
    Element::from_reader_with_prefixes(xml.as_bytes(), std::collections::BTreeMap::from(prefixes))
        .unwrap()
}

fn assert_envelope<B: Source>(stanza: &Framed<B>, element: &Element) {
    assert_eq!(stanza.name(), element.name());
    assert_eq!(stanza.namespace(), element.ns());
    assert_eq!(stanza.to().as_deref(), element.attr("to"));
    assert_eq!(stanza.from().as_deref(), element.attr("from"));
    assert_eq!(stanza.id().as_deref(), element.attr("id"));
    assert_eq!(stanza.type_attribute().as_deref(), element.attr("type"));
    assert_eq!(stanza.lang().as_deref(), element.attr_ns(ns::XML, "lang"));
    assert_eq!(stanza.child_count(), element.children().count());
    let first = element
        .children()
        .next()
        .map(|child| (child.ns(), child.name()));
    let payload = stanza.payload();
    assert_eq!(payload.map(|(ns, name)| (ns.into_owned(), name)), first);
    assert_eq!(stanza.payload_element().as_ref(), element.children().next());
    let is_body = |child: &Element| child.is("body", ns::CLIENT);
    assert_eq!(
        stanza.children().contains(Children::BODY),
        element.children().any(is_body)
    );
}

#[test]
fn the_envelope_says_what_minidom_says() {
    for xml in stanzas() {
        let element = by_minidom(&xml);
        with_frame(HEADER, &xml, |frame| {
            assert_envelope(frame, &element);
            assert_eq!(frame.to_element(), element, "{xml}");
        });
    }
}

#[test]
fn a_known_child_is_noted_like_one_that_is_read() {
    let id = "<stanza-id xmlns='urn:xmpp:sid:0' by='o&apos;neil@example.org' id='1'/>";
    for xml in stanzas() {
        with_frame(HEADER, &xml, |frame| {
            let known = frame.with_known_child(id, Children::STANZA_ID);
            let read = frame.with_child(id);
            assert_eq!(known.bytes(), read.bytes());
            assert_eq!(
                format!("{:?}", known.envelope()),
                format!("{:?}", read.envelope())
            );
        });
    }
}

#[test]
fn a_stamped_stanza_differs_in_its_sender_only() {
    for xml in stanzas() {
        let from = "o'neil@example.org/a & b";
        let stanza = with_frame(HEADER, &xml, |frame| frame.stamp(from, None));
        assert_eq!(stanza.from().as_deref(), Some(from));
        let mut expected = by_minidom(&xml);
        let name = minidom::rxml::NcName::try_from("from").unwrap();
        expected
            .attrs_mut()
            .insert(minidom::rxml::Namespace::NONE, name, from.to_owned());
        assert_eq!(stanza.to_element(), expected, "{xml}");
        assert_envelope(&stanza, &by_minidom(stanza.as_xml()));
        let again = Stanza::parse(stanza.bytes().clone()).unwrap();
        assert_eq!(
            format!("{:?}", again.envelope()),
            format!("{:?}", stanza.envelope())
        );
    }
}

#[test]
fn a_stanza_is_stamped_in_place() {
    for (xml, stamped) in [
        ("<iq/>", "<iq from='a@b'/>"),
        ("<iq from='x'/>", "<iq from='a@b'/>"),
        (
            "<iq id='1' from = \"x=' y\" to='z'/>",
            "<iq from='a@b' id='1' to='z'/>",
        ),
        ("<iq\n\tfrom\n=\n'x'\n>t</iq>", "<iq from='a@b'\n>t</iq>"),
        ("<iq a=' from='\tfrom=''/>", "<iq from='a@b' a=' from='/>"),
        (
            "<iq xmlns:p='u' p:from='f'/>",
            "<iq from='a@b' xmlns:p='u' p:from='f'/>",
        ),
        (
            "<iq xmlns='jabber:client'/>",
            "<iq from='a@b' xmlns='jabber:client'/>",
        ),
    ] {
        let stanza = with_frame(HEADER, xml, |frame| frame.stamp("a@b", None));
        assert_eq!(stanza.as_xml(), stamped);
    }
}

#[test]
fn the_language_of_the_stream_is_written_down_where_there_is_none() {
    let stamp = |xml: &str| with_frame(HEADER, xml, |frame| frame.stamp("a", Some("de")));
    let stanza = stamp("<iq/>");
    assert_eq!(stanza.as_xml(), "<iq from='a' xml:lang='de'/>");
    assert_eq!(stanza.lang().as_deref(), Some("de"));
    assert_eq!(
        stamp("<iq xml:lang='cs'/>").as_xml(),
        "<iq from='a' xml:lang='cs'/>"
    );
}

#[test]
fn prefixes_of_the_header_go_with_the_stanza() {
    let header = "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' \
        xmlns:p='urn:p&amp;' xmlns:q='urn:q' xmlns:c='jabber:client'>";
    let stanza = with_frame(
        header,
        "<message><p:a><q:b xmlns:q='urn:own'/></p:a></message>",
        |frame| {
            assert_eq!(frame.payload().unwrap().0, "urn:p&");
            frame.stamp("a", None)
        },
    );
    assert_eq!(
        stanza.as_xml(),
        "<message xmlns:p='urn:p&amp;' from='a'><p:a><q:b xmlns:q='urn:own'/></p:a></message>"
    );
    assert_eq!(stanza.payload().unwrap().0, "urn:p&");
    let attribute = with_frame(header, "<iq q:x='1'/>", |frame| frame.to_stanza());
    assert_eq!(attribute.as_xml(), "<iq xmlns:q='urn:q' q:x='1'/>");
    let prefixed = with_frame(header, "<c:iq id='1'><c:x/></c:iq>", |frame| {
        assert_eq!(frame.kind(), Kind::Iq);
        frame.to_stanza()
    });
    assert_eq!(prefixed.as_xml(), "<iq id='1'><x/></iq>");
}

#[test]
fn a_prefixed_root_is_made_plain() {
    let xml = "<c:message xmlns:c='jabber:client' xmlns='urn:x' to='a'><c:body>b</c:body><y/></c:message>";
    let stanza = with_frame(HEADER, xml, |frame| frame.stamp("me", None));
    assert_eq!(
        stanza.as_xml(),
        "<message from='me' to='a'><body>b</body><y xmlns='urn:x'/></message>"
    );
}

#[test]
fn forged_children_are_stripped() {
    let strip = [
        Strip {
            namespace: "urn:xmpp:sid:0",
            name: "stanza-id",
            by: Some(("by", "me@x")),
        },
        Strip {
            namespace: "urn:xmpp:carbons:2",
            name: "sent",
            by: None,
        },
    ];
    let without = |xml: &str| {
        let stanza = Stanza::parse(xml.to_owned().into()).unwrap();
        stanza
            .without(&strip)
            .map(|stanza| stanza.as_xml().to_owned())
    };
    let own = |by: &str| format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='1'/>");
    let others =
        "<message><body>b</body><stanza-id xmlns='urn:xmpp:sid:0' by='you@x' id='2'/></message>";
    for by in ["me@x", "Me@X", "me&#x40;x"] {
        let forged = others.replace("<body>", &(own(by) + "<body>"));
        assert_eq!(without(&forged).as_deref(), Some(others), "{by}");
    }
    let carbon = "<message><sent xmlns='urn:xmpp:carbons:2' by='any'><x/></sent></message>";
    assert_eq!(without(carbon).as_deref(), Some("<message/>"));
    assert_eq!(without(others), None);
    assert_eq!(without("<message><body  /></message>"), None);
    let deeper = format!(
        "<message><body/><x xmlns='urn:x'>{}</x></message>",
        own("me@x")
    );
    assert_eq!(without(&deeper), None, "only children count");
}

#[test]
fn a_recipient_is_set_or_replaced() {
    for (xml, addressed) in [
        ("<iq/>", "<iq to='a&amp;b'/>"),
        (
            "<iq to='x' from='y'>t</iq>",
            "<iq to='a&amp;b' from='y'>t</iq>",
        ),
    ] {
        let stanza = with_frame(HEADER, xml, |frame| frame.with_to("a&b"));
        assert_eq!(stanza.as_xml(), addressed);
        assert_eq!(stanza.to().as_deref(), Some("a&b"));
    }
}

#[test]
fn children_are_appended() {
    let delay = "<delay xmlns='urn:xmpp:delay'/><x/>";
    for (xml, expected) in [
        (
            "<message to='a'/>",
            format!("<message to='a'>{delay}</message>"),
        ),
        ("<message  />", format!("<message  >{delay}</message>")),
        (
            "<message><body/></message >",
            format!("<message><body/>{delay}</message >"),
        ),
    ] {
        let stanza = with_frame(HEADER, xml, |frame| frame.with_child(delay));
        assert_eq!(stanza.as_xml(), expected);
        assert!(
            stanza
                .children()
                .contains(Children::DELAY | Children::OTHER)
        );
        assert_envelope(&stanza, &by_minidom(&expected));
        let again = Stanza::parse(stanza.bytes().clone()).unwrap();
        assert_eq!(
            format!("{:?}", again.envelope()),
            format!("{:?}", stanza.envelope())
        );
    }
}

#[test]
fn known_children_are_noted() {
    let stanza = Stanza::parse(Bytes::from_static(CHAT.as_bytes())).unwrap();
    let expected = Children::BODY
        | Children::CHAT_STATE
        | Children::RECEIPT_REQUEST
        | Children::MARKABLE
        | Children::ORIGIN_ID;
    assert_eq!(stanza.children(), expected);
    let prefixed =
        "<message><body xmlns='urn:x'/><r:received xmlns:r='urn:xmpp:re&#99;eipts'/></message>";
    let stanza = Stanza::parse(Bytes::from_static(prefixed.as_bytes())).unwrap();
    assert_eq!(stanza.children(), Children::OTHER | Children::RECEIPT);
}

#[test]
fn types_are_read_as_the_rfc_says() {
    let parse = |xml: &str| Stanza::parse(Bytes::copy_from_slice(xml.as_bytes())).unwrap();
    assert_eq!(
        parse("<message type='ch&#97;t'/>").message_type(),
        MessageType::Chat
    );
    assert_eq!(
        parse("<message type='new'/>").message_type(),
        MessageType::Normal
    );
    assert_eq!(
        parse("<presence/>").presence_type(),
        PresenceType::Available
    );
    assert_eq!(
        parse("<presence type='available'/>").presence_type(),
        PresenceType::Unknown
    );
    assert_eq!(parse("<iq type='set'/>").iq_type(), IqType::Set);
    assert_eq!(parse("<iq/>").iq_type(), IqType::Unknown);
    assert_eq!(parse("<iq xmlns='jabber:server'/>").kind(), Kind::Other);
    assert_eq!(parse("<iq xmlns='jabber:client'/>").kind(), Kind::Iq);
    assert_eq!(parse("<r xmlns='urn:xmpp:sm:3'/>").kind(), Kind::Other);
}

#[test]
fn an_error_reply_keeps_kind_and_id() {
    let stanza = Stanza::parse(Bytes::from_static(
        b"<iq id='a&apos;b' type='get' to='x'><q/></iq>",
    ))
    .unwrap();
    let error = StanzaError::new(Condition::ServiceUnavailable);
    let reply = error_reply(&stanza, Some("x"), Some("me@x/<"), &error);
    assert_eq!(reply.kind(), Kind::Iq);
    assert_eq!(reply.id().as_deref(), Some("a'b"));
    assert_eq!(reply.from().as_deref(), Some("x"));
    assert_eq!(reply.to().as_deref(), Some("me@x/<"));
    assert_eq!(reply.iq_type(), IqType::Error);
    assert_eq!(reply.children(), Children::ERROR);
    assert_eq!(reply.to_element(), by_minidom(reply.as_xml()));
    let more = error_reply_with(&stanza, Some("x"), None, "<y xmlns='z'/>", &error);
    let children: Vec<String> = (more.to_element().children())
        .map(|child| child.name().to_owned())
        .collect();
    assert_eq!(children, ["y", "error"]);
}

#[test]
fn parsing_takes_exactly_one_element() {
    for xml in [
        "", " <a/>", "<a/> ", "<a/><b/>", "<a>", "</a>", "text", "<a></b>",
    ] {
        assert!(
            Stanza::parse(Bytes::copy_from_slice(xml.as_bytes())).is_err(),
            "{xml}"
        );
        assert!(dom::parse(xml.as_bytes()).is_err(), "{xml}");
    }
}

#[test]
fn a_dom_is_written_for_a_client_stream() {
    let features = Element::builder("features", ns::STREAM)
        .append(Element::bare("bind", ns::BIND))
        .append(Element::bare("x", ns::CLIENT))
        .build();
    assert_eq!(
        dom::serialize(&features),
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><x/></stream:features>"
    );
    let stanza = Stanza::from_element(&features);
    assert_eq!(
        (stanza.name(), &*stanza.namespace()),
        ("features", ns::STREAM)
    );
    assert_eq!(stanza.to_element(), features);
}

#[test]
fn a_dom_is_always_written_well_formed() {
    let hostile = Element::builder("two words", "urn:'&<")
        .append("\u{0}\u{FFFF}]]>\r")
        .append(Element::bare("none", ""))
        .build();
    let stanza = Stanza::from_element(&hostile);
    assert_eq!(
        stanza.as_xml(),
        "<invalid xmlns='urn:&apos;&amp;&lt;'>\u{FFFD}\u{FFFD}]]&gt;&#13;<none xmlns=''/></invalid>"
    );
    let deep = (0..200).fold(Element::bare("a", "u"), |inner, _| {
        Element::builder("a", "u").append(inner).build()
    });
    assert_eq!(Stanza::from_element(&deep).name(), "a");
}

#[test]
fn an_attribute_that_the_dom_cannot_name_takes_nothing_else_with_it() {
    let xml = "<message><body \u{FDF0}='1' a='2'>b</body></message>";
    let element = dom::parse(xml.as_bytes()).unwrap();
    assert_eq!(
        dom::serialize(&element),
        "<message><body a='2'>b</body></message>"
    );
}

/// What is written anew may need more declarations than what was read, but never too many.
#[test]
fn the_worst_that_is_accepted_survives_a_dom() {
    let declarations: String = (0..60)
        .map(|n| format!(" xmlns:p{n}=\"urn:{}{n}\"", "'".repeat(900)))
        .collect();
    let attributes: String = (0..60).map(|n| format!(" p{n}:a=''")).collect();
    let mut xml = format!("<message{declarations}>");
    for n in 0..63 {
        xml += &format!("<p{}:e{attributes}>", n % 60);
    }
    for n in (0..63).rev() {
        xml += &format!("</p{}:e>", n % 60);
    }
    xml += "</message>";
    let element = with_frame(HEADER, &xml, |frame| frame.to_element());
    assert_eq!(element, by_minidom(&xml));
    let wrapped = Element::builder("result", "urn:xmpp:mam:2")
        .append(element)
        .build();
    let wrapped = Element::builder("message", ns::CLIENT)
        .append(wrapped)
        .build();
    let stanza = Stanza::from_element(&wrapped);
    assert_eq!(stanza.kind(), Kind::Message);
    assert_eq!(stanza.to_element(), wrapped);
}

fn element() -> impl Strategy<Value = Element> {
    let name = "[a-zé_][a-z0-9é.-]{0,5}";
    let namespace = prop_oneof![
        Just(ns::CLIENT.to_owned()),
        Just(String::new()),
        "urn:[a-z&'<]{0,4}",
    ];
    let text = r#"[a-z<>&'" \t\n\r\]é☺]{1,12}"#;
    let attributes = prop::collection::btree_map((namespace.clone(), name), text, 0..4);
    let leaf = (name, namespace, attributes).prop_map(|(name, namespace, attributes)| {
        let mut element = Element::bare(name, namespace);
        for ((namespace, name), value) in attributes {
            let name = minidom::rxml::NcName::try_from(name).unwrap();
            element.attrs_mut().insert(namespace.into(), name, value);
        }
        element
    });
    let leaf = leaf.boxed();
    leaf.clone().prop_recursive(4, 24, 4, move |inner| {
        let children = prop::collection::vec((inner, prop::option::of(text)), 0..4);
        (leaf.clone(), children).prop_map(|(mut element, children)| {
            for (child, text) in children {
                element.append_child(child);
                if let Some(text) = text {
                    element.append_text_node(text);
                }
            }
            element
        })
    })
}

proptest! {
    #[test]
    fn a_dom_survives_the_way_through_bytes(element in element()) {
        let xml = dom::serialize(&element);
        prop_assert_eq!(dom::parse(xml.as_bytes()).unwrap(), element.clone());
        prop_assert_eq!(Stanza::from_element(&element).to_element(), element);
    }
}

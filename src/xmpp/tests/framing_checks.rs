//! What is accepted in a stream, what is refused, and with which condition.

use waxwing_xmpp::error::StreamCondition;
use waxwing_xmpp::framing::{Framer, FramingError, Limits, Reason, Unit};

mod framing_corpus;

use framing_corpus::{HEADER, stanzas};

/// All stanzas of a stream, in words.
fn read(framer: &mut Framer, input: &[u8]) -> Result<Vec<String>, FramingError> {
    let mut input = input;
    let mut units = Vec::new();
    while let Some(unit) = framer.next(&mut input)? {
        units.push(match unit {
            Unit::Header(header) => format!("header {}", header.to.unwrap_or_default()),
            Unit::Stanza(frame) => frame.as_xml().to_owned(),
            Unit::End => "end".to_owned(),
        });
    }
    assert!(input.is_empty());
    Ok(units)
}

fn opened() -> Framer {
    let mut framer = Framer::new(Limits::default());
    assert!(read(&mut framer, HEADER.as_bytes()).is_ok());
    framer
}

/// What one stanza comes to.
fn verdict(bytes: impl AsRef<[u8]>) -> Result<usize, Reason> {
    match read(&mut opened(), bytes.as_ref()) {
        Ok(units) => Ok(units.len()),
        Err(error) => {
            assert_eq!(error.condition, error.reason.condition());
            Err(error.reason)
        }
    }
}

#[track_caller]
fn refused(reason: Reason, condition: &StreamCondition, inputs: &[&str]) {
    assert_eq!(reason.condition(), *condition);
    for input in inputs {
        assert_eq!(verdict(input), Err(reason), "{input}");
    }
}

#[test]
fn what_clients_send_is_accepted_as_it_stands() {
    for stanza in stanzas() {
        let units = read(&mut opened(), stanza.as_bytes()).unwrap();
        assert_eq!(units, [stanza]);
    }
}

#[test]
fn a_stream_is_a_header_stanzas_with_space_between_and_an_end() {
    let input = format!("{HEADER} \n<presence/>\t<iq/>\r\n</stream:stream  > ");
    let units = read(&mut Framer::new(Limits::default()), input.as_bytes()).unwrap();
    assert_eq!(units, ["header example.org", "<presence/>", "<iq/>", "end"]);
}

#[test]
fn white_space_is_a_keepalive_and_nothing_else() {
    let mut framer = opened();
    assert_eq!(read(&mut framer, b" \n \r\n").unwrap(), [""; 0]);
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn not_well_formed() {
    use Reason::*;
    use StreamCondition::NotWellFormed;
    refused(
        MalformedTag,
        &NotWellFormed,
        &[
            "<a b/>",
            "<a b=c/>",
            "<a =''/>",
            "< a/>",
            "<a / >",
            "<a></a b>",
            "<a '/>",
            "<>",
            "<1/>",
            "<-a/>",
            "<a 1='2'/>",
            "<a><![cdata[]]></a>",
            "<\u{0}a/>",
            "<:a/>",
        ],
    );
    refused(
        MalformedName,
        &NotWellFormed,
        &[
            "<a:/>",
            "<a:b:c/>",
            "<a b:=''/>",
            "<a xmlns:p='u' p:1='2'/>",
            "<a\u{D7}/>",
            "<a \u{F7}='b'/>",
            "<\u{B7}a/>",
            "<a\u{2190}/>",
        ],
    );
    refused(
        NoSpaceBetweenAttributes,
        &NotWellFormed,
        &["<a b='c'd='e'/>", "<a b='c'd"],
    );
    refused(
        LessThanInAttribute,
        &NotWellFormed,
        &["<a b='<'/>", "<a b=\"x<\"/>"],
    );
    refused(
        DuplicateAttribute,
        &NotWellFormed,
        &[
            "<a b='1' b='1'/>",
            "<a b='1' c='2' b='3'/>",
            "<a xmlns='u' xmlns='u'/>",
            "<a xmlns:p='u' xmlns:p='v'/>",
            "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
            "<a xmlns:p='u&amp;' p:b='1' xmlns:q='u&#38;' q:b='2'/>",
            "<a xmlns:p='jabber:client' xmlns:q='jabber:client' p:b='' q:b=''/>",
            "<a xml:lang='a' xml:lang='b'/>",
            "<a xmlns:s='http://etherx.jabber.org/streams' s:b='' stream:b=''/>",
        ],
    );
    refused(
        MismatchedEndTag,
        &NotWellFormed,
        &[
            "<a></b>",
            "<a></A>",
            "<a></ab>",
            "<ab></a>",
            "<a><b></a>",
            "<a></a:b>",
            "</a>",
            "<a></ a>",
            "<p:a xmlns:p='u' xmlns:q='u'></q:a>",
            "</stream:streams>",
        ],
    );
    refused(
        CdataEndInText,
        &NotWellFormed,
        &["<a>]]></a>", "<a>x]]]></a>"],
    );
    refused(
        MalformedReference,
        &NotWellFormed,
        &[
            "<a>&</a>",
            "<a>& b;</a>",
            "<a b='&;'/>",
            "<a>&#;</a>",
            "<a>&#x;</a>",
            "<a>&#12a;</a>",
            "<a>&#X41;</a>",
            "<a>&#xD800;</a>",
            "<a>&#x110000;</a>",
            "<a>&#+65;</a>",
            "<a>&#000000000000000065;</a>",
            "<a>&amp</a>",
        ],
    );
    refused(
        IllegalCharacter,
        &NotWellFormed,
        &[
            "<a>\u{1}</a>",
            "<a b='\u{1F}'/>",
            "<a>\u{FFFE}</a>",
            "<a b='\u{FFFF}'/>",
            "<a>&#1;</a>",
            "<a b='&#xFFFE;'/>",
            "<a>&#0;</a>",
            "<a><![CDATA[\u{B}]]></a>",
            "<a>\u{0}</a>",
        ],
    );
    refused(
        UndeclaredPrefix,
        &NotWellFormed,
        &[
            "<p:a/>",
            "<a p:b=''/>",
            "<a><b xmlns:p='u'/><p:c/></a>",
            "<a xmlns:p='u'><q:b/></a>",
        ],
    );
    refused(EmptyNamespace, &NotWellFormed, &["<a xmlns:p=''/>"]);
    refused(
        ReservedNamespace,
        &NotWellFormed,
        &[
            "<a xmlns:xml='u'/>",
            "<a xmlns:xmlns='u'/>",
            "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
            "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
            "<xmlns:a/>",
            "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns:xml=''/>",
            "<a xmlns:p='http://www.w3.org/2000/&#120;mlns/'/>",
        ],
    );
}

#[test]
fn restricted() {
    use Reason::*;
    use StreamCondition::RestrictedXml;
    refused(
        Comment,
        &RestrictedXml,
        &["<!-- a -->", "<a><!-- b --></a>", "<a><!-"],
    );
    refused(
        DocumentType,
        &RestrictedXml,
        &["<!DOCTYPE a>", "<a><!ENTITY b 'c'></a>"],
    );
    refused(
        ProcessingInstruction,
        &RestrictedXml,
        &["<?xml version='1.0'?>", "<?php ?>", "<a><?b c?></a>"],
    );
    refused(
        Entity,
        &RestrictedXml,
        &[
            "<a>&nbsp;</a>",
            "<a b='&foo;'/>",
            "<a>&AMP;</a>",
            "<a>&a-very-long-entity-name;</a>",
        ],
    );
}

#[test]
fn text_between_stanzas_is_a_bad_format() {
    refused(
        Reason::TextOutsideStanza,
        &StreamCondition::BadFormat,
        &["hello", "<a/>hello", " &amp;", "<![CDATA[x]]>"],
    );
}

#[test]
fn bytes_that_are_not_utf8_are_an_unsupported_encoding() {
    assert_eq!(
        Reason::NotUtf8.condition(),
        StreamCondition::UnsupportedEncoding
    );
    for input in [
        &b"<a>\xFF</a>"[..],
        b"<a b='\xC3'/>",
        b"<a>\xE2\x82</a>",
        b"<a>\xC0\xAF</a>",
        b"<a>\xED\xA0\x80</a>",
        b"<a>\xF4\x90\x80\x80</a>",
        b"<a><![CDATA[\x80]]></a>",
        b"<\xC3\x28/>",
    ] {
        assert_eq!(verdict(input), Err(Reason::NotUtf8), "{input:?}");
    }
}

#[test]
fn well_formed_oddities_are_accepted() {
    for input in [
        "<a\n b = 'c'\t\r\nd=\"'\" ></a\n>",
        "<a><![CDATA[]]></a>",
        "<a><![CDATA[<&]]]]></a>",
        "<a>]] > ]]&gt;</a>",
        "<a b='>' c=\"'\" d='\"'/>",
        "<a>&#x10FFFF;&#xA;&#0065;</a>",
        "<a xmlns=''><b/></a>",
        "<a xmlns:p='u'><p:b p:c='' c=''/></a>",
        "<a xmlns:p='u'><b xmlns:p='v' p:c=''/><p:b/></a>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='e' lang='e'/>",
        "<a xmlns:xmlish='u' xmlish:b=''/>",
        "<xml:a/>",
        "<_-.9 ns='x'>\u{7F}\u{85}\u{A0}</_-.9>",
        "<stream:features/>",
        "<a>\u{D7FF}\u{E000}\u{FFFD}\u{10000}</a>",
    ] {
        assert_eq!(verdict(input), Ok(1), "{input}");
    }
}

#[test]
fn the_header_is_checked() {
    const STREAM: &str = "http://etherx.jabber.org/streams";
    let long = format!(
        "<s:stream xmlns:s='{STREAM}' xmlns='jabber:client'{}>",
        (0..16)
            .map(|n| format!(" xmlns:p{n}='u'"))
            .collect::<String>()
    );
    for (header, verdict) in [
        (
            format!("<stream:stream xmlns:stream='{STREAM}' xmlns='jabber:client'>"),
            Ok(1),
        ),
        (
            format!(
                "\u{FEFF}<?xml version='1.0' encoding='UTF-8'?>\n<a:stream xmlns='jabber:client' xmlns:a='{STREAM}'>"
            ),
            Ok(1),
        ),
        (
            format!("<stream:stream xmlns:stream='{STREAM}'>"),
            Err(Reason::ContentNamespace),
        ),
        (
            format!("<stream:stream xmlns:stream='{STREAM}' xmlns='jabber:server'>"),
            Err(Reason::ContentNamespace),
        ),
        (
            format!("<stream xmlns='{STREAM}'>"),
            Err(Reason::ContentNamespace),
        ),
        (
            format!("<stream:streams xmlns:stream='{STREAM}' xmlns='jabber:client'>"),
            Err(Reason::NotAStream),
        ),
        (
            format!("<stream:stream xmlns:stream='{STREAM}' xmlns='jabber:client'/>"),
            Err(Reason::NotAStream),
        ),
        (
            "<stream:stream xmlns:stream='urn:x' xmlns='jabber:client'>".to_owned(),
            Err(Reason::NotAStream),
        ),
        (
            "<stream:stream xmlns='jabber:client'>".to_owned(),
            Err(Reason::NotAStream),
        ),
        (
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            Err(Reason::TextOutsideStanza),
        ),
        (
            "<?xml version='1.0' encoding='UTF-16'?>".to_owned(),
            Err(Reason::Encoding),
        ),
        (
            " <?xml version='1.0'?>".to_owned(),
            Err(Reason::ProcessingInstruction),
        ),
        (
            "<?xml version='1.0'?><?xml version='1.0'?>".to_owned(),
            Err(Reason::ProcessingInstruction),
        ),
        (
            "<?xml version='1.0'?><!DOCTYPE a>".to_owned(),
            Err(Reason::DocumentType),
        ),
        ("</stream:stream>".to_owned(), Err(Reason::MismatchedEndTag)),
        (long, Err(Reason::TooManyNamespaces)),
    ] {
        let got = read(&mut Framer::new(Limits::default()), header.as_bytes());
        let got = got.map(|units| units.len()).map_err(|error| error.reason);
        assert_eq!(got, verdict, "{header}");
    }
    assert_eq!(
        Reason::ContentNamespace.condition(),
        StreamCondition::InvalidNamespace
    );
    assert_eq!(
        Reason::NotAStream.condition(),
        StreamCondition::InvalidNamespace
    );
}

#[test]
fn the_header_is_read() {
    let mut input = "<stream:stream from='a&amp;b@x' to='x' id='7' xml:lang='de' version='1.0' \
        type='ignored' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        .as_bytes();
    let mut framer = Framer::new(Limits::BEFORE_LOGIN);
    let Ok(Some(Unit::Header(header))) = framer.next(&mut input) else {
        panic!("no header");
    };
    assert_eq!(header.from.as_deref(), Some("a&b@x"));
    assert_eq!(header.to.as_deref(), Some("x"));
    assert_eq!(header.id.as_deref(), Some("7"));
    assert_eq!(header.lang.as_deref(), Some("de"));
    assert_eq!(header.version.as_deref(), Some("1.0"));
}

#[test]
fn a_stream_may_have_another_root_prefix_and_content_namespace() {
    let mut framer = Framer::for_namespace(Limits::default(), "jabber:server");
    let input = "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:server' \
        xmlns:db='jabber:server:dialback'><message/><db:result/></s:stream>";
    let units = read(&mut framer, input.as_bytes()).unwrap();
    assert_eq!(units[1..], ["<message/>", "<db:result/>", "end"]);
}

#[test]
fn nothing_comes_after_the_end() {
    let mut framer = opened();
    read(&mut framer, b"</stream:stream>").unwrap();
    let error = read(&mut framer, b"<a/>").unwrap_err();
    assert_eq!(error.reason, Reason::AfterEnd);
}

#[test]
fn an_error_is_final() {
    let mut framer = opened();
    let first = read(&mut framer, b"<a></b>").unwrap_err();
    assert_eq!(read(&mut framer, b"<a/>").unwrap_err(), first);
}

#[test]
fn a_restart_wants_a_new_header_and_tells_what_was_pipelined() {
    let mut framer = opened();
    assert_eq!(read(&mut framer, b"<presence>").unwrap(), [""; 0]);
    assert_eq!(framer.buffered(), 10);
    assert_eq!(framer.restart(), 10);
    assert_eq!(framer.buffered(), 0);
    assert_eq!(framer.restart(), 0);
    assert_eq!(read(&mut framer, HEADER.as_bytes()).unwrap().len(), 1);
}

#[test]
fn a_unit_that_was_handed_out_is_not_held() {
    let mut framer = opened();
    assert_eq!(read(&mut framer, b"<presence>").unwrap(), [""; 0]);
    assert_eq!(read(&mut framer, b"</presence><iq/>").unwrap().len(), 2);
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn limits_hold_at_their_value_and_not_one_below() {
    let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let attributes = |n: usize| {
        let all: String = (0..n).map(|n| format!(" a{n}=''")).collect();
        format!("<a{all}/>")
    };
    let named = |n: usize| format!("<{}/>", "a".repeat(n));
    let wide = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n - 1));
    let long = |n: usize| format!("<a>{}</a>", "b".repeat(n - 7));
    let declared = |n: usize| format!("{}{}", "<a xmlns='u'>".repeat(n), "</a>".repeat(n));
    let namespace = |n: usize| format!("<a xmlns='{}'/>", "u".repeat(n));
    let small = Limits {
        max_bytes: 1000,
        max_elements: 50,
        max_depth: 30,
        max_attributes: 40,
        max_namespaces: 20,
        max_name: 25,
    };
    let check = |accepted: String, refused: String, reason: Reason| {
        assert_eq!(reason.condition(), StreamCondition::PolicyViolation);
        let mut framer = opened();
        framer.set_limits(small);
        assert_eq!(read(&mut framer, accepted.as_bytes()).unwrap().len(), 1);
        let error = read(&mut framer, refused.as_bytes()).unwrap_err();
        assert_eq!(error.reason, reason);
    };
    check(nested(30), nested(31), Reason::TooDeep);
    check(attributes(40), attributes(41), Reason::TooManyAttributes);
    check(declared(20), declared(21), Reason::TooManyNamespaces);
    check(named(25), named(26), Reason::NameTooLong);
    check(namespace(25), namespace(26), Reason::NameTooLong);
    check(wide(50), wide(51), Reason::TooManyElements);
    check(long(1000), long(1001), Reason::TooLong);
}

#[test]
fn an_endless_stanza_is_refused_before_it_is_held() {
    let mut framer = opened();
    framer.set_limits(Limits::BEFORE_LOGIN);
    let piece = [b'a'; 999];
    assert_eq!(read(&mut framer, b"<a>").unwrap().len(), 0);
    let mut error = None;
    for _ in 0..11 {
        error = read(&mut framer, &piece).err();
        assert!(framer.buffered() <= Limits::BEFORE_LOGIN.max_bytes);
    }
    assert_eq!(error.unwrap().reason, Reason::TooLong);
}

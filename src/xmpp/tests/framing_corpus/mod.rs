//! Stanzas as clients send them, and a small deterministic source of chance.

#![allow(dead_code, reason = "each test binary uses its part")]

/// A stream header as most clients send it.
pub const HEADER: &str = "<?xml version='1.0'?><stream:stream to='example.org' version='1.0' \
    xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// A message between two clients, of 369 bytes.
pub const CHAT: &str = "<message to='juliet@example.org/balcony' id='7a3f1c9e-52d4-4f0b' \
    type='chat' xml:lang='en'><body>Wherefore art thou, my fair neighbour?!</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/>\
    <request xmlns='urn:xmpp:receipts'/>\
    <markable xmlns='urn:xmpp:chat-markers:0'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='7a3f1c9e-52d4-4f0b'/></message>";

/// A message encrypted for four devices, of about 1.5 KB.
pub fn encrypted() -> String {
    let keys: String = (0..4)
        .map(|n| {
            format!(
                "<key rid='{}'>{}</key>",
                1_093_846_114 + n,
                "MwohBQ".repeat(32)
            )
        })
        .collect();
    format!(
        "<message xmlns='jabber:client' to='juliet@example.org' type='chat' id='c1d7'>\
         <encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='27183'>{keys}\
         <iv>aGVsbG8gd29ybGQh</iv></header><payload>{}</payload></encrypted>\
         <encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' \
         name='OMEMO'/><store xmlns='urn:xmpp:hints'/>\
         <body>I sent you an OMEMO encrypted message</body></message>",
        "Zm9vYmFy".repeat(24)
    )
}

/// Stanzas of many kinds.
pub fn stanzas() -> Vec<String> {
    let mut all: Vec<String> = STANZAS.iter().map(|&s| s.to_owned()).collect();
    all.push(CHAT.to_owned());
    all.push(encrypted());
    all
}

const STANZAS: &[&str] = &[
    "<message to='romeo@example.org'><body>Hi</body></message>",
    "<message to='romeo@example.org'><body>First line,\r\n\tsecond line,\n\nlast line of some length.\n</body>\
     </message>",
    "<message id='m1' to='room@groups.example.org' type='groupchat'><body>Grüße an alle 👋 &amp; \
     「みんな」 &lt;3 &#x1F600;</body><thread parent=\"e0ff\">ejwoi</thread></message>",
    "<message type='error' to='a@b/c'><error type='cancel'><item-not-found \
     xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xml:lang='en' \
     xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>gone</text></error></message>",
    "<message from='a@b' to='c@d'><received xmlns='urn:xmpp:carbons:2'><forwarded \
     xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>\
     <message xmlns='jabber:client' from='x@y/z' to='c@d/e'><body>inner</body></message>\
     </forwarded></received></message>",
    "<message to='a@b'><x xmlns='jabber:x:oob'><url>https://up.example.org/a?b=1&amp;c=2</url></x>\
     <reactions xmlns='urn:xmpp:reactions:0' id='5'><reaction>👍</reaction></reactions></message>",
    "<message to='a@b'><html xmlns='http://jabber.org/protocol/xhtml-im'><body \
     xmlns='http://www.w3.org/1999/xhtml'><p style='font-weight:bold'>hi <em>you</em>!</p></body>\
     </html><body><![CDATA[a < b && c > d ]] ]]></body></message>",
    "<presence/>",
    "<presence id='p'><show>away</show><status xml:lang='cs'>Nejsem tu</status><priority>5\
     </priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://gajim.org' \
     ver='6+9v0p4n2zfI8rKT9CSqxUQ0xTs='/><x xmlns='vcard-temp:x:update'><photo/></x></presence>",
    "<presence to='room@groups.example.org/nick'><x xmlns='http://jabber.org/protocol/muc'>\
     <history maxstanzas='20'/></x></presence>",
    "<presence type='unavailable'\n\tto=\"a@b\" ></presence >",
    "<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver=''/></iq>",
    "<iq type='set' id='bind-1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>tab &apos;\
     one&apos;</resource></bind></iq>",
    "<iq type='result' id='a&quot;b' to='example.org'/>",
    "<iq type='set' id='m'><query xmlns='urn:xmpp:mam:2' queryid='f27'><x xmlns='jabber:x:data' \
     type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>\
     <field var='with'><value>juliet@capulet.lit</value></field></x><set \
     xmlns='http://jabber.org/protocol/rsm'><max>50</max></set></query></iq>",
    "<iq type='set' id='ps'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish \
     node='urn:xmpp:avatar:data'><item id='111f'><data xmlns='urn:xmpp:avatar:data'>qANQR1DBwU4DX7jm\
     </data></item></publish></pubsub></iq>",
    "<c:message xmlns:c='jabber:client' to='a@b' xmlns='urn:other'><c:body>prefixed</c:body><x \
     c:a='1' a='2'/></c:message>",
    "<message to='a@b' xmlns:x='urn:x' xmlns:y='urn:y'><x:e x:a='1' y:a='2' a='3'><y:f \
     xmlns:y='urn:z'/></x:e></message>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj11c2VyLHI9</auth>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    "<имя xmlns='urn:ж' ключ='значение'>текст</имя>",
];

/// A sequence of numbers that is the same in every run (SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of `items`, of which there is at least one.
    pub fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

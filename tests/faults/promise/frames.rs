//! Cuts the bytes of a stream where its parts end, without changing them: headers, stanzas, ends.
//! For streams of servers and clients that write well-formed XML without comments and sections.

/// The bytes of one direction of a stream.
#[derive(Default)]
pub struct Frames {
    rest: Vec<u8>,
}

impl Frames {
    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next whole part: a stream header, an element with all that is in it, or the end tag of
    /// the stream. White space between them goes with what follows.
    pub fn take(&mut self) -> Option<String> {
        let mut depth = 0;
        let mut at = 0;
        while let Some(tag) = next_tag(&self.rest[at..]) {
            at += tag.end;
            let text = &self.rest[at - tag.len..at];
            if text.starts_with(b"<?") {
                continue;
            }
            let is_of_stream =
                text.starts_with(b"<stream:stream") || text.starts_with(b"</stream:stream");
            if text.starts_with(b"</") {
                depth -= 1;
            } else if !text.ends_with(b"/>") {
                depth += 1;
            }
            if is_of_stream || depth == 0 {
                let part: Vec<u8> = self.rest.drain(..at).collect();
                return Some(String::from_utf8_lossy(&part).into_owned());
            }
        }
        None
    }
}

struct Tag {
    /// Where it ends, counted from the beginning of the search.
    end: usize,
    len: usize,
}

/// The next tag; a `>` in an attribute's value does not end it.
fn next_tag(bytes: &[u8]) -> Option<Tag> {
    let begin = bytes.iter().position(|byte| *byte == b'<')?;
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate().skip(begin) {
        match (quote, byte) {
            (Some(open), byte) if open == byte => quote = None,
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'>') => {
                let end = at + 1;
                return Some(Tag {
                    end,
                    len: end - begin,
                });
            }
            _ => {}
        }
    }
    None
}

/// The name of the part's element.
pub fn name(part: &str) -> &str {
    let tag = part.trim_start().trim_start_matches('<');
    tag.split([' ', '>', '/']).next().unwrap_or_default()
}

/// The value of an attribute of the part's start tag.
pub fn attribute<'a>(part: &'a str, name: &str) -> Option<&'a str> {
    let tag = part.split('>').next()?;
    let begin = tag.find(&format!(" {name}="))? + name.len() + 2;
    let quote = tag[begin..].chars().next()?;
    tag[begin + 1..].split(quote).next()
}

//! Finds the elements of a stream: where each begins and ends, and no more. The server under test
//! is trusted to send well-formed XML; the scanner must only cost less than the server does.

use std::ops::Range;

use memchr::{memchr, memchr3, memmem};

/// The largest element that a server may send, in bytes.
const MAX_ELEMENT: usize = 1 << 20;

/// What the scanner found; ranges are positions in the scanned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The start tag of the stream.
    Header(Range<usize>),
    /// A whole element one level below the stream.
    Element(Range<usize>),
    /// The end tag of the stream.
    End,
}

/// Why the bytes cannot be a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScanError {
    /// A declaration or a comment.
    #[error("the server sent a declaration or a comment")]
    Declaration,
    /// More than [`MAX_ELEMENT`].
    #[error("the server sent an element of more than {MAX_ELEMENT} bytes")]
    TooLarge,
}

/// A resumable scan: what was seen of an element is not looked at again when more has come.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    depth: usize,
    /// Where the current element begins.
    start: usize,
    /// Where the scan goes on.
    at: usize,
}

impl Scanner {
    /// Begins below a stream header that was never sent.
    pub(crate) fn enter(&mut self) {
        self.depth = 1;
    }

    /// The next token in `data`, or `None` if it is not complete. Between calls `data` may grow at
    /// its end; see [`Scanner::consume`] for what can be taken from its front.
    pub(crate) fn next(&mut self, data: &[u8]) -> Result<Option<Token>, ScanError> {
        loop {
            let Some(tag) = memchr(b'<', &data[self.at..]).map(|found| self.at + found) else {
                self.at = data.len();
                return self.incomplete(data);
            };
            self.at = tag;
            if self.depth <= 1 {
                self.start = tag;
            }
            let Some(end) = tag_end(data, tag)? else {
                return self.incomplete(data);
            };
            self.at = end;
            if let Some(token) = self.tag(&data[tag..end], tag) {
                return Ok(Some(token));
            }
        }
    }

    /// How many bytes at the front belong to tokens that were returned. The caller drops them, and
    /// goes on with the rest.
    pub(crate) fn consume(&mut self) -> usize {
        let whole = if self.depth <= 1 { self.at } else { self.start };
        self.at -= whole;
        self.start = 0;
        whole
    }

    fn tag(&mut self, tag: &[u8], at: usize) -> Option<Token> {
        match tag {
            [b'<', b'?' | b'!', ..] => None,
            [b'<', b'/', ..] => {
                self.depth = self.depth.saturating_sub(1);
                match self.depth {
                    0 => Some(Token::End),
                    1 => Some(Token::Element(self.start..self.at)),
                    _ => None,
                }
            }
            [.., b'/', b'>'] => (self.depth == 1).then_some(Token::Element(at..self.at)),
            _ => {
                self.depth += 1;
                (self.depth == 1).then_some(Token::Header(at..self.at))
            }
        }
    }

    fn incomplete(&self, data: &[u8]) -> Result<Option<Token>, ScanError> {
        let pending = data.len() - self.start.min(data.len());
        if self.depth > 0 && pending > MAX_ELEMENT {
            return Err(ScanError::TooLarge);
        }
        Ok(None)
    }
}

/// The end of the markup that begins at `tag`.
fn tag_end(data: &[u8], tag: usize) -> Result<Option<usize>, ScanError> {
    let rest = &data[tag..];
    let until = |end: &[u8]| memmem::find(rest, end).map(|found| tag + found + end.len());
    if rest.starts_with(b"<?") {
        return Ok(until(b"?>"));
    }
    if rest.starts_with(b"<![CDATA[") {
        return Ok(until(b"]]>"));
    }
    if rest.starts_with(b"<!") {
        let could_be_cdata = b"<![CDATA[".starts_with(rest);
        return if could_be_cdata {
            Ok(None)
        } else {
            Err(ScanError::Declaration)
        };
    }
    let mut at = tag + 1;
    while let Some(found) = memchr3(b'>', b'"', b'\'', &data[at..]) {
        let found = at + found;
        if data[found] == b'>' {
            return Ok(Some(found + 1));
        }
        let Some(quote) = memchr(data[found], &data[found + 1..]) else {
            return Ok(None);
        };
        at = found + 1 + quote + 1;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?><stream:stream id='a>b' to=\"it's\"> \
        <presence/><message id='1'><body>a &lt; b</body><x><y z='/>'/></x></message>\n\
        <iq><q><![CDATA[</iq>]]></q></iq></stream:stream>";

    fn texts(pieces: &[&[u8]]) -> Vec<String> {
        let (mut scanner, mut data, mut found) = (Scanner::default(), Vec::new(), Vec::new());
        for piece in pieces {
            data.extend_from_slice(piece);
            while let Some(token) = scanner.next(&data).unwrap() {
                found.push(match token {
                    Token::Header(_) => "header".to_owned(),
                    Token::Element(range) => String::from_utf8(data[range].to_vec()).unwrap(),
                    Token::End => "end".to_owned(),
                });
            }
            data.drain(..scanner.consume());
        }
        found
    }

    #[test]
    fn elements_are_found_whole() {
        let found = texts(&[STREAM.as_bytes()]);
        assert_eq!(found.len(), 5);
        assert_eq!(found[0], "header");
        assert_eq!(found[1], "<presence/>");
        assert!(found[2].starts_with("<message") && found[2].ends_with("</message>"));
        assert_eq!(found[3], "<iq><q><![CDATA[</iq>]]></q></iq>");
        assert_eq!(found[4], "end");
    }

    #[test]
    fn a_cut_changes_nothing() {
        let whole = texts(&[STREAM.as_bytes()]);
        for cut in 0..=STREAM.len() {
            let (front, back) = STREAM.as_bytes().split_at(cut);
            assert_eq!(texts(&[front, back]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(texts(&bytes), whole);
    }

    #[test]
    fn comments_are_refused() {
        let error = Scanner::default().next(b"<stream:stream><!-- no -->");
        assert_eq!(error, Ok(Some(Token::Header(0..15))));
        let mut scanner = Scanner::default();
        assert!(scanner.next(b"<s><!-- no -->").is_ok());
        assert_eq!(scanner.next(b"<s><!-- no -->"), Err(ScanError::Declaration));
    }

    #[test]
    fn an_endless_element_is_refused() {
        let mut data = b"<s><a>".to_vec();
        data.resize(MAX_ELEMENT + 100, b'x');
        let mut scanner = Scanner::default();
        assert_eq!(scanner.next(&data), Ok(Some(Token::Header(0..3))));
        assert_eq!(scanner.next(&data), Err(ScanError::TooLarge));
    }
}

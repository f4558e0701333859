//! The character classes of XML 1.0 (fifth edition), §2.2 and §2.3, and the check for UTF-8.

use super::Reason;

/// May stand in text as it is.
const TEXT: u8 = 1;
/// May stand in a quoted value, and stands for itself there.
const VALUE: u8 = 2;
/// May stand in a name after its first character. A byte beyond ASCII is looked at later.
const NAME: u8 = 4;
/// May start a name. A byte beyond ASCII is looked at later.
const NAME_START: u8 = 8;
/// White space.
const SPACE: u8 = 16;
/// May stand in a name, and is ASCII.
const PLAIN_NAME: u8 = 64;
/// May stand in a CDATA section as it is.
const CDATA: u8 = 32;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
            class |= SPACE | TEXT | CDATA;
        }
        if b >= 0x20 && b < 0x80 {
            if !matches!(b, b'<' | b'&' | b'>') {
                class |= TEXT;
            }
            if !matches!(b, b'<' | b'&' | b'\'' | b'"') {
                class |= VALUE;
            }
            if b != b'>' {
                class |= CDATA;
            }
        }
        if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 {
            class |= NAME_START | NAME;
        }
        if b.is_ascii_digit() || matches!(b, b'-' | b'.') {
            class |= NAME;
        }
        if b < 0x80 && class & NAME != 0 {
            class |= PLAIN_NAME;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// White space (XML 1.0, production `S`).
#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    is(byte, SPACE)
}

/// Whether a name without colon may start with this byte.
#[inline]
pub(super) fn is_name_start(byte: u8) -> bool {
    is(byte, NAME_START)
}

/// The first position from `at` whose byte does not belong to a name without colon.
#[inline]
pub(super) fn skip_name(bytes: &[u8], at: usize) -> usize {
    skip(bytes, at, NAME)
}

/// The same for a name of nothing but ASCII.
#[inline]
pub(super) fn skip_plain_name(bytes: &[u8], at: usize) -> usize {
    skip(bytes, at, PLAIN_NAME)
}

/// The first position from `at` that is not white space.
#[inline]
pub(super) fn skip_space(bytes: &[u8], at: usize) -> usize {
    skip(bytes, at, SPACE)
}

/// The first position from `at` whose byte needs a look in text.
#[inline]
pub(super) fn skip_text(bytes: &[u8], at: usize) -> usize {
    skip_run(bytes, at, TEXT, |b| {
        (b.wrapping_sub(0x20) >= 0x60) | (b == b'<') | (b == b'&') | (b == b'>')
    })
}

/// The first position from `at` whose byte needs a look in a quoted value.
#[inline]
pub(super) fn skip_value(bytes: &[u8], at: usize) -> usize {
    skip_run(bytes, at, VALUE, |b| {
        (b.wrapping_sub(0x20) >= 0x60) | (b == b'<') | (b == b'&') | (b == b'\'') | (b == b'"')
    })
}

/// The first position from `at` whose byte needs a look in a CDATA section.
#[inline]
pub(super) fn skip_cdata(bytes: &[u8], at: usize) -> usize {
    skip_run(bytes, at, CDATA, |b| {
        (b.wrapping_sub(0x20) >= 0x60) | (b == b'>')
    })
}

#[inline]
fn skip(bytes: &[u8], mut at: usize, class: u8) -> usize {
    while at < bytes.len() && is(bytes[at], class) {
        at += 1;
    }
    at
}

/// The same, sixteen bytes at a time as long as there are as many: what is done to each of them the
/// compiler turns into vector instructions.
#[inline]
fn skip_run(bytes: &[u8], mut at: usize, class: u8, stops: impl Fn(u8) -> bool) -> usize {
    while let Some(chunk) = bytes[at..].first_chunk::<16>() {
        let mut marks = [0; 16];
        for (mark, &byte) in marks.iter_mut().zip(chunk) {
            *mark = if stops(byte) { 0xFF } else { 0 };
        }
        let marks = u128::from_le_bytes(marks);
        if marks == 0 {
            at += 16;
            continue;
        }
        at += marks.trailing_zeros() as usize / 8;
        // White space stops along with the other control characters, and may stand in text.
        if !is(bytes[at], class) {
            return at;
        }
        at += 1;
    }
    skip(bytes, at, class)
}

/// Checks the bytes beyond ASCII that start at `at`. Returns where they end, or where the last
/// character begins if more bytes are needed to tell.
pub(super) fn check_wide(bytes: &[u8], at: usize) -> Result<usize, Reason> {
    let end = bytes[at..]
        .iter()
        .position(u8::is_ascii)
        .map_or(bytes.len(), |n| at + n);
    let (text, rest) = match std::str::from_utf8(&bytes[at..end]) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = &bytes[at..at + error.valid_up_to()];
            (std::str::from_utf8(valid).unwrap_or_default(), Some(error))
        }
    };
    if text.contains(['\u{FFFE}', '\u{FFFF}']) {
        return Err(Reason::IllegalCharacter);
    }
    match rest {
        // A sequence cut by an ASCII byte is cut for good.
        Some(error) if error.error_len().is_some() || end < bytes.len() => Err(Reason::NotUtf8),
        _ => Ok(at + text.len()),
    }
}

/// Whether the bytes are an `NCName` (Namespaces in XML, §3). Called where one is not plain ASCII.
pub(super) fn is_ncname(bytes: &[u8]) -> Result<bool, Reason> {
    let text = std::str::from_utf8(bytes).map_err(|_| Reason::NotUtf8)?;
    let mut characters = text.chars();
    let starts = characters.next().is_some_and(is_name_start_char);
    Ok(starts && characters.all(is_name_char))
}

/// Whether `name` is an `NCName`.
pub(crate) fn is_legal_name(name: &str) -> bool {
    is_ncname(name.as_bytes()) == Ok(true)
}

/// The production `NameStartChar` without the colon.
fn is_name_start_char(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// The production `NameChar` without the colon.
fn is_name_char(c: char) -> bool {
    is_name_start_char(c)
        || matches!(c,
            '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// The production `Char` of XML 1.0.
#[must_use]
pub fn is_char(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_xml_and_no_other_is_text() {
        for c in (0..=0x0010_FFFF).filter_map(char::from_u32) {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            if c.is_ascii() {
                let plain = skip_text(bytes, 0) == 1 || matches!(c, '<' | '&' | '>');
                assert_eq!(plain, is_char(c), "{c:?}");
            } else {
                assert_eq!(check_wide(bytes, 0).is_ok(), is_char(c), "{c:?}");
            }
        }
    }

    #[test]
    fn a_cut_sequence_waits_at_the_end_and_fails_before_ascii() {
        let bytes = "aé€𝄞".as_bytes();
        assert_eq!(check_wide(&bytes[..2], 1), Ok(1));
        assert_eq!(check_wide(&bytes[..5], 1), Ok(3));
        assert_eq!(check_wide(&bytes[..9], 1), Ok(6));
        assert_eq!(check_wide(bytes, 1), Ok(10));
        assert_eq!(check_wide(b"\xC3<", 0), Err(Reason::NotUtf8));
        assert_eq!(check_wide(b"\xC0\x80", 0), Err(Reason::NotUtf8));
        assert_eq!(check_wide(b"\xED\xA0\x80", 0), Err(Reason::NotUtf8));
    }

    #[test]
    fn long_runs_stop_at_the_first_special_byte() {
        for length in 0..70 {
            for special in [b'<', b'&', 0x01, 0xC3] {
                let mut bytes: Vec<u8> = b"abc d\te\nf\r\n"
                    .iter()
                    .copied()
                    .cycle()
                    .take(length)
                    .collect();
                bytes.push(special);
                bytes.extend([b'b'; 40]);
                assert_eq!(skip_text(&bytes, 0), length);
                let in_a_value = bytes
                    .iter()
                    .position(|b| matches!(b, b'\t' | b'\n' | b'\r'));
                assert_eq!(skip_value(&bytes, 0), in_a_value.unwrap_or(length));
                let mut plain = vec![b' '; length];
                plain.extend_from_slice(&bytes[length..]);
                assert_eq!(skip_value(&plain, 0), length);
            }
        }
    }
}

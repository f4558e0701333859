//! The states of the scanner outside of tags: text, references, CDATA sections.

use super::Reason;
use super::characters::{check_wide, is_char, is_name_start, skip_cdata, skip_text};
use super::scan::{Rules, Scanner, State, Step};
use super::value::resolve_reference;

/// The longest reference between `&` and `;`, in bytes.
const MAX_REFERENCE: usize = 16;
const CDATA_START: &[u8] = b"<![CDATA[";

impl Scanner {
    pub(super) fn content(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<Step, Reason> {
        loop {
            self.at = skip_text(bytes, self.at);
            let Some(&byte) = bytes.get(self.at) else {
                return Ok(Step::Wait(State::Content));
            };
            match byte {
                b'<' => {
                    self.mark = self.at;
                    self.at += 1;
                    return self.markup(bytes, rules);
                }
                b'&' => return Ok(self.begin_reference(State::Content)),
                // Nothing else that may stand before text ends in `]]`.
                b'>' if bytes[..self.at].ends_with(b"]]") => return Err(Reason::CdataEndInText),
                b'>' => self.at += 1,
                0x80.. => {
                    if !self.wide(bytes)? {
                        return Ok(Step::Wait(State::Content));
                    }
                }
                _ => return Err(Reason::IllegalCharacter),
            }
        }
    }

    /// Passes characters beyond ASCII. False if the last of them is not complete.
    pub(super) fn wide(&mut self, bytes: &[u8]) -> Result<bool, Reason> {
        self.at = check_wide(bytes, self.at)?;
        Ok(bytes.get(self.at).is_none_or(u8::is_ascii))
    }

    pub(super) fn begin_reference(&mut self, outer: State) -> Step {
        self.reference = self.at;
        self.outer = outer;
        self.at += 1;
        Step::Go(State::Reference)
    }

    pub(super) fn reference(&mut self, bytes: &[u8]) -> Result<Step, Reason> {
        let start = self.reference + 1;
        let window = &bytes[start..bytes.len().min(start + MAX_REFERENCE)];
        let is_numeric = window.first() == Some(&b'#');
        for (length, byte) in window.iter().enumerate() {
            match byte {
                b';' => {
                    check_reference(&window[..length])?;
                    self.at = start + length + 1;
                    return Ok(Step::Go(self.outer));
                }
                b'#' if length == 0 => {}
                b'0'..=b'9' | b'-' | b'.' | b':' if length > 0 => {}
                &b if is_name_start(b) => {}
                _ => return Err(Reason::MalformedReference),
            }
        }
        if window.len() < MAX_REFERENCE {
            return Ok(Step::Wait(State::Reference));
        }
        Err(if is_numeric {
            Reason::MalformedReference
        } else {
            Reason::Entity
        })
    }

    pub(super) fn declaration(&mut self, bytes: &[u8]) -> Result<Step, Reason> {
        let start = &bytes[self.mark..bytes.len().min(self.mark + CDATA_START.len())];
        if start == CDATA_START {
            if self.is_outside() {
                return Err(Reason::TextOutsideStanza);
            }
            self.at = self.mark + CDATA_START.len();
            return Ok(Step::Go(State::Cdata));
        }
        if CDATA_START.starts_with(start) {
            return Ok(Step::Wait(State::Declaration));
        }
        Err(match start.get(2) {
            Some(b'-') => Reason::Comment,
            Some(b'[') => Reason::MalformedTag,
            _ => Reason::DocumentType,
        })
    }

    pub(super) fn cdata(&mut self, bytes: &[u8]) -> Result<Step, Reason> {
        loop {
            self.at = skip_cdata(bytes, self.at);
            let Some(&byte) = bytes.get(self.at) else {
                return Ok(Step::Wait(State::Cdata));
            };
            match byte {
                // The start of the section does not end in `]`.
                b'>' if bytes[..self.at].ends_with(b"]]") => {
                    self.at += 1;
                    return Ok(Step::Go(State::Content));
                }
                b'>' => self.at += 1,
                0x80.. => {
                    if !self.wide(bytes)? {
                        return Ok(Step::Wait(State::Cdata));
                    }
                }
                _ => return Err(Reason::IllegalCharacter),
            }
        }
    }
}

/// The name between `&` and `;`.
fn check_reference(name: &[u8]) -> Result<(), Reason> {
    let text = std::str::from_utf8(name).unwrap_or_default();
    match resolve_reference(text) {
        Some(c) if is_char(c) => Ok(()),
        Some(_) => Err(Reason::IllegalCharacter),
        None if name.is_empty() || name[0] == b'#' => Err(Reason::MalformedReference),
        None => Err(Reason::Entity),
    }
}

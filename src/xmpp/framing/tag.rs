//! The states of the scanner inside of tags.

use super::Reason;
use super::characters::{
    is_name_start, is_ncname, skip_name, skip_plain_name, skip_space, skip_value,
};
use super::scan::{Finish, Rules, Scanner, State, Step};
use crate::stanza::Span;

impl Scanner {
    /// After `<`.
    pub(super) fn markup(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<Step, Reason> {
        let Some(&byte) = bytes.get(self.at) else {
            return Ok(Step::Wait(State::Markup));
        };
        match byte {
            b'/' => {
                self.at += 1;
                self.mark = self.at;
                self.end_name(bytes, rules)
            }
            b'!' => {
                self.at += 1;
                Ok(Step::Go(State::Declaration))
            }
            b'?' => Err(Reason::ProcessingInstruction),
            _ if is_name_start(byte) => self.start_tag(bytes, rules),
            _ => Err(Reason::MalformedTag),
        }
    }

    /// A start tag, from its name on. As nearly everybody writes it, it is read in one go; anything
    /// else the states take from where it begins.
    fn start_tag(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<Step, Reason> {
        let end = skip_plain_name(bytes, self.at);
        let name = Span::new(self.at, end);
        let is_plain = matches!(bytes.get(end), Some(b' ' | b'>' | b'/'));
        if !is_plain || name.len() > usize::from(rules.limits.max_name) {
            return Ok(self.begin_name(State::StartName));
        }
        self.at = end;
        self.open(name, 0, rules)?;
        self.in_tag(bytes, rules, false)
    }

    /// The attribute at hand in one go, if it is complete and plain: no prefix, no white space
    /// around `=`, no reference. False: it is left to the states.
    fn plain_attribute(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<bool, Reason> {
        let end = skip_plain_name(bytes, self.at);
        let Some(&[b'=', quote @ (b'\'' | b'"')]) = bytes[end..].first_chunk() else {
            return Ok(false);
        };
        let value = Span::new(end + 2, skip_value(bytes, end + 2));
        let name = Span::new(self.at, end);
        if bytes.get(value.end()) != Some(&quote) || name.len() > usize::from(rules.limits.max_name)
        {
            return Ok(false);
        }
        self.at = value.end() + 1;
        self.is_plain = true;
        self.push_attribute(bytes, name, 0, rules)?;
        self.end_attribute(bytes, value, rules)?;
        Ok(true)
    }

    pub(super) fn start_name(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<Step, Reason> {
        let Some((name, prefix_len)) = self.name(bytes, rules)? else {
            return Ok(Step::Wait(State::StartName));
        };
        if name.of(bytes).starts_with(b"xmlns:") {
            return Err(Reason::ReservedNamespace);
        }
        self.open(name, prefix_len, rules)?;
        Ok(Step::Go(State::InTag))
    }

    /// Between the name of a tag, its attributes and its end.
    pub(super) fn in_tag(
        &mut self,
        bytes: &[u8],
        rules: &Rules<'_>,
        mut is_spaced: bool,
    ) -> Result<Step, Reason> {
        loop {
            let start = self.at;
            self.at = skip_space(bytes, start);
            is_spaced |= self.at > start;
            let Some(&byte) = bytes.get(self.at) else {
                return Ok(Step::Wait(if is_spaced {
                    State::InTagSpaced
                } else {
                    State::InTag
                }));
            };
            match byte {
                b'>' => {
                    self.at += 1;
                    return self.end_start_tag(bytes, rules, false);
                }
                b'/' => {
                    self.at += 1;
                    return self.empty_tag_end(bytes, rules);
                }
                _ if !is_name_start(byte) => return Err(Reason::MalformedTag),
                _ if !is_spaced => return Err(Reason::NoSpaceBetweenAttributes),
                _ if self.plain_attribute(bytes, rules)? => is_spaced = false,
                _ => return Ok(self.begin_name(State::AttributeName)),
            }
        }
    }

    pub(super) fn attribute_name(
        &mut self,
        bytes: &[u8],
        rules: &Rules<'_>,
    ) -> Result<Step, Reason> {
        let Some((name, prefix_len)) = self.name(bytes, rules)? else {
            return Ok(Step::Wait(State::AttributeName));
        };
        self.push_attribute(bytes, name, prefix_len, rules)?;
        if let Some([b'=', quote @ (b'\'' | b'"')]) = bytes[self.at..].first_chunk() {
            // As nearly everybody writes it.
            self.at += 2;
            return Ok(self.begin_value(*quote));
        }
        Ok(Step::Go(State::Equals))
    }

    pub(super) fn equals(&mut self, bytes: &[u8]) -> Result<Step, Reason> {
        self.at = skip_space(bytes, self.at);
        match bytes.get(self.at) {
            None => Ok(Step::Wait(State::Equals)),
            Some(b'=') => {
                self.at += 1;
                Ok(Step::Go(State::Quote))
            }
            Some(_) => Err(Reason::MalformedTag),
        }
    }

    pub(super) fn open_quote(&mut self, bytes: &[u8]) -> Result<Step, Reason> {
        self.at = skip_space(bytes, self.at);
        match bytes.get(self.at) {
            None => Ok(Step::Wait(State::Quote)),
            Some(&quote @ (b'\'' | b'"')) => {
                self.at += 1;
                Ok(self.begin_value(quote))
            }
            Some(_) => Err(Reason::MalformedTag),
        }
    }

    pub(super) fn value(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<Step, Reason> {
        loop {
            self.at = skip_value(bytes, self.at);
            let Some(&byte) = bytes.get(self.at) else {
                return Ok(Step::Wait(State::Value));
            };
            match byte {
                _ if byte == self.quote => {
                    let value = Span::new(self.mark, self.at);
                    self.at += 1;
                    self.end_attribute(bytes, value, rules)?;
                    return Ok(Step::Go(State::InTag));
                }
                b'\'' | b'"' => self.at += 1,
                b'\t' | b'\n' | b'\r' => {
                    self.is_plain = false;
                    self.at += 1;
                }
                b'<' => return Err(Reason::LessThanInAttribute),
                b'&' => {
                    self.is_plain = false;
                    return Ok(self.begin_reference(State::Value));
                }
                0x80.. => {
                    if !self.wide(bytes)? {
                        return Ok(Step::Wait(State::Value));
                    }
                }
                _ => return Err(Reason::IllegalCharacter),
            }
        }
    }

    /// The `>` of `/>`.
    pub(super) fn empty_tag_end(
        &mut self,
        bytes: &[u8],
        rules: &Rules<'_>,
    ) -> Result<Step, Reason> {
        match bytes.get(self.at) {
            None => Ok(Step::Wait(State::EmptyTagEnd)),
            Some(b'>') => {
                self.at += 1;
                self.end_start_tag(bytes, rules, true)
            }
            Some(_) => Err(Reason::MalformedTag),
        }
    }

    /// The name after `</`: it has to be the one of the innermost element.
    pub(super) fn end_name(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<Step, Reason> {
        let expected = match self.innermost() {
            Some(open) => open.name().of(bytes),
            None => rules.root,
        };
        if self.at == self.mark && bytes[self.at..].starts_with(expected) {
            self.at += expected.len();
        }
        while let Some(&byte) = bytes.get(self.at) {
            let next = self.at - self.mark;
            if expected.get(next) == Some(&byte) {
                self.at += 1;
            } else if next == expected.len() && !is_name_start(byte) && byte != b':' {
                return self.end_tag_end(bytes);
            } else {
                return Err(Reason::MismatchedEndTag);
            }
        }
        Ok(Step::Wait(State::EndName))
    }

    pub(super) fn end_tag_end(&mut self, bytes: &[u8]) -> Result<Step, Reason> {
        self.at = skip_space(bytes, self.at);
        match bytes.get(self.at) {
            None => Ok(Step::Wait(State::EndTagEnd)),
            Some(b'>') => {
                self.at += 1;
                if self.is_outside() {
                    return Ok(Step::Done(Finish::End));
                }
                Ok(self.close())
            }
            Some(_) => Err(Reason::MalformedTag),
        }
    }

    fn begin_value(&mut self, quote: u8) -> Step {
        self.quote = quote;
        self.is_plain = true;
        self.mark = self.at;
        Step::Go(State::Value)
    }

    /// At a byte that may start a name.
    fn begin_name(&mut self, state: State) -> Step {
        self.mark = self.at;
        self.colon = 0;
        Step::Go(state)
    }

    /// A qualified name from `mark` on, with the length of its prefix. Nothing if its end has not
    /// come.
    fn name(&mut self, bytes: &[u8], rules: &Rules<'_>) -> Result<Option<(Span, u16)>, Reason> {
        loop {
            self.at = skip_name(bytes, self.at);
            match bytes.get(self.at) {
                None => return Ok(None),
                Some(b':') if self.colon == 0 => {
                    self.colon = self.at;
                    self.at += 1;
                }
                Some(b':') => return Err(Reason::MalformedName),
                Some(_) => break,
            }
        }
        let name = Span::new(self.mark, self.at);
        if name.len() > usize::from(rules.limits.max_name) {
            return Err(Reason::NameTooLong);
        }
        if self.colon == 0 {
            let text = name.of(bytes);
            if !text.is_ascii() && !is_ncname(text)? {
                return Err(Reason::MalformedName);
            }
            return Ok(Some((name, 0)));
        }
        let prefix_len = self.colon - self.mark;
        check_part(&name.of(bytes)[..prefix_len])?;
        check_part(&name.of(bytes)[prefix_len + 1..])?;
        Ok(Some((name, prefix_len as u16)))
    }
}

/// One side of a qualified name. Its bytes are those of a name already, if it is ASCII.
#[inline]
fn check_part(part: &[u8]) -> Result<(), Reason> {
    let starts = part.first().is_some_and(|&byte| is_name_start(byte));
    if !starts || (!part.is_ascii() && !is_ncname(part)?) {
        return Err(Reason::MalformedName);
    }
    Ok(())
}

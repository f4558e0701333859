//! A field of a form (§3.2, §3.3).

use minidom::Element;
use waxwing_xmpp::StanzaError;
use waxwing_xmpp::builder::With;

use super::{MAX_BYTES, MAX_VALUES, NS, malformed};

/// The type of a field (§3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Yes or no.
    Boolean,
    /// A text to be read alone.
    Fixed,
    /// To be given back as it is.
    Hidden,
    /// Addresses.
    JidMulti,
    /// An address.
    JidSingle,
    /// Some of the options.
    ListMulti,
    /// One of the options.
    ListSingle,
    /// Lines.
    TextMulti,
    /// A line that is not to be shown.
    TextPrivate,
    /// A line.
    TextSingle,
}

impl FieldKind {
    pub(super) const ALL: [(FieldKind, &'static str); 10] = [
        (FieldKind::Boolean, "boolean"),
        (FieldKind::Fixed, "fixed"),
        (FieldKind::Hidden, "hidden"),
        (FieldKind::JidMulti, "jid-multi"),
        (FieldKind::JidSingle, "jid-single"),
        (FieldKind::ListMulti, "list-multi"),
        (FieldKind::ListSingle, "list-single"),
        (FieldKind::TextMulti, "text-multi"),
        (FieldKind::TextPrivate, "text-private"),
        (FieldKind::TextSingle, "text-single"),
    ];

    fn as_str(self) -> &'static str {
        let found = FieldKind::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or("text-single", |(_, name)| name)
    }

    /// A type that nobody knows is a line (§3.3).
    fn from_name(name: &str) -> FieldKind {
        let found = FieldKind::ALL.iter().find(|(_, known)| *known == name);
        found.map_or(FieldKind::TextSingle, |(kind, _)| *kind)
    }

    /// Whether there may be more than one value (§3.2).
    pub(super) fn is_multi(self) -> bool {
        use FieldKind::{Hidden, JidMulti, ListMulti, TextMulti};
        matches!(self, Hidden | JidMulti | ListMulti | TextMulti)
    }
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; empty: a fixed text without one.
    pub var: String,
    /// Its type; `None`: not said, as it may be in what is submitted or told.
    pub kind: Option<FieldKind>,
    /// Its name for people; empty: none.
    pub label: String,
    /// Its values as they stand.
    pub values: Vec<String>,
    /// What can be chosen: values, each with its name for people.
    pub options: Vec<(String, String)>,
    /// Whether it has to be filled in.
    pub is_required: bool,
}

impl Field {
    /// A field without values.
    #[must_use]
    pub fn new(var: &str, kind: FieldKind) -> Field {
        Field {
            var: var.to_owned(),
            kind: Some(kind),
            label: String::new(),
            values: Vec::new(),
            options: Vec::new(),
            is_required: false,
        }
    }

    /// The same with a name for people.
    #[must_use]
    pub fn label(mut self, label: &str) -> Field {
        label.clone_into(&mut self.label);
        self
    }

    /// The same with one more value.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Field {
        self.values.push(value.into());
        self
    }

    /// The same with more values.
    #[must_use]
    pub fn values<T: Into<String>>(mut self, values: impl IntoIterator<Item = T>) -> Field {
        self.values.extend(values.into_iter().map(Into::into));
        self
    }

    /// The same with one more option: its value and its name for people.
    #[must_use]
    pub fn option(mut self, value: impl Into<String>, label: impl Into<String>) -> Field {
        self.options.push((value.into(), label.into()));
        self
    }

    /// The same, that has to be filled in.
    #[must_use]
    pub fn required(mut self) -> Field {
        self.is_required = true;
        self
    }

    /// The value as a boolean, as XML Schema writes them; `None`: it is none.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.values.first().map(|value| value.trim()) {
            Some("1" | "true") => Some(true),
            Some("0" | "false") => Some(false),
            _ => None,
        }
    }

    pub(super) fn to_element(&self) -> Element {
        let mut field = Element::builder("field", NS);
        if !self.var.is_empty() {
            field = field.with("var", &self.var);
        }
        if let Some(kind) = self.kind {
            field = field.with("type", kind.as_str());
        }
        if !self.label.is_empty() {
            field = field.with("label", &self.label);
        }
        if self.is_required {
            field = field.append(Element::bare("required", NS));
        }
        let options = self.options.iter().map(|(option, label)| {
            Element::builder("option", NS)
                .with("label", label)
                .append(value(option))
                .build()
        });
        let values = self.values.iter().map(|text| value(text));
        field.append_all(values).append_all(options).build()
    }

    /// `spent`: values and bytes so far.
    pub(super) fn parse(
        element: &Element,
        spent: &mut (usize, usize),
    ) -> Result<Field, StanzaError> {
        let kind = element.attr("type").map(FieldKind::from_name);
        let mut field = Field {
            var: element.attr("var").unwrap_or_default().to_owned(),
            kind,
            label: element.attr("label").unwrap_or_default().to_owned(),
            values: Vec::new(),
            options: Vec::new(),
            is_required: element.has_child("required", NS),
        };
        if field.var.is_empty() && kind != Some(FieldKind::Fixed) {
            return Err(malformed("a field has no name"));
        }
        for child in element.children().filter(|child| child.has_ns(NS)) {
            match child.name() {
                "value" => field.values.push(child.text()),
                "option" => {
                    let value = child.get_child("value", NS).map(Element::text);
                    let value = value.ok_or_else(|| malformed("an option has no value"))?;
                    let label = child.attr("label").unwrap_or_default().to_owned();
                    spent.1 += value.len() + label.len();
                    field.options.push((value, label));
                }
                _ => {}
            }
        }
        let values = field.values.iter().map(String::len);
        spent.0 += field.values.len() + field.options.len();
        spent.1 += field.var.len() + field.label.len() + values.sum::<usize>();
        if spent.0 > MAX_VALUES || spent.1 > MAX_BYTES {
            return Err(malformed("the form is too long"));
        }
        if field.values.len() > 1 && kind.is_some_and(|kind| !kind.is_multi()) {
            return Err(malformed("a field has more than one value"));
        }
        Ok(field)
    }
}

fn value(text: &str) -> Element {
    Element::builder("value", NS).append(text).build()
}

//! XEP-0004: Data Forms (version 2.13.2)
//!
//! Supported: forms of every type with their fields, titles and instructions. Tables of results are
//! written, not read, and what is shown beside a field (`<desc/>`) neither.

mod field;

use minidom::Element;
use waxwing_xmpp::StanzaError;
use waxwing_xmpp::builder::With;

pub use field::{Field, FieldKind};

/// The namespace of forms.
pub const NS: &str = "jabber:x:data";

/// Fields of a form that is read; more is `bad-request`.
pub const MAX_FIELDS: usize = 128;
/// Values and options of all fields together; more is `bad-request`.
pub const MAX_VALUES: usize = 1024;
/// Bytes of all texts together; more is `bad-request`.
pub const MAX_BYTES: usize = 128 * 1024;

/// What a form is for (§3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    /// To be filled in.
    Form,
    /// Filled in.
    Submit,
    /// Not to be filled in after all.
    Cancel,
    /// What is told.
    Result,
}

impl FormKind {
    const ALL: [(FormKind, &'static str); 4] = [
        (FormKind::Form, "form"),
        (FormKind::Submit, "submit"),
        (FormKind::Cancel, "cancel"),
        (FormKind::Result, "result"),
    ];

    fn as_str(self) -> &'static str {
        let found = FormKind::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or("form", |(_, name)| name)
    }
}

/// A form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// What it is for.
    pub kind: FormKind,
    /// What it is about: the value of the field `FORM_TYPE` (XEP-0068), which is not among the
    /// fields.
    pub form_type: Option<String>,
    /// Its title; empty: none.
    pub title: String,
    /// What is to be done with it, in lines; empty: nothing is said.
    pub instructions: String,
    /// Its fields in their order, each name once.
    pub fields: Vec<Field>,
}

const FORM_TYPE: &str = "FORM_TYPE";

impl Form {
    /// A form without fields.
    #[must_use]
    pub fn new(kind: FormKind, form_type: &str) -> Form {
        Form {
            kind,
            form_type: Some(form_type.to_owned()),
            title: String::new(),
            instructions: String::new(),
            fields: Vec::new(),
        }
    }

    /// The same with a title and what is to be done.
    #[must_use]
    pub fn titled(mut self, title: &str, instructions: &str) -> Form {
        title.clone_into(&mut self.title);
        instructions.clone_into(&mut self.instructions);
        self
    }

    /// The same with one more field.
    #[must_use]
    pub fn field(mut self, field: Field) -> Form {
        self.fields.push(field);
        self
    }

    /// Reads `<x xmlns='jabber:x:data'/>`.
    ///
    /// # Errors
    /// `bad-request` if it is no form, or goes beyond what is read.
    pub fn parse(x: &Element) -> Result<Form, StanzaError> {
        let kind = x.attr("type").unwrap_or_default();
        let kind = FormKind::ALL.iter().find(|(_, name)| *name == kind);
        let Some((kind, _)) = kind.filter(|_| x.is("x", NS)) else {
            return Err(malformed("a form has to be form, submit, cancel or result"));
        };
        let text = |name: &str| {
            let texts = x.children().filter(|child| child.is(name, NS));
            texts.map(Element::text).collect::<Vec<_>>().join("\n")
        };
        let mut form = Form {
            kind: *kind,
            form_type: None,
            title: text("title"),
            instructions: text("instructions"),
            fields: Vec::new(),
        };
        let mut spent = (0, form.title.len() + form.instructions.len());
        for element in x.children().filter(|child| child.is("field", NS)) {
            let mut field = Field::parse(element, &mut spent)?;
            let is_type = field.var == FORM_TYPE;
            let is_twice = form.get(&field.var).is_some() || is_type && form.form_type.is_some();
            if is_twice && !field.var.is_empty() {
                return Err(malformed("a field is there twice"));
            }
            if form.fields.len() == MAX_FIELDS {
                return Err(malformed("the form has too many fields"));
            }
            if !is_type {
                form.fields.push(field);
            } else if field.values.len() == 1 {
                form.form_type = field.values.pop();
            } else {
                return Err(malformed("FORM_TYPE has to have one value"));
            }
        }
        Ok(form)
    }

    /// The form in an element, of this `FORM_TYPE`; `None`: there is none.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn find(parent: &Element, form_type: &str) -> Result<Option<Form>, StanzaError> {
        for x in parent.children().filter(|child| child.is("x", NS)) {
            let form = Form::parse(x)?;
            if form.form_type.as_deref() == Some(form_type) {
                return Ok(Some(form));
            }
        }
        Ok(None)
    }

    /// The answer in an element to a form of this `FORM_TYPE`; `None`: there is none, or it was
    /// cancelled, which says nothing.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); `bad-request` if the form is not submitted.
    pub fn submitted(parent: &Element, form_type: &str) -> Result<Option<Form>, StanzaError> {
        let Some(form) = Form::find(parent, form_type)? else {
            return Ok(None);
        };
        match form.kind {
            FormKind::Submit => Ok(Some(form)),
            FormKind::Cancel => Ok(None),
            FormKind::Form | FormKind::Result => {
                Err(StanzaError::bad_request().with_text("the form is not submitted"))
            }
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn get(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var == var)
    }

    /// The first value of a field; `None`: it is not there or has none.
    #[must_use]
    pub fn value(&self, var: &str) -> Option<&str> {
        self.values(var).first().map(String::as_str)
    }

    /// The values of a field; none where it is not there.
    #[must_use]
    pub fn values(&self, var: &str) -> &[String] {
        self.get(var).map_or(&[], |field| &field.values)
    }

    /// The value of a field as a boolean; `None`: it is not there.
    ///
    /// # Errors
    /// `not-acceptable` with the name of the field if it is there and is none.
    pub fn bool(&self, var: &str) -> Result<Option<bool>, StanzaError> {
        let Some(field) = self.get(var) else {
            return Ok(None);
        };
        let wrong = || StanzaError::not_acceptable().with_text(format!("{var} is no boolean"));
        field.as_bool().map(Some).ok_or_else(wrong)
    }

    /// The `<x/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut x = Element::builder("x", NS).with("type", self.kind.as_str());
        let text = |name: &str, text: &str| Element::builder(name, NS).append(text).build();
        if !self.title.is_empty() {
            x = x.append(text("title", &self.title));
        }
        let lines = self.instructions.lines();
        x = x.append_all(lines.map(|line| text("instructions", line)));
        if let Some(form_type) = &self.form_type {
            let field = Field::new(FORM_TYPE, FieldKind::Hidden).value(form_type.as_str());
            x = x.append(field.to_element());
        }
        x.append_all(self.fields.iter().map(Field::to_element))
            .build()
    }
}

/// A table of results (§3.4) with that title: the names of its columns, and for each row a value
/// for each of them.
#[must_use]
pub fn table<const N: usize>(title: &str, columns: [&str; N], rows: &[[&str; N]]) -> Element {
    let field = |column: &str| Element::builder("field", NS).with("var", column);
    let heads = columns.iter().map(|column| field(column).build());
    let rows = rows.iter().map(|row| {
        let cells = columns.iter().zip(row);
        let cells = cells.map(|(column, cell)| {
            let value = Element::builder("value", NS).append(*cell).build();
            field(column).append(value).build()
        });
        Element::builder("item", NS).append_all(cells).build()
    });
    Element::builder("x", NS)
        .with("type", FormKind::Result.as_str())
        .append(Element::builder("title", NS).append(title).build())
        .append(Element::builder("reported", NS).append_all(heads).build())
        .append_all(rows)
        .build()
}

fn malformed(why: &'static str) -> StanzaError {
    StanzaError::bad_request().with_text(why)
}

#[cfg(test)]
mod tests;

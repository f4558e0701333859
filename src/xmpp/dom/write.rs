//! From a DOM to XML text that stands on its own in a `jabber:client` stream.

use minidom::rxml::Namespace;
use minidom::{Element, Node};

use super::{escape_attr, escape_text};
use crate::framing::MAX_DEPTH;
use crate::framing::characters::is_legal_name;
use crate::ns;

/// The element as XML. What is in `jabber:client` needs no declaration, and a root in the streams
/// namespace is written with the prefix `stream`, as both are declared on every stream.
///
/// The result is always well-formed: characters that XML cannot carry become U+FFFD, a name that
/// is none becomes `invalid`, and what is nested too deeply is left out.
#[must_use]
pub fn serialize(element: &Element) -> String {
    let mut writer = Writer {
        out: String::with_capacity(256),
        prefixes: Vec::new(),
        depth: 0,
    };
    let prefix = if element.has_ns(ns::STREAM) {
        "stream:"
    } else {
        ""
    };
    writer.element(element, prefix, ns::CLIENT);
    writer.out
}

struct Writer<'a> {
    out: String,
    /// The namespaces of attributes that are declared here: `ns0`, `ns1` and so on.
    prefixes: Vec<&'a Namespace<'static>>,
    depth: u16,
}

impl<'a> Writer<'a> {
    /// Appends `element`, where `default` is the default namespace. With a prefix the element needs
    /// no declaration.
    fn element(&mut self, element: &'a Element, prefix: &str, default: &str) {
        let declared = self.prefixes.len();
        let name = legal(element.name());
        self.out.push('<');
        self.out.push_str(prefix);
        self.out.push_str(name);
        let own;
        let mut inner = default;
        if prefix.is_empty() && !element.has_ns(default) {
            own = element.ns();
            inner = &own;
            self.attribute("xmlns", inner);
        }
        self.attributes(element);
        self.depth += 1;
        if element.nodes().next().is_none() {
            self.out.push_str("/>");
        } else {
            self.out.push('>');
            self.nodes(element, inner);
            self.out.push_str("</");
            self.out.push_str(prefix);
            self.out.push_str(name);
            self.out.push('>');
        }
        self.depth -= 1;
        self.prefixes.truncate(declared);
    }

    fn nodes(&mut self, element: &'a Element, default: &str) {
        for node in element.nodes() {
            match node {
                Node::Text(text) => self.out.push_str(&escape_text(text)),
                Node::Element(child) if self.depth < MAX_DEPTH => self.element(child, "", default),
                Node::Element(_) => {}
            }
        }
    }

    fn attributes(&mut self, element: &'a Element) {
        for ((namespace, name), value) in element.attrs() {
            let name = legal(name);
            if *namespace == Namespace::NONE {
                self.attribute(name, value);
            } else if *namespace == Namespace::XML {
                self.attribute(&format!("xml:{name}"), value);
            } else {
                let prefix = self.prefix(namespace);
                self.attribute(&format!("ns{prefix}:{name}"), value);
            }
        }
    }

    /// The number of the prefix of a namespace, which is declared if it was not yet.
    fn prefix(&mut self, namespace: &'a Namespace<'static>) -> usize {
        let known = self.prefixes.iter().position(|known| *known == namespace);
        known.unwrap_or_else(|| {
            let number = self.prefixes.len();
            self.prefixes.push(namespace);
            self.attribute(&format!("xmlns:ns{number}"), namespace.as_str());
            number
        })
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("='");
        self.out.push_str(&escape_attr(value));
        self.out.push('\'');
    }
}

fn legal(name: &str) -> &str {
    if is_legal_name(name) { name } else { "invalid" }
}

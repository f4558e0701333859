//! From a DOM to XML text that stands on its own in a `jabber:client` stream.

use minidom::rxml::Namespace;
use minidom::{Element, Node};

use super::{MAX_DEPTH, escape_attr, escape_text};
use crate::framing::characters::is_legal_name;
use crate::ns;

/// The element as XML. What is in `jabber:client` needs no declaration, and a root in the streams
/// namespace is written with the prefix `stream`, as both are declared on every stream.
///
/// The result is always well-formed: characters that XML cannot carry become U+FFFD, a name that
/// is none becomes `invalid`, and what is nested too deeply is left out.
#[must_use]
pub fn serialize(element: &Element) -> String {
    let mut out = String::with_capacity(256);
    if element.has_ns(ns::STREAM) {
        write(&mut out, element, "stream:", ns::CLIENT, 1);
    } else {
        write(&mut out, element, "", ns::CLIENT, 1);
    }
    out
}

/// Appends `element`, where `default` is the default namespace. With a prefix the element needs no
/// declaration.
fn write(out: &mut String, element: &Element, prefix: &str, default: &str, depth: usize) {
    let name = legal(element.name());
    out.push('<');
    out.push_str(prefix);
    out.push_str(name);
    let own;
    let mut inner = default;
    if prefix.is_empty() && !element.has_ns(default) {
        own = element.ns();
        inner = &own;
        push_attribute(out, "xmlns", inner);
    }
    write_attributes(out, element);
    let mut nodes = element.nodes().peekable();
    if nodes.peek().is_none() || depth >= MAX_DEPTH {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in nodes {
        match node {
            Node::Element(child) => write(out, child, "", inner, depth + 1),
            Node::Text(text) => out.push_str(&escape_text(text)),
        }
    }
    out.push_str("</");
    out.push_str(prefix);
    out.push_str(name);
    out.push('>');
}

fn write_attributes(out: &mut String, element: &Element) {
    let mut declared = 0;
    for ((namespace, name), value) in element.attrs() {
        let name = legal(name);
        if *namespace == Namespace::NONE {
            push_attribute(out, name, value);
        } else if *namespace == Namespace::XML {
            push_attribute(out, &format!("xml:{name}"), value);
        } else {
            declared += 1;
            push_attribute(out, &format!("xmlns:ns{declared}"), namespace.as_str());
            push_attribute(out, &format!("ns{declared}:{name}"), value);
        }
    }
}

fn push_attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    out.push_str(&escape_attr(value));
    out.push('\'');
}

fn legal(name: &str) -> &str {
    if is_legal_name(name) { name } else { "invalid" }
}

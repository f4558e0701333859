//! A shorter way to build elements.

use minidom::element::ElementBuilder;
use minidom::rxml::NcName;

/// Attributes by literal names.
pub trait With {
    /// Sets an attribute without a namespace. The name is a literal of this program.
    #[must_use]
    fn with(self, name: &'static str, value: impl AsRef<str>) -> Self;
}

impl With for ElementBuilder {
    fn with(self, name: &'static str, value: impl AsRef<str>) -> Self {
        let name = NcName::try_from(name).expect("a literal is a name");
        self.attr(name, value.as_ref())
    }
}

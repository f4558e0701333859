//! What a configuration key is: its name, text, kind and bounds.
//!
//! The types in [`super`] are written with [`settings!`], which makes from one declaration the
//! field, its default and its [`Key`]. Everything else (unknown keys, type errors, bounds, the
//! environment variables, the differences at a reload, the text of `config.toml`) is driven by
//! these keys.

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// The table it stands in; empty for the keys before the first table.
    pub section: &'static str,
    /// Its name within the section.
    pub name: &'static str,
    /// Its text, line by line, each with the leading blank of a doc comment.
    pub doc: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// When a new value takes effect.
    pub change: Change,
}

impl Key {
    /// The full name: `listen.c2s`, or `domain`.
    pub fn path(&self) -> String {
        if self.section.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.section, self.name)
        }
    }

    /// The environment variable that overrides it: `WAXWING_LISTEN_C2S`.
    pub fn variable(&self) -> String {
        format!(
            "{VARIABLE_PREFIX}{}",
            self.path().replace('.', "_").to_uppercase()
        )
    }
}

/// What every environment variable of the configuration begins with.
pub const VARIABLE_PREFIX: &str = "WAXWING_";

/// A table of the configuration with its keys.
#[derive(Debug)]
pub struct Section {
    /// Its name; empty for the keys before the first table.
    pub name: &'static str,
    /// Its text.
    pub doc: &'static [&'static str],
    /// Its keys in the order of the file.
    pub keys: &'static [Key],
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At the next reload (SIGHUP).
    Reload,
    /// At the next start.
    Restart,
}

/// The values that a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// An integer within bounds, both inclusive.
    Integer(i64, i64),
    /// A string.
    Text(Form),
    /// A list of strings.
    List(Form),
}

/// The form of a string.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A socket address, `ADDRESS:PORT`, IPv6 in brackets.
    Address,
    /// A bare JID with a local part.
    BareJid,
    /// A domain name.
    Domain,
    /// A domain name, or empty.
    OptionalDomain,
    /// A log filter: a level, or a comma-separated list of levels and `target=level`.
    LogFilter,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A path; relative to the directory of the configuration file.
    Path,
    /// A path, or empty.
    OptionalPath,
    /// A URI with its scheme.
    Uri,
}

/// Declares a section of the configuration: a struct with its defaults and its [`Section`].
///
/// Each line reads `name: type = default, kind, change;`. The doc comment of a line is both the
/// documentation of the field and the text of the key in `config.toml`.
macro_rules! settings {
    (
        $(#[doc = $about:literal])*
        $name:ident [$section:literal] {
            $(
                $(#[doc = $doc:literal])*
                $(#[serde($($serde:tt)*)])?
                $key:ident: $type:ty = $default:expr, $kind:expr, $change:ident;
            )*
        }
        $(tables { $($table:ident: $table_type:ty),* $(,)? })?
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])*
                $(#[serde($($serde)*)])?
                pub $key: $type,
            )*
            $($(
                #[doc = concat!("The table `[", stringify!($table), "]`.")]
                pub $table: $table_type,
            )*)?
        }

        impl $name {
            /// The keys of this section.
            pub const SECTION: Section = Section {
                name: $section,
                doc: &[$($about),*],
                keys: &[$(Key {
                    section: $section,
                    name: stringify!($key),
                    doc: &[$($doc),*],
                    kind: $kind,
                    change: Change::$change,
                }),*],
            };
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($key: $default,)*
                    $($($table: Default::default(),)*)?
                }
            }
        }
    };
}

pub(super) use settings;

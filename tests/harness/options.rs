//! The config of a server for tests.

use std::collections::BTreeMap;

/// Settings that differ from those of a server for tests.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    settings: BTreeMap<String, String>,
    /// The size of the file system under its data, if that is to be bounded.
    pub disk_megabytes: Option<u32>,
}

impl ServerOptions {
    /// Free ports on loopback, open registration.
    pub fn new() -> Self {
        let defaults = [
            ("data", "\"data\""),
            ("listen.c2s", "[\"127.0.0.1:0\"]"),
            ("listen.c2s_tls", "[\"127.0.0.1:0\"]"),
            ("registration.mode", "\"open\""),
        ];
        let settings = defaults
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        ServerOptions {
            settings: settings.collect(),
            disk_megabytes: None,
        }
    }

    /// Sets a key of the config file, such as `limits.stanza_bytes`, to a TOML value.
    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    /// Puts the data on a file system of that size, in a mount namespace of the server's own.
    pub fn disk_megabytes(mut self, size: u32) -> Self {
        self.disk_megabytes = Some(size);
        self
    }

    /// The config file.
    pub fn toml(&self) -> String {
        let mut sections = BTreeMap::<&str, String>::new();
        for (key, value) in &self.settings {
            let (section, key) = key.rsplit_once('.').unwrap_or(("", key));
            sections
                .entry(section)
                .or_default()
                .push_str(&format!("{key} = {value}\n"));
        }
        let write = |(section, keys): (&&str, &String)| match *section {
            "" => keys.clone(),
            _ => format!("[{section}]\n{keys}"),
        };
        sections.iter().map(write).collect()
    }
}

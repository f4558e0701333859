//! The command line: what can be asked of `waxwing`.
//!
//! Only the language is here, with exit code 2 for what is not in it; [`crate::commands`] carries
//! the commands out.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use waxwing_xmpp::Jid;

/// The longest line that is read as a password, in bytes.
const MAX_PASSWORD_BYTES: u64 = 1024;

/// The longest id of a message that is looked for, in bytes.
const MAX_ID_BYTES: usize = 1024;

/// An XMPP server that does not lose what it has acknowledged.
#[derive(Debug, Parser)]
#[command(name = "waxwing", version, about)]
pub struct Cli {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "config.toml"
    )]
    pub config: PathBuf,

    /// What to do; without it, serve.
    #[command(subcommand)]
    command: Option<Command>,
}

impl Cli {
    /// What to do.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve)
    }
}

/// What `waxwing` can do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server, logging to standard error.
    Serve,
    /// Report everything that is wrong with the configuration.
    Check,
    /// Manage accounts.
    #[command(subcommand)]
    User(UserCommand),
    /// Show sessions, queues, storage and the certificate.
    Status,
    /// Tell what became of a message, without its content.
    Trace {
        /// Its id: the one that the server gave it (XEP-0359 stanza-id), or its sender's.
        #[arg(value_parser = message_id)]
        id: String,
    },
    /// List the extensions with what they may do and in which order.
    Explain,
}

/// What can be done with accounts.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// Make an account.
    Add {
        /// Its address, such as alice@example.org.
        #[arg(value_parser = account)]
        jid: Jid,
        /// Make it an administrator.
        #[arg(long)]
        admin: bool,
        /// Where the new password comes from.
        #[command(flatten)]
        password: PasswordSource,
    },
    /// List the accounts.
    List,
    /// Change the password of an account.
    Passwd {
        /// Its address.
        #[arg(value_parser = account)]
        jid: Jid,
        /// Where the new password comes from.
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Delete an account with everything that is stored for it.
    Delete {
        /// Its address.
        #[arg(value_parser = account)]
        jid: Jid,
    },
    /// Forbid an account to log in, and end its sessions.
    Disable {
        /// Its address.
        #[arg(value_parser = account)]
        jid: Jid,
    },
    /// Allow a disabled account to log in again.
    Enable {
        /// Its address.
        #[arg(value_parser = account)]
        jid: Jid,
    },
}

fn account(text: &str) -> Result<Jid, String> {
    match Jid::parse(text) {
        Ok(jid) if jid.local().is_some() && jid.is_bare() => Ok(jid),
        Ok(_) => Err("not the address of an account, such as alice@example.org".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn message_id(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("empty".to_owned()),
        1..=MAX_ID_BYTES => Ok(text.to_owned()),
        _ => Err(format!("longer than {MAX_ID_BYTES} bytes")),
    }
}

/// Where a new password comes from.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordSource {
    /// Read the password from standard input, one line, instead of asking for it.
    #[arg(long)]
    pub password_stdin: bool,
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The terminal or standard input failed.
    #[error("cannot read the password: {0}")]
    Io(#[from] io::Error),
    /// There is nobody to ask.
    #[error("there is no terminal to ask for the password on: use --password-stdin")]
    NoTerminal,
    /// Nothing was given.
    #[error("the password is empty")]
    Empty,
    /// It is longer than is reasonable.
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// It is not UTF-8.
    #[error("the password is not UTF-8")]
    NotUtf8,
    /// The second one differs.
    #[error("the passwords differ")]
    Differ,
}

/// The new password: one line of standard input, or asked for twice on the terminal.
pub fn new_password(source: &PasswordSource) -> Result<String, PasswordError> {
    if source.password_stdin {
        return password_line(io::stdin().lock());
    }
    if !io::stdin().is_terminal() {
        return Err(PasswordError::NoTerminal);
    }
    let first = rpassword::prompt_password("Password: ")?;
    let second = rpassword::prompt_password("The same again: ")?;
    if first != second {
        return Err(PasswordError::Differ);
    }
    acceptable(first)
}

fn password_line(input: impl BufRead) -> Result<String, PasswordError> {
    let mut line = Vec::new();
    // Two more for the end of the line, one more to see that there is too much.
    input
        .take(MAX_PASSWORD_BYTES + 3)
        .read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match String::from_utf8(line.to_vec()) {
        Ok(password) => acceptable(password),
        Err(_) if line.len() as u64 > MAX_PASSWORD_BYTES => Err(PasswordError::TooLong),
        Err(_) => Err(PasswordError::NotUtf8),
    }
}

fn acceptable(password: String) -> Result<String, PasswordError> {
    match password.len() as u64 {
        0 => Err(PasswordError::Empty),
        1..=MAX_PASSWORD_BYTES => Ok(password),
        _ => Err(PasswordError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        let cli = parse("waxwing").unwrap();
        assert_eq!(cli.config, PathBuf::from("config.toml"));
        assert_eq!(cli.command(), Command::Serve);
    }

    #[test]
    fn the_config_file_may_be_named_anywhere() {
        for line in [
            "waxwing --config x.toml check",
            "waxwing check --config x.toml",
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.config, PathBuf::from("x.toml"));
            assert_eq!(cli.command(), Command::Check);
        }
    }

    #[test]
    fn addresses_are_prepared_and_flags_read() {
        let cli = parse("waxwing user add Alice@Example.org --admin --password-stdin").unwrap();
        let expected = UserCommand::Add {
            jid: Jid::parse("alice@example.org").unwrap(),
            admin: true,
            password: PasswordSource {
                password_stdin: true,
            },
        };
        assert_eq!(cli.command(), Command::User(expected));
    }

    #[test]
    fn wrong_usage_exits_with_2_and_help_with_0() {
        for line in [
            "waxwing sreve",
            "waxwing user",
            "waxwing user add",
            "waxwing user add example.org",
            "waxwing user add alice@example.org/phone",
            "waxwing user passwd @",
            "waxwing status --all",
            "waxwing trace",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        let help = parse("waxwing --help").unwrap_err();
        assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
    }

    #[test]
    fn a_password_is_one_line() {
        assert_eq!(password_line(&b"secret\nmore\n"[..]).unwrap(), "secret");
        assert_eq!(
            password_line(&b" two words \r\n"[..]).unwrap(),
            " two words "
        );
        assert_eq!(password_line(&b"unended"[..]).unwrap(), "unended");
        assert!(matches!(
            password_line(&b"\n"[..]),
            Err(PasswordError::Empty)
        ));
        assert!(matches!(
            password_line(&b"\xff\n"[..]),
            Err(PasswordError::NotUtf8)
        ));
    }

    #[test]
    fn a_password_has_a_bound() {
        let longest = "x".repeat(1024);
        assert_eq!(
            password_line(format!("{longest}\r\n").as_bytes()).unwrap(),
            longest
        );
        let over = [b'x'; 1_000_000];
        assert!(matches!(
            password_line(&over[..]),
            Err(PasswordError::TooLong)
        ));
        assert!(matches!(
            password_line(&over[..1025]),
            Err(PasswordError::TooLong)
        ));
    }
}

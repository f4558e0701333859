//! The commands of the command line: exit code 0 when done, 1 when refused or failed with one line
//! on standard error that says why. (Wrong usage is 2, from the parser of the arguments.)

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use waxwing_core::powers::{Extension, IqTable, Place, Verb};

use crate::admin::{self, Request, Response};
use crate::cli::{self, Cli, Command, UserCommand};
use crate::config::{self, Config, Problem};
use crate::logging::Logging;
use crate::server;

/// Runs the command that was given.
pub async fn run(cli: Cli) -> ExitCode {
    let load = {
        let path = cli.config.clone();
        move || config::load(&path, std::env::vars_os())
    };
    let config = match load() {
        Ok(config) => config,
        Err(problems) => return mistakes(&problems),
    };
    let path = cli.config.clone();
    match cli.command() {
        Command::Serve => serve(config, load).await,
        Command::Check => show(&[format!("{}: no mistakes", path.display())]),
        Command::User(command) => user(&config, command).await,
        Command::Trace { id } => administer(&config, Request::Trace { id }).await,
        Command::Status => administer(&config, Request::Status).await,
        Command::Explain => explain(),
    }
}

fn mistakes(problems: &[Problem]) -> ExitCode {
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    ExitCode::FAILURE
}

fn refused(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}

async fn serve(config: Config, load: impl Fn() -> Result<Config, Vec<Problem>>) -> ExitCode {
    let logging = Logging::start(&config.log);
    match server::serve(config, load, logging).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refused(error),
    }
}

async fn user(config: &Config, command: UserCommand) -> ExitCode {
    let request = match command {
        UserCommand::Add {
            jid,
            admin,
            password,
        } => match cli::new_password(&password) {
            Ok(password) => Request::Add {
                jid: jid.to_string(),
                password,
                admin,
            },
            Err(error) => return refused(error),
        },
        UserCommand::Passwd { jid, password } => match cli::new_password(&password) {
            Ok(password) => Request::Passwd {
                jid: jid.to_string(),
                password,
            },
            Err(error) => return refused(error),
        },
        UserCommand::List => Request::List,
        UserCommand::Delete { jid } => Request::Delete {
            jid: jid.to_string(),
        },
        UserCommand::Disable { jid } => Request::Disable {
            jid: jid.to_string(),
            disabled: true,
        },
        UserCommand::Enable { jid } => Request::Disable {
            jid: jid.to_string(),
            disabled: false,
        },
    };
    administer(config, request).await
}

/// Has the running server carry a request out, or does it on the database.
async fn administer(config: &Config, request: Request) -> ExitCode {
    let response = match admin::ask(&config.data, &request).await {
        Ok(Some(response)) => response,
        Ok(None) => match server::open(config).await {
            Ok(exchange) => {
                let response = admin::execute(&exchange, None, request).await;
                exchange.database.clone().close().await;
                response
            }
            Err(error) => return refused(error),
        },
        Err(error) => return refused(format!("the running server cannot be asked: {error}")),
    };
    match response {
        Response::Done(lines) => show(&lines),
        Response::Refused(why) => refused(why),
    }
}

/// Prints the extensions, the order of every power, and who answers which IQ.
fn explain() -> ExitCode {
    let powers = waxwing_xeps::powers();
    let mut lines = vec!["extensions".to_owned()];
    for extension in &powers.extensions {
        let spec = extension.specification();
        lines.push(format!("  {} {} {}", spec.number, spec.title, spec.version));
    }
    lines.push("powers, in the order in which they are asked".to_owned());
    let lists: [(&str, Vec<&str>); 11] = [
        ("guard", numbers(&powers.guard)),
        ("keep", numbers(&powers.keep)),
        ("stamp", numbers(&powers.stamp)),
        ("copy", numbers(&powers.copy)),
        ("archive", numbers(powers.archive.as_slice())),
        ("attend", numbers(&powers.attend)),
        ("describe", numbers(&powers.describe)),
        ("stream", numbers(&powers.stream)),
        ("serve", numbers(&powers.serve)),
        ("inline", numbers(&powers.inline)),
        ("readmit", numbers(powers.readmit.as_slice())),
    ];
    for (name, numbers) in lists {
        lines.push(format!("  {name}: {}", numbers.join(", ")));
    }
    lines.push("IQ requests".to_owned());
    let table = match IqTable::new(&powers.answer) {
        Ok(table) => table,
        Err(error) => return refused(error),
    };
    for ((verb, place, ns, name), number) in table.claims() {
        let verb = if verb == Verb::Get { "get" } else { "set" };
        let place = if place == Place::Server {
            "server"
        } else {
            "account"
        };
        lines.push(format!("  {verb} {place} {{{ns}}}{name}: {number}"));
    }
    show(&lines)
}

/// Prints lines. Who reads only the first of them has what it wanted.
fn show(lines: &[String]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let mut all = lines.iter();
    let shown = all.try_for_each(|line| writeln!(out, "{line}"));
    match shown.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => refused(error),
        _ => ExitCode::SUCCESS,
    }
}

fn numbers<P: Extension + ?Sized>(powers: &[Arc<P>]) -> Vec<&'static str> {
    powers
        .iter()
        .map(|power| power.specification().number)
        .collect()
}

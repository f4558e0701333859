//! The text of a play: who acts, what the server is like, and the steps.
//!
//! ```text
//! # What is shown, and where the specification says it.
//! Romeo is romeo/orchard           account and resource; "Phone is romeo/phone" shares the account
//! Eve has no account               a connection, no more
//! Romeo and Juliet are contacts    mutual subscription, made before the first step
//! Romeo sees Juliet                Romeo is subscribed to Juliet, not the other way
//! Coven is a room                  an address of a room that nobody else uses
//! server has limits.stanza_bytes = 20000      the play gets a server of its own
//!
//! ---
//! Romeo comes online
//! Romeo sends:
//!     <message to="{Juliet}" type="chat"><body>hi</body></message>
//! Juliet receives:
//!     <message from="{Romeo:full}"><body>hi</body></message>
//! ```
//!
//! Steps: *connects* (up to a bound resource), *comes online* (and sends presence; what that brings
//! is left out), *opens TCP*, *opens TLS* (direct), *opens a stream* (under TLS, not logged in),
//! *starts TLS*, *logs in*, *sends:*, *sends byte by byte:*, *receives:*, *receives in any order:*,
//! *receives nothing*, *skips what came*, *takes what came* (the server has asked for it by a ping), *ignores pings*, *answers pings*, *disconnects*,
//! *vanishes*, *is disconnected*, *is disconnected with CONDITION*, and of the server: *restarts*,
//! *is killed*, *stops* (what it said is still there to be received), *starts*. Several stanzas in one
//! *receives* come in that order; what is not received by the end of a play is a failure. `matching`
//! says what a pattern means. *everybody skips what came* is what it says.
//!
//! Steps about rooms, with the actor's name as the nickname and a line `VARIABLE = VALUE` for each
//! value of a form: *creates ROOM* (with the configuration that the service proposes), *creates ROOM
//! with:*, *enters ROOM*, *enters ROOM as NICK*, *configures ROOM with:*, *makes ACTOR AFFILIATION of
//! ROOM*. What entering brings to the one that enters is left out, answers to requests are checked.
//!
//! Holes: `{Coven}` address of a room, `{groups}` address of the rooms' service, `{Romeo}` bare JID, `{Romeo:full}`, `{Romeo:user}`, `{Romeo:plain}` (for SASL PLAIN), `{domain}`,
//! `{header}` (a client's stream header), `{repeat:N:TEXT}`; in patterns `{any}`, `{some}`, `{number}`, `{time}`, `{none}`,
//! `{capture:name}` and then `{name}`.

use std::collections::BTreeMap;

use minidom::Element;

use super::Outcome;
use super::matching::PLAY;
use super::server::ServerOptions;
use super::xml::{CLIENT, STREAM, parse};

/// See the [module](self).
pub struct Play {
    /// Actors by name.
    pub actors: BTreeMap<String, Actor>,
    /// Pairs of actors of which the first sees the second's presence.
    pub subscriptions: Vec<(String, String)>,
    /// Rooms by name.
    pub rooms: Vec<String>,
    /// Settings of its own server; `None`: the shared server will do.
    pub server: Option<ServerOptions>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// An actor's account.
#[derive(Clone)]
pub struct Actor {
    /// The name of the account inside the play; `None`: it has none.
    pub account: Option<String>,
    /// The resource to ask for.
    pub resource: Option<String>,
}

/// One step, and the line on which it stands.
pub struct Step {
    /// Counted from 1.
    pub line: usize,
    /// Who acts; `None`: the server, or everybody.
    pub actor: Option<String>,
    /// What happens.
    pub action: Action,
}

/// What an actor or the server does.
pub enum Action {
    Connect,
    ComeOnline,
    OpenTcp,
    OpenTls,
    OpenStream,
    StartTls,
    LogIn,
    Send {
        text: String,
        bytewise: bool,
    },
    Receive {
        patterns: Vec<Element>,
        in_order: bool,
    },
    ReceiveNothing,
    Skip,
    TakeAll,
    AnswerPings(bool),
    Disconnect,
    Vanish,
    Disconnected(Option<String>),
    Restart,
    Kill,
    Stop,
    Start,
    SkipAll,
    Room {
        room: String,
        deed: Deed,
    },
}

/// What an actor does about a room.
pub enum Deed {
    Create(Settings),
    Enter(Option<String>),
    Configure(Settings),
    Affiliate { whom: String, affiliation: String },
}

/// Variables of a form and their values; a variable with several values is there several times.
pub type Settings = Vec<(String, String)>;

impl Play {
    /// Reads the text of a play.
    pub fn parse(text: &str) -> Outcome<Play> {
        let mut play = Play {
            actors: BTreeMap::new(),
            subscriptions: Vec::new(),
            rooms: Vec::new(),
            server: None,
            steps: Vec::new(),
        };
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .peekable();
        for (number, line) in lines.by_ref() {
            match line.trim_end() {
                "---" => break,
                line if line.is_empty() || line.starts_with('#') => {}
                line => play
                    .head(line)
                    .map_err(|error| format!("line {number}: {error}"))?,
            }
        }
        while let Some((number, line)) = lines.next() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let mut block = Vec::new();
            while let Some((_, more)) =
                lines.next_if(|(_, next)| next.starts_with(' ') || next.is_empty())
            {
                block.push(more.trim());
            }
            let step = play.step(number, line.trim_end(), block.join("\n").trim());
            play.steps
                .push(step.map_err(|error| format!("line {number}: {error}"))?);
        }
        Ok(play)
    }

    fn head(&mut self, line: &str) -> Outcome {
        if let Some(setting) = line.strip_prefix("server has ") {
            let (key, value) = setting.split_once(" = ").ok_or("KEY = VALUE is missing")?;
            let options = self.server.take().unwrap_or_else(ServerOptions::new);
            self.server = Some(options.set(key, value));
        } else if line == "server is its own" {
            self.server.get_or_insert_with(ServerOptions::new);
        } else if let Some(name) = line.strip_suffix(" has no account") {
            self.actors.insert(
                name.to_owned(),
                Actor {
                    account: None,
                    resource: None,
                },
            );
        } else if let Some(name) = line.strip_suffix(" is a room") {
            self.rooms.push(name.to_owned());
        } else if let Some(pair) = line.strip_suffix(" are contacts") {
            let (one, other) = pair.split_once(" and ").ok_or("two names are missing")?;
            self.subscriptions.push((one.to_owned(), other.to_owned()));
            self.subscriptions.push((other.to_owned(), one.to_owned()));
        } else if let Some((one, other)) = line.split_once(" sees ") {
            self.subscriptions.push((one.to_owned(), other.to_owned()));
        } else {
            let (name, account) = line
                .split_once(" is ")
                .ok_or("this says nothing about an actor")?;
            let (account, resource) = match account.split_once('/') {
                Some((account, resource)) => (account, Some(resource.to_owned())),
                None => (account, None),
            };
            self.actors.insert(
                name.to_owned(),
                Actor {
                    account: Some(account.to_owned()),
                    resource,
                },
            );
        }
        Ok(())
    }

    fn step(&self, line: usize, text: &str, block: &str) -> Outcome<Step> {
        let (name, rest) = text
            .split_once(' ')
            .ok_or("a step needs an actor and an action")?;
        if matches!(name, "server" | "everybody") {
            let action = match (name, rest) {
                ("server", "restarts") => Action::Restart,
                ("server", "is killed") => Action::Kill,
                ("server", "stops") => Action::Stop,
                ("server", "starts") => Action::Start,
                ("everybody", "skips what came") => Action::SkipAll,
                _ => return Err(format!("the {name} cannot do this: {rest}").into()),
            };
            return Ok(Step {
                line,
                actor: None,
                action,
            });
        }
        if !self.actors.contains_key(name) {
            return Err(format!("nobody is called {name}").into());
        }
        let takes_block = rest.ends_with(':');
        if takes_block == block.is_empty() {
            return Err("a block of text is missing, or is too much".into());
        }
        let action = match self.deed(rest, block)? {
            Some(action) => action,
            None => action(rest, block)?,
        };
        Ok(Step {
            line,
            actor: Some(name.to_owned()),
            action,
        })
    }

    /// What somebody does about a room; `None`: it is about none.
    fn deed(&self, text: &str, block: &str) -> Outcome<Option<Action>> {
        let words: Vec<&str> = text.split(' ').collect();
        let (room, deed) = match words.as_slice() {
            ["creates", room] | ["creates", room, "with:"] => {
                (room, Deed::Create(settings(block)?))
            }
            ["configures", room, "with:"] => (room, Deed::Configure(settings(block)?)),
            ["enters", room] => (room, Deed::Enter(None)),
            ["enters", room, "as", nick @ ..] => (room, Deed::Enter(Some(nick.join(" ")))),
            ["makes", whom, affiliation, "of", room] => {
                let (whom, affiliation) = ((*whom).to_owned(), (*affiliation).to_owned());
                (room, Deed::Affiliate { whom, affiliation })
            }
            _ => return Ok(None),
        };
        let room = (*room).to_owned();
        if !self.rooms.contains(&room) {
            return Err(format!("no room is called {room}").into());
        }
        Ok(Some(Action::Room { room, deed }))
    }
}

/// The lines `VARIABLE = VALUE` of a block.
fn settings(block: &str) -> Outcome<Settings> {
    let setting = |line: &str| -> Outcome<(String, String)> {
        let (variable, value) = line
            .split_once(" = ")
            .ok_or("VARIABLE = VALUE is missing")?;
        Ok((variable.to_owned(), value.to_owned()))
    };
    block.lines().map(setting).collect()
}

fn action(text: &str, block: &str) -> Outcome<Action> {
    Ok(match text {
        "connects" => Action::Connect,
        "comes online" => Action::ComeOnline,
        "opens TCP" => Action::OpenTcp,
        "opens TLS" => Action::OpenTls,
        "opens a stream" => Action::OpenStream,
        "starts TLS" => Action::StartTls,
        "logs in" => Action::LogIn,
        "sends:" => Action::Send {
            text: block.to_owned(),
            bytewise: false,
        },
        "sends byte by byte:" => Action::Send {
            text: block.to_owned(),
            bytewise: true,
        },
        "receives:" => Action::Receive {
            patterns: patterns(block)?,
            in_order: true,
        },
        "receives in any order:" => Action::Receive {
            patterns: patterns(block)?,
            in_order: false,
        },
        "receives nothing" => Action::ReceiveNothing,
        "skips what came" => Action::Skip,
        "takes what came" => Action::TakeAll,
        "ignores pings" => Action::AnswerPings(false),
        "answers pings" => Action::AnswerPings(true),
        "disconnects" => Action::Disconnect,
        "vanishes" => Action::Vanish,
        "is disconnected" => Action::Disconnected(None),
        _ => match text.strip_prefix("is disconnected with ") {
            Some(condition) => Action::Disconnected(Some(condition.to_owned())),
            None => return Err(format!("nobody can do this: {text}").into()),
        },
    })
}

/// The elements of a block. A stream header is written as an empty `<stream:stream …/>`.
fn patterns(block: &str) -> Outcome<Vec<Element>> {
    let root = format!(
        "<play xmlns='{CLIENT}' xmlns:stream='{STREAM}' xmlns:play='{PLAY}'>{block}</play>"
    );
    let patterns: Vec<Element> = parse(&root)?.children().cloned().collect();
    if patterns.is_empty() {
        Err("no element to receive".into())
    } else {
        Ok(patterns)
    }
}

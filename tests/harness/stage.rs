//! Performs a play.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use libtest_mimic::Trial;
use minidom::Element;

use super::Outcome;
use super::accounts::Account;
use super::client::Client;
use super::login::header;
use super::matching::{Holes, compare};
use super::play::{Action, Actor, Deed, Play, Step};
use super::sasl;
use super::server::{Server, Target};
use super::xml::{Event, show};

/// Every play in the folder as a test of its own, and that each of them is one.
pub fn trials(folder: &Path) -> Outcome<Vec<Trial>> {
    let mut trials = Vec::new();
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        all.push(path.clone());
        if path.extension().is_none_or(|extension| extension != "play") {
            return Err(format!("{} is no play", path.display()).into());
        }
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        trials.push(Trial::test(format!("plays::{name}"), move || {
            Ok(perform(&path)?)
        }));
    }
    trials.push(Trial::test("plays::can_be_read", move || {
        Ok(all.iter().try_for_each(|path| read(path).map(drop))?)
    }));
    trials.sort_by(|one, other| one.name().cmp(other.name()));
    Ok(trials)
}

fn read(path: &Path) -> Outcome<Play> {
    Play::parse(&fs::read_to_string(path)?)
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

fn perform(path: &Path) -> Outcome {
    let play = read(path)?;
    let mut stage = Stage::set(&play)?;
    for step in &play.steps {
        stage.step(step).map_err(|error| {
            format!("{}:{}: {error}\n{}", path.display(), step.line, stage.log())
        })?;
    }
    stage
        .close()
        .map_err(|error| format!("{}: at the end: {error}", path.display()).into())
}

struct Stage {
    server: Option<Server>,
    target: Target,
    actors: BTreeMap<String, Actor>,
    accounts: BTreeMap<String, Account>,
    clients: BTreeMap<String, Client>,
    holes: Holes,
}

impl Stage {
    /// Makes the server, the accounts and the subscriptions that the play begins with.
    fn set(play: &Play) -> Outcome<Stage> {
        let server = play.server.as_ref().map(Server::start).transpose()?;
        let target = server
            .as_ref()
            .map_or_else(Server::shared, Server::target)?;
        let mut stage = Stage {
            server,
            target,
            actors: play.actors.clone(),
            accounts: BTreeMap::new(),
            clients: BTreeMap::new(),
            holes: Holes::default(),
        };
        stage.holes.set("domain", &stage.target.domain);
        stage.holes.set("header", header(&stage.target.domain));
        let groups = format!("groups.{}", stage.target.domain);
        for name in &play.rooms {
            let (process, number) = (std::process::id(), super::unique());
            let room = format!("{}-{process}-{number}@{groups}", name.to_lowercase());
            stage.holes.set(name, room);
        }
        stage.holes.set("groups", groups);
        for (name, actor) in &play.actors {
            stage.enroll(name, actor)?;
        }
        for (one, other) in &play.subscriptions {
            stage.subscribe(one, other)?;
        }
        Ok(stage)
    }

    fn enroll(&mut self, name: &str, actor: &Actor) -> Outcome {
        let Some(user) = &actor.account else {
            return Ok(());
        };
        if !self.accounts.contains_key(user) {
            let account = match &self.server {
                Some(server) => server.account(user)?,
                None => Server::shared_account(user)?,
            };
            self.accounts.insert(user.clone(), account);
        }
        let account = &self.accounts[user];
        self.holes.set(name, account.jid());
        self.holes.set(format!("{name}:user"), &account.user);
        let plain = sasl::plain("", &account.user, &account.password);
        self.holes.set(format!("{name}:plain"), plain);
        if let Some(resource) = &actor.resource {
            self.holes.set(
                format!("{name}:full"),
                format!("{}/{resource}", account.jid()),
            );
        }
        Ok(())
    }

    /// Subscribes one to the other's presence.
    fn subscribe(&mut self, one: &str, other: &str) -> Outcome {
        let subscriber = self.account(one)?.clone();
        let contact = self.account(other)?.clone();
        let mut from = Client::connect(&self.target, &subscriber, Some("setup"))?;
        from.send(&format!(
            "<presence type='subscribe' to='{}'/>",
            contact.jid()
        ))?;
        from.sync()?;
        let mut to = Client::connect(&self.target, &contact, Some("setup"))?;
        to.send(&format!(
            "<presence type='subscribed' to='{}'/>",
            subscriber.jid()
        ))?;
        to.sync()?;
        from.sync()?;
        from.disconnect()?;
        to.disconnect()
    }

    fn account(&self, actor: &str) -> Outcome<&Account> {
        let name = self
            .actors
            .get(actor)
            .and_then(|actor| actor.account.as_ref());
        Ok(name
            .and_then(|name| self.accounts.get(name))
            .ok_or_else(|| format!("{actor} has no account"))?)
    }

    fn step(&mut self, step: &Step) -> Outcome {
        let Some(name) = &step.actor else {
            return match step.action {
                Action::SkipAll => self.skip_all(),
                _ => self.serve(&step.action),
            };
        };
        match &step.action {
            Action::Connect => self.enter(name, Client::connect),
            Action::ComeOnline => self.enter(name, Client::online),
            Action::OpenTcp => self.open(name, Client::tcp),
            Action::OpenTls => self.open(name, Client::direct_tls),
            Action::OpenStream => self.open(name, Client::stream),
            Action::ReceiveNothing => self.receive_nothing(name),
            Action::LogIn => {
                let account = self.account(name)?.clone();
                self.client(name)?.log_in(&account).map(drop)
            }
            Action::Send { text, bytewise } => {
                let text = self.holes.fill(text)?;
                let client = self.client(name)?;
                if *bytewise {
                    client.send_bytewise(&text)
                } else {
                    client.send(&text)
                }
            }
            Action::Receive { patterns, in_order } => self.receive(name, patterns, *in_order),
            Action::Room { room, deed } => self.about_room(name, room, deed),
            action => self.client(name)?.act(action),
        }
    }

    fn serve(&mut self, action: &Action) -> Outcome {
        let server = self
            .server
            .as_mut()
            .ok_or("the play needs a server of its own: server is its own")?;
        match action {
            Action::Kill => server.kill_9()?,
            Action::Start => {}
            _ => server.terminate()?,
        }
        if matches!(action, Action::Stop) {
            return Ok(());
        }
        self.clients.clear();
        server.start_again()?;
        self.target = server.target()?;
        Ok(())
    }

    fn enter(
        &mut self,
        name: &str,
        connect: fn(&Target, &Account, Option<&str>) -> Outcome<Client>,
    ) -> Outcome {
        let resource = self.actors[name].resource.clone();
        let client = connect(&self.target, self.account(name)?, resource.as_deref())?;
        self.holes.set(format!("{name}:full"), client.full());
        self.clients.insert(name.to_owned(), client);
        Ok(())
    }

    fn open(&mut self, name: &str, open: fn(&Target) -> Outcome<Client>) -> Outcome {
        self.clients.insert(name.to_owned(), open(&self.target)?);
        Ok(())
    }

    fn client(&mut self, name: &str) -> Outcome<&mut Client> {
        Ok(self
            .clients
            .get_mut(name)
            .ok_or_else(|| format!("{name} has not connected"))?)
    }

    fn receive(&mut self, name: &str, patterns: &[Element], in_order: bool) -> Outcome {
        let client = self
            .clients
            .get_mut(name)
            .ok_or_else(|| format!("{name} has not connected"))?;
        let mut left: Vec<&Element> = patterns.iter().collect();
        while !left.is_empty() {
            let event = client.recv().map_err(|error| {
                let left: Vec<String> = left.iter().map(|pattern| show(pattern)).collect();
                format!(
                    "{name} waits for\n    {}\n  but {error}",
                    left.join("\n    ")
                )
            })?;
            let (Event::Element(got) | Event::Header(got)) = &event else {
                return Err(format!(
                    "{name} waits for {}, but gets {}",
                    show(left[0]),
                    event.show()
                )
                .into());
            };
            let candidates = if in_order { 1 } else { left.len() };
            let mut reasons = Vec::new();
            let met = left[..candidates].iter().position(|pattern| {
                compare(pattern, got, &mut self.holes)
                    .map_err(|why| reasons.push(why))
                    .is_ok()
            });
            match met {
                Some(index) => drop(left.remove(index)),
                None => {
                    let (got, why) = (show(got), reasons.join("; "));
                    return Err(format!(
                        "{name} waits for\n    {}\n  but gets\n    {got}\n  {why}",
                        show(left[0])
                    )
                    .into());
                }
            }
        }
        Ok(())
    }

    fn about_room(&mut self, name: &str, room: &str, deed: &Deed) -> Outcome {
        let room = self.holes.fill(&format!("{{{room}}}"))?;
        match deed {
            Deed::Create(settings) => self.client(name)?.create_room(&room, name, settings),
            Deed::Configure(settings) => self.client(name)?.configure_room(&room, settings),
            Deed::Enter(nick) => {
                let nick = nick.as_deref().unwrap_or(name);
                self.client(name)?.enter_room(&room, nick).map(drop)
            }
            Deed::Affiliate { whom, affiliation } => {
                let whom = self.account(whom)?.jid();
                self.client(name)?.affiliate(&room, &whom, affiliation)
            }
        }
    }

    /// All that anybody said before is dealt with.
    fn sync_all(&mut self) -> Outcome {
        self.clients
            .values_mut()
            .filter(|client| client.jid.is_some() && client.is_connected())
            .try_for_each(Client::sync)
    }

    fn skip_all(&mut self) -> Outcome {
        self.sync_all()?;
        self.sync_all()?;
        for client in self.clients.values_mut() {
            client.unread();
        }
        Ok(())
    }

    /// All that anybody said before is dealt with, and then nothing is there for that one.
    fn receive_nothing(&mut self, name: &str) -> Outcome {
        self.sync_all()?;
        let client = self.client(name)?;
        client.sync()?;
        nothing(name, client)
    }

    /// Everybody has received all that there was; then they leave.
    fn close(&mut self) -> Outcome {
        let mut clients: Vec<(&String, &mut Client)> = self
            .clients
            .iter_mut()
            .filter(|(_, client)| client.jid.is_some() && client.is_connected())
            .collect();
        for _ in 0..2 {
            for (_, client) in &mut clients {
                client.sync()?;
            }
        }
        for (name, client) in &mut clients {
            nothing(name, client)?;
        }
        for (_, client) in &mut clients {
            client.disconnect()?;
        }
        self.server.as_mut().map_or(Ok(()), Server::terminate)
    }

    fn log(&self) -> String {
        self.server
            .as_ref()
            .map_or_else(Server::shared_log, Server::log)
    }
}

fn nothing(name: &str, client: &mut Client) -> Outcome {
    let unread: Vec<String> = client.unread().iter().map(Event::show).collect();
    if unread.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{name} should get nothing, but gets\n    {}",
        unread.join("\n    ")
    )
    .into())
}

impl Client {
    /// The actions that concern the client alone.
    fn act(&mut self, action: &Action) -> Outcome {
        match action {
            Action::StartTls => self.secure(&self.tls_options()),
            Action::Skip => {
                self.sync()?;
                self.unread();
                Ok(())
            }
            Action::TakeAll => self.take_all(),
            Action::AnswerPings(answers) => {
                self.answers_pings = *answers;
                Ok(())
            }
            Action::Disconnect => self.disconnect(),
            Action::Vanish => {
                self.vanish();
                Ok(())
            }
            Action::Disconnected(Some(condition)) => self.expect_error(condition),
            Action::Disconnected(None) => self.expect_end(),
            _ => Err("this is no action of one client".into()),
        }
    }
}

//! All clients of a run, in one thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::book::Book;
use super::circles::{Circle, rooms_of};
use super::dice::Dice;
use super::life::{Life, Orders, Role};
use super::person::Person;
use crate::harness::Outcome;

/// Messages a second that all together write at most, about. The server under test is not
/// optimised, and other tests run beside.
const RATE: usize = 700;

/// Clients that live in a thread of their own.
pub struct Fleet {
    orders: watch::Sender<Orders>,
    thread: Option<JoinHandle<()>>,
    /// `account/resource` of each.
    pub names: Vec<String>,
}

impl Fleet {
    /// As many clients, of accounts that are made at their first login. They are in pairs and
    /// small circles.
    pub fn start(size: usize, circles: &[Circle], dice: &Dice, book: &Arc<Book>) -> Outcome<Fleet> {
        let friends = friends_of(size, &mut dice.of(usize::MAX - 1));
        Fleet::of(
            size,
            &|number| {
                let user = user(number);
                Person::new(&user, "phone", "localhost", Arc::clone(book))
                    .member_of(rooms_of(circles, &user))
            },
            friends,
            dice,
        )
    }

    /// One more device of each of those accounts.
    pub fn visitors(
        size: usize,
        circles: &[Circle],
        dice: &Dice,
        book: &Arc<Book>,
    ) -> Outcome<Fleet> {
        Fleet::of(
            size,
            &|number| {
                let user = user(number);
                Person::new(&user, "visitor", "localhost", Arc::clone(book))
                    .registered()
                    .member_of(rooms_of(circles, &user))
            },
            vec![Vec::new(); size],
            dice,
        )
    }

    fn of(
        size: usize,
        person: &dyn Fn(usize) -> Person,
        friends: Vec<Vec<String>>,
        dice: &Dice,
    ) -> Outcome<Fleet> {
        let roles: Arc<[Role]> = vec![Role::Steady; size].into();
        let (orders, watched) = watch::channel(Orders {
            server: None,
            roles,
            talk: false,
            leave: false,
        });
        let lives: Vec<Life> = friends
            .into_iter()
            .enumerate()
            .map(|(number, friends)| Life {
                person: person(number),
                number,
                friends,
                orders: watched.clone(),
                dice: dice.of(number),
                // A word is two messages and a half.
                pace: (size * 5000 / RATE).max(20),
                left_open: None,
            })
            .collect();
        let names = lives.iter().map(|life| life.person.who.clone()).collect();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let mut all = JoinSet::new();
                for life in lives {
                    all.spawn(life.live());
                }
                all.join_all().await;
            });
        });
        Ok(Fleet {
            orders,
            thread: Some(thread),
            names,
        })
    }

    /// Where the server is from now on.
    pub fn server(&self, server: Option<(SocketAddr, u32)>) {
        self.orders.send_modify(|orders| orders.server = server);
    }

    /// The roles from now on.
    pub fn roles(&self, roles: &[Role]) {
        self.orders
            .send_modify(|orders| orders.roles = roles.into());
    }

    /// Whether they write messages from now on.
    pub fn talk(&self, talk: bool) {
        self.orders.send_modify(|orders| orders.talk = talk);
    }

    /// All that are connected close their streams; waits until they have.
    pub fn leave(mut self) -> Outcome {
        self.orders.send_modify(|orders| orders.leave = true);
        let thread = self.thread.take().ok_or("the clients have left")?;
        Ok(thread.join().map_err(|_| "a client panicked")?)
    }
}

/// The account with that number.
pub fn user(number: usize) -> String {
    format!("p{number}")
}

/// For each whom it writes to: half of them are in pairs, the others in circles of three to six.
fn friends_of(size: usize, dice: &mut Dice) -> Vec<Vec<String>> {
    let mut friends = Vec::with_capacity(size);
    let mut begin = 0;
    while begin < size {
        let mut end = begin
            + if dice.chance(60) {
                2
            } else {
                dice.between(3, 6)
            };
        if end + 1 >= size {
            end = size;
        }
        for number in begin..end {
            let others = (begin..end).filter(|other| *other != number);
            friends.push(others.map(user).collect());
        }
        begin = end;
    }
    friends
}

//! What the scenarios stand on: a server process of their own, clients that speak over real
//! sockets, and plays.

pub mod accounts;
pub mod client;
pub mod disk;
pub mod log;
pub mod login;
pub mod matching;
pub mod options;
pub mod play;
pub mod rooms;
pub mod sasl;
pub mod sasl2;
pub mod server;
pub mod stage;
pub mod strace;
pub mod transport;
pub mod xml;

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::Trial;

/// The result of a step; the error says what went wrong, for people.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A scenario as a named test.
pub fn trial(module: &str, name: &str, scenario: fn() -> Outcome) -> Trial {
    let module = module.rsplit("::").next().unwrap_or(module);
    Trial::test(format!("{module}::{name}"), move || Ok(scenario()?))
}

/// The named functions as tests; use as `trials![one, another]`.
#[macro_export]
macro_rules! trials {
    ($($scenario:ident),* $(,)?) => {
        vec![$($crate::harness::trial(module_path!(), stringify!($scenario), $scenario)),*]
    };
}

/// Fails the scenario unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+).into());
        }
    };
}

/// A number that no other caller in this run gets.
pub fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

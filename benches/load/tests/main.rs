//! Short runs of the real program against the real server: that every scenario counts what it says
//! it counts, that a faulty server is found out, and that nothing is left behind. No time is
//! judged: the machine may be busy, and the build is not the one that is measured.

// A test ends where it cannot go on.
#![allow(clippy::unwrap_used)]

mod ending;
mod faults;
mod scenarios;
mod server;
mod tool;

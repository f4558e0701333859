//! What must hold when the machine fails.

pub mod database;
pub mod disk;
pub mod failed_start;
pub mod offline_kill;
pub mod promise;
pub mod room_kill;
pub mod slow_reader;

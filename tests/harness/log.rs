//! What a server says of itself.

use std::time::Instant;

use super::Outcome;
use super::server::Server;
use super::transport::DEADLINE;

impl Server {
    /// Waits until the server has written that, where the log is all that tells.
    pub fn await_log(&self, text: &str) -> Outcome {
        let end = Instant::now() + DEADLINE;
        while !self.log().contains(text) {
            if Instant::now() >= end {
                return Err(format!("the log never said {text:?}: {}", self.log()).into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

//! What a scenario is to the loop that carries it.

use std::time::Instant;

use crate::element::Element;
use crate::failure::Failure;
use crate::lines::Lines;

/// What a scenario does with what arrives.
pub(crate) trait Handler {
    /// A session got an element that is its own business.
    fn element(
        &mut self,
        who: usize,
        element: Element<'_>,
        lines: &mut Lines,
    ) -> Result<(), Failure>;

    /// Called before each wait; says when to be called again at the latest.
    fn tick(&mut self, _now: Instant, _lines: &mut Lines) -> Option<Instant> {
        None
    }

    /// Whether the run can end.
    fn finished(&self) -> bool;

    /// A number that grows while there is progress.
    fn count(&self) -> u64;
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The handler had finished.
    Finished,
    /// The time was up.
    TimeUp,
    /// Nothing happened any more.
    Stalled,
}

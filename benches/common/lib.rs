//! What the benchmarks and the gates share: an allocator that counts, and the stanzas that they
//! measure.

pub mod counting;
pub mod stanzas;

//! The room, asked as a service is.

mod affiliations;
mod entering;
mod forgetting;
mod laws;
mod owning;
mod rest;
mod roles;
mod talking;
mod world;

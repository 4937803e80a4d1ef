//! Who may do what: roles, rights, and the one place where they are asked for.
//!
//! - [`Who`] is whoever runs a statement; it comes along in the settings of each one ([`crate::session::Settings`]).
//! - What is granted on a thing stands with it in the catalog ([`polder_lake::Access`]), in terms of [`rights`].
//! - [`Rights`] answers what somebody may do with the things of a snapshot. Every table that a plan reads is asked for
//!   there when its name is resolved (`catalog.rs`), and every change before it is carried out ([`changes`]).

mod acl;
mod book;
mod rights;
mod who;

pub(crate) use book::RoleBook;
pub(crate) use who::Who;

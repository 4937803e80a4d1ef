//! Who may do what: roles, rights, and the one place where they are asked for.
//!
//! - [`Who`] is whoever runs a statement; it comes along in the settings of each one (`session::Settings`), and is
//!   somebody else within a view: its owner.
//! - What is granted on a thing stands with it in the catalog (`polder_lake::Access`), in terms of [`rights`].
//! - [`Rights`] answers what somebody may do with the things of a snapshot. Every table that a plan reads is asked for
//!   there when its name is resolved (`catalog.rs`), and every change before it is carried out (`statement/authorize`).

pub(crate) mod acl;
mod authority;
mod book;
mod checks;
mod guard;
mod named;
pub(crate) mod rights;
mod who;

pub(crate) use authority::Authority;
pub(crate) use book::{
    READ_ALL_DATA, READ_ALL_STATS, READ_SERVER_FILES, RoleBook, SIGNAL_BACKEND, WRITE_ALL_DATA, WRITE_SERVER_FILES,
};
pub(crate) use checks::{Readable, Rights, access_of_new, denied, names_role, not_owner, word_of};
pub(crate) use guard::Guarded;
pub(crate) use named::{PASSED_ON, check_named};
pub(crate) use who::Who;

//! Row policies and masks: which rows and values of a table are shown to whom, and which rows they may write.
//!
//! - [`Bound`] says which policies and masks bind somebody at a table, and puts their conditions together.
//! - [`govern`] plans them right above the table, and `polder_lake::SealedExec` closes that plan: nothing that a statement
//!   asks is evaluated in it, but conditions that cannot fail (`leakproof`). The catalog does so for each table that it
//!   opens (`catalog.rs`), so that there is no way around it.
//! - [`sealed`] does the same to views of others, for the rows that they leave out.
//! - [`RowChecks`] looks at the rows that a statement writes.

mod bound;
mod columns;
mod governed;
mod governing;
mod leakproof;
mod mentions;
mod plan;
mod views;
mod written;

pub(crate) use bound::{Bound, Purpose, check_load, off};
pub(crate) use columns::{Given, Hidden};
pub(crate) use governing::Governing;
pub(crate) use mentions::{mentions, renamed};
pub(crate) use plan::{Asked, Surroundings, govern};
pub(crate) use views::sealed;
pub(crate) use written::{RowChecks, Shown, is_refused_row, masked};

//! JSON Schema: what is one, and what two of them are to each other.
//!
//! Values are JSON already, so nothing of it is needed to read them.

mod compatibility;
mod document;

pub(crate) use compatibility::differences;
pub(crate) use document::{Document, JsonSchema};

#[cfg(test)]
mod tests;

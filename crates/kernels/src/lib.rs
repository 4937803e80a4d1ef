//! Pure functions from Arrow to Arrow: no file, no network, no query engine.

pub mod profile;
pub mod similar;

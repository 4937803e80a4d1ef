//! Pure functions over Arrow's arrays and over texts: no file, no network, no query engine.

pub mod bytea;
pub mod fields;
pub mod json;
pub mod profile;
pub mod similar;
pub mod zones;

//! Types from what the cells look like, over the whole file.

pub(crate) mod cell;
pub(crate) mod dates;
pub(crate) mod decide;
pub(crate) mod evidence;
#[cfg(test)]
mod tests;
pub(crate) mod types;

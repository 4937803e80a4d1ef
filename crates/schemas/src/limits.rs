//! What the registry bears.

/// Bytes of a schema's text.
pub(crate) const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// How deep schemas refer to schemas.
pub(crate) const REFERENCES_DEPTH_MAX: usize = 16;

/// Schemas that one refers to, those in between included, and the bytes of all of them.
pub(crate) const REFERENCES_MAX: usize = 256;
pub(crate) const REFERENCES_BYTES_MAX: usize = 8 << 20;

/// Versions of a subject, those that are deleted but not for good included.
pub(crate) const VERSIONS_MAX: usize = 1000;

/// Bytes of all versions that a new one is compared with.
pub(crate) const COMPARED_BYTES_MAX: usize = 64 << 20;

/// Letters of a subject's name.
pub(crate) const SUBJECT_CHARS_MAX: usize = 255;

/// Of a list, unless it is asked for in parts.
pub(crate) const LISTED_MAX: usize = 1000;

/// Bytes of the JSON that a value becomes. A few bytes can stand for a billion empty items.
pub(crate) const DECODED_BYTES_MAX: usize = 16 << 20;

/// How deep values are nested.
pub(crate) const DECODED_DEPTH_MAX: usize = 64;

/// Differences that are told.
pub(crate) const DIFFERENCES_MAX: usize = 100;

/// What a comparison may cost, in looks at a word or so, and how deep it goes. Schemas can be written whose comparison would
/// take years.
const COST_MAX: usize = 20_000_000;
const DEPTH_MAX: u32 = 200;

/// What it costs to compare two types, and to read a regular expression.
const COMPARISON_COST: usize = 100;
pub(crate) const PATTERN_COST: usize = 2_000;

/// What is left of the cost and of the depth.
#[derive(Debug)]
pub(crate) struct Budget {
    cost: usize,
    depth: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cost: COST_MAX, depth: DEPTH_MAX }
    }
}

impl Budget {
    /// # Errors
    /// When not so much is left.
    pub fn spend(&mut self, cost: usize) -> Result<(), String> {
        self.cost = self.cost.checked_sub(cost).ok_or_else(too_large)?;
        Ok(())
    }

    /// Compares two types, a level deeper.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn enter(&mut self) -> Result<(), String> {
        self.spend(COMPARISON_COST)?;
        self.depth = self.depth.checked_sub(1).ok_or_else(too_large)?;
        Ok(())
    }

    /// Comes back up.
    pub fn leave(&mut self) {
        self.depth += 1;
    }
}

fn too_large() -> String {
    "the schemas are too large to be compared".to_owned()
}

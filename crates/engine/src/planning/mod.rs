//! How plans are made otherwise than DataFusion makes them, where its way gives wrong answers or none.

mod above_groups;
mod calls_apart;
mod common_parts;
mod constants;
pub(crate) mod dependencies;
mod float_keys;
pub(crate) mod float_pruning;
mod gathered;
mod guarded;
mod missing;
mod null_safe;
pub(crate) mod outer_joins;
pub(crate) mod own_values;
pub(crate) mod part_names;
mod sort_keys;
mod wrapped;

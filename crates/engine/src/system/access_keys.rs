//! `polder.access_keys`.

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use polder_types::Result;

use super::jobs::{texts, times};
use super::{text, time};
use crate::authz::Who;
use crate::engine::Engine;

pub(super) fn schema() -> Schema {
    Schema::new(vec![text("access_key_id", false), text("user_name", false), time("created_at", false)])
}

/// One's own, and those of roles whose rights one has: never a secret.
pub(super) async fn rows(engine: &Engine, who: &Who) -> Result<Vec<ArrayRef>> {
    let mut keys = engine.metastore.principals().list_access_keys(None).await?;
    keys.retain(|key| who.has_named(&key.user));
    Ok(vec![
        texts(&keys, |key| Some(key.id.clone())),
        texts(&keys, |key| Some(key.user.clone())),
        times(&keys, |key| Some(key.created_at)),
    ])
}

//! What is due now and then: retention, and the removal of what nobody needs.

use polder_types::Result;

use crate::keeper::remove_unused;
use crate::log::Inner;

pub(crate) async fn run(log: &Inner) -> Result<bool> {
    let ground = &log.reader.ground;
    if remove_unused(&*ground.disk, &ground.published, &log.durable)? > 0 {
        log.reader.files.forget();
    }
    Ok(false)
}

//! What is done once a write or a sync has failed, before anything else is written.
//!
//! After a sync that failed the system takes for written what it could not write, and later syncs succeed without it. So what no
//! sync has vouched for is written once more: where acknowledgements wait for syncs, that is nothing, as all of it was refused;
//! where they do not, it is what came since the last sync.

use std::sync::Arc;

use polder_types::{Error, ErrorKind, Result};

use super::Writer;
use crate::failure::failed;
use crate::scan::Scan;

impl Writer {
    /// Writes again what may be on no disk, and cuts off what may stand behind it, so that none of that comes back after a crash.
    /// Nothing may be in the group.
    pub(super) fn mend(&mut self) -> Result<()> {
        self.write_again()?;
        self.sync()?;
        self.synced = self.next_sequence - 1;
        // Said before the file gets shorter, and it stays so until there is room again: otherwise a start might think that
        // somebody has cut it. On a full disk it can only be said once the file is shorter.
        let said = self.end.say(&*self.ground.disk, self.synced);
        let mending = |error| failed("mending", &self.path(), error);
        let file = Arc::clone(&self.active.file);
        file.cut(self.active.position).map_err(mending)?;
        if let Err(error) = file.allocate(self.ground.options.room_of(self.active.segment)) {
            let error = mending(error);
            if said.is_err()
                && let Err(unsaid) = self.end.say(&*self.ground.disk, self.synced)
            {
                tracing::warn!(error = %unsaid, "it could not be written down up to where the log is durable");
            }
            return Err(error);
        }
        self.sync()?;
        self.torn = false;
        Ok(())
    }

    /// From memory, and what is not there as the system still gives it.
    fn write_again(&self) -> Result<()> {
        let (mut position, end) = (self.synced_position, self.active.position);
        if position >= end {
            return Ok(());
        }
        let (segment, file, path) = (self.active.segment, &self.active.file, self.path());
        let mending = |error| failed("mending", &path, error);
        let mut scan = Scan::new(Arc::clone(file), self.identity, segment).map_err(mending)?;
        while position < end {
            let held = self.ground.cache.written(segment, position);
            let bytes = match &held {
                Some(bytes) => bytes,
                None => scan.whole(position).map_err(mending)?.ok_or_else(|| gone(&path, position))?.1,
            };
            file.write_all_at(bytes, position).map_err(mending)?;
            position += bytes.len() as u64;
        }
        Ok(())
    }
}

fn gone(path: &str, position: u64) -> Error {
    let message = format!(
        "what {path} has from byte {position} on was acknowledged without a sync, and neither the disk nor memory has it any more"
    );
    Error::new(ErrorKind::Unavailable, message)
        .with_hint("start the server again: the log goes on behind what is whole")
}

//! What has to be known of statements before the engine gets them: where each begins, and which are about the session
//! of the protocol and not about data.

pub(crate) mod command;
pub(crate) mod copy_options;
pub(crate) mod cursor;
pub(crate) mod prepare;
pub(crate) mod scan;
pub(crate) mod set_config;

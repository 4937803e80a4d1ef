//! What a topic can be called.

use polder_capability::topics::{TopicError, TopicFailure, TopicResult};

/// Kafka's own bound, which leaves room for a suffix in a file name of 255 bytes.
pub const NAME_BYTES_MAX: usize = 249;

/// Names that Kafka keeps for itself. What it has in these topics is kept elsewhere here.
pub const INTERNAL: &[&str] = &["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// # Errors
/// `InvalidTopic`, with the reason.
pub fn check(name: &str) -> TopicResult<()> {
    let refuse = |message: &str| Err(TopicFailure::new(TopicError::InvalidTopic, message));
    if name.is_empty() {
        return refuse("a topic's name is not empty");
    }
    if name == "." || name == ".." {
        return refuse("a topic's name is neither . nor ..");
    }
    if name.len() > NAME_BYTES_MAX {
        return refuse("a topic's name has at most 249 bytes");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return refuse("a topic's name is made of ASCII letters, digits, '.', '_' and '-'");
    }
    if INTERNAL.contains(&name) {
        return refuse("this name is kept for the server itself");
    }
    Ok(())
}

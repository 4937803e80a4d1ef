//! Ids that travel between floors.

use std::fmt;
use std::str::FromStr;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            /// A new id, ordered by time.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "two calls give two values")]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = crate::Error;

            fn from_str(text: &str) -> crate::Result<Self> {
                uuid::Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| crate::Error::invalid(format!("not an id: {:?}", text.chars().take(64).collect::<String>())))
            }
        }
    };
}

uuid_id!(
    /// One run of one statement.
    QueryId
);
uuid_id!(
    /// One load of one or several sources.
    LoadId
);
uuid_id!(
    /// One run of one job: one attempt.
    RunId
);

/// A version of the whole lake. Grows by one with each commit.
pub type SnapshotId = i64;

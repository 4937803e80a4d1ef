//! Values whose types the compiler does not look into.
//!
//! Whether a future may go to another thread depends on all that it holds, down to the last field. The types of plans and
//! expressions have hundreds of fields that refer to each other, and the compiler begins anew in every function that asks:
//! a session's state held across an `await` made each of these take five seconds. Behind a trait object it need not look.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};

trait Held<T>: Send + Sync {
    fn held(&self) -> &T;
}

impl<T: Send + Sync> Held<T> for T {
    fn held(&self) -> &T {
        self
    }
}

/// As an `Arc`.
pub(crate) struct Opaque<T: 'static>(Arc<dyn Held<T>>);

/// As a `Weak`.
pub(crate) struct OpaqueWeak<T: 'static>(Weak<dyn Held<T>>);

impl<T: Send + Sync + 'static> Opaque<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }

    pub fn downgrade(&self) -> OpaqueWeak<T> {
        OpaqueWeak(Arc::downgrade(&self.0))
    }
}

impl<T: 'static> OpaqueWeak<T> {
    pub fn upgrade(&self) -> Option<Opaque<T>> {
        self.0.upgrade().map(Opaque)
    }
}

impl<T: 'static> Deref for Opaque<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().held()
    }
}

impl<T: 'static> Clone for Opaque<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug + 'static> fmt::Debug for Opaque<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().held().fmt(f)
    }
}

impl<T: 'static> fmt::Debug for OpaqueWeak<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueWeak")
    }
}

//! Threads that may be kept for a moment.

use std::cell::Cell;

thread_local! {
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// Does work of which a part may keep this thread for as long as waking another one takes.
pub fn briefly<T>(work: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            MAY_WAIT.set(self.0);
        }
    }
    let _back = Back(MAY_WAIT.replace(true));
    work()
}

/// Whether this is such work.
#[must_use]
pub fn may_wait_briefly() -> bool {
    MAY_WAIT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_within_it_and_on_its_thread() {
        assert!(!may_wait_briefly());
        briefly(|| {
            assert!(may_wait_briefly());
            assert!(!std::thread::spawn(may_wait_briefly).join().unwrap());
            briefly(|| ());
            assert!(may_wait_briefly());
        });
        assert!(std::panic::catch_unwind(|| briefly(|| panic!("on purpose"))).is_err());
        assert!(!may_wait_briefly());
    }
}

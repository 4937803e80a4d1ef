//! What a disk cannot read.

use std::io;

/// What Linux says where a disk, or a file system that checks what it reads, cannot give what is at a place: `EIO`, `ENODATA`,
/// `EBADMSG`, `EILSEQ`, `EUCLEAN`, `EREMOTEIO`.
const UNREADABLE: [i32; 6] = [5, 61, 74, 84, 117, 121];

/// Whether what is at a place is there and cannot be read. Asking again changes nothing, and other places can be read.
#[must_use]
pub fn is_unreadable(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| UNREADABLE.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    #[test]
    fn a_place_that_cannot_be_read_is_told_from_a_file_that_is_not_there() {
        // Nothing is at the beginning of a process' memory.
        let mut memory = File::open("/proc/self/mem").unwrap();
        assert!(is_unreadable(&memory.read(&mut [0; 8]).unwrap_err()));
        assert!(!is_unreadable(&File::open("/proc/self/nothing").unwrap_err()));
    }
}

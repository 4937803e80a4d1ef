//! Bytes for topics: record batches, as anybody may send them who may write. They are read or refused; nothing panics, and nothing is
//! unpacked beyond its bound.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| polder_topic_log::fuzzing::read(data));

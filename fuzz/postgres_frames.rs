//! Bytes for PostgreSQL's protocol: start-ups, logins, messages, copies. They are read or refused; nothing panics, and
//! pieces change nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| polder_postgres_server::fuzzing::read(data));

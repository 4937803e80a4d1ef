//! `polder`: raw data to an answer, in one binary.

mod cli;
mod client;
mod connection;
mod credentials;
mod demo;
mod embedded;
mod endpoints;
mod failure;
mod first_start;
mod load;
mod maintain;
mod output;
mod run;
mod settings;
mod shell;
mod split;
mod sql;
mod terminal;
mod tokens;
mod topics;
mod up;
mod wiring;
mod workers;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}

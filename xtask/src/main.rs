//! The project's own checks: `cargo xtask tidy`.

mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy

tidy   checks what the compiler does not: floors, one version of the heavy dependencies, forbidden words, sizes";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let outcome = match task.as_str() {
        "tidy" => tidy::run(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

//! What the compiler does not check. Every check is in [`CHECKS`]; each gives the list of what it found wrong.

mod features;
mod floors;
mod layout;
mod lock;
mod size;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use anyhow::Result;

use tree::Tree;

/// One thing that is wrong: where, and what to do.
type Problem = String;

struct Check {
    name: &'static str,
    run: fn(&Tree) -> Result<Vec<Problem>>,
}

const CHECKS: &[Check] = &[
    Check { name: "crates import strictly lower floors", run: floors::check },
    Check { name: "heavy dependencies are resolved once", run: lock::cargo },
    Check { name: "heavy dependencies are built once", run: features::check },
    Check { name: "npm lock files name no download addresses", run: lock::npm },
    Check { name: "no unfinished work", run: words::unfinished },
    Check { name: "no addresses of one machine", run: words::machine },
    Check { name: "files are of a readable size", run: size::check },
    Check { name: "SQL tests belong to a capability", run: layout::sql_tests },
    Check { name: "the change log has a section for what is coming", run: layout::changelog },
];

/// Runs every check and prints what it found. True if nothing was wrong.
pub fn run() -> Result<bool> {
    let tree = Tree::read()?;
    let mut failed = 0;
    for check in CHECKS {
        let problems = (check.run)(&tree)?;
        if problems.is_empty() {
            println!("ok      {}", check.name);
            continue;
        }
        failed += 1;
        println!("FAILED  {}", check.name);
        for problem in problems {
            println!("        {problem}");
        }
    }
    println!("tidy: {} checks, {failed} failed", CHECKS.len());
    Ok(failed == 0)
}

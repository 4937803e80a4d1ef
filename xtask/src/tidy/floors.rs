//! The floors of the house: `[package.metadata.polder] floor = n` in each crate's manifest.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Problem;
use super::tree::{Tree, output};

/// A crate as its manifest declares it.
#[derive(Debug, Clone, Default)]
pub struct Package {
    pub name: String,
    pub folder: String,
    pub floor: Option<u64>,
    pub dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Default)]
pub struct Dependency {
    pub name: String,
    /// Only the crate's tests see it.
    pub in_tests: bool,
}

/// Floors 0 and 4: all that a server may know.
const SERVER_FLOOR: u64 = 6;
const SERVER_MAY_IMPORT: [u64; 2] = [0, 4];

/// External crates that only some of ours may import, except in tests.
const GATES: &[(&str, &[&str], &str)] = &[
    ("datafusion-ducklake", &["polder-lake"], "the lake is the only crate that knows the table format's library"),
    (
        "sqlx",
        &["polder-metastore", "polder-deliveries"],
        "the metastore owns the database's connections, and deliveries those to databases elsewhere",
    ),
    ("axum", &["polder-http-server", "polder-aws-server"], "HTTP is the servers' business"),
    ("pgwire", &["polder-postgres-server"], "PostgreSQL's protocol is the server's business"),
];

/// Crates that stay free of the query engine, so that they build and test in seconds.
const WITHOUT_ENGINE: &[&str] = &["polder-types", "polder-runtime", "polder-kernels", "polder-capability"];

pub fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let metadata =
        output(Command::new("cargo").args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(&tree.root))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let packages = packages(&metadata);
    let mut problems = judge(&packages);
    for name in WITHOUT_ENGINE {
        if packages.iter().any(|package| package.name == *name) && links_engine(tree, name)? {
            problems.push(format!("{name} links datafusion: move what needs it to a higher floor"));
        }
    }
    Ok(problems)
}

/// The crates in `crates/`, from `cargo metadata`.
pub fn packages(metadata: &Value) -> Vec<Package> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = metadata["packages"].as_array().cloned().unwrap_or_default();
    list.iter()
        .filter_map(|package| {
            let manifest = text(&package["manifest_path"]).replace('\\', "/");
            let folder = manifest.strip_suffix("/Cargo.toml")?;
            let (parent, folder) = folder.rsplit_once('/')?;
            parent.ends_with("/crates").then(|| Package {
                name: text(&package["name"]),
                folder: folder.to_owned(),
                floor: package["metadata"]["polder"]["floor"].as_u64(),
                dependencies: package["dependencies"]
                    .as_array()
                    .map(|all| {
                        let dependency =
                            |one: &Value| Dependency { name: text(&one["name"]), in_tests: one["kind"] == "dev" };
                        all.iter().map(dependency).collect()
                    })
                    .unwrap_or_default(),
            })
        })
        .collect()
}

pub fn judge(packages: &[Package]) -> Vec<Problem> {
    let floors: BTreeMap<&str, u64> =
        packages.iter().filter_map(|package| Some((package.name.as_str(), package.floor?))).collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = &package.name;
        if *name != format!("polder-{}", package.folder) && *name != package.folder {
            problems.push(format!("crates/{} holds the crate {name}: folder and crate bear one name", package.folder));
        }
        let Some(floor) = package.floor else {
            problems.push(format!("{name} declares no floor: add [package.metadata.polder] floor = n"));
            continue;
        };
        for dependency in &package.dependencies {
            if let Some(&below) = floors.get(dependency.name.as_str()) {
                problems.extend(judge_import(name, floor, dependency, below));
            }
            for (gated, allowed, reason) in GATES {
                if dependency.name == *gated && !dependency.in_tests && !allowed.contains(&name.as_str()) {
                    problems.push(format!("{name} imports {gated}: {reason}"));
                }
            }
        }
    }
    problems
}

fn judge_import(name: &str, floor: u64, import: &Dependency, below: u64) -> Option<Problem> {
    let dependency = &import.name;
    if below >= floor {
        return Some(format!(
            "{name} (floor {floor}) imports {dependency} (floor {below}): only lower floors may be imported"
        ));
    }
    // A server's tests may have something real behind it.
    if floor == SERVER_FLOOR && !import.in_tests && !SERVER_MAY_IMPORT.contains(&below) {
        return Some(format!(
            "{name} is a server and imports {dependency}: servers know the contracts and the ground only"
        ));
    }
    None
}

fn links_engine(tree: &Tree, package: &str) -> Result<bool> {
    let listed = output(
        Command::new("cargo")
            .args(["tree", "--package", package, "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"])
            .current_dir(&tree.root),
    )?;
    Ok(listed.lines().any(|line| line.starts_with("datafusion")))
}

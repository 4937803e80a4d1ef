#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::floors::{Dependency, Package, judge, packages};
use super::{features, layout, lock, size, words};

fn package(name: &str, floor: u64, dependencies: &[&str]) -> Package {
    Package {
        name: name.to_owned(),
        folder: name.strip_prefix("polder-").unwrap_or(name).to_owned(),
        floor: Some(floor),
        dependencies: dependencies.iter().map(|&one| Dependency { name: one.to_owned(), in_tests: false }).collect(),
    }
}

/// The problems must be as many as `expected`, and each must hold the words given.
fn check(problems: &[String], expected: &[&str]) {
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, words) in problems.iter().zip(expected) {
        assert!(problem.contains(words), "{problem:?} does not say {words:?}");
    }
}

#[test]
fn imports_go_down() {
    let ground = package("polder-types", 0, &["serde"]);
    let lake = package("polder-lake", 3, &["polder-types", "datafusion-ducklake"]);
    let engine = package("polder-engine", 5, &["polder-lake", "polder-types"]);
    check(&judge(&[ground.clone(), lake.clone(), engine.clone()]), &[]);

    let up = package("polder-types", 0, &["polder-lake"]);
    check(&judge(&[up, lake.clone()]), &["polder-types (floor 0) imports polder-lake (floor 3)"]);

    let sideways = package("polder-loading", 5, &["polder-engine"]);
    check(&judge(&[sideways, engine.clone()]), &["polder-loading (floor 5) imports polder-engine (floor 5)"]);

    let server = package("polder-http-server", 6, &["polder-types", "polder-engine"]);
    check(&judge(&[server, engine, ground]), &["is a server and imports polder-engine"]);

    let gated = package("polder-engine", 5, &["datafusion-ducklake"]);
    check(&judge(&[gated.clone(), lake]), &["polder-engine imports datafusion-ducklake"]);
    let mut in_tests = gated;
    in_tests.dependencies[0].in_tests = true;
    check(&judge(&[in_tests]), &[]);
}

#[test]
fn manifests_say_floor_and_name() {
    let mut nowhere = package("polder-types", 0, &[]);
    nowhere.floor = None;
    check(&judge(&[nowhere]), &["declares no floor"]);

    let mut elsewhere = package("polder-types", 0, &[]);
    elsewhere.folder = "ground".to_owned();
    check(&judge(&[elsewhere]), &["crates/ground holds the crate polder-types"]);

    let metadata = json!({"packages": [
        {"name": "polder-lake", "manifest_path": "/p/crates/lake/Cargo.toml", "metadata": {"polder": {"floor": 3}},
         "dependencies": [{"name": "polder-types", "kind": null}, {"name": "sqlx", "kind": "dev"}]},
        {"name": "xtask", "manifest_path": "/p/xtask/Cargo.toml", "metadata": null, "dependencies": []},
    ]});
    let found = packages(&metadata);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].folder.as_str(), found[0].floor), ("lake", Some(3)));
    let dependencies: Vec<_> = found[0].dependencies.iter().map(|one| (one.name.as_str(), one.in_tests)).collect();
    assert_eq!(dependencies, [("polder-types", false), ("sqlx", true)]);
}

#[test]
fn heavy_dependencies_have_one_version() {
    let entry = |name: &str, version: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\n");
    let once: String =
        ["datafusion", "arrow", "parquet", "object_store"].iter().map(|name| entry(name, "1.0.0")).collect();
    check(&lock::judge_versions(&once), &[]);
    check(&lock::judge_versions(&(once.clone() + &entry("arrow", "2.0.0"))), &["arrow 1.0.0 and 2.0.0"]);
    check(&lock::judge_versions(&(once + &entry("arrow-array", "2.0.0"))), &[]);
    check(&lock::judge_versions(""), &["no datafusion", "no arrow", "no parquet", "no object_store"]);
}

#[test]
fn npm_locks_have_no_addresses() {
    let lock = json!({"packages": {"": {}, "node_modules/a": {"resolved": "https://example.org/a.tgz"}, "node_modules/b": {}}});
    check(&lock::judge_npm("console/package-lock.json", &lock), &["node_modules/a"]);
    let linked = json!({"packages": {"node_modules/a": {"resolved": "../a", "link": true}}});
    check(&lock::judge_npm("console/package-lock.json", &linked), &[]);
}

#[test]
fn features_are_the_same_alone() {
    let set = |text| features::external(text);
    let all = set("tokio v1.0.0 full,net (*)\nserde v1.0.0 std\npolder v0.1.0 (/somewhere) \n");
    assert_eq!(all.len(), 2);
    check(&features::compare("polder-lake", &set("serde v1.0.0 std\n"), &all), &[]);
    check(&features::compare("polder-lake", &set("tokio v1.0.0 net\n"), &all), &["other features of tokio:"]);
}

#[test]
fn words_are_whole() {
    let lines =
        |text, words: &[&'static str]| words::find(text, words).iter().map(|(line, _)| *line).collect::<Vec<_>>();
    assert_eq!(lines("a\n// TODO: later", &["TODO"]), [2]);
    assert_eq!(lines("TODOS and myTODO and TO_DO", &["TODO"]), [0; 0]);
    assert_eq!(lines("todo!()", &["todo!"]), [1]);
    assert_eq!(lines("todo()", &["todo!"]), [0; 0]);
    assert_eq!(lines("cd /root/x", &["/root/"]), [1]);
    assert_eq!(lines("import '../views/root/x'", &["/root/"]), [0; 0]);
    assert_eq!(lines("file:///root/x", &["/root/"]), [1]);
    assert_eq!(lines("é TODO é", &["TODO"]), [1]);
}

#[test]
fn sizes_count_for_production_code() {
    for (file, expected) in [
        ("crates/lake/src/commit.rs", true),
        ("console/src/views/query/Editor.tsx", true),
        ("crates/lake/src/tests.rs", false),
        ("crates/lake/tests/commit.rs", false),
        ("console/src/services/api.gen.ts", false),
        ("console/src/format.test.ts", false),
        ("README.md", false),
        ("tests/clients/polder.py", false),
    ] {
        assert_eq!(size::counts(file), expected, "{file}");
    }
}

#[test]
fn layout_is_kept() {
    let files = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    check(&layout::judge_sql_tests(&files(&["crates/engine/src/lib.rs", "tests/slt/engine/select.slt"])), &[]);
    check(&layout::judge_sql_tests(&files(&["tests/slt/ml/a.slt", "tests/slt/ml/b.slt"])), &["tests/slt/ml"]);
    check(&layout::judge_sql_tests(&files(&["tests/slt/a.slt"])), &["put it into the folder"]);
    check(&layout::judge_changelog("# Changes\n\n## Unreleased\n"), &[]);
    check(&layout::judge_changelog("# Changes\n"), &["no section"]);
}

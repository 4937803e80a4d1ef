//! Makes the folder of the built console, so that a fresh clone compiles before the console is built, and so that
//! cargo can watch it.

fn main() {
    let console = std::path::Path::new("../../console/dist");
    if let Err(error) = std::fs::create_dir_all(console) {
        // Not fatal: without the folder the server shows a page that says how to build the console.
        println!("cargo:warning=cannot make {}: {error}", console.display());
    }
    println!("cargo:rerun-if-changed={}", console.display());
    println!("cargo:rerun-if-changed=build.rs");
}

//! Holds no code. Depending on it makes cargo choose the same features of every heavy dependency, whichever of our
//! crates is built, so that DataFusion is compiled once. Without it `cargo build -p polder-lake` and
//! `cargo build -p polder` resolve a few small crates (`tracing-core`, `ahash`, `md-5`) differently, and everything
//! above those is compiled again.

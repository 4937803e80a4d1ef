//! REST and the console over HTTP.
//!
//! This crate translates: HTTP on one side, the contracts of `polder-capability` on the other. It decides nothing about
//! data. `routes` has one file a topic, `encode` one file a result format, `model` the bodies as the OpenAPI document
//! shows them; the rest guards the door (`connection`, `middleware`, `auth`, `extract`) and keeps what lasts longer
//! than one request (`sessions`, `spool`, `metrics`).

mod answer;
mod auth;
mod connection;
mod encode;
mod error;
mod extract;
mod metrics;
mod middleware;
mod model;
mod openapi;
mod read_on;
mod routes;
mod schema_registry;
mod server;
mod sessions;
mod spool;
mod state;
mod streams;
mod system;

pub use auth::Auth;
pub use openapi::openapi;
pub use server::{HttpServer, HttpServerOptions, Services};
pub use streams::StreamServices;

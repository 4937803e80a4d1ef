//! Bodies that several routes share, as the OpenAPI document shows them. The contracts do not know HTTP, so each type here
//! mirrors one of them.

pub(crate) mod jobs;
pub(crate) mod loading;
pub(crate) mod query;
pub(crate) mod streams;

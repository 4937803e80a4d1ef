//! What is spoken.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use polder_capability::topics::TopicClient;
use tokio::sync::OwnedSemaphorePermit;

use crate::error::ApiResult;
use crate::firehose;
use crate::kinesis;
use crate::request::Form;
use crate::server::House;
use crate::value::Value;

/// All services. A new one has a folder of its own, and a line here.
pub const SERVICES: &[Service] = &[kinesis::SERVICE, firehose::SERVICE];

/// Bytes of records that are handed to the connection at once.
const PART_BYTES: usize = 64 << 10;

/// An API: operations that are named by `X-Amz-Target`.
pub struct Service {
    /// Before the dot of a target.
    pub target: &'static str,
    /// What requests to it are signed for.
    pub signed_as: &'static str,
    /// The operation is what stands behind the dot.
    pub run: fn(Call) -> BoxFuture<'static, ApiResult<Reply>>,
}

/// A request, from somebody who is known.
pub struct Call {
    pub house: Arc<House>,
    pub client: TopicClient,
    /// The place in the world that the client believes to speak to; it is a part of names.
    pub region: String,
    pub operation: String,
    /// Of the request, and so of the answer.
    pub form: Form,
    pub input: Value,
}

/// An answer.
pub enum Reply {
    /// Nothing to say: a body without bytes.
    Empty,
    Value(Value),
    /// Records, with the room that they take until the client has them.
    Records(Value, OwnedSemaphorePermit),
    /// Messages, one after the other.
    Events(BoxStream<'static, Bytes>),
}

impl Reply {
    pub fn into_body(self, write: fn(&Value) -> Vec<u8>) -> Body {
        use futures::StreamExt as _;
        match self {
            Self::Empty => Body::empty(),
            Self::Value(value) => Body::from(write(&value)),
            Self::Records(value, room) => {
                let parts = futures::stream::unfold((Bytes::from(write(&value)), room), async |(mut rest, room)| {
                    let part = rest.split_to(rest.len().min(PART_BYTES));
                    (!part.is_empty()).then_some((Ok::<_, std::convert::Infallible>(part), (rest, room)))
                });
                Body::from_stream(parts)
            }
            Self::Events(events) => Body::from_stream(events.map(Ok::<_, std::convert::Infallible>)),
        }
    }
}

/// The service and the operation that a target names.
pub fn find(target: &str) -> Option<(&'static Service, &str)> {
    let (name, operation) = target.split_once('.')?;
    SERVICES.iter().find(|service| service.target == name).map(|service| (service, operation))
}

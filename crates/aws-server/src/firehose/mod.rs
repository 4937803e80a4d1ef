//! Data Firehose: a delivery stream is a delivery.
//!
//! What Firehose's API knows and a delivery does not (`state`) is kept with the delivery's definition; `plan` makes a
//! delivery's target of a destination's configuration.

mod destination;
mod manage;
mod plan;
mod put;
mod show;
mod state;
mod tags;
#[cfg(test)]
mod tests;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use polder_capability::Reach;
use polder_capability::deliveries::{Deliveries, DeliveryStatus};
use polder_types::{Error, ErrorKind};
use tokio::sync::SemaphorePermit;

use self::state::About;
use crate::error::{ACCOUNT, ApiError, ApiResult};
use crate::input::Input;
use crate::server::DeliveryContracts;
use crate::services::{Call, Reply, Service};

pub const SERVICE: Service = Service { target: "Firehose_20150804", signed_as: "firehose", run };

fn run(call: Call) -> BoxFuture<'static, ApiResult<Reply>> {
    dispatch(call).boxed()
}

/// All operations.
async fn dispatch(call: Call) -> ApiResult<Reply> {
    let Some(contracts) = &call.house.contracts.deliveries else {
        return Err(ApiError::new("UnknownOperationException", "this server delivers nothing"));
    };
    let hose = &Hose { call: &call, contracts };
    match call.operation.as_str() {
        "CreateDeliveryStream" => manage::create(hose).await,
        "DeleteDeliveryStream" => manage::delete(hose).await,
        "UpdateDestination" => manage::update(hose).await,
        "StartDeliveryStreamEncryption" => manage::encrypt(hose).await,
        "StopDeliveryStreamEncryption" => manage::decrypt(hose).await,
        "DescribeDeliveryStream" => show::describe(hose).await,
        "ListDeliveryStreams" => show::list(hose).await,
        "PutRecord" => put::one(hose).await,
        "PutRecordBatch" => put::many(hose).await,
        "TagDeliveryStream" => tags::tag(hose).await,
        "UntagDeliveryStream" => tags::untag(hose).await,
        "ListTagsForDeliveryStream" => tags::list(hose).await,
        _ => Err(ApiError::new("UnknownOperationException", "there is no such operation")),
    }
}

/// A request about delivery streams.
struct Hose<'a> {
    call: &'a Call,
    contracts: &'a DeliveryContracts,
}

impl Hose<'_> {
    fn deliveries(&self) -> &dyn Deliveries {
        self.contracts.deliveries.as_ref()
    }

    /// What a request says, if it says nothing but the stream's name and these members.
    fn input(&self, names: &[&str]) -> ApiResult<Input<'_>> {
        let input = Input::of(&self.call.input)?;
        input.only(&[&["DeliveryStreamName"], names].concat())?;
        Ok(input)
    }

    /// Whether a delivery is the caller's, or that of a role whose rights the caller has.
    async fn owns(&self, delivery: &DeliveryStatus) -> ApiResult<bool> {
        let (user, owner) = (&self.call.client.caller.user, &delivery.definition.owner);
        self.contracts.accounts.reaches(user, owner, Reach::Own).await.map_err(failed)
    }

    /// The delivery that a request names. One of somebody else is not there.
    async fn stream(&self, input: &Input<'_>) -> ApiResult<(DeliveryStatus, About)> {
        let name = input.needs_text("DeliveryStreamName")?;
        let found = self.deliveries().find(name).await.map_err(failed)?;
        let delivery = found.ok_or_else(|| no_stream(name))?;
        if !self.owns(&delivery).await? {
            return Err(no_stream(name));
        }
        let about = About::of(&delivery)?;
        Ok((delivery, about))
    }

    /// Held while something is looked at and then changed.
    async fn changes(&self) -> ApiResult<SemaphorePermit<'_>> {
        self.call.house.changes.acquire().await.map_err(|_| unavailable("the server is stopping"))
    }

    fn arn(&self, name: &str) -> String {
        format!("arn:aws:firehose:{}:{ACCOUNT}:deliverystream/{name}", self.call.region)
    }

    fn now_ms(&self) -> i64 {
        self.call.house.contracts.clock.now().timestamp_millis()
    }
}

fn no_stream(name: &str) -> ApiError {
    let name: String = name.chars().take(200).collect();
    ApiError::not_found(format!("Firehose {name} under account {ACCOUNT} not found."))
}

fn unavailable(message: impl Into<String>) -> ApiError {
    ApiError::new("ServiceUnavailableException", message).with_status(axum::http::StatusCode::SERVICE_UNAVAILABLE)
}

/// What went wrong with a delivery, by Firehose's codes.
fn failed(error: Error) -> ApiError {
    let message = error.described();
    match error.kind() {
        ErrorKind::AlreadyExists => ApiError::new("ResourceInUseException", message),
        ErrorKind::NotFound => ApiError::not_found(message),
        ErrorKind::Forbidden | ErrorKind::Unauthenticated => ApiError::new("AccessDeniedException", message),
        ErrorKind::InvalidInput | ErrorKind::TooLarge | ErrorKind::Unsupported => ApiError::argument(message),
        ErrorKind::Conflict => ApiError::new("ConcurrentModificationException", message),
        ErrorKind::Exhausted | ErrorKind::Unavailable | ErrorKind::Cancelled => unavailable(message),
        _ => {
            tracing::error!(%error, "a request about a delivery failed");
            ApiError::internal()
        }
    }
}

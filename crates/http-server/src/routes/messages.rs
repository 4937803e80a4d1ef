//! Records of topics, for people to read: page by page, one as a whole, and as they come.

mod page;
mod payload;
mod tail;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use polder_capability::topics::{TopicPart, TopicScan};
use polder_types::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::page::{Page, Place};
use self::payload::{Filter, Sizes};
use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::{Query, Segments};
use crate::middleware::InFlight;
use crate::model::streams::Message;
use crate::state::App;
use crate::streams::{StreamServices, no_such_topic};

pub(crate) use self::tail::Tails;

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 500;

/// Longer texts to look for are refused.
const SEARCH_BYTES_MAX: usize = 1000;

/// Partitions that a page goes on in. A topic may have more; then one of them is to be chosen.
const CURSOR_PLACES_MAX: usize = 5000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_messages)).routes(routes!(get_message)).routes(routes!(tail_messages))
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Begin {
    /// At the end, backwards.
    #[default]
    Newest,
    /// At the first record that is kept.
    Oldest,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessagesQuery {
    /// Only this one.
    partition: Option<i32>,
    /// Where to begin, unless `offset` or `time` says it.
    #[serde(default)]
    #[param(inline)]
    begin: Begin,
    /// Forwards from this offset in each partition.
    offset: Option<i64>,
    /// Forwards from this time, in milliseconds since 1970.
    time: Option<i64>,
    /// Only those with this key. One that is no text is written as `\x` and its hexadecimal digits.
    key: Option<String>,
    /// Only those with this text in key, value or headers, whatever its case.
    search: Option<String>,
    /// Goes on where an answer with the same questions ended: its `next`.
    cursor: Option<String>,
    /// At most so many, 500 at most.
    #[param(minimum = 1, maximum = 500)]
    #[serde(default = "limit_default")]
    limit: u32,
}

fn limit_default() -> u32 {
    LIMIT_DEFAULT
}

/// A page of records. Those of one partition are in order; those of several are put together by their times.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessagePage {
    messages: Vec<Message>,
    /// Ask for the next page with it. `null`: there is no more.
    next: Option<String>,
    /// Records that were looked at. Looking for rare ones ends after a while: go on with `next`.
    looked_at: u64,
}

/// Reads records of a topic
///
/// Committed ones only. Long keys and values are cut: `GET /topics/{name}/messages/{partition}/{offset}` gives more of them.
#[utoipa::path(get, path = "/topics/{name}/messages", tag = "topics",
    params(("name" = String, Path, description = "The topic's name"), MessagesQuery),
    responses((status = 200, body = MessagePage)))]
async fn list_messages(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
    Query(query): Query<MessagesQuery>,
) -> ApiResult<axum::Json<MessagePage>> {
    if query.limit == 0 || query.limit > LIMIT_MAX {
        return Err(Error::invalid(format!("`limit` is {}, it can be 1 to {LIMIT_MAX}", query.limit)).into());
    }
    let services = app.streams()?;
    let filter = filter(query.key, query.search)?;
    let scan = TopicScan {
        partitions: query.partition.map(|partition| vec![partition]),
        from_offset: query.offset,
        from_ms: query.time,
        ..TopicScan::default()
    };
    let is_forward = query.begin == Begin::Oldest || query.offset.is_some() || query.time.is_some();
    let parts = scanned(services, &caller, &name, scan).await?;
    let places = match &query.cursor {
        Some(cursor) => page::places(parts, &parse_cursor(cursor)?, is_forward),
        None => parts.into_iter().map(Place::new).collect(),
    };
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let Page { messages, next, looked_at } = page::read(&*services.rows, places, &filter, is_forward, limit).await?;
    let next = (!next.is_empty()).then(|| print_cursor(&next));
    Ok(axum::Json(MessagePage { messages, next, looked_at }))
}

/// Reads one record
///
/// Of a key, a value and the headers up to 1 MiB each.
#[utoipa::path(get, path = "/topics/{name}/messages/{partition}/{offset}", tag = "topics",
    params(("name" = String, Path, description = "The topic's name"),
        ("partition" = i32, Path, description = "From 0"), ("offset" = i64, Path, description = "The record's offset")),
    responses((status = 200, body = Message)))]
async fn get_message(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments((name, partition, offset)): Segments<(String, i32, i64)>,
) -> ApiResult<axum::Json<Message>> {
    let services = app.streams()?;
    let scan = TopicScan {
        partitions: Some(vec![partition]),
        from_offset: Some(offset),
        to_offset: Some(offset.saturating_add(1)),
        ..TopicScan::default()
    };
    let parts = scanned(services, &caller, &name, scan).await?;
    for part in parts {
        if let Some(message) = page::one(&*services.rows, part, Sizes::WHOLE).await? {
            return Ok(axum::Json(message));
        }
    }
    Err(Error::not_found(format!("there is no record {offset} in partition {partition} of topic {name:?} (any more)"))
        .with_code(UNDEFINED_OBJECT)
        .into())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct TailQuery {
    /// Only this one.
    partition: Option<i32>,
    /// Only those with this key. One that is no text is written as `\x` and its hexadecimal digits.
    key: Option<String>,
    /// Only those with this text in key, value or headers, whatever its case.
    search: Option<String>,
}

/// What has come into a topic since the last line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TailPart {
    /// The newest of them.
    messages: Vec<Message>,
    /// Older ones that are left out, because more came than anybody can read.
    skipped: u64,
}

/// Follows a topic
///
/// Lines of JSON, each a `TailPart`, from now on; an empty line now and then says that nothing came. It ends after an hour.
#[utoipa::path(get, path = "/topics/{name}/tail", tag = "topics",
    params(("name" = String, Path, description = "The topic's name"), TailQuery),
    responses((status = 200, body = TailPart, content_type = "application/x-ndjson")))]
async fn tail_messages(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
    Query(query): Query<TailQuery>,
    in_flight: Option<Extension<InFlight>>,
) -> ApiResult<Response> {
    let services = app.streams()?;
    let filter = filter(query.key, query.search)?;
    let ticket = app.tails.take(&caller.user)?;
    let partitions = query.partition.map(|partition| vec![partition]);
    let parts = following(services, &caller, &name, partitions).await?;
    let in_flight = in_flight.map(|Extension(in_flight)| in_flight);
    let body = tail::body(&services.rows, parts, filter, app.stop.clone(), (ticket, in_flight))?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

/// What is to be read, with values as they were written: that is what is looked for, and not what a table makes of them.
async fn scanned(
    services: &StreamServices,
    caller: &polder_capability::Caller,
    name: &str,
    scan: TopicScan,
) -> Result<Vec<TopicPart>> {
    let parts = services.rows.scan(caller, name, scan).await?;
    Ok(parts.into_iter().map(|part| TopicPart { spelled: true, ..part }).collect())
}

/// Parts without an end, which begin where the topic ends now.
async fn following(
    services: &StreamServices,
    caller: &polder_capability::Caller,
    name: &str,
    partitions: Option<Vec<i32>>,
) -> Result<Vec<TopicPart>> {
    let now = TopicScan { partitions: partitions.clone(), ..TopicScan::default() };
    let ends: std::collections::HashMap<i32, i64> = services
        .rows
        .scan(caller, name, now)
        .await?
        .into_iter()
        .filter_map(|part| Some((part.partition, part.to?)))
        .collect();
    let scan = TopicScan { partitions, follow: true, ..TopicScan::default() };
    let mut parts = scanned(services, caller, name, scan).await?;
    if parts.is_empty() {
        return Err(no_such_topic(name));
    }
    for part in &mut parts {
        // A partition that had no part has nothing to read: it follows from its beginning.
        part.from = ends.get(&part.partition).copied().unwrap_or(part.from).max(part.from);
    }
    Ok(parts)
}

fn filter(key: Option<String>, search: Option<String>) -> Result<Filter> {
    for (name, text) in [("key", &key), ("search", &search)] {
        if text.as_ref().is_some_and(|text| text.len() > SEARCH_BYTES_MAX) {
            return Err(Error::invalid(format!("`{name}` is longer than {SEARCH_BYTES_MAX} bytes")));
        }
    }
    Ok(Filter::new(key, search))
}

/// `partition:offset`, with commas between them.
fn parse_cursor(text: &str) -> Result<Vec<(i32, i64)>> {
    let wrong = || Error::invalid("`cursor` is none of an answer's `next`");
    if text.split(',').count() > CURSOR_PLACES_MAX {
        return Err(wrong());
    }
    let place = |place: &str| {
        let (partition, offset) = place.split_once(':')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    };
    text.split(',').map(|text| place(text).ok_or_else(wrong)).collect()
}

fn print_cursor(places: &[(i32, i64)]) -> String {
    let texts: Vec<String> = places.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
    texts.join(",")
}

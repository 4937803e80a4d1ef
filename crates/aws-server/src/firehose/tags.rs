//! Tags of delivery streams.

use super::Hose;
use super::manage::{keep, nothing};
use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::services::Reply;
use crate::value::{Value, map};

/// Of a stream.
const TAGS_MAX: usize = 50;

fn check_text(text: &str, at: &str, most: usize) -> ApiResult<()> {
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@%".contains(c);
    if !text.chars().all(allowed) {
        return Err(ApiError::constraint(
            text,
            at,
            r"satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@%]*)$",
        ));
    }
    if text.chars().count() > most {
        return Err(ApiError::constraint(text, at, &format!("have length less than or equal to {most}")));
    }
    Ok(())
}

/// The tags of a request. `None`: it has none to say.
///
/// # Errors
/// `ValidationException`: too many, too long, or reserved.
pub fn given(input: &Input<'_>) -> ApiResult<Option<Vec<(String, String)>>> {
    let Some(given) = input.list("Tags")? else { return Ok(None) };
    if given.len() > TAGS_MAX {
        let rule = format!("have length less than or equal to {TAGS_MAX}");
        return Err(ApiError::constraint(&format!("{} tags", given.len()), "tags", &rule));
    }
    let mut tags = Vec::new();
    for (number, tag) in (1..).zip(given) {
        let tag = Input::of(tag)?;
        tag.only(&["Key", "Value"])?;
        let (key, value) = (tag.needs_text("Key")?, tag.text("Value")?.unwrap_or_default());
        let at = |member: &str| format!("tags.{number}.member.{member}");
        if key.is_empty() {
            return Err(ApiError::constraint(key, &at("key"), "have length greater than or equal to 1"));
        }
        check_text(key, &at("key"), 128)?;
        check_text(value, &at("value"), 256)?;
        if key.starts_with("aws:") {
            return Err(ApiError::argument("keys of tags that begin with aws: are kept for AWS"));
        }
        set(&mut tags, key, value);
    }
    Ok(Some(tags))
}

fn set(tags: &mut Vec<(String, String)>, key: &str, value: &str) {
    match tags.iter_mut().find(|(there, _)| there == key) {
        Some((_, there)) => value.clone_into(there),
        None => tags.push((key.to_owned(), value.to_owned())),
    }
}

pub async fn tag(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = hose.input(&["Tags"])?;
    let _alone = hose.changes().await?;
    let (delivery, mut about) = hose.stream(&input).await?;
    let tags = given(&input)?.ok_or_else(|| ApiError::validation("Tags are needed"))?;
    for (key, value) in &tags {
        set(&mut about.tags, key, value);
    }
    if about.tags.len() > TAGS_MAX {
        return Err(ApiError::new("LimitExceededException", format!("a delivery stream has at most {TAGS_MAX} tags")));
    }
    keep(hose, &delivery, &about).await?;
    Ok(nothing())
}

pub async fn untag(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = hose.input(&["TagKeys"])?;
    let keys = input.texts("TagKeys")?;
    let _alone = hose.changes().await?;
    let (delivery, mut about) = hose.stream(&input).await?;
    about.tags.retain(|(key, _)| !keys.contains(key));
    keep(hose, &delivery, &about).await?;
    Ok(nothing())
}

pub async fn list(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = hose.input(&["ExclusiveStartTagKey", "Limit"])?;
    let limit = usize::try_from(input.bounded("Limit", 1..=50)?.unwrap_or(50)).unwrap_or_default();
    let after = input.text("ExclusiveStartTagKey")?;
    let (_, about) = hose.stream(&input).await?;
    let begin = about.tags.iter().position(|(key, _)| Some(key.as_str()) == after).map_or(0, |at| at + 1);
    let rest = about.tags.get(begin..).unwrap_or_default();
    let tag = |(key, value): &(String, String)| map([("Key", key.as_str().into()), ("Value", value.as_str().into())]);
    let tags: Vec<Value> = rest.iter().take(limit).map(tag).collect();
    Ok(Reply::Value(map([("Tags", tags.into()), ("HasMoreTags", (rest.len() > limit).into())])))
}

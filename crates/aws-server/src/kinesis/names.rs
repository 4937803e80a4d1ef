//! Names of streams, consumers and shards.

use crate::error::{ACCOUNT, ApiError, ApiResult};

/// # Errors
/// `ValidationException`. `at`: where the name stands in the request.
pub fn check<'a>(name: &'a str, at: &str) -> ApiResult<&'a str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(ApiError::constraint(name, at, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"));
    }
    if name.len() > 249 {
        return Err(ApiError::constraint(name, at, "have length less than or equal to 128"));
    }
    Ok(name)
}

pub fn arn(region: &str, stream: &str) -> String {
    format!("arn:aws:kinesis:{region}:{ACCOUNT}:stream/{stream}")
}

pub fn consumer_arn(region: &str, stream: &str, consumer: &str) -> String {
    format!("{}/consumer/{consumer}", arn(region, stream))
}

/// What stands behind the account in an ARN of Kinesis.
fn resource(arn: &str) -> ApiResult<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "kinesis", _, ACCOUNT, resource] => Ok(resource),
        ["arn", _, "kinesis", ..] => Err(ApiError::not_found(format!("{arn} is of another account than {ACCOUNT}"))),
        _ => Err(ApiError::validation(format!("{arn} is no ARN of Kinesis"))),
    }
}

/// The stream that an ARN names.
///
/// # Errors
/// `ValidationException`, `ResourceNotFoundException`.
pub fn stream_of(arn: &str) -> ApiResult<&str> {
    let no_stream = || ApiError::validation(format!("{arn} is no ARN of a stream"));
    let name = resource(arn)?.strip_prefix("stream/").ok_or_else(no_stream)?;
    check(name, "streamARN")
}

/// The stream and the consumer that an ARN names; `None` if it names none. AWS adds the time of registration to a consumer's.
pub fn consumer_of(arn: &str) -> Option<(&str, &str)> {
    let (stream, consumer) = resource(arn).ok()?.strip_prefix("stream/")?.split_once("/consumer/")?;
    let (name, _) = consumer.split_once(':').unwrap_or((consumer, ""));
    Some((stream, name))
}

pub fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// The number of a shard; `None` for what is no shard's id.
pub fn shard_number(id: &str) -> Option<u32> {
    id.strip_prefix("shardId-").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// A hash key as it is written.
///
/// # Errors
/// `ValidationException`, `InvalidArgumentException`.
pub fn hash_key(text: &str, at: &str) -> ApiResult<u128> {
    let has_form = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if text.is_empty() || text.len() > 39 || !has_form {
        return Err(ApiError::constraint(text, at, r"satisfy regular expression pattern: 0|([1-9]\d{0,38})"));
    }
    text.parse().map_err(|_| ApiError::argument(format!("{at} {text} is beyond the largest hash key, {}", u128::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_arns() {
        let stream = arn("eu-west-1", "s.1");
        assert_eq!(stream_of(&stream), Ok("s.1"));
        let consumer = consumer_arn("eu-west-1", "s", "c");
        assert_eq!(
            (consumer_of(&consumer), consumer_of(&format!("{consumer}:123"))),
            (Some(("s", "c")), Some(("s", "c")))
        );
        assert!(stream_of(&consumer).is_err() && consumer_of(&stream).is_none());
        assert_eq!(stream_of(&stream.replace(ACCOUNT, "0")).unwrap_err().code, "ResourceNotFoundException");
        assert_eq!(stream_of("arn:aws:s3:::bucket").unwrap_err().code, "ValidationException");
        assert_eq!(
            (shard_number(&shard_id(17)), shard_number("123"), shard_number("shardId-+1")),
            (Some(17), None, None)
        );
        assert_eq!(hash_key(&u128::MAX.to_string(), "x"), Ok(u128::MAX));
        for wrong in ["", "01", "-1", "340282366920938463463374607431768211456", "sth"] {
            assert!(hash_key(wrong, "x").is_err(), "{wrong}");
        }
    }
}

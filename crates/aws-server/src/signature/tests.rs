use axum::http::Request;
use chrono::TimeZone as _;
use polder_capability::{Origin, SigningRefusal};
use polder_types::Result;

use super::*;

struct Keys;

#[async_trait::async_trait]
impl SigningKeys for Keys {
    async fn signing_key(&self, id: &str) -> Result<Option<(String, String)>> {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        Ok((id == "AKIDEXAMPLE").then(|| ("polder".to_owned(), secret.to_owned())))
    }

    fn signed(&self, _id: &str, _outcome: std::result::Result<&str, SigningRefusal>, _origin: Origin<'_>) {}
}

fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2015, 8, 30, 12, 36, 0).unwrap()
}

async fn check(request: Request<()>, body: &str, now: DateTime<Utc>) -> ApiResult<String> {
    let parts = request.into_parts().0;
    let signature = Signature::of(&parts)?.ok_or_else(|| incomplete("none"))?;
    signature.check(&parts, body.as_bytes(), "service", now, &Keys).await
}

fn authorization(headers: &str, signature: &str) -> String {
    format!(
        "{ALGORITHM} Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={headers}, \
         Signature={signature}"
    )
}

fn vanilla(query: &str, signature: &str) -> Request<()> {
    Request::get(format!("/{query}"))
        .header("host", "example.amazonaws.com")
        .header("x-amz-date", "20150830T123600Z")
        .header("authorization", authorization("host;x-amz-date", signature))
        .body(())
        .unwrap()
}

/// The published signature of a plain GET with these keys at this time.
const PLAIN: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

#[tokio::test]
async fn published_signatures_are_right_and_changed_requests_are_not() {
    assert_eq!(check(vanilla("", PLAIN), "", now()).await, Ok("polder".to_owned()));
    let ordered = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
    assert_eq!(check(vanilla("?Param2=value2&Param1=value1", ordered), "", now()).await, Ok("polder".to_owned()));
    let code = |outcome: ApiResult<String>| outcome.unwrap_err().code;
    assert_eq!(code(check(vanilla("", PLAIN), "another", now()).await), "InvalidSignatureException");
    assert_eq!(code(check(vanilla("?a=b", PLAIN), "", now()).await), "InvalidSignatureException");
    let mut other = vanilla("", PLAIN);
    other.headers_mut().insert("x-amz-target", "Kinesis_20131202.DeleteStream".parse().unwrap());
    assert_eq!(code(check(other, "", now()).await), "InvalidSignatureException");
    let mut unknown = vanilla("", PLAIN);
    let value = authorization("host;x-amz-date", PLAIN).replace("AKIDEXAMPLE", "NOBODY");
    unknown.headers_mut().insert("authorization", value.parse().unwrap());
    assert_eq!(code(check(unknown, "", now()).await), "UnrecognizedClientException");
}

#[tokio::test]
async fn clocks_may_be_a_quarter_of_an_hour_apart() {
    for (minutes, is_right) in [(-16, false), (-14, true), (14, true), (16, false)] {
        let outcome = check(vanilla("", PLAIN), "", now() + TimeDelta::minutes(minutes)).await;
        assert_eq!(outcome.is_ok(), is_right, "{minutes}: {outcome:?}");
    }
}

#[tokio::test]
async fn signatures_that_are_no_whole_ones_are_told_so() {
    let whole = authorization("host;x-amz-date", PLAIN);
    for wrong in [
        "".to_owned(),
        "Basic cG9sZGVy".to_owned(),
        ALGORITHM.to_owned(),
        whole.replace("Signature=", "Sig="),
        whole.replace("/service/aws4_request", ""),
        whole.replace("aws4_request", "aws3_request"),
    ] {
        let mut request = vanilla("", PLAIN);
        request.headers_mut().insert("authorization", wrong.parse().unwrap());
        assert_eq!(check(request, "", now()).await.unwrap_err().code, "IncompleteSignatureException", "{wrong}");
    }
    let mut undated = vanilla("", PLAIN);
    undated.headers_mut().remove("x-amz-date");
    assert_eq!(check(undated, "", now()).await.unwrap_err().code, "IncompleteSignatureException");
    let mut unsigned_host = vanilla("", PLAIN);
    let value = authorization("x-amz-date", PLAIN);
    unsigned_host.headers_mut().insert("authorization", value.parse().unwrap());
    assert_eq!(check(unsigned_host, "", now()).await.unwrap_err().code, "InvalidSignatureException");
}

/// Each signed header is written down with its value: a long one that is named often would take more memory than there is.
#[tokio::test]
async fn a_header_is_signed_once() {
    for headers in ["host;host;x-amz-date", "host;x-amz-date;host", "x-amz-date;host", "host;;x-amz-date"] {
        let mut twice = vanilla("", PLAIN);
        twice.headers_mut().insert("authorization", authorization(headers, PLAIN).parse().unwrap());
        let refused = check(twice, "", now()).await.unwrap_err();
        assert_eq!((refused.code, refused.message.contains("order")), ("InvalidSignatureException", true), "{headers}");
    }
}

#[tokio::test]
async fn a_request_may_be_signed_in_its_address() {
    let query = "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2F\
                 aws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host";
    let request = |signature: &str| {
        let uri = format!("/{query}&X-Amz-Signature={signature}");
        Request::get(uri).header("host", "example.amazonaws.com").body(()).unwrap()
    };
    let parts = request("").into_parts().0;
    let unsigned = Signature::of(&parts).unwrap().unwrap();
    let signature =
        unsigned.expected("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &unsigned.canonical(&parts, b"").unwrap());
    assert_eq!(check(request(&signature), "", now() + TimeDelta::minutes(59)).await, Ok("polder".to_owned()));
    assert!(check(request(&signature), "", now() + TimeDelta::minutes(61)).await.is_err());
    assert!(check(request(&signature), "x", now()).await.is_err());
}

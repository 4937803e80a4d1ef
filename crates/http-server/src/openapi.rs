//! The OpenAPI document, made from the code of the routes.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{Schema, SchemaType};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
    SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ErrorAnswer;
use crate::routes::{BASE, closed, open, root};
use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(get_openapi))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "health", security(()),
    responses((status = 200, body = Object, description = "An OpenAPI 3.1 document")))]
async fn get_openapi(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone()).into_response()
}

/// Bodies that come in: there, what is optional may be left out.
const OPTIONAL_FIELDS: [&str; 3] = ["LoadOptions", "ColumnChoice", "Chart"];

/// The document that describes the HTTP API, version 1.
#[must_use]
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Polder")
        .version("1")
        .description(Some("The data cloud that you own. Every error has the body `ErrorAnswer`."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    let base = OpenApiBuilder::new()
        .info(info.build())
        .components(Some(components()))
        .security(Some([
            SecurityRequirement::new("cookie", Vec::<String>::new()),
            SecurityRequirement::new("token", Vec::<String>::new()),
        ]))
        .build();
    let api = OpenApiRouter::default().merge(open()).merge(closed());
    let mut document = OpenApiRouter::<App>::with_openapi(base).merge(root()).nest(BASE, api).into_openapi();
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(add_error);
    }
    if let Some(components) = &mut document.components {
        for (name, schema) in &mut components.schemas {
            if !name.ends_with("Request") && !OPTIONAL_FIELDS.contains(&name.as_str()) {
                require_all(schema);
            }
        }
    }
    document
}

fn components() -> Components {
    let mut components = Components::new();
    components.security_schemes.insert(
        "cookie".to_owned(),
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
            "polder_session",
            "Changes also need the header `X-Polder: 1`",
        ))),
    );
    components
        .security_schemes
        .insert("token".to_owned(), SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()));
    let mut schemas = vec![(ErrorAnswer::name().into_owned(), ErrorAnswer::schema())];
    ErrorAnswer::schemas(&mut schemas);
    components.schemas.extend(schemas);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorAnswer"))).build();
    let error = ResponseBuilder::new().description("What went wrong").content("application/json", content);
    components.responses.insert("Error".to_owned(), RefOr::T(error.build()));
    components
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

fn add_error(operation: &mut Operation) {
    operation.responses.responses.insert("default".to_owned(), RefOr::Ref(Ref::from_response_name("Error")));
}

/// Answers have all their fields: what is unknown is `null`, not left out.
fn require_all(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && matches!(object.schema_type, SchemaType::Type(_))
    {
        object.required = object.properties.keys().cloned().collect();
    }
}

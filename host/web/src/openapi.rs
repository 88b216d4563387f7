//! The description of the API, of the same table and types that serve it: OpenAPI 3.1
//! (<https://spec.openapis.org/oas/v3.1.1>).

use aiw_listen::Method;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::api::{API_PREFIX, ApiRoute, ErrorResponse, PromptRequired};
use crate::routes::route_table;

/// Returns the description.
pub fn description() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    // What may be left out of a request is there in an answer, and the other way round.
    let mut requests = settings.clone().for_deserialize().into_generator();
    let mut generator = settings.for_serialize().into_generator();
    let failed = generator.subschema_for::<ErrorResponse>().to_value();
    let asked = generator.subschema_for::<PromptRequired>().to_value();
    let mut paths = Map::new();
    for route in route_table() {
        let answer = (route.response)(&mut generator).to_value();
        let request = route.request.map(|request| request(&mut requests).to_value());
        let operation = operation(route, request, &answer, &failed, &asked);
        let at = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(at) = at.as_object_mut() {
            at.insert(method(&route.method), operation);
        }
    }
    let mut schemas = requests.take_definitions(true);
    schemas.extend(generator.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "aiw",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What aiw knows and does, for its own page. Each route is a command.",
        },
        "servers": [{ "url": API_PREFIX }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn method(method: &Method) -> String {
    method.as_str().to_ascii_lowercase()
}

fn operation(route: &ApiRoute, request: Option<Value>, answer: &Value, failed: &Value, asked: &Value) -> Value {
    let content = |schema: &Value| json!({ "application/json": { "schema": schema } });
    let segments = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    let in_query = |name: &&str| json!({ "name": name, "in": "query", "schema": { "type": "string" } });
    let project = json!({ "name": "project", "in": "query", "schema": { "type": "string" },
        "description": "The directory of a project that aiw knows" });
    let parameters: Vec<Value> =
        segments.map(in_path).chain(route.query_params.iter().map(in_query)).chain([project]).collect();
    let mut operation = json!({
        "summary": format!("`{}`", route.command),
        "parameters": parameters,
        "responses": {
            "200": { "description": "The answer", "content": content(answer) },
            "default": { "description": "The error", "content": content(failed) },
        },
    });
    if route.method != Method::GET {
        operation["responses"]["409"] = json!({ "description": "A question", "content": content(asked) });
    }
    if let Some(request) = request {
        operation["requestBody"] = json!({ "required": true, "content": content(&request) });
    }
    operation
}

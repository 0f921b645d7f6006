//! The reference's OpenAPI document, from the folder of reference data.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::rig::Answer;
use crate::schema;

/// Answers that are no JSON.
const NOT_JSON: [&str; 2] = ["/notifications/live", "/read"];

pub(crate) struct Golden(Value);

impl Golden {
    /// `None`, and a line that says so, when the reference data are not there.
    pub(crate) fn load() -> Option<Self> {
        let file = shared().join("conformance/prometheus-openapi/openapi_3.1_golden.yaml");
        let Ok(text) = std::fs::read_to_string(&file) else {
            // A closed stderr leaves nobody to tell.
            let _closed = writeln!(std::io::stderr(), "skipped: {} is not there", file.display()).is_err();
            return None;
        };
        let mut document: Value = settings::from_yaml(&text).expect("the document is YAML");
        // It says that both parts of a string result are strings; the first is a time.
        let result = document.pointer_mut("/components/schemas/QueryData/anyOf/3/properties/result/items");
        *result.expect("a fourth kind of result") = Value::Null;
        Some(Self(document))
    }

    /// Holds an answer against the schema of its path, method and status. Paths that the document does not know fit.
    pub(crate) fn check(&self, method: &str, path: &str, answer: &Answer) -> Result<(), String> {
        let Some(path) = path.strip_prefix("/api/v1") else { return Ok(()) };
        let path = path.split('?').next().unwrap_or_default();
        let Some(path) = self.known(path) else { return Ok(()) };
        let operation = &self.0["paths"][path][method.to_lowercase()];
        let is_listed = operation.is_object() && !NOT_JSON.contains(&path) && !answer.body.is_empty();
        if !is_listed || !answer.header("content-encoding").is_empty() {
            return Ok(());
        }
        let status = answer.status.as_u16().to_string();
        let responses = &operation["responses"];
        let response = responses.get(&status).unwrap_or(&responses["default"]);
        let schema = &response["content"]["application/json"]["schema"];
        let body = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        schema::check(&self.0, schema, &body, "$")
    }

    /// All `(method, path)` of the document.
    pub(crate) fn operations(&self) -> Vec<(String, String)> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        let methods = ["get", "post", "put"];
        paths
            .flat_map(|(path, item)| {
                let listed = methods.into_iter().filter(move |method| item.get(*method).is_some());
                listed.map(move |method| (method.to_uppercase(), path.clone()))
            })
            .collect()
    }

    /// The document's spelling of a path: `/label/job/values` is `/label/{name}/values`.
    fn known(&self, path: &str) -> Option<&str> {
        let is_same = |known: &str| {
            let (known, path) = (known.split('/'), path.split('/'));
            known.clone().count() == path.clone().count()
                && known.zip(path).all(|(known, part)| known == part || known.starts_with('{'))
        };
        self.0["paths"].as_object()?.keys().map(String::as_str).find(|known| is_same(known))
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where their data are")]
fn shared() -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    std::env::var("EINO_SHARED").map_or_else(|_| beside(), PathBuf::from)
}

/// What of the reference's API we do not have.
const MISSING: [&str; 7] = [
    "GET /search/label_names",
    "POST /search/label_names",
    "GET /search/label_values",
    "POST /search/label_values",
    "GET /search/metric_names",
    "POST /search/metric_names",
    "GET /status/self_metrics",
];

#[tokio::test(start_paused = true)]
async fn every_operation_of_the_reference_is_there() {
    let Some(golden) = Golden::load() else { return };
    let rig = crate::rig::Rig::start(crate::rig::RigOptions::default()).await;
    let mut missing = Vec::new();
    for (method, path) in golden.operations() {
        let asked = format!("/api/v1{}", path.replace("{name}", "job"));
        if NOT_JSON.contains(&path.as_str()) {
            continue;
        }
        let answer = rig.ask(&method, &asked, &[], "").await;
        if matches!(answer.status.as_u16(), 404 | 405) {
            missing.push(format!("{method} {path}"));
        }
    }
    assert_eq!(missing, MISSING, "list what is missing, and nothing else");
}

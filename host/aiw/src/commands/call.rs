//! `aiw extension call`: one function of a component in the real host, with recorded answers
//! for the network. For its author, and for the tests of a project that `new` wrote.

use aiw_core::ErrorKind;
use aiw_testkit::{Driver, Registration, Testkit, TestkitError};
use serde_json::{Value, json};

use crate::cli::{CallArgs, Function};
use crate::failure::Failure;
use crate::output::Output;

impl From<TestkitError> for Failure {
    fn from(e: TestkitError) -> Self {
        Self::user(e.to_string())
    }
}

pub async fn run(args: CallArgs, output: &Output) -> Result<(), Failure> {
    let mut kit = Testkit::read(&args.file)?;
    if let Some(path) = &args.http {
        kit = kit.answers_from(path)?;
    }
    for (key, value) in args.setting {
        kit = kit.setting(key, value);
    }
    let driver = kit.load().await?;
    let result = call(&driver, args.function, args.reference.as_deref()).await;
    for line in driver.log() {
        output.note(line.to_string());
    }
    let answer = result?;
    output.line(format!("{answer:#}"));
    output.answer(answer);
    Ok(())
}

async fn call(driver: &Driver, function: Function, reference: Option<&str>) -> Result<Value, Failure> {
    let needed =
        || reference.ok_or_else(|| Failure::new(ErrorKind::Usage, "the reference of a marketplace is missing"));
    match function {
        Function::Describe => {
            let info = driver.describe().await?;
            let forms: Vec<Value> =
                info.references.iter().map(|r| json!({"form": r.form, "example": r.example})).collect();
            Ok(json!({"label": info.label, "references": forms, "entry_forms": info.entry_forms}))
        }
        Function::Claim => Ok(json!({ "claim": driver.claim(needed()?).await?.as_ref().map(registration) })),
        Function::FetchMarketplace => {
            let reference = needed()?;
            let at = driver.claim(reference).await?;
            let at = at.ok_or_else(|| {
                Failure::user(format!("the component does not claim `{}`", aiw_core::one_line(reference, 200)))
            })?;
            let snapshot = driver.fetch_marketplace(&at).await?;
            let document = match serde_json::from_slice(&snapshot.document) {
                Ok(document) => document,
                Err(_) => Value::String(String::from_utf8_lossy(&snapshot.document).into_owned()),
            };
            Ok(json!({"revision": snapshot.revision, "document": document}))
        }
    }
}

fn registration(at: &Registration) -> Value {
    json!({"kind": at.kind, "location": at.location, "ref": at.reference})
}

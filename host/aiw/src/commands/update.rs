//! `aiw update`

use aiw_app::installation::Update;

use crate::failure::CliError;
use crate::output::Output;

pub async fn run(check: bool, output: &Output) -> Result<(), CliError> {
    let update = Update::detect(check).await?;
    let path = update.path.display();
    output.line(format!("aiw {} was installed by {}: `{path}`", update.version, update.installed_by.as_str()));
    match (&update.newest, update.is_newer) {
        (Some(newest), Some(true)) => output.line(format!("{newest} is out")),
        (Some(newest), _) => output.line(format!("there is no newer version: the release is {newest}")),
        (None, _) => {}
    }
    if update.is_newer != Some(false) {
        output.line(format!("to update: {}", update.update));
    }
    output.set_json(update);
    Ok(())
}

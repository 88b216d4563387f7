//! `aiw init`

use aiw_app::init::{InitDone, InitRequest, init, look};
use aiw_core::{Ask, counted};
use aiw_home::Home;
use aiw_offer::read_only_tools;

use crate::ask::Person;
use crate::cli::setup::InitArgs;
use crate::components::session;
use crate::failure::Failure;
use crate::output::Output;

pub async fn run(args: &InitArgs, home: &Home, output: &Output) -> Result<(), Failure> {
    let (lacking, person) = (look(home)?, Person::new(output, args.yes));
    if lacking.lacking.is_empty() {
        output.line("nothing is lacking; `aiw doctor` looks for problems");
    } else if output.is_json() || !person.is_there() {
        lacking.lacking.iter().for_each(|lacks| output.line(&lacks.command));
    } else {
        let client = session(home, output)?;
        let request = InitRequest { read_only: read_only_tools() };
        let done = init(&client, &lacking, &request, &person, output).await;
        let InitDone { done, failed, first } = done.map_err(|e| Failure::from(e).declined_as("nothing was written"))?;
        if let Some(first) = first {
            let all = counted(done.len() + failed.len(), "step");
            return Err(Failure::from(first).saying(format!("{} of {all} could not be done", failed.len())));
        }
    }
    output.answer(lacking);
    Ok(())
}

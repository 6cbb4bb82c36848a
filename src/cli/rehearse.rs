//! The options of `rehearse`.

use super::demo::gateway_address;
use super::options as opt;
use super::{Command, Given, Misuse, tame, unknown};
use crate::app::rehearse::{MODEL_PORT, Rehearse};
use mcr_gateway_sim::rehearsal::CASES;

/// Builds the command.
pub(super) fn read(given: &mut Given) -> Result<Command, Misuse> {
    let url = given.text(&opt::CANDIDATE).ok_or_else(|| {
        Misuse("`rehearse` needs --gateway URL: the address of a gateway that is not in use".to_owned())
    })?;
    let real_model = given.flag(&opt::REAL_MODEL);
    if real_model && given.has(&opt::MODEL_PORT) {
        return Err(Misuse("--model-port and --real-model exclude each other".to_owned()));
    }
    Ok(Command::Rehearse(Rehearse {
        env_file: given.value(&opt::ENV_FILE).map(Into::into),
        gateway: gateway_address(&url)?,
        token_file: given.value(&opt::TOKEN_FILE).map(Into::into),
        agents: words(given, &opt::AGENTS)?,
        cases: cases(given)?,
        model_port: given.port(&opt::MODEL_PORT)?.unwrap_or(MODEL_PORT),
        real_model,
        restart: given.value(&opt::RESTART).map(Into::into),
        live: given.flag(&opt::LIVE_GATEWAY),
        json: given.flag(&opt::JSON),
    }))
}

/// The words of a list with commas.
fn words(given: &Given, option: &opt::CommandOption) -> Result<Vec<String>, Misuse> {
    let Some(list) = given.text(option) else { return Ok(Vec::new()) };
    let words: Vec<String> = list.split(',').map(|word| word.trim().to_owned()).collect();
    if words.iter().any(String::is_empty) {
        let (name, shown) = (option.name, tame(&list));
        return Err(Misuse(format!("--{name} `{shown}`: expected names with commas between them")));
    }
    Ok(words)
}

fn cases(given: &Given) -> Result<Vec<String>, Misuse> {
    let known: Vec<&str> = CASES.iter().map(|case| case.id).collect();
    let cases = words(given, &opt::CASES)?;
    match cases.iter().find(|id| !known.contains(&id.as_str())) {
        Some(id) => Err(unknown("case", id, &known)),
        None => Ok(cases),
    }
}

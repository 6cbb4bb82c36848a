//! What administrators request of provisioning: a machine for an account, and its end. [`crate::provisioning`] carries the
//! requests out.

use serde::Deserialize;
use serde_json::{Value, json};

use super::secrets;
use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call};
use crate::function::{ACCOUNT, Function, done};
use crate::keys::SealedRow as _;
use crate::provisioning::{self, ERROR, ONLINE, PROVIDER, ProvisionSettings, REQUESTED};
use crate::rows::{MachineToken, Membership, Provision};
use crate::rules::activity::Actor;
use crate::rules::reach;
use crate::rules::system_config::{self, PROVISIONING};
use crate::store::{Doc, Id, MACHINE_TOKEN, Table, Tx};
use crate::validate::{Is, need};

pub(crate) const FUNCTIONS: &[Function] = &[
    Function::mutation(
        "provisioning:request",
        &[
            ACCOUNT,
            need("provider", PROVIDER),
            need("region", Is::Text),
            need("size", Is::Text),
            need("image", Is::Text),
        ],
        request,
    ),
    Function::query("provisioning:status", &[ACCOUNT], status),
    Function::mutation("provisioning:cancel", &[ACCOUNT], cancel),
    Function::mutation("provisioning:retry", &[ACCOUNT], retry),
    Function::mutation("provisioning:destroy", &[ACCOUNT], destroy),
    Function::mutation("provisioning:rotateToken", &[ACCOUNT], rotate_token),
    Function::mutation_of_all(
        "provisioning:destroyOrphan",
        &[need("provisionId", Is::Id(Table::Provisions))],
        destroy_orphan,
    ),
    Function::mutation_of_all(
        "provisioning:setProviderToken",
        &[need("provider", PROVIDER), need("key", Is::Text)],
        set_provider_token,
    ),
    Function::query_of_all("provisioning:listProviderTokens", list_provider_tokens),
];

/// The longest word for a region, a size or an image.
const WORD_CHARS: usize = 200;

#[derive(Deserialize)]
struct RequestArgs {
    provider: String,
    region: String,
    size: String,
    image: String,
}

/// The error of a backend that cannot provide machines.
const NO_PROVISIONING: &str =
    "Provisioning is not available: start `local` with --public-url, the HTTPS address that machines reach";

/// The person who may do this, if provisioning is possible and switched on.
fn admitted<'a>(call: &'a Call<'_>) -> Result<(Membership, &'a ProvisionSettings), Refusal> {
    let person = reach::admin(call)?;
    system_config::require(call, PROVISIONING)?;
    let settings = call.provisioning.ok_or_else(|| Refusal::thrown(NO_PROVISIONING))?;
    Ok((person, settings))
}

/// The account's machine.
fn machine(call: &Call<'_>) -> Result<Doc<Provision>, Refusal> {
    let machine = provisioning::live(call.tx, call.account_id())?;
    machine.ok_or_else(|| Refusal::thrown("Not found: The account has no machine"))
}

/// Requests a machine. An account has one at most; the database enforces it too.
fn request(call: &Call<'_>) -> Answer {
    let args: RequestArgs = call.args()?;
    let (person, settings) = admitted(call)?;
    ensure!(
        settings.providers.contains(&args.provider),
        "Invalid provider: this server cannot create machines at {}; see `local --release`",
        args.provider
    );
    for (name, word) in [("region", &args.region), ("size", &args.size), ("image", &args.image)] {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
        let is_word = (1..=WORD_CHARS).contains(&word.len()) && word.chars().all(fits);
        ensure!(is_word, "Invalid {name}: use letters, digits and - _ . : / @");
    }
    ensure!(
        find_token(call.tx, &args.provider)?.is_some(),
        "Invalid provider: there is no token for {}; store one with `fleet token {}`",
        args.provider,
        args.provider
    );
    if let Some(machine) = provisioning::live(call.tx, call.account_id())? {
        return Err(Refusal::thrown(format!(
            "Conflict: The account has a machine already (state {})",
            machine.row.state
        )));
    }
    ensure!(
        !matches!(call.account.row.runtime_status.as_str(), "online" | "degraded"),
        "Conflict: A runtime of this account reports already; stop it first"
    );
    let RequestArgs { provider, region, size, image } = args;
    let meta = json!({"provider": provider, "region": region, "size": size, "image": image});
    let machine = call.tx.insert(Provision {
        account_id: call.account_id().clone(),
        provider,
        region,
        size,
        image,
        state: REQUESTED.to_owned(),
        attempt: 1.0,
        requested_by: person.user_id.clone(),
        created_at: call.now(),
        state_since: call.now(),
        next_at: call.now(),
        ..Provision::default()
    })?;
    super::accounts::record(call, "runtime_provision_requested", &Actor::person(&person), meta)?;
    provisioning::announce(call.tx, &machine, call.options)?;
    provisioning::view(&machine)
}

/// The account's machine, or its last one. `null` if it never had one.
fn status(call: &Call<'_>) -> Answer {
    reach::admin(call)?;
    let last = provisioning::last(call.tx, call.account_id())?;
    last.as_ref().map_or(Ok(Value::Null), provisioning::view)
}

/// Ends a request that is not finished. Its machine is destroyed, if there is one.
fn cancel(call: &Call<'_>) -> Answer {
    admitted(call)?;
    let mut machine = machine(call)?;
    ensure!(machine.row.state != ONLINE, "Conflict: The machine is online already; use provisioning:destroy");
    end(call, &mut machine)
}

/// Destroys the account's machine.
fn destroy(call: &Call<'_>) -> Answer {
    admitted(call)?;
    end(call, &mut machine(call)?)
}

/// Pressed twice, it changes nothing more.
fn end(call: &Call<'_>, machine: &mut Doc<Provision>) -> Answer {
    let is_ending = machine.row.state == provisioning::DESTROYING && machine.row.replace.is_none();
    if !is_ending {
        provisioning::start_destroying(call.tx, machine, false)?;
    }
    provisioning::view(machine)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrphanArgs {
    provision_id: Id<Provision>,
}

/// Destroys a machine whose account was removed, again, after its destruction has failed.
fn destroy_orphan(call: &Call<'_>) -> Answer {
    let args: OrphanArgs = call.args()?;
    system_config::require(call, PROVISIONING)?;
    let Some(mut machine) = call.tx.get(&args.provision_id)? else {
        return Err(Refusal::thrown("Not found: Machine does not exist"));
    };
    let has_account = call.tx.get(&machine.row.account_id)?.is_some();
    ensure!(!has_account, "Conflict: The machine has an account; use provisioning:destroy");
    if machine.row.state == ERROR {
        provisioning::start_destroying(call.tx, &mut machine, false)?;
    }
    provisioning::view(&machine)
}

/// Tries again after a failure. A machine that may exist is destroyed first, and a new one follows.
fn retry(call: &Call<'_>) -> Answer {
    admitted(call)?;
    let mut machine = machine(call)?;
    ensure!(
        machine.row.state == ERROR,
        "Conflict: Only a failed request can be tried again (state {})",
        machine.row.state
    );
    let destroys = machine.row.step.as_deref() == Some(provisioning::DESTROYING);
    if destroys {
        let replace = machine.row.replace == Some(true);
        provisioning::start_destroying(call.tx, &mut machine, replace)?;
    } else if provisioning::never_created(&machine.row) {
        provisioning::start_again(call.tx, &mut machine, call.options)?;
    } else {
        provisioning::start_destroying(call.tx, &mut machine, true)?;
    }
    provisioning::view(&machine)
}

/// Issues a one-time token for the account's machine. The machine exchanges it for a new service token, and the old service
/// token ends then. Only this answer contains the token.
fn rotate_token(call: &Call<'_>) -> Answer {
    let (person, _) = admitted(call)?;
    let mut machine = machine(call)?;
    let is_there = [ONLINE, ERROR, provisioning::BOOTING, provisioning::REPORTING]
        .contains(&machine.row.state.as_str())
        && machine.row.address.is_some();
    ensure!(is_there, "Conflict: The machine has no address yet (state {})", machine.row.state);
    let token = provisioning::issue_token(call.tx, &mut machine, None)?;
    let meta = json!({"provider": "runtime", "action": "bootstrap_token_issued"});
    super::accounts::record(call, "secret_updated", &Actor::person(&person), meta)?;
    Ok(json!({"token": token.expose(), "expiresAt": machine.row.token_expires_at}))
}

fn find_token(tx: &Tx<'_>, provider: &str) -> Result<Option<Doc<MachineToken>>, Refusal> {
    Ok(tx.find(MACHINE_TOKEN, &[Some(provider)]).first()?)
}

#[derive(Deserialize)]
struct TokenArgs {
    provider: String,
    key: String,
}

/// Stores the token of a provider of machines, sealed like providers' keys. No runtime gets it, and no function shows it.
fn set_provider_token(call: &Call<'_>) -> Answer {
    let args: TokenArgs = call.args()?;
    let token = secrets::key(&args.key)?;
    let vault = call.vault()?;
    let mut row = MachineToken {
        provider: args.provider,
        last4: secrets::last4(&token),
        updated_at: call.now(),
        ..MachineToken::default()
    };
    row.seal(vault, &token)?;
    let stored = find_token(call.tx, &row.provider)?;
    let action = if stored.is_some() { "replaced" } else { "added" };
    provisioning::record_token_change(call.tx, &row.provider, action)?;
    match stored {
        Some(mut stored) => {
            stored.row = row;
            call.tx.put(&stored)?;
        }
        None => drop(call.tx.insert(row)?),
    }
    done()
}

/// The stored tokens: enough of each to recognise it.
fn list_provider_tokens(call: &Call<'_>) -> Answer {
    let tokens = call.tx.all::<MachineToken>()?;
    let shown = tokens.iter().map(|token| {
        let MachineToken { provider, last4, updated_at, .. } = &token.row;
        json!({"provider": provider, "last4": last4, "updatedAt": updated_at})
    });
    Ok(shown.collect())
}

//! A message to all agents of a company, with a row for each of them (worker-pool C.10; F.41).

use serde::Deserialize;
use serde_json::json;

use super::push_runs::outcome;
use super::queue::{self, NewMessage};
use super::reads::payload_for;
use super::rows::{Binding, Broadcast, Payload, PoolAgent, PushDispatch, Texts};
use super::templates::{text, title};
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::store::{BINDINGS_OF_AGENT, Doc};
use crate::validate::{Is, need};

const TARGET: &str = "all_active_agents";

pub(super) const FUNCTIONS: &[Function] = &[Function::pool_mutation(
    "agentFactory:sendBroadcastToAllActiveAgents",
    &[
        need("companyId", Is::Text),
        need("title", Is::Text),
        need("text", Is::Text),
        need("requestedBy", Is::Text),
    ],
    send,
)];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BroadcastArgs {
    company_id: String,
    title: String,
    text: String,
    requested_by: String,
}

/// Sends the message to the enabled agents of the company, and to those that belong to no company. An agent with a bound user
/// answers in the user's chat, so that a person reads the answer.
fn send(call: &Call<'_>) -> Answer {
    let args: BroadcastArgs = call.args()?;
    let (tx, now) = (call.tx, call.now());
    let row = Broadcast {
        title: title(&args.title)?,
        text: text(&args.text)?,
        company_id: args.company_id,
        requested_by: args.requested_by,
        status: "done".to_owned(),
        target: TARGET.to_owned(),
        created_at: now,
        ..Broadcast::default()
    };
    let mut broadcast = tx.insert(row)?;
    let message = format!("{}\n\n{}", broadcast.row.title, broadcast.row.text);
    let (mut enqueued, mut failed) = (0_u32, 0_u32);
    for Doc { row: agent, .. } in tx.all::<PoolAgent>()? {
        let is_of_company =
            agent.company_id.as_ref().is_none_or(|company| *company == broadcast.row.company_id);
        if !agent.enabled || !is_of_company {
            continue;
        }
        let run_key = format!("broadcast:{}:{}", broadcast.id, agent.agent_key);
        let metadata = Texts::from([
            ("broadcastId".to_owned(), broadcast.id.to_string()),
            ("runKey".to_owned(), run_key.clone()),
        ]);
        let key = [Some(agent.agent_key.as_str()), Some("active")];
        let bound: Option<Doc<Binding>> = tx.find(BINDINGS_OF_AGENT, &key).newest_first().first()?;
        let user = format!("agent:{}", agent.agent_key);
        let (conversation_id, payload) = if let Some(bound) = &bound {
            (bound.row.conversation_id.clone(), payload_for(&bound.row, &message, metadata))
        } else {
            let payload = Payload {
                provider: "system_push".to_owned(),
                provider_user_id: user.clone(),
                message_text: message.clone(),
                metadata: Some(metadata),
                ..Payload::default()
            };
            (format!("broadcast:{user}"), payload)
        };
        let new = NewMessage {
            conversation_id: &conversation_id,
            agent_key: &agent.agent_key,
            payload,
            priority: None,
            scheduled_for: None,
            max_attempts: None,
        };
        let (message_id, error) = outcome(queue::add(tx, &call.times, new))?;
        if error.is_none() {
            enqueued += 1;
        } else {
            failed += 1;
        }
        tx.insert(PushDispatch {
            run_key,
            status: if error.is_none() { "enqueued" } else { "failed" }.to_owned(),
            scheduled_for: now,
            created_at: now,
            consumer_user_id: bound.map_or(user, |bound| bound.row.consumer_user_id),
            job_id: None,
            broadcast_id: Some(broadcast.id.to_string()),
            agent_key: Some(agent.agent_key),
            message_id,
            error,
        })?;
    }
    broadcast.row.total_targets = f64::from(enqueued + failed);
    if failed > 0 {
        "failed".clone_into(&mut broadcast.row.status);
    }
    tx.put(&broadcast)?;
    Ok(json!({
        "broadcastId": broadcast.id.as_str(),
        "enqueued": enqueued,
        "failed": failed,
        "totalTargets": enqueued + failed,
    }))
}

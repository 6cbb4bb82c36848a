//! The operators' requests to the running service: explanations, retries, drops and pauses.

mod budgets;
mod evidence;
mod missing;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use log::{info, warn};
use serde_json::json;

use self::evidence::{FactsAt, ReportAt};
use crate::app::delivery_report::{DeliveryReport, LookUp, ReportSources, ServiceSnapshot};
use crate::app::overview::PictureSources;
use crate::app::state_dir::StateDir;
use crate::app::why::{AMBIGUOUS, unknown};
use mcr_config::{Network, Settings};
use mcr_core::delivery::operator_requests::{OperatorReply, OperatorRequest, Refused};
use mcr_core::guardrails::budget::Scope;
use mcr_core::ops::agents::OnlineSign;
use mcr_core::ops::pause::find;
use mcr_core::ops::why::CLOSING;
use mcr_core::ops::{Finding, MissingAgents, Paused, ServiceCondition};
use mcr_core::work::WorkId;
use mcr_files::Folder;
use mcr_http::message::{Reply, Request};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;
use mcr_model::{AccountId, BaseUrl, DonePolicy, Roster, WakeRules};
use mcr_service::delivery::budget::BudgetKeeper;
use mcr_service::delivery::service::View;
use mcr_service::http::health::{Health, HeartbeatHealth};
use mcr_service::http::operator::{Wanted, refuse, with_body};
use mcr_service::roster::Team;
use mcr_service::workspace::listing::WrittenFiles;
use mcr_store::ledger::{self, Ledger, Read};

/// How often, and at what interval, to check whether an end has been recorded.
const RECORDED_CHECKS: usize = 10;
const RECORDED_CHECK_PAUSE: Duration = Duration::from_millis(20);

/// Refuses to cancel.
const NOTHING_WAITS: &str = "No restart and no upgrade waits for running turns, so nothing can be cancelled. `requests` of /health has the last one";

/// The operators' side of the service.
pub(super) struct Operator {
    place: StateDir,
    account: AccountId,
    silence: Duration,
    /// The networks, besides this machine, from which requests are taken.
    networks: Vec<Network>,
    board: Option<BaseUrl>,
    redactor: Arc<Redactor>,
    /// `None` where `STATE_DIR` cannot be written: then every request is refused.
    token: OnceLock<Secret>,
    paused: Mutex<Paused>,
    /// The scopes of the budgets in which no turn may start.
    full: Mutex<Vec<Scope>>,
    /// The agents that the gateway does not have.
    missing: Mutex<MissingAgents>,
    /// Whether new turns wait for a restart.
    drains: AtomicBool,
    /// Held during a change of the pauses until it is on disk and the dispatcher has it. So the dispatcher
    /// sees changes in their order. Readers never wait for it.
    changing: Mutex<()>,
    team: OnceLock<Team>,
    /// The ledger as it was after this many commits.
    read: Mutex<Option<(u64, Arc<Read>)>>,
    /// The facts of one task as they were after this many commits.
    facts: Mutex<Option<FactsAt>>,
    /// The last report on the evidence.
    evidence: Mutex<Option<ReportAt>>,
    done_policy: DonePolicy,
    wake_on: WakeRules,
    /// The agents' workspaces, if they are written.
    written: Option<WrittenFiles>,
}

/// The parts of the service that a request needs.
pub(super) struct ServiceState<'a> {
    /// `None` before the start.
    pub(super) view: Option<&'a View>,
    pub(super) ledger: Option<&'a Ledger>,
    pub(super) budget: Option<&'a BudgetKeeper>,
    pub(super) condition: ServiceCondition,
    /// Cancels a restart or an upgrade that waits for running turns. Returns whether there is one.
    pub(super) cancel: &'a dyn Fn() -> bool,
    /// Returns the health of the service.
    pub(super) health: &'a dyn Fn() -> Health,
    /// Returns the last sign of each agent that it is online, by slug.
    pub(super) signs: &'a dyn Fn(&Roster, &HeartbeatHealth) -> HashMap<String, OnlineSign>,
    /// Returns the counts of the last hour, minute by minute.
    pub(super) hour: &'a dyn Fn() -> BTreeMap<&'static str, Vec<u64>>,
}

impl Operator {
    /// Without a folder nothing is kept, and every request is refused.
    pub(super) fn new(settings: &Settings, folder: Option<&Arc<Folder>>, redactor: &Arc<Redactor>) -> Self {
        let place =
            folder.map_or_else(|| StateDir::new(&settings.state_dir), |folder| StateDir::of(folder.clone()));
        Self {
            paused: Mutex::new(place.paused()),
            full: Mutex::default(),
            missing: Mutex::default(),
            drains: AtomicBool::new(false),
            changing: Mutex::default(),
            place,
            account: AccountId::new(&settings.account.id),
            silence: settings.gateway.silence_max,
            networks: settings.http.operators_from.clone(),
            board: settings.http.board.clone(),
            redactor: redactor.clone(),
            token: OnceLock::new(),
            team: OnceLock::new(),
            read: Mutex::default(),
            facts: Mutex::default(),
            evidence: Mutex::default(),
            done_policy: settings.delivery.done_policy,
            wake_on: settings.delivery.wake_on.clone(),
            written: settings.agents.profile_sync.then(|| WrittenFiles::new(&settings.agents.workspace_root)),
        }
    }

    /// Starts to accept requests. `STATE_DIR` exists now, if it can be used.
    pub(super) fn accept_requests(&self, address: String) {
        match self.place.token_or_new() {
            // It is set once, by the starting thread.
            Ok(token) => drop(self.token.set(token)),
            Err(why) => warn!(reason:% = why; "Operator commands are refused while this service runs"),
        }
        if let Err(why) = self.place.listens(address) {
            warn!(reason:% = why; "Commands find this service only by HEALTH_HOST and HEALTH_PORT");
        }
        let paused = self.paused().cleaned(&|name| self.redactor.clean(name));
        if !paused.is_empty() {
            warn!(state = paused.in_words(); "Work is paused");
        }
    }

    /// Sets the team of agents.
    pub(super) fn set_team(&self, team: Team) {
        // It is set once, by the starting thread.
        let _ = self.team.set(team);
    }

    fn roster(&self) -> Arc<Roster> {
        self.team.get().map(Team::now).unwrap_or_default()
    }

    /// The paused agents.
    pub(super) fn paused(&self) -> Paused {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Renews the dispatcher's pauses for a new roster, in which names may mean other agents.
    pub(super) fn apply_roster(&self, view: Option<&View>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = view
            && self.names_agents()
        {
            view.ask(OperatorRequest::Hold(self.hold()));
        }
    }

    /// The answer to a request that is refused, by its head alone.
    pub(super) fn refuse(&self, request: &Request) -> Option<Reply> {
        refuse(request, self.token.get(), &self.networks)
    }

    /// Answers a request, if it is allowed.
    pub(super) fn answer(&self, wanted: Wanted, request: &Request, env: &ServiceState<'_>) -> Reply {
        if let Some(refused) = self.refuse(request) {
            return refused;
        }
        let wanted = match with_body(wanted, request) {
            Ok(wanted) => wanted,
            Err(refused) => return refused,
        };
        match wanted {
            Wanted::Why(id) => {
                self.wait_until_recorded(&id, env);
                self.why(&id, env)
            }
            Wanted::Evidence(since) => self.evidence(since, env),
            Wanted::Deliveries => self.with_report(env, |report| {
                let set_aside = self.place.last_set_aside();
                Reply::json_of(&report.overview(set_aside).cleaned(&|text| self.redactor.clean(text)))
            }),
            Wanted::Overview => self.with_report(env, |report| {
                let set_aside = self.place.last_set_aside();
                let (health, hour) = ((env.health)(), (env.hour)());
                let stopped = env.view.map(|view| view.state().stopped).unwrap_or_default();
                let roster = self.roster();
                let signs = (env.signs)(&roster, &health.heartbeat);
                let (roster, board, wake_on) = (&*roster, self.board.as_ref(), &self.wake_on);
                let stopped = &stopped;
                let sources = PictureSources { roster, health, hour, set_aside, board, stopped, wake_on };
                let picture = report.picture(sources);
                Reply::json_of(&picture.with_signs(&signs).cleaned(&|text| self.redactor.clean(text)))
            }),
            Wanted::Workspace(slug) => self.workspace(&slug),
            Wanted::Retry(id) => self.act(OperatorRequest::Retry, &id, "retry", "it begins again", env),
            Wanted::Drop(id) => self.act(OperatorRequest::Drop, &id, "drop", "it is closed permanently", env),
            Wanted::GiveUp(id) => {
                self.act(OperatorRequest::GiveUp, &id, "give-up", "its answer is no longer awaited", env)
            }
            Wanted::Pause(agent) => self.change(agent.as_deref(), true, env),
            Wanted::Resume(agent) => self.change(agent.as_deref(), false, env),
            Wanted::CancelRequest if (env.cancel)() => {
                info!(action = "cancel"; "An operator cancelled a request");
                Reply::json_of(&json!({"success": true, "done": "it is cancelled, and turns start again"}))
            }
            Wanted::CancelRequest => Reply::error(409, NOTHING_WAITS),
            Wanted::Budget => self.budget(env, |_, _| Ok(())),
            Wanted::BudgetRaise(raise) => self.raise_budget(&raise, env),
            Wanted::BudgetReset(agent) => self.reset_budget(agent.as_deref(), env),
        }
    }

    /// The files that the runtime wrote to the workspace of this agent.
    fn workspace(&self, slug: &str) -> Reply {
        let Some(written) = &self.written else {
            return Reply::error(404, "This service writes no workspaces (OPENCLAW_PROFILE_SYNC)");
        };
        match written.of(slug) {
            Ok(Some(files)) => Reply::json_of(&json!({"slug": slug, "files": files})),
            Ok(None) => Reply::error(404, &self.redactor.clean(&format!("{slug} has no workspace"))),
            Err(why) => {
                let words = format!("The list of files of {slug} cannot be read: {why}");
                Reply::error(500, &self.redactor.clean(&words))
            }
        }
    }

    /// Waits briefly until a delivery that has just ended is in the ledger, so that the answer says how it
    /// ended.
    fn wait_until_recorded(&self, id: &str, env: &ServiceState<'_>) {
        for _ in 0..RECORDED_CHECKS {
            let mut closing = false;
            self.with_report(env, |report| {
                closing = matches!(report.look_up(id), LookUp::Found(finding) if finding.state == CLOSING);
                Reply::empty(200)
            });
            if !closing {
                return;
            }
            thread::sleep(RECORDED_CHECK_PAUSE);
        }
    }

    fn why(&self, id: &str, env: &ServiceState<'_>) -> Reply {
        let clean = |text: &str| self.redactor.clean(text);
        self.with_report(env, |report| {
            let blocks = |slug: &str, key: &str| -> Vec<String> {
                let blocks = report.condition.blocks(slug, key, true).into_iter();
                blocks.chain(report.condition.besides()).map(|block| clean(&block)).collect()
            };
            match report.look_up(id) {
                LookUp::Found(finding) => Reply::json_of(&finding.cleaned(&clean)),
                LookUp::Idle(slug) => {
                    let roster = self.roster();
                    let key = find(&roster, &slug).map_or("", |agent| agent.id.as_str());
                    Reply::json_of(&Finding::idle(&slug, &blocks(&slug, key)).cleaned(&clean))
                }
                LookUp::Refused(lines) => {
                    let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
                    let (error, candidates) = lines.split_first().unzip();
                    Reply::json_of(&json!({"success": false, "error": error, "candidates": candidates}))
                        .with_status(AMBIGUOUS)
                }
                LookUp::Unknown => {
                    let shown = self.place.path().display();
                    let asked = format!("neither the running service nor the ledger in {shown} has it");
                    let error = unknown(&clean(id), &asked, report.cases.len());
                    Reply::json_of(&json!({"success": false, "error": error, "blocks": blocks("", "")}))
                        .with_status(404)
                }
            }
        })
    }

    /// Builds the report on everything known now, and passes it to `tell`.
    fn with_report(
        &self,
        env: &ServiceState<'_>,
        use_report: impl FnOnce(&DeliveryReport<'_>) -> Reply,
    ) -> Reply {
        let mut memory = ServiceSnapshot::default();
        if let Some(view) = env.view {
            let Some(OperatorReply::Rows(pending, shelved)) = view.ask(OperatorRequest::Look) else {
                return too_busy();
            };
            memory = ServiceSnapshot { pending, shelved, turns: view.turns() };
        }
        // Read after the dispatcher's answer: by then, the ledger has what the dispatcher no longer holds.
        let read = match self.read(env.ledger) {
            Ok(read) => read,
            Err(why) => {
                return Reply::error(
                    500,
                    &self.redactor.clean(&format!("The ledger cannot be read: {why}. Run `doctor`")),
                );
            }
        };
        let now = SystemClock.now();
        let roster = self.roster();
        use_report(&DeliveryReport::new(ReportSources {
            account: &self.account,
            roster: &roster,
            read: &read,
            memory,
            condition: &env.condition,
            silence: self.silence,
            facts: &|task| self.facts_of(env.ledger?, task).ok()?.get(task).cloned(),
            done_policy: self.done_policy,
            now,
        }))
    }

    /// The ledger, read again only if something was written since.
    fn read(&self, ledger: Option<&Ledger>) -> Result<Arc<Read>, String> {
        let Some(state) = ledger.map(Ledger::state) else { return Ok(Arc::default()) };
        let mut last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((commits, read)) = &*last
            && *commits == state.commits
        {
            return Ok(read.clone());
        }
        let folder = self.place.folder().map_err(|why| why.to_string());
        let read = match folder.and_then(|folder| ledger::read(&folder).map_err(|why| why.to_string())) {
            Ok(read) => Arc::new(read),
            // Without a ledger the service's memory is the only source.
            Err(_) if state.off.is_some() => Arc::default(),
            Err(why) => return Err(why),
        };
        *last = Some((state.commits, read.clone()));
        Ok(read)
    }

    /// Requests one change of the work `id` from the dispatcher. The log has the operator's `action`,
    /// the answer what is `done`.
    fn act(
        &self,
        ask: fn(WorkId) -> OperatorRequest,
        id: &str,
        action: &str,
        done: &str,
        env: &ServiceState<'_>,
    ) -> Reply {
        match env.view.and_then(|view| view.ask(ask(WorkId::new(id)))) {
            Some(reply @ (OperatorReply::Done | OperatorReply::Decided(_))) => {
                info!(action, notification = self.redactor.clean(id); "An operator changed a delivery");
                let next = if let OperatorReply::Decided(next) = reply {
                    format!(": {next}")
                } else {
                    String::new()
                };
                Reply::json_of(&json!({"success": true, "done": format!("{done}{next}")}))
            }
            Some(OperatorReply::Refused(why)) => Reply::error(status(why), why.explain()),
            Some(OperatorReply::Rows(..)) | None => too_busy(),
        }
    }

    /// Pauses or resumes: in memory, on disk, and in the dispatcher.
    fn change(&self, agent: Option<&str>, pause: bool, env: &ServiceState<'_>) -> Reply {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let roster = self.roster();
        let mut paused = self.paused();
        let known = agent.and_then(|name| find(&roster, name)).map(|agent| agent.slug.clone());
        if let (Some(name), None, true) = (agent, &known, pause && !roster.is_empty()) {
            // The agent may be new.
            self.team.get().inspect(|team| team.request());
            let slugs: Vec<&str> = roster.agents().iter().map(|agent| agent.slug.as_str()).collect();
            let words = format!("No agent is named {name}. The agents are: {}", slugs.join(", "));
            return Reply::error(404, &self.redactor.clean(&words));
        }
        let ended = if pause {
            paused.pause(known.as_deref().or(agent));
            None
        } else {
            Some(paused.resume(agent, &roster))
        };
        let kept = self.place.pause(&paused);
        paused.clone_into(&mut self.paused.lock().unwrap_or_else(PoisonError::into_inner));
        let hold = self.hold();
        // Before the start there is no dispatcher. It reads the pauses when it starts.
        let applied = env.view.is_none_or(|view| view.ask(OperatorRequest::Hold(hold)).is_some());
        drop(changing);
        if !applied {
            return too_busy();
        }
        let warning = kept.err().map(|why| {
            format!(
                "The change holds only until the next restart, because it could not be stored: {}",
                self.redactor.clean(&why)
            )
        });
        let paused = paused.cleaned(&|name| self.redactor.clean(name));
        info!(action = if pause { "pause" } else { "resume" }, state = paused.in_words(); "An operator paused or resumed work");
        Reply::json_of(&json!({"success": true, "paused": paused, "ended": ended, "warning": warning}))
    }
}

fn status(why: Refused) -> u16 {
    match why {
        Refused::NotDead | Refused::NotUnderWay => 404,
        Refused::UnderWay | Refused::BeingMarked | Refused::Unreadable => 409,
        Refused::Stopping => 503,
    }
}

fn too_busy() -> Reply {
    Reply::error(503, "The service is starting, stopping or too busy. Repeat the request in a few seconds")
}

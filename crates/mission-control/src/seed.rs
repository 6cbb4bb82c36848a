//! The demo: an account with a team that knows how to work together, and a board with some activity.
//!
//! The demo is created by the functions that people and agents call, in one transaction. So it satisfies every rule,
//! and exists completely or not at all.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use super::account_setup::{NewAccount, Owner, create_account};
use super::answer::Refusal;
use super::call::{Call, Options};
use super::catalog;
use super::pool::PoolTimes;
use super::rows::{Account, Notification};
use super::store::{Id, StoreError, Tx};
use super::validate::validate;

/// An agent of the team.
struct TeamMember {
    name: &'static str,
    slug: &'static str,
    role: &'static str,
    description: &'static str,
    icon: &'static str,
    soul: &'static str,
    /// Minutes between heartbeats.
    heartbeat: u32,
    /// The flags that differ from the defaults of the team.
    flags: &'static [&'static str],
    skills: &'static [&'static str],
}

const TEAM: [TeamMember; 5] = [
    TeamMember {
        name: "Mara",
        slug: "squad-lead",
        role: "Squad lead",
        description: "Keeps the team's work in order and talks with Robin",
        icon: "🧭",
        soul: include_str!("seed/souls/squad-lead.md"),
        heartbeat: 15,
        flags: &["canCreateTasks", "canReviewTasks"],
        skills: &["handover"],
    },
    TeamMember {
        name: "Jonas",
        slug: "engineer",
        role: "Engineer",
        description: "Builds the pages and the booking service",
        icon: "🔧",
        soul: include_str!("seed/souls/engineer.md"),
        heartbeat: 30,
        flags: &[],
        skills: &["handover"],
    },
    TeamMember {
        name: "Tomas",
        slug: "qa",
        role: "QA",
        description: "Looks at everything before it counts as done",
        icon: "🔎",
        soul: include_str!("seed/souls/qa.md"),
        heartbeat: 30,
        flags: &["canReviewTasks", "canMarkDone"],
        skills: &["handover", "review-checklist"],
    },
    TeamMember {
        name: "Iris",
        slug: "designer",
        role: "Designer",
        description: "Decides how it looks and how it feels to use",
        icon: "🎨",
        soul: include_str!("seed/souls/designer.md"),
        heartbeat: 30,
        flags: &[],
        skills: &["handover", "plain-words"],
    },
    TeamMember {
        name: "Noor",
        slug: "writer",
        role: "Writer",
        description: "Writes what guests and the team read",
        icon: "✍️",
        soul: include_str!("seed/souls/writer.md"),
        heartbeat: 30,
        flags: &[],
        skills: &["handover", "plain-words"],
    },
];

/// Slug, name, description, text, and whether the skill is enabled.
const SKILLS: [(&str, &str, &str, &str, bool); 4] = [
    ("handover", "Handing over", "How to pass a task on", include_str!("seed/skills/handover.md"), true),
    (
        "review-checklist",
        "Review checklist",
        "What to look at before something is done",
        include_str!("seed/skills/review-checklist.md"),
        true,
    ),
    (
        "plain-words",
        "Plain words",
        "How we write, for guests and for each other",
        include_str!("seed/skills/plain-words.md"),
        true,
    ),
    (
        "guest-messages",
        "Messages to guests",
        "What goes to guests' phones; is_waiting for Robin's word",
        include_str!("seed/skills/guest-messages.md"),
        false,
    ),
];

/// The changes of a task after its creation and assignment.
struct Plan {
    title: &'static str,
    description: &'static str,
    priority: u32,
    labels: &'static [&'static str],
    agents: &'static [&'static str],
    /// The statuses that the task goes through.
    steps: &'static [&'static str],
    blocked: Option<&'static str>,
}

const TASKS: [Plan; 8] = [
    Plan {
        title: "Try a chat window on the website",
        description: "We tried it for a week. No one was there to answer while the tours were out, so we took it away.",
        priority: 5,
        labels: &["website"],
        agents: &[],
        steps: &["archived"],
        blocked: None,
    },
    Plan {
        title: "Name the three tours",
        description: "Names that say what one will see, and that are easy to say on the telephone.",
        priority: 3,
        labels: &["texts"],
        agents: &["writer"],
        steps: &["in_progress", "review", "done"],
        blocked: None,
    },
    Plan {
        title: "Explain the cancellation rules in plain words",
        description: "One page that guests read in a minute. It must say:\n\n- until when cancelling is free\n- what \
                      happens later\n- what happens when *we* cancel because of the wind\n\nThe rules stand in the \
                      Account Briefing.",
        priority: 2,
        labels: &["texts"],
        agents: &["writer"],
        steps: &["in_progress"],
        blocked: None,
    },
    Plan {
        title: "Take card payments",
        description: "Guests pay when they book, and get their money back the same way.",
        priority: 2,
        labels: &["booking"],
        agents: &["engineer"],
        steps: &["in_progress", "blocked"],
        blocked: Some("The payment provider has to confirm our account first. Robin sent them the papers."),
    },
    Plan {
        title: "Remind guests on the evening before",
        description: "A short message at 18:00: where, when, what to bring, and whether the wind allows it.",
        priority: 3,
        labels: &["messages"],
        agents: &["engineer"],
        steps: &["in_progress"],
        blocked: None,
    },
    Plan {
        title: WAITING_TASK,
        description: "Choose a tour, a day and the number of guests; see at once whether there is room; leave a name and \
                      a number. It should take less than a minute, standing on a pier, with one thumb.\n\nIris starts \
                      with the steps, Jonas builds them.",
        priority: 1,
        labels: &["website", "booking"],
        agents: &["designer", "engineer"],
        steps: &[],
        blocked: None,
    },
    Plan {
        title: "Show prices in euros, too",
        description: "A third of our guests come from abroad and ask on the telephone what it costs.",
        priority: 3,
        labels: &["website"],
        agents: &[],
        steps: &[],
        blocked: None,
    },
    Plan {
        title: "Collect what guests ask most often",
        description: "Ten questions with short answers, so that the telephone rings less.",
        priority: 4,
        labels: &["texts"],
        agents: &[],
        steps: &[],
        blocked: None,
    },
];

/// The task with two assignees. It waits for a runtime, so that the first runtime shows the team starting to work.
const WAITING_TASK: &str = "A booking page that works on a phone";
/// The task with a thread.
const RULES_TASK: &str = "Explain the cancellation rules in plain words";

/// The person of the demo.
const OWNER: Owner<'_> = Owner { user_id: "user_robin", name: "Robin Vale", email: "robin@example.com" };

/// Creates the demo account with all its content.
pub(super) fn demo(tx: &Tx<'_>, options: Options) -> Result<NewAccount, Refusal> {
    let clock = Cell::new(tx.now() - PAST);
    let new_account = create_account(&tx.at(clock.get()), "Demo", "demo", OWNER)?;
    let demo = DemoBuilder { tx, options, account: new_account.account.id.clone(), clock };
    demo.call("accounts:updateSettings", json!({"userMd": include_str!("seed/user.md")}))?;
    let skills = demo.skills()?;
    let team = demo.team(&skills)?;
    demo.call("accounts:updateSettings", json!({"orchestratorAgentId": team["squad-lead"]}))?;
    demo.reference("Repository \u{2014} Primary", include_str!("seed/documents/repository.md"))?;
    demo.reference("Account Briefing", include_str!("seed/documents/briefing.md"))?;
    let tasks = TASKS.iter().map(|plan| demo.task(plan, &team));
    let tasks = tasks.collect::<Result<Map<String, Value>, Refusal>>()?;
    demo.thread(&tasks, &team)?;
    mark_delivered(tx, &tasks)?;
    Ok(new_account)
}

/// The age of the demo and the duration of each step, in milliseconds. One day with steps of twenty minutes ends
/// before now.
const PAST: f64 = 24.0 * 3_600_000.0;
const STEP: f64 = 20.0 * 60_000.0;

/// Makes the calls that create the demo, in the name of Robin and the agents.
struct DemoBuilder<'a> {
    tx: &'a Tx<'a>,
    options: Options,
    account: Id<Account>,
    /// The current time of the demo.
    clock: Cell<f64>,
}

impl DemoBuilder<'_> {
    /// Calls a function of the catalogue.
    fn call(&self, path: &str, mut args: Value) -> Result<Value, Refusal> {
        args["accountId"] = json!(self.account);
        let function = catalog::find(path).ok_or_else(|| Refusal::NoFunction(path.to_owned()))?;
        validate(&args, function.args).map_err(Refusal::Arguments)?;
        self.clock.set(self.clock.get() + STEP);
        let tx = &self.tx.at(self.clock.get());
        // The account is read for each call, because the previous call may have changed it.
        let account = tx.get(&self.account)?;
        let account = account.ok_or_else(|| StoreError::Fault("the new account is gone".to_owned()))?;
        let args = args.as_object().cloned().unwrap_or_default();
        (function.run)(&Call {
            tx,
            args: &args,
            account,
            options: self.options,
            vault: None,
            provisioning: None,
            times: PoolTimes::default(),
            origin: "",
        })
    }

    /// Calls a service function. No token is required here.
    fn call_service(&self, name: &str, mut args: Value) -> Result<Value, Refusal> {
        args["serviceToken"] = json!("");
        self.call(&format!("service/actions:{name}"), args)
    }

    /// Creates the skills. Returns their ids by slug.
    fn skills(&self) -> Result<Map<String, Value>, Refusal> {
        let created = SKILLS.iter().map(|(slug, name, description, content, on)| {
            let skill = json!({
                "slug": slug, "name": name, "description": description, "contentMarkdown": content, "isEnabled": on,
            });
            Ok(((*slug).to_owned(), self.call("skills:create", skill)?))
        });
        created.collect()
    }

    /// Creates the agents. Returns their ids by slug.
    fn team(&self, skills: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        let created = TEAM.iter().map(|member| {
            let mut flags = json!({
                "canCreateTasks": false, "canModifyTaskStatus": true, "canCreateDocuments": true,
                "canMentionAgents": true, "canReviewTasks": false, "canMarkDone": false,
            });
            for flag in member.flags {
                flags[*flag] = json!(true);
            }
            let skills: Vec<&Value> = member.skills.iter().filter_map(|slug| skills.get(*slug)).collect();
            let agent = json!({
                "name": member.name, "slug": member.slug, "role": member.role, "description": member.description,
                "icon": member.icon, "soulContent": member.soul, "heartbeatInterval": member.heartbeat,
                "openclawConfig": {"skillIds": skills, "behaviorFlags": flags},
            });
            Ok((member.slug.to_owned(), self.call("agents:create", agent)?))
        });
        created.collect()
    }

    fn reference(&self, title: &str, content: &str) -> Result<Value, Refusal> {
        self.call("documents:create", json!({"title": title, "content": content, "type": "reference"}))
    }

    /// Creates a task and moves it to its status. Returns its title and its id.
    fn task(&self, plan: &Plan, team: &Map<String, Value>) -> Result<(String, Value), Refusal> {
        let task = self.call(
            "tasks:create",
            json!({
                "title": plan.title, "description": plan.description, "priority": plan.priority,
                "labels": plan.labels,
            }),
        )?;
        let agents: Vec<&Value> = plan.agents.iter().filter_map(|slug| team.get(*slug)).collect();
        if !agents.is_empty() {
            self.call("tasks:assign", json!({"taskId": task, "assignedAgentIds": agents}))?;
        }
        for step in plan.steps {
            let mut args = json!({"taskId": task, "status": step});
            if let Some(reason) = plan.blocked.filter(|_| *step == "blocked") {
                args["blockedReason"] = json!(reason);
            }
            self.call("tasks:updateStatus", args)?;
        }
        Ok((plan.title.to_owned(), task))
    }

    /// Posts the messages and the document about the cancellation rules.
    fn thread(&self, tasks: &Map<String, Value>, team: &Map<String, Value>) -> Result<(), Refusal> {
        let task = &tasks[RULES_TASK];
        let say = |slug: &str, content: &str| {
            let message = json!({"taskId": task, "agentId": team[slug], "content": content});
            self.call_service("createMessageFromAgent", message)
        };
        let robin = |content: &str| self.call("messages:create", json!({"taskId": task, "content": content}));

        robin(
            "@writer, guests call about this twice a day. Could you write it down so that they need not? Please no \
             lawyers' words.",
        )?;
        say(
            "writer",
            "Gladly. One question first: if somebody cannot come, may they give their place to a friend? I would say \
             yes, it costs us nothing.",
        )?;
        robin("Yes, of course. They only have to tell us the name.")?;
        self.call_service(
            "createDocumentFromAgent",
            json!({
                "agentId": team["writer"], "taskId": task, "title": "Cancellation rules, second draft",
                "content": include_str!("seed/documents/cancellation.md"), "type": "deliverable",
            }),
        )?;
        say(
            "writer",
            "The second draft is on this task. It is 120 words long and takes half a minute to read. Open: which \
             telephone number goes at the end. @qa, could you hold it against the rules in the briefing?",
        )?;
        let review = json!({"agentId": team["writer"], "taskId": task, "status": "review"});
        self.call_service("updateTaskStatusFromAgent", review)?;
        say(
            "qa",
            "I went through the checklist. The 24 hours and the refund for wind are as in the briefing. I cannot find \
             the three days for the refund anywhere: is that a rule, or a guess? Once that is clear, and the telephone \
             number is in, I can mark it as done.",
        )?;
        Ok(())
    }
}

/// Marks the agents' notifications as delivered, except those of the task that waits for a runtime, which become new.
/// Otherwise the first runtime would deliver outdated notifications, or report a long wait.
fn mark_delivered(tx: &Tx<'_>, tasks: &Map<String, Value>) -> Result<(), StoreError> {
    let waiting_task = tasks.get(WAITING_TASK).and_then(Value::as_str).unwrap_or_default();
    for mut notification in tx.all::<Notification>()? {
        let is_waiting = notification.row.task_id.as_ref().is_some_and(|task| *task == *waiting_task);
        if notification.row.recipient_type != "agent" {
            continue;
        }
        if is_waiting {
            notification.row.created_at = tx.now();
        } else {
            notification.row.read_at = Some(notification.row.created_at);
            notification.row.delivered_at = Some(notification.row.created_at);
        }
        tx.put(&notification)?;
    }
    Ok(())
}

//! What a newcomer finds: an account with a team that knows how to work together, and a board with some life on it.
//!
//! Everything is made by the same functions that people and agents use, in one transaction: so the demo obeys every
//! rule, and is there as a whole or not at all.

use std::cell::Cell;

use serde_json::{Map, Value, json};

use super::account_setup::{NewAccount, Owner, found};
use super::answer::Refusal;
use super::call::{Call, Options};
use super::catalog;
use super::rows::{Account, Notification};
use super::store::{Id, StoreError, Tx};
use super::validate::validate;

/// One of the team.
struct Hire {
    name: &'static str,
    slug: &'static str,
    role: &'static str,
    description: &'static str,
    icon: &'static str,
    soul: &'static str,
    /// Minutes between looks at the board.
    heartbeat: u32,
    /// Flags that differ from what everybody has.
    flags: &'static [&'static str],
    skills: &'static [&'static str],
}

const TEAM: [Hire; 5] = [
    Hire {
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
    Hire {
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
    Hire {
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
    Hire {
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
    Hire {
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

/// Slug, name, description, text, whether it is switched on.
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
        "What goes to guests' phones; waits for Robin's word",
        include_str!("seed/skills/guest-messages.md"),
        false,
    ),
];

/// What is still to be done about a task, once it exists and somebody is on it.
struct Plan {
    title: &'static str,
    description: &'static str,
    priority: u32,
    labels: &'static [&'static str],
    agents: &'static [&'static str],
    /// The way it has gone.
    steps: &'static [&'static str],
    blocked: Option<&'static str>,
}

const TASKS: [Plan; 8] = [
    Plan {
        title: "Try a chat window on the website",
        description: "We tried it for a week. Nobody was there to answer while the tours were out, so we took it away.",
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
        title: TOGETHER,
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

/// The task that two are on. It waits for a runtime: whoever connects one sees the team begin.
const TOGETHER: &str = "A booking page that works on a phone";
/// The task with a thread.
const RULES: &str = "Explain the cancellation rules in plain words";

/// The person of the demo.
const OWNER: Owner<'_> = Owner { user_id: "user_robin", name: "Robin Vale", email: "robin@example.com" };

/// Founds the demo account with all that belongs to it.
pub(super) fn demo(tx: &Tx<'_>, options: Options) -> Result<NewAccount, Refusal> {
    let clock = Cell::new(tx.now() - PAST);
    let founded = found(&tx.at(clock.get()), "Demo", "demo", OWNER)?;
    let hand = Hand { tx, options, account: founded.account.id.clone(), clock };
    hand.act("accounts:updateSettings", json!({"userMd": include_str!("seed/user.md")}))?;
    let skills = hand.skills()?;
    let team = hand.team(&skills)?;
    hand.act("accounts:updateSettings", json!({"orchestratorAgentId": team["squad-lead"]}))?;
    hand.reference("Repository \u{2014} Primary", include_str!("seed/documents/repository.md"))?;
    hand.reference("Account Briefing", include_str!("seed/documents/briefing.md"))?;
    let tasks = TASKS.iter().map(|plan| hand.task(plan, &team));
    let tasks = tasks.collect::<Result<Map<String, Value>, Refusal>>()?;
    hand.thread(&tasks, &team)?;
    settle(tx, &tasks)?;
    Ok(founded)
}

/// How long ago it begins, and how long each step takes, in milliseconds: a day in twenty minutes each leaves room for
/// all of them before now.
const PAST: f64 = 24.0 * 3_600_000.0;
const STEP: f64 = 20.0 * 60_000.0;

/// Whoever does all this: Robin, and the agents in Robin's house.
struct Hand<'a> {
    tx: &'a Tx<'a>,
    options: Options,
    account: Id<Account>,
    /// What time it is in the demo.
    clock: Cell<f64>,
}

impl Hand<'_> {
    /// Calls a function of the catalogue.
    fn act(&self, path: &str, mut args: Value) -> Result<Value, Refusal> {
        args["accountId"] = json!(self.account);
        let function = catalog::find(path).ok_or_else(|| Refusal::NoFunction(path.to_owned()))?;
        validate(&args, function.args).map_err(Refusal::Arguments)?;
        self.clock.set(self.clock.get() + STEP);
        let tx = &self.tx.at(self.clock.get());
        // Read each time: the call before may have changed it.
        let account = tx.get(&self.account)?;
        let account = account.ok_or_else(|| StoreError::Fault("the new account is gone".to_owned()))?;
        let args = args.as_object().cloned().unwrap_or_default();
        (function.run)(&Call { tx, args: &args, account, options: self.options, vault: None })
    }

    /// Calls a service function; no token is asked for in here.
    fn serve(&self, name: &str, mut args: Value) -> Result<Value, Refusal> {
        args["serviceToken"] = json!("");
        self.act(&format!("service/actions:{name}"), args)
    }

    /// The skills' ids by their slugs.
    fn skills(&self) -> Result<Map<String, Value>, Refusal> {
        let made = SKILLS.iter().map(|(slug, name, description, content, on)| {
            let skill = json!({
                "slug": slug, "name": name, "description": description, "contentMarkdown": content, "isEnabled": on,
            });
            Ok(((*slug).to_owned(), self.act("skills:create", skill)?))
        });
        made.collect()
    }

    /// The agents' ids by their slugs.
    fn team(&self, skills: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        let made = TEAM.iter().map(|hire| {
            let mut flags = json!({
                "canCreateTasks": false, "canModifyTaskStatus": true, "canCreateDocuments": true,
                "canMentionAgents": true, "canReviewTasks": false, "canMarkDone": false,
            });
            for flag in hire.flags {
                flags[*flag] = json!(true);
            }
            let skills: Vec<&Value> = hire.skills.iter().filter_map(|slug| skills.get(*slug)).collect();
            let agent = json!({
                "name": hire.name, "slug": hire.slug, "role": hire.role, "description": hire.description,
                "icon": hire.icon, "soulContent": hire.soul, "heartbeatInterval": hire.heartbeat,
                "openclawConfig": {"skillIds": skills, "behaviorFlags": flags},
            });
            Ok((hire.slug.to_owned(), self.act("agents:create", agent)?))
        });
        made.collect()
    }

    fn reference(&self, title: &str, content: &str) -> Result<Value, Refusal> {
        self.act("documents:create", json!({"title": title, "content": content, "type": "reference"}))
    }

    /// A task with its title, brought where it stands.
    fn task(&self, plan: &Plan, team: &Map<String, Value>) -> Result<(String, Value), Refusal> {
        let task = self.act(
            "tasks:create",
            json!({
                "title": plan.title, "description": plan.description, "priority": plan.priority,
                "labels": plan.labels,
            }),
        )?;
        let agents: Vec<&Value> = plan.agents.iter().filter_map(|slug| team.get(*slug)).collect();
        if !agents.is_empty() {
            self.act("tasks:assign", json!({"taskId": task, "assignedAgentIds": agents}))?;
        }
        for step in plan.steps {
            let mut args = json!({"taskId": task, "status": step});
            if let Some(reason) = plan.blocked.filter(|_| *step == "blocked") {
                args["blockedReason"] = json!(reason);
            }
            self.act("tasks:updateStatus", args)?;
        }
        Ok((plan.title.to_owned(), task))
    }

    /// What was said and done about the cancellation rules.
    fn thread(&self, tasks: &Map<String, Value>, team: &Map<String, Value>) -> Result<(), Refusal> {
        let task = &tasks[RULES];
        let say = |slug: &str, content: &str| {
            let message = json!({"taskId": task, "agentId": team[slug], "content": content});
            self.serve("createMessageFromAgent", message)
        };
        let robin = |content: &str| self.act("messages:create", json!({"taskId": task, "content": content}));

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
        self.serve(
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
        self.serve("updateTaskStatusFromAgent", review)?;
        say(
            "qa",
            "I went through the checklist. The 24 hours and the refund for wind are as in the briefing. I cannot find \
             the three days for the refund anywhere: is that a rule, or a guess? Once that is clear, and the telephone \
             number is in, I can mark it as done.",
        )?;
        Ok(())
    }
}

/// Puts what agents were told behind them, but for the task that two are on: nobody needs to answer old news when the
/// first runtime connects.
fn settle(tx: &Tx<'_>, tasks: &Map<String, Value>) -> Result<(), StoreError> {
    let together = tasks.get(TOGETHER).and_then(Value::as_str).unwrap_or_default();
    for mut told in tx.all::<Notification>()? {
        let waits = told.row.task_id.as_ref().is_some_and(|task| *task == *together);
        if told.row.recipient_type == "agent" && !waits {
            told.row.read_at = Some(told.row.created_at);
            told.row.delivered_at = Some(told.row.created_at);
            tx.put(&told)?;
        }
    }
    Ok(())
}

//! The input is a few lines: two slugs, the account, the name of main sessions, then keys. Each key may also be the name of
//! a task.

use std::sync::{Arc, LazyLock};

use mission_control_runtime::clock::Millis;
use mission_control_runtime::gateway::{SessionNames, session_key};
use mission_control_runtime::heartbeat::session::{
    AgentKey, Naming, WakeTarget, event_queue, main_key, whom_to_wake,
};
use mission_control_runtime::model::{
    AccountId, Agent, AgentId, Roster, SessionKey, SessionKind, SessionScope, TaskId,
};
use mission_control_runtime::sessions::Sessions;
use mission_control_runtime::work::Track;
use serde_json::json;

/// More keys show nothing new.
const KEYS: usize = 6;

const NOW: Millis = Millis(1_767_225_600_000);

/// The gateway's own prefixes of session names.
const KINDS: [&str; 3] = ["task", "system", "key"];

const NAMES: [SessionNames; 2] = [SessionNames::Renamed, SessionNames::Kept];

/// Checks that each key identifies the right agent and no other.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (one, other, account, main) = (next(), next(), next(), next());
    let keys: Vec<&str> = lines.take(KEYS).collect();
    for key in &keys {
        for scope in [SessionScope::PerSender, SessionScope::Global] {
            // A configured name with a prefix that the gateway reserves for runs is another kind of mistake.
            let main = Some(main).filter(|main| !main.contains(':'));
            woken(key, Naming { main, scope });
        }
        for names in NAMES {
            named(key, one, names);
        }
    }
    for (at, key) in keys.iter().enumerate() {
        for earlier in &keys[..at] {
            for names in NAMES {
                apart(key, earlier, one, names);
            }
        }
    }
    let slugs = [one, other].map(str::to_ascii_lowercase);
    if slugs.iter().all(|slug| is_slug(slug)) && slugs[0] != slugs[1] && is_slug(account) {
        opened(&slugs, account, &keys);
    }
}

/// The event goes to a queue that the woken agent drains (worker-pool D.3, D.4).
fn woken(key: &str, naming: Naming<'_>) {
    let parsed = AgentKey::parse(key);
    let (queue, whom) = (event_queue(key, naming), whom_to_wake(key, naming));
    if let Some(agent) = &parsed {
        assert!(!agent.agent.is_empty() && !agent.rest.is_empty());
        assert!(agent.agent.len() + agent.rest.len() <= 3 * key.len(), "a key does not grow");
        assert_eq!(agent.agent, agent.agent.to_lowercase());
        let plain = format!("agent:{}:{}", agent.agent, agent.rest);
        if plain.trim() == plain {
            assert_eq!(AgentKey::parse(&plain).as_ref(), Some(agent), "what was read is read the same");
        }
    }
    match &parsed {
        Some(run) if run.is_cron_run() => {
            let main = run.main(naming);
            assert_eq!(main, main_key(&run.agent, naming.main));
            let known = AgentKey::parse(&main).expect("a main key is an agent's");
            assert!(!known.is_cron_run(), "{main}");
            let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
            assert!(known.agent.len() <= 64 && known.agent.chars().all(sound), "{main}");
            match naming.scope {
                SessionScope::Global => {
                    assert_eq!(queue, "global");
                    assert_eq!(whom, WakeTarget::Agent(run.agent.clone()));
                }
                SessionScope::PerSender => {
                    assert_eq!(queue, main);
                    assert_eq!(whom, WakeTarget::Session(main.as_str().into()));
                }
            }
        }
        Some(_) => {
            assert_eq!(queue, key, "no other key is touched");
            assert_eq!(whom, WakeTarget::Session(key.into()));
        }
        None => {
            assert_eq!(queue, key, "no other key is touched");
            assert_eq!(whom, WakeTarget::Anybody);
        }
    }
    assert_eq!(event_queue(&queue, naming), queue, "a queue is its own");
}

/// The gateway's name always contains the agent's name, is short, and has one of three kinds (design §6).
fn named(key: &str, slug: &str, names: SessionNames) {
    let backend = SessionKey::new(key);
    let name = session_key(&backend, slug, names);
    let upper = slug.to_ascii_uppercase();
    assert_eq!(name, session_key(&backend, &upper, names), "the case of a slug says nothing");
    assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name}");
    assert!(name.len() <= slug.len() + key.len().max(40) + 12, "{name}");
    let own = format!("agent:{}:", slug.to_ascii_lowercase());
    let rest = name.strip_prefix(&own).expect("the agent's own name stands first");
    let (kind, rest) = rest.split_once(':').expect("a kind stands behind it");
    assert!(KINDS.contains(&kind), "{name}");
    if kind == "key" {
        assert!(rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    } else {
        assert!(rest.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        assert_ne!(backend.kind(), SessionKind::Other);
        let speaks = backend.agent_slug().is_some_and(|named| named.eq_ignore_ascii_case(slug));
        assert!(speaks, "a key that names somebody else gets a name of its own");
    }
    // An agent's session is never mistaken for a cron run.
    if is_slug(slug) {
        let read = AgentKey::parse(&name).expect("it is an agent's");
        assert!(!read.is_cron_run() && read.agent == slug.to_ascii_lowercase());
    }
}

/// Two conversations share a name at the gateway only if they differ in nothing but case.
fn apart(key: &str, other: &str, slug: &str, names: SessionNames) {
    let names = [key, other].map(|key| session_key(&SessionKey::new(key), slug, names));
    assert!(names[0] != names[1] || key.eq_ignore_ascii_case(other), "{key:?} and {other:?}");
}

/// Every form of a key grants the session it was issued for. Any other text grants none.
fn opened(slugs: &[String; 2], account: &str, keys: &[&str]) {
    let account = AccountId::new(account);
    let sessions = Sessions::in_memory(account.clone());
    let ids = ["a-one", "a-other"];
    let own = |slug: &str| SessionKey::for_system(slug, &account, 1);
    let agents = slugs.iter().zip(ids).map(|(slug, id)| agent(slug, id, &own(slug)));
    let roster = Arc::new(Roster::new(agents.collect(), None));
    sessions.follow(&roster, NOW);

    let mut issued: Vec<(String, &str, Option<&str>)> = Vec::new();
    for (slug, id) in slugs.iter().zip(ids) {
        let key = own(slug);
        let short = format!("agent:{slug}:{account}");
        let gateways = NAMES.map(|names| session_key(&key, slug, names));
        let spellings = [key.expose().to_owned(), short.to_ascii_lowercase(), short];
        for spelling in spellings.into_iter().chain(gateways) {
            issued.push((spelling, id, None));
        }
        for task in keys.iter().filter(|task| is_slug(task)) {
            let key = SessionKey::for_task(&TaskId::new(*task), slug, &account, 1);
            let track = Track::new(id, Some(TaskId::new(*task)));
            let session = sessions.issue(&key, slug, &track, NOW);
            assert_eq!((session.agent.as_str(), session.task()), (id, track.task()));
            issued.extend(NAMES.map(|names| (session_key(&key, slug, names), id, Some(*task))));
            issued.push((key.expose().to_owned(), id, Some(task)));
        }
    }
    for (spelling, id, task) in &issued {
        let session = sessions.find(spelling, &roster, NOW).expect("what was issued is known");
        assert_eq!(session.agent.as_str(), *id, "{spelling}");
        // Task ids that differ only in case share a name at the gateway. The backend creates none.
        let found = session.task().map(|found| found.as_str().to_ascii_lowercase());
        assert_eq!(found, task.map(str::to_ascii_lowercase), "{spelling}");
    }
    for shown in keys {
        let Some(session) = sessions.find(shown, &roster, NOW) else { continue };
        if issued.iter().any(|(spelling, ..)| spelling == shown) {
            continue;
        }
        let run = AgentKey::parse(shown).filter(AgentKey::is_cron_run).expect("nothing else opens a session");
        let at = ids.iter().position(|id| *id == session.agent.as_str()).expect("one of the two");
        assert!(run.agent.eq_ignore_ascii_case(&slugs[at]) && session.task().is_none(), "{shown}");
    }
}

/// The form of the backend's own slugs.
fn is_slug(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(sound)
}

fn agent(slug: &str, id: &str, key: &SessionKey) -> Agent {
    static ANYBODY: LazyLock<Agent> = LazyLock::new(|| {
        let agent = json!({"_id": "a", "name": "A", "slug": "a", "role": "Engineer", "status": "online"});
        serde_json::from_value(agent).expect("an agent of the backend")
    });
    Agent {
        id: AgentId::new(id),
        slug: slug.to_owned(),
        system_session_key: Some(key.clone()),
        ..ANYBODY.clone()
    }
}

//! The runs of a gateway's cron jobs: `agent:{id}:cron:{job}:run:{run}`, and whatever descends from one.

/// The agent whose run this key names, if it names one: by its slug, in small letters.
pub fn agent_of_run(key: &str) -> Option<String> {
    let key = key.trim().to_lowercase();
    let mut parts = key.split(':').filter(|part| !part.is_empty());
    let agent = (parts.next()? == "agent").then(|| parts.next()).flatten()?;
    let rest: Vec<&str> = parts.collect();
    match rest.as_slice() {
        ["cron", _, "run", _, ..] => Some(agent.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worker-pool D.1 and D.2, row by row.
    #[test]
    fn runs_of_cron_jobs_belong_to_their_agent() {
        let rows = [
            ("agent:research:cron:nightly-backup:run:abc-123", Some("research")),
            ("agent:main:cron:backup:run:abc123:subagent:worker", Some("main")),
            ("agent:ops:cron:job-1:run:xyz:thread:reply", Some("ops")),
            ("agent:ops:cron:j:run:1:heartbeat", Some("ops")),
            ("AGENT:Ops:Cron:Job:Run:X", Some("ops")),
            ("agent::ops:cron:j:run:1", Some("ops")),
            (" agent:ops:cron:j:run:1 ", Some("ops")),
            ("agent:ops:cron:job-1", None),
            ("agent:ops:cron:job-1:run", None),
            ("agent:ops:cron:job-1:run:", None),
            ("agent:ops:cron:a:b:run:x", None),
            ("agent:ops:telegram:cron:j:run:1", None),
            ("cron:job:run:1", None),
            ("agent:ops", None),
            ("agent:ops:", None),
            ("agent:main:main", None),
            ("main", None),
            ("global", None),
            ("", None),
            (":::", None),
        ];
        for (key, agent) in rows {
            assert_eq!(agent_of_run(key).as_deref(), agent, "{key}");
        }
    }
}

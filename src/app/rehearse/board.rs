//! The board of one case: an embedded Mission Control in memory with the agents of the case.

use serde_json::{Value, json};

use crate::app::embedded::{self, Board, BoardAccess};
use mcr_gateway_sim::rehearsal::Post;
use mcr_mission_control::{Caller, DataLocation, Kind, Opening, Options, Seed};
use mcr_model::random;

/// How the id of every task begins, after the letters of its table. It is part of the session's key, so that no person takes
/// a session of a rehearsal for a real one.
const TASK: &str = "kxrehearse";

/// How the runtime's own notes in an agent's name begin.
const NOTE: &str = "*(Automatic note";

/// A board in memory.
pub(super) struct CaseBoard {
    pub(super) board: Board,
    /// Slug and id of each agent.
    agents: Vec<(String, String)>,
}

impl CaseBoard {
    /// With agents of these slugs.
    pub(super) fn new(slugs: &[String]) -> Result<Self, String> {
        let options = Options { original: true, redact: true };
        let opening =
            Opening { location: DataLocation::Memory, seed: Seed::Nothing, master_key: None, options };
        let listen = "127.0.0.1:0";
        let data = embedded::open(&opening, listen, "TMPDIR")?;
        let board = Board::start(data, listen, "TMPDIR", BoardAccess::default(), || ())?;
        let mut board = Self { board, agents: Vec::new() };
        for slug in slugs {
            let id = board.write(
                "agents",
                json!({
                    "name": format!("Agent {slug}"), "slug": slug, "role": "Agent", "status": "online",
                    "heartbeatInterval": 15.0, "createdAt": 1.0,
                }),
            )?;
            board.agents.push((slug.clone(), id));
        }
        Ok(board)
    }

    /// A new task of this agent.
    pub(super) fn task(&self, slug: &str) -> Result<String, String> {
        let id = format!("{TASK}{}", random::hex::<11>());
        let agent = self.agents.iter().find(|(known, _)| known == slug).map(|(_, id)| id);
        self.write(
            "tasks",
            json!({
                "_id": id, "_creationTime": 1.0, "title": "Rehearsal", "status": "in_progress", "priority": 3.0,
                "assignedUserIds": [], "assignedAgentIds": [agent], "labels": [], "createdBy": "user_owner",
                "createdAt": 1.0, "updatedAt": 1.0,
            }),
        )
    }

    /// The person writes in the thread of a task.
    pub(super) fn say(&self, task: &str, content: &str) -> Result<(), String> {
        let args = json!({"accountId": self.board.account, "taskId": task, "content": content});
        let engine = &self.board.engine;
        let (_, answer) = engine.call(Kind::Mutation, "messages:create", &args, Caller::Person, "rehearse");
        match answer["status"].as_str() {
            Some("success") => Ok(()),
            _ => Err(format!("the board of the rehearsal refused a message: {}", answer["errorMessage"])),
        }
    }

    /// The agents' messages and the number of the runtime's notes.
    pub(super) fn posts(&self) -> Result<(Vec<Post>, usize), String> {
        let (mut posts, mut notes) = (Vec::new(), 0);
        for row in self.rows("messages")? {
            let author = self.agents.iter().find(|(_, id)| row["authorId"] == **id);
            let (Some((slug, _)), Some(text)) = (author, row["content"].as_str()) else { continue };
            if text.starts_with(NOTE) {
                notes += 1;
            } else {
                posts.push(Post { agent: slug.clone(), text: text.to_owned() });
            }
        }
        Ok((posts, notes))
    }

    /// The titles of the documents.
    pub(super) fn documents(&self) -> Result<Vec<String>, String> {
        let rows = self.rows("documents")?.into_iter();
        Ok(rows.map(|row| row["title"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Whether every task is in review.
    pub(super) fn is_in_review(&self) -> Result<bool, String> {
        Ok(self.rows("tasks")?.iter().all(|row| row["status"] == "review"))
    }

    fn rows(&self, table: &str) -> Result<Vec<Value>, String> {
        self.board.engine.read_table(table).map_err(|why| why.to_string())
    }

    fn write(&self, table: &str, mut row: Value) -> Result<String, String> {
        row["accountId"] = json!(self.board.account);
        self.board.engine.write_row(table, row).map_err(|why| why.to_string())
    }
}

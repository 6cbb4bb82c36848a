//! The queries of one client: runs each again after a commit in a table that it has read.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::engine::{Caller, Engine};
use crate::function::with_floats;
use crate::logins::random_hex;
use crate::store::TableSet;
use mcr_model::sync_protocol::Modification;

/// The most queries of one client.
const QUERIES_MAX: usize = 64;

/// The most bytes of the arguments of all queries of one client, before they are checked.
const ARGUMENT_BYTES_MAX: usize = 16 * 1024;

/// The most bytes of a value. The platform sends larger ones in parts.
const VALUE_BYTES_MAX: usize = 5_000_000;

/// The queries of one client.
#[derive(Default)]
pub(super) struct Queries {
    queries: BTreeMap<u32, SubscribedQuery>,
    /// The number of the last change for which all results are current.
    current: u64,
}

struct SubscribedQuery {
    path: String,
    args: Value,
    /// The digest of the last result that was sent.
    sent: Option<[u8; 32]>,
    tables: TableSet,
    seen: u64,
}

impl Queries {
    /// Adds a query, or says why not.
    pub(super) fn add(&mut self, id: u32, path: String, mut args: Vec<Value>) -> Result<(), &'static str> {
        if self.queries.contains_key(&id) {
            return Err("The query is already in the set");
        }
        if self.queries.len() >= QUERIES_MAX {
            return Err("Too many queries on one connection");
        }
        let args = match args.len() {
            0 => json!({}),
            1 => args.remove(0),
            _ => return Err("A query takes one object of arguments"),
        };
        let bytes = |path: &str, args: &Value| path.len() + args.to_string().len();
        let known: usize = self.queries.values().map(|query| bytes(&query.path, &query.args)).sum();
        if known + bytes(&path, &args) > ARGUMENT_BYTES_MAX {
            return Err("The arguments of the queries are too large");
        }
        let query = SubscribedQuery { path, args, sent: None, tables: TableSet::ALL, seen: 0 };
        self.queries.insert(id, query);
        Ok(())
    }

    /// Removes a query. Returns whether it was in the set.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        self.queries.remove(&id).is_some()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// All results may be different, because the identity of the client is.
    pub(super) fn expire(&mut self) {
        self.queries.values_mut().for_each(|query| query.sent = None);
    }

    /// The tables that the results depend on, and the last change for which they are current.
    pub(super) fn dependencies(&self) -> (TableSet, u64) {
        let tables = self.queries.values().map(|query| query.tables);
        (tables.fold(TableSet::default(), TableSet::union), self.current)
    }

    /// Runs the queries whose tables have changed. Returns the results that are new. Each query sees one point in time;
    /// two queries may see different ones.
    pub(super) fn refresh(&mut self, engine: &Engine, caller: Caller) -> Vec<Modification> {
        let upto = engine.changes();
        let mut modifications = Vec::new();
        for (id, query) in &mut self.queries {
            if query.sent.is_none() || engine.has_changed(query.tables, query.seen) {
                modifications.extend(query.run(*id, engine, caller));
            }
            query.seen = query.seen.max(upto);
        }
        self.current = upto;
        modifications
    }
}

impl SubscribedQuery {
    /// Runs the query. Returns the result if it is another one than the last.
    fn run(&mut self, query_id: u32, engine: &Engine, caller: Caller) -> Option<Modification> {
        let observation = engine.observe(&self.path, &self.args, caller);
        (self.tables, self.seen) = (observation.tables, observation.change);
        let result = observation.result.map(with_floats).map_err(|refusal| {
            let (_, answer) = refusal.into_answer("", engine.options.redact);
            let text = [&answer["errorMessage"], &answer["message"]].into_iter().find_map(Value::as_str);
            text.unwrap_or("Server Error").to_owned()
        });
        let (kind, text) = match &result {
            Ok(value) => ("value", value.to_string()),
            Err(text) => ("error", text.clone()),
        };
        let sent = digest(&SHA256, format!("{kind} {text}").as_bytes()).as_ref().try_into().ok();
        if sent == std::mem::replace(&mut self.sent, sent) {
            return None;
        }
        Some(match result {
            Ok(value) if text.len() <= VALUE_BYTES_MAX => Modification::updated(query_id, value),
            Ok(_) => {
                let error_message =
                    format!("Function {} return value is too large for a subscription", self.path);
                Modification::failed(query_id, error_message)
            }
            Err(text) => {
                let error_message =
                    text.replacen("[Request ID: ]", &format!("[Request ID: {}]", random_hex()), 1);
                Modification::failed(query_id, error_message)
            }
        })
    }
}

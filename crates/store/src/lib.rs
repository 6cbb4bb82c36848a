//! State that must outlive the process: the [`ledger`] of deliveries and the [`sessions`] of agents.

pub mod ledger;
pub mod sessions;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::Connection;

    /// Modules that `.cargo/config.toml` removes from the bundled build.
    const LEFT_OUT: [&str; 7] = [
        "ENABLE_FTS3",
        "ENABLE_FTS3_PARENTHESIS",
        "ENABLE_FTS5",
        "ENABLE_RTREE",
        "ENABLE_STAT4",
        "ENABLE_DBSTAT_VTAB",
        "ENABLE_LOAD_EXTENSION",
    ];

    #[test]
    fn sqlite_is_built_without_the_modules_that_no_statement_uses() {
        let database = Connection::open_in_memory().unwrap();
        let mut statement = database.prepare("PRAGMA compile_options").unwrap();
        let options = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let options: BTreeSet<String> = options.map(Result::unwrap).collect();
        assert!(options.contains("THREADSAFE=1") && options.contains("OMIT_LOAD_EXTENSION"), "{options:?}");
        let present: Vec<&str> = LEFT_OUT
            .into_iter()
            .filter(|name| options.iter().any(|o| o.split('=').next() == Some(name)))
            .collect();
        assert!(present.is_empty(), "{present:?} is built in: {options:?}");

        for module in ["fts3", "fts4", "fts5", "rtree", "dbstat"] {
            let refused =
                database.execute_batch(&format!("CREATE VIRTUAL TABLE temp.t USING {module}(a, b, c)"));
            let why = refused.unwrap_err().to_string();
            assert!(why.contains("no such module"), "{module}: {why}");
        }
    }
}

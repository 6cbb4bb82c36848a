//! Probes of an index: the next smaller value of its last field. A few probes replace a scan over many rows.

use rusqlite::params_from_iter;
use rusqlite::types::Value as Field;

use super::schema::field;
use super::{Index, StoreError, Tx};

impl Tx<'_> {
    /// The greatest text of the last compared field of an index, among the rows with these values in the fields before. With
    /// `below`, only smaller texts count.
    pub(crate) fn greatest(
        &self,
        index: Index,
        values: &[&str],
        below: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        self.will_read(index.table);
        let sql = greatest_sql(index, below.is_some());
        let values = values.iter().copied().chain(below).map(|text| Field::Text(text.to_owned()));
        let mut query = self.database.prepare_cached(&sql)?;
        Ok(query.query_row(params_from_iter(values), |row| row.get(0))?)
    }
}

fn greatest_sql(index: Index, is_bounded: bool) -> String {
    let last = index.by.len();
    let (wanted, before) = index.by.split_last().expect("every index compares a field");
    let wanted = field(wanted);
    let mut terms: Vec<String> =
        before.iter().enumerate().map(|(at, name)| format!("{} IS ?{}", field(name), at + 1)).collect();
    if is_bounded {
        terms.push(format!("{wanted} < ?{last}"));
    }
    let terms = if terms.is_empty() { "true".to_owned() } else { terms.join(" AND ") };
    format!("SELECT max({wanted}) FROM {} WHERE {terms}", index.table.name())
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::store::pool_indexes::INDEXES;
    use crate::store::{POOL_CLAIMABLE, POOL_LINE, Store, Table};
    use mcr_model::clock::SystemClock;

    /// The work of a statement in steps of SQLite's machine.
    fn steps(tx: &Tx<'_>, sql: &str, values: &[&str]) -> Result<i32, StoreError> {
        let mut query = tx.database.prepare(sql)?;
        query.query_row(params_from_iter(values), |_| Ok(()))?;
        Ok(query.get_status(StatementStatus::VmStep))
    }

    /// With each index of the pool, rows are found and sorted without a scan.
    #[test]
    fn every_index_of_the_pool_is_used_as_it_is_meant() {
        let store = Store::in_memory(Box::new(SystemClock)).expect("a new store");
        let done = store.read(|tx| {
            for (name, index) in INDEXES {
                let terms: Vec<String> = index
                    .by
                    .iter()
                    .enumerate()
                    .map(|(at, by)| format!("{} IS ?{}", field(by), at + 1))
                    .collect();
                let then = index.then.map_or(String::new(), |then| format!("{}, ", field(then)));
                let sql = format!(
                    "EXPLAIN QUERY PLAN SELECT id, at, row FROM {} WHERE {} ORDER BY {then}at",
                    index.table.name(),
                    terms.join(" AND ")
                );
                let mut query = tx.database.prepare(&sql)?;
                let values = vec![""; index.by.len()];
                let lines = query.query_map(params_from_iter(values), |row| row.get::<_, String>(3))?;
                let plan = lines.collect::<Result<Vec<_>, _>>()?.join("; ");
                assert!(plan.starts_with("SEARCH") && !plan.contains("TEMP B-TREE"), "{name}: {plan}");
            }
            Ok::<_, StoreError>(())
        });
        done.expect("plans");
    }

    #[test]
    fn a_probe_does_the_same_work_in_a_long_table() {
        let store = Store::in_memory(Box::new(SystemClock)).expect("a new store");
        let done = store.write(|tx| {
            let mut work = Vec::new();
            for rows in [10, 10_000] {
                for number in 0..rows {
                    let rank = format!("{:03}", number % 101);
                    let row = format!(
                        r#"{{"conversationId":"c{number}","state":"waiting","rank":"{rank}","claimableAt":1.0}}"#
                    );
                    tx.insert_json(Table::PoolConversations, &row)?;
                }
                let sql = greatest_sql(POOL_CLAIMABLE, true);
                work.push((
                    steps(tx, &sql, &["waiting", "050"])?,
                    steps(tx, &greatest_sql(POOL_CLAIMABLE, false), &["waiting"])?,
                ));
                let plan: String = tx.database.query_row(
                    &format!("EXPLAIN QUERY PLAN {sql}"),
                    ["waiting", "050"],
                    |row| row.get(3),
                )?;
                assert!(plan.contains("INDEX by_pool_claimable (<expr>=? AND <expr><?)"), "{plan}");
            }
            assert_eq!(work[0], work[1]);
            assert_eq!(tx.greatest(POOL_CLAIMABLE, &["waiting"], None)?.as_deref(), Some("100"));
            assert_eq!(tx.greatest(POOL_CLAIMABLE, &["waiting"], Some("100"))?.as_deref(), Some("099"));
            assert_eq!(tx.greatest(POOL_LINE, &["c1", "queued"], None)?, None);
            Ok::<_, StoreError>(())
        });
        done.expect("probes");
    }
}

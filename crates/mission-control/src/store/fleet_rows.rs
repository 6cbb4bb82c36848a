//! What the rows of all accounts have in common: one machine at most for each account, and the open deliveries counted
//! in one query.

use std::collections::HashMap;

use super::schema::field;
use super::{StoreError, Table, Tx};
use crate::rows::{Account, Provision};
use crate::store::Id;

/// The agents' notifications of one account that are not delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct OpenDeliveries {
    /// All of them.
    pub(crate) open: i64,
    /// Those whose delivery ended without an answer.
    pub(crate) ended: i64,
    /// The creation time of the oldest.
    pub(crate) oldest: f64,
}

/// The condition for an open delivery. Index and query use the same text, so that SQLite uses the index.
fn is_open() -> String {
    format!("{} = 'agent' AND {} IS NULL", field("recipientType"), field("deliveredAt"))
}

/// The statements that create the indexes if they do not exist. The first one is the guard against a second machine:
/// no two requests of one account are alive, whatever the functions do.
pub(super) fn indexes() -> String {
    let account = field("accountId");
    format!(
        "CREATE UNIQUE INDEX IF NOT EXISTS one_machine ON provisions ({account}) WHERE {} <> 'gone';\n\
         CREATE INDEX IF NOT EXISTS by_open_delivery ON notifications ({account}, {}, {}) WHERE {};\n",
        field("state"),
        field("deliveryEndedAt"),
        field("createdAt"),
        is_open()
    )
}

fn open_deliveries_sql() -> String {
    let account = field("accountId");
    format!(
        "SELECT {account}, count(*), count({}), min({}) FROM notifications WHERE {} GROUP BY {account}",
        field("deliveryEndedAt"),
        field("createdAt"),
        is_open()
    )
}

impl Tx<'_> {
    /// The open deliveries of every account that has any.
    pub(crate) fn open_deliveries(&self) -> Result<HashMap<String, OpenDeliveries>, StoreError> {
        self.will_read(Table::Notifications);
        let mut query = self.database.prepare_cached(&open_deliveries_sql())?;
        let found = query.query_map([], |row| {
            let oldest = row.get::<_, Option<f64>>(3)?.unwrap_or_default();
            Ok((row.get(0)?, OpenDeliveries { open: row.get(1)?, ended: row.get(2)?, oldest }))
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Removes an account's rows from every table, except its machines: they end one by one.
    pub(crate) fn delete_rows_of(&self, account: &Id<Account>) -> Result<(), StoreError> {
        for table in Table::ALL {
            if table == <Provision as super::Row>::TABLE {
                continue;
            }
            self.will_read(table);
            let name = table.name();
            let sql = format!("DELETE FROM {name} WHERE {} = ?1 RETURNING id", field("accountId"));
            let mut removal = self.database.prepare_cached(&sql)?;
            for id in removal.query_map([account.as_str()], |row| row.get::<_, String>(0))? {
                self.note(table, &id?);
            }
        }
        self.delete(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Notification;
    use crate::store::Store;
    use mcr_model::clock::SystemClock;

    fn store() -> Store {
        Store::in_memory(Box::new(SystemClock)).expect("a new store")
    }

    #[test]
    fn open_deliveries_of_all_accounts_are_counted_by_one_index() {
        let store = store();
        let counted = store.write(|tx| {
            let mut expected = HashMap::new();
            for (account, rows) in [("k1a", 3_u8), ("k1b", 1)] {
                for number in 0..rows {
                    let row = |delivered_at, delivery_ended_at, recipient_type: &str| Notification {
                        account_id: Id::new(account),
                        recipient_type: recipient_type.to_owned(),
                        created_at: f64::from(10 + number),
                        delivered_at,
                        delivery_ended_at,
                        ..Notification::default()
                    };
                    tx.insert(row(None, (number == 1).then_some(5.0), "agent"))?;
                    tx.insert(row(Some(7.0), None, "agent"))?;
                    tx.insert(row(None, None, "user"))?;
                }
                let ended = i64::from(rows > 1);
                let counts = OpenDeliveries { open: i64::from(rows), ended, oldest: 10.0 };
                expected.insert(account.to_owned(), counts);
            }
            assert_eq!(tx.open_deliveries()?, expected);
            let plan = format!("EXPLAIN QUERY PLAN {}", open_deliveries_sql());
            let plan: String = tx.database.query_row(&plan, [], |row| row.get(3))?;
            Ok::<_, StoreError>(plan)
        });
        let plan = counted.expect("counts");
        assert!(plan.contains("USING INDEX by_open_delivery") && !plan.contains("TEMP B-TREE"), "{plan}");
    }

    /// The functions look before they insert. The database refuses what a defect of theirs would let through.
    #[test]
    fn the_database_refuses_a_second_live_machine_of_an_account() {
        let store = store();
        let insert = |account: &str, state: &str| {
            let row =
                Provision { account_id: Id::new(account), state: state.to_owned(), ..Provision::default() };
            store.write(|tx| tx.insert(row))
        };
        for (account, state, is_accepted) in [
            ("k1a", "gone", true),
            ("k1a", "gone", true),
            ("k1a", "creating", true),
            ("k1a", "requested", false),
            ("k1a", "error", false),
            ("k1b", "online", true),
            ("k1b", "destroying", false),
        ] {
            assert_eq!(insert(account, state).is_ok(), is_accepted, "{account} {state}");
        }
    }
}

//! A set of tables: what a transaction reads or writes.

use super::Table;

/// A set of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSet(u64);

impl TableSet {
    /// All tables.
    pub(crate) const ALL: Self = Self((1 << Table::ALL.len()) - 1);

    /// Adds a table.
    #[must_use]
    pub(crate) fn with(self, table: Table) -> Self {
        Self(self.0 | 1 << table as u32)
    }

    /// The tables of both sets.
    #[must_use]
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The tables, in their order.
    pub(crate) fn tables(self) -> impl Iterator<Item = Table> {
        Table::ALL.into_iter().filter(move |table| self.0 & 1 << *table as u32 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_a_place_of_its_own() {
        for table in Table::ALL {
            assert_eq!(TableSet::default().with(table).tables().collect::<Vec<_>>(), [table]);
        }
        let all = Table::ALL.into_iter().fold(TableSet::default(), TableSet::with);
        assert_eq!(all, TableSet::ALL);
        assert_eq!(all.tables().collect::<Vec<_>>(), Table::ALL);
        assert_eq!(all.union(TableSet::default()), all);
    }
}

//! An embedded Mission Control: the behaviour of the real backend on any machine.
//!
//! A request arrives at the HTTP server ([`http_api`]) and names a function of the catalogue (`catalog`). Its arguments are
//! checked against the list of the function (`validate`). Then it runs as one transaction of the `store`. Each rule of the
//! contract exists once (`rules`) and serves both agents (`service`) and people (`human`). If the contract allows a
//! stand-in to correct a defect of the original, it is corrected, unless [`Options::original`] requests the defect. Clients
//! can also subscribe to queries (`sync`).
//!
//! One backend can serve many accounts (`rules/rollout` upgrades their runtimes in order) and create their machines
//! (`provisioning`). The queue system of a worker pool is in `pool`.
//!
//! Further parts: a directory with the database and four secrets (`data`), a vault for providers' keys whose master key is
//! not in the database (`vault`, `keys`), import and export of all data (`export`), and a demo (`seed`).

mod account_setup;
mod answer;
mod auth;
mod call;
mod catalog;
mod control_plane;
mod data;
mod engine;
mod export;
mod function;
pub mod http_api;
mod human;
mod imported;
mod keys;
mod logins;
mod maintenance;
mod number;
mod pool;
mod provisioning;
mod raw_rows;
pub mod refusals;
mod row_records;
mod rows;
mod rules;
mod seed;
mod service;
mod store;
mod sync;
#[cfg(test)]
mod test_board;
mod validate;
mod vault;

pub use account_setup::Owner;
pub use answer::Refusal;
pub use call::Options;
pub use control_plane::ControlPlane;
pub use data::{Data, DataError, DataLocation, Opening, Seed};
pub use engine::{Caller, Engine};
pub use function::Kind;
pub use keys::KeyError;
pub use pool::{BotAccount, PoolTimes, TelegramApi, WEBHOOK_PATH, WebhookState};
pub use provisioning::{
    BootstrapRefusal, FaultKind, FoundMachine, MachineFault, Machines, OnTimeout, OpenMachines,
    ProvisionSettings, ProvisionWorker, WantedMachine,
};
pub use store::StoreError;
pub use sync::SyncTimes;
pub use vault::{MasterKey, SealContext, Sealed, Vault, VaultError};
